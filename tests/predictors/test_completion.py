from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.completion import complete, factorise, folds, normalised, out_of_fold
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import TrainingLine
from tests import worlds
from tests.perturbqa.world import affinity, screen, with_deltas


def low_rank(seed=0, n=60, m=50, seen=0.5):
    rng = np.random.default_rng(seed)
    truth = (rng.normal(size=(n, 2)) @ rng.normal(size=(2, m))).astype(np.float32)
    return truth, rng.random((n, m)) < seen


def test_recovers_a_low_rank_matrix_from_half_of_it():
    truth, seen = low_rank()
    row, column = np.nonzero(seen)
    residual = sp.csr_matrix((truth[seen], (row, column)), shape=truth.shape)
    factors = factorise(residual, sp.csr_matrix((60, 60), dtype=np.float32), rank=2, ridge=0.1)
    error = (factors.rows @ factors.columns.T - truth)[~seen]
    assert np.sqrt((error**2).mean()) < 0.15 * truth.std()


def test_a_row_update_solves_its_normal_equations():
    truth, seen = low_rank(1)
    row, column = np.nonzero(seen)
    residual = sp.csr_matrix((truth[seen], (row, column)), shape=truth.shape)
    factors = factorise(residual, sp.csr_matrix((60, 60), dtype=np.float32), rank=3, ridge=0.5)
    for i in range(0, 60, 7):
        v = factors.columns[seen[i]].astype(float)
        wanted = np.linalg.solve(v.T @ v + 0.5 * np.eye(3), v.T @ truth[i, seen[i]])
        np.testing.assert_allclose(factors.rows[i], wanted, atol=1e-3)


def test_a_perturbation_without_data_takes_its_neighbours_factor():
    truth, seen = low_rank(2)
    seen[0] = False
    row, column = np.nonzero(seen)
    residual = sp.csr_matrix((truth[seen], (row, column)), shape=truth.shape)
    pull = np.zeros((60, 60), np.float32)
    pull[0, 5] = 1
    factors = factorise(residual, pull, rank=2, ridge=0.1)
    np.testing.assert_allclose(factors.rows[0], factors.rows[5], rtol=0.05, atol=0.02)


def test_a_readout_gene_without_data_takes_its_neighbours_factor():
    truth, seen = low_rank(3)
    seen[:, 0] = False
    row, column = np.nonzero(seen)
    residual = sp.csr_matrix((truth[seen], (row, column)), shape=truth.shape)
    gene_pull = np.zeros((50, 50), np.float32)
    gene_pull[0, 5] = 1
    none = sp.csr_matrix((60, 60), dtype=np.float32)
    factors = factorise(residual, none, 2, 0.1, gene_pull)
    np.testing.assert_allclose(factors.columns[0], factors.columns[5], rtol=0.05, atol=0.02)
    assert not factorise(residual, none, 2, 0.1).columns[0].any()


def test_measured_deltas_stay_and_gaps_are_filled():
    view = screen().view("k562")
    ties = affinity().similarity("go", view.target.perturbations, view.target.perturbations)
    done = complete(view.target, normalised(ties))
    assert done.dense
    np.testing.assert_array_equal(done.delta[view.target.measured], view.target.delta[view.target.measured])
    assert complete(done, normalised(ties)) is done


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 119), st.integers(0, 10**6))
def test_a_row_has_no_part_in_the_fold_that_holds_it(p, seed):
    line = screen().view("k562").target
    ties = affinity().similarity("go", line.perturbations, line.perturbations)
    delta = line.delta.copy()
    delta[p] = np.random.default_rng(seed).normal(size=delta.shape[1])
    name = line.perturbations[p]
    before, after = (
        next(h for h in out_of_fold(which, ties, rank=4, k=3) if name in h.perturbations)
        for which in (line, replace(line, delta=delta))
    )
    others = np.arange(len(delta)) != p
    np.testing.assert_array_equal(before.line.delta[others], after.line.delta[others])
    assert not np.isnan(before.line.delta).any()


def test_a_held_out_row_is_predicted_from_its_own_measured_half_and_its_neighbours():
    truth, seen = low_rank()
    names = np.array([f"G{i}" for i in range(len(truth))])
    line = TrainingLine("k562", names, np.array([f"R{j}" for j in range(50)]), np.where(seen, truth, np.nan))
    for held in out_of_fold(line, sp.csr_matrix((60, 60), dtype=np.float32), rank=2, ridge=0.1):
        inside = np.isin(names, held.perturbations)
        error = (held.line.delta - truth)[inside][~seen[inside]]
        assert np.sqrt((error**2).mean()) < 0.25 * truth.std()


def test_folds_cover_everything_once_and_evenly():
    result = folds(103, 5, seed=3)
    assert sorted(np.bincount(result)) == [20, 20, 21, 21, 21]
    np.testing.assert_array_equal(result, folds(103, 5, seed=3))


@pytest.mark.parametrize(("rank", "ridge"), [(0, 1.0), (2, 0.0), (2, -1.0)])
def test_bad_settings_are_one_sentence(rank, ridge):
    with pytest.raises(InputError, match="rank from 1 and a ridge above 0"):
        factorise(sp.csr_matrix(np.eye(5, dtype=np.float32)), sp.csr_matrix((5, 5)), rank, ridge)


def test_a_filled_predictor_averages_completed_deltas_and_reads_no_test_row():
    atlas, graphs = screen(), affinity().graphs
    near = GraphNeighbourhood(graphs)
    plain, filled = NeighbourPredictor(near, 1.0), NeighbourPredictor(near, 1.0, "lowrank", rank=4)
    view, names = atlas.view("k562"), atlas["k562"].names("test")
    weights = plain.neighbourhoods(view, [str(p) for p in view.target.perturbations]).weights
    done = complete(view.target, normalised(weights), rank=4)
    expected = plain.predict(replace(view, lines={**view.lines, "k562": done}), names).delta
    result = filled.predict(view, names)
    np.testing.assert_array_equal(result.delta, expected)
    assert (result.delta != plain.predict(view, names).delta).any()
    poisoned = with_deltas(atlas, lambda v: np.where((v.split == "test")[:, None], 1.0, v.delta))
    np.testing.assert_array_equal(filled.predict(poisoned.view("k562"), names).delta, result.delta)
    assert filled.name == "string+go, filled"


def test_filling_the_gaps_leaves_the_default_prior_as_it_was():
    view = screen().view("k562")
    neighbour = str(view.target.perturbations[3])
    near = GraphNeighbourhood([KnowledgeGraph.from_edges("pair", ["NEW"], [neighbour])])
    filled = NeighbourPredictor(near, fill="lowrank", rank=4)
    completed = filled.training_data(view)
    assert completed.dense
    assert not view.target.dense
    expected = (completed.delta[3] + completed.delta.mean(axis=0)) / 2  # one neighbour, and the mean with strength 1
    np.testing.assert_allclose(filled.predict(view, ["NEW"]).delta[0], expected, atol=1e-6)


def test_the_default_prior_of_a_filled_line_without_gaps_is_zero():
    view = worlds.atlas().view("k562")
    neighbour = str(view.target.perturbations[3])
    near = GraphNeighbourhood([KnowledgeGraph.from_edges("pair", ["NEW"], [neighbour])])
    delta = NeighbourPredictor(near, fill="lowrank").predict(view, ["NEW"]).delta
    np.testing.assert_allclose(delta[0], view.target.delta[3], atol=1e-6)
