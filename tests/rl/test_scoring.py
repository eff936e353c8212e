from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.metrics.gram import Gram
from kgpert_lib.predictors.neighbourhoods import neighbourhoods
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor, leave_one_out
from kgpert_lib.rl.scoring import EditScores, MeasuredScores, set_scores
from tests import worlds
from tests.perturbqa.world import affinity, screen

DENSE = worlds.line(1, n=40, m=30).training()
CALLS = screen().view("k562").target


def csr(sets, size):
    rows = sp.lil_matrix((len(sets), size))
    for i, members in enumerate(sets):
        rows[i, list(members)] = 1.0
    return rows.tocsr()


def scores(line, **options):
    return set_scores(line, line.perturbations, line.delta, **options)


@pytest.mark.parametrize(("line", "kind"), [(DENSE, Gram), (CALLS, MeasuredScores)])
def test_a_neighbourhood_scores_what_leaving_one_out_predicts(line, kind):
    """Own readouts count in neither; dense deltas have a prior of 0, calls one of 1."""
    graph = worlds.graph(2, n=40) if kind is Gram else affinity().graphs[0]
    near = neighbourhoods([graph], line.perturbations, line.perturbations)
    reached = scores(line)
    assert isinstance(reached, kind)
    expected = pearson_delta(leave_one_out(near, line).delta, line.scored)
    targets = np.arange(len(line.perturbations))
    np.testing.assert_allclose(reached.set_pearson(near.weights.astype(float), targets), expected, atol=2e-6)


def test_sets_of_a_test_perturbation_score_what_the_predictor_does():
    atlas, graph = screen(), affinity().graphs[0]
    view, line = atlas.view("k562"), atlas["k562"]
    names = line.names("test")
    near = GraphNeighbourhood([graph])
    truth = line.delta[line.rows(names)]
    reached = set_scores(view.target, np.array(names), truth)
    expected = pearson_delta(NeighbourPredictor(near).predict(view, names).delta, line.scored[line.rows(names)])
    sets = near.neighbourhoods(view, names).weights.astype(float)
    np.testing.assert_allclose(reached.set_pearson(sets, np.arange(len(names))), expected, atol=2e-6)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, len(CALLS.perturbations) - 1))
def test_the_targets_own_row_changes_its_score_as_target_only(seed, p):
    """Neither the mean nor a completion out of fold reads it."""
    rng = np.random.default_rng(seed)
    others = np.delete(np.arange(len(CALLS.perturbations)), p)
    members = [rng.choice(others, size, replace=False) for size in (0, 1, 7)]
    sets, goals = csr(members, len(CALLS.perturbations)), np.full(3, p)
    delta = CALLS.delta.copy()
    delta[p] = rng.normal(size=delta.shape[1]) * 100
    changed = replace(CALLS, delta=delta)
    for completion in (None, affinity().graphs[0].adjacency[:120][:, :120]):
        before, after = (
            set_scores(line, CALLS.perturbations, CALLS.delta, completion=completion).set_pearson(sets, goals)
            for line in (CALLS, changed)
        )
        np.testing.assert_array_equal(before, after)


def test_the_own_row_of_a_dense_target_changes_its_score_as_target_only():
    sets, goals = csr([[], [3], [4, 5, 6]], len(DENSE.perturbations)), np.full(3, 2)
    delta = DENSE.delta.copy()
    delta[2] *= -7
    before, after = (
        set_scores(line, DENSE.perturbations, DENSE.delta).set_pearson(sets, goals)
        for line in (DENSE, replace(DENSE, delta=delta))
    )
    np.testing.assert_allclose(before, after, atol=1e-9)


def test_a_completed_line_is_averaged_without_gaps():
    graph = affinity().graphs[0].adjacency[:120][:, :120]
    filled, plain = scores(CALLS, completion=graph), scores(CALLS)
    sets = csr([[1, 2, 3]], len(CALLS.perturbations))
    rows = filled.rows[int(filled.fold[0])]
    assert rows.measured.all()
    assert filled.set_pearson(sets, np.array([0])) != pytest.approx(plain.set_pearson(sets, np.array([0])), abs=1e-6)


@pytest.mark.parametrize("line", [DENSE, CALLS])
def test_halves_of_the_readout_genes_are_scored_apart(line):
    half = np.arange(len(line.genes)) < len(line.genes) // 2
    sets, goals = csr([[1, 2, 3]], len(line.perturbations)), np.array([0])
    changed = np.where(half, line.delta, -line.delta)
    truths = line.delta, changed
    first = [set_scores(line, line.perturbations, truth, half).set_pearson(sets, goals) for truth in truths]
    np.testing.assert_array_equal(*first)
    second = [set_scores(line, line.perturbations, truth, ~half).set_pearson(sets, goals) for truth in truths]
    assert abs(second[0] - second[1]) > 1e-3


def test_a_known_answer_with_gaps():
    """Two neighbours, one gap, prior 1: (sum + mean) / (number + 1) by hand."""
    line = replace(
        CALLS,
        perturbations=np.array(["A", "B", "C"]),
        genes=np.array(["x", "y", "z"]),
        delta=np.array([[1, -1, 0], [1, 0, np.nan], [np.nan, -1, 1]], np.float32),
    )
    pred = [(1 + 1) / 2, (-1 + -0.5) / 3, (1 + 1) / 2]
    expected = pearsonr(pred, [1, -1, 0])[0]
    reached = scores(line).set_pearson(csr([[1, 2]], 3), np.array([0]))
    np.testing.assert_allclose(reached, [expected])


def test_a_set_with_its_own_target_is_refused():
    for line in (DENSE, CALLS):
        with pytest.raises(InputError, match="holds its own target"):
            scores(line).set_pearson(csr([[0, 1]], len(line.perturbations)), np.array([0]))


def test_edits_ignore_what_is_there_and_what_is_not():
    base = csr([[1, 2], [3]], 6)
    edited = EditScores(base, scores(DENSE)).edited([0, 0, 1], csr([[2, 4], [], [5]], 6), csr([[1, 5], [2], [3]], 6))
    assert [set(edited[[i]].indices) for i in range(3)] == [{2, 4}, {1}, {5}]
    assert set(edited.data) == {1.0}
