"""The pooled predictor: one mean over measured deltas, filled gaps and other lines, and who is read."""

from dataclasses import replace

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kgpert_lib.graphs.affinity import Feature
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors import learning, pooled
from kgpert_lib.predictors.completion import complete, normalised
from kgpert_lib.predictors.neighbours import AffinityNeighbourhood, LearntNeighbourhood
from kgpert_lib.predictors.pooled import PooledPredictor
from kgpert_lib.screens.atlas import Atlas, CellLine
from tests import worlds

AFFINITY = worlds.affinity(worlds.annotations(), worlds.graph())
WEIGHTS = {Feature("go", 3): 0.8, Feature("toy", 1): 1.5}
FIXED = AffinityNeighbourhood(AFFINITY, WEIGHTS)
ASKED = [str(s) for s in worlds.symbols(45)]
BOTH = pytest.mark.parametrize("lines", [False, True])
SPLITS = pytest.mark.parametrize("split", ["strict", "per-line"])


def alone(atlas: Atlas, line: str = "k562") -> Atlas:
    return replace(atlas, lines={line: atlas[line]})


def with_row(atlas: Atlas, line: str, perturbation: str, value: float) -> Atlas:
    """The atlas with one row of one line set to a value where it was measured."""
    cells, delta = atlas[line], atlas[line].delta.copy()
    row = cells.index[perturbation]
    delta[row] = np.where(np.isnan(delta[row]), np.nan, value)
    return replace(atlas, lines={**atlas.lines, line: replace(cells, delta=delta)})


def elsewhere(atlas: Atlas) -> str:
    """A test perturbation of k562 that is a training perturbation of rpe1."""
    return next(p for p in atlas["k562"].names("test") if p in atlas["rpe1"].names("train"))


@SPLITS
@pytest.mark.parametrize("amounts", [(2.0, 0.5, 0.25, 3.0), (1.0, 0.0, 0.0, 0.0), (0.0, 1.0, 0.0, 2.0)])
def test_a_prediction_is_one_mean_over_all_sources_and_the_training_mean(split, amounts):
    atlas = worlds.atlas(1, 0.5)
    view = atlas.view("k562", split)
    names = [*atlas["k562"].names("test"), str(view.target.perturbations[0])]
    predictions = PooledPredictor(FIXED, lines=True, weights=amounts).predict(view, names)
    line, other = view.target, view.lines["rpe1"]
    own = AFFINITY.weight(line.perturbations, line.perturbations, WEIGHTS)
    own[own < 0.01] = 0
    filled = complete(line, normalised(own)).delta
    for i, name in enumerate(names):
        near, far = (
            AFFINITY.weight(np.array([name]), part.perturbations, WEIGHTS)[0].astype(float) for part in (line, other)
        )
        for j in range(len(line.genes)):
            total, count = float(line.mean[j]), 1.0
            for n, w in enumerate(np.where(near < 0.01, 0, near)):
                a = amounts[0] if line.measured[n, j] else amounts[1]
                total, count = total + a * w * filled[n, j], count + a * w
            for n, w in enumerate(np.where(far < 0.01, 0, far)):
                if other.measured[n, j]:
                    a = amounts[2] * w + amounts[3] * (other.perturbations[n] == name)
                    total, count = total + a * other.delta[n, j], count + a
            assert predictions.delta[i, j] == pytest.approx(total / count, abs=1e-4)


@BOTH
@SPLITS
def test_test_rows_have_no_part_in_weights_and_predictions(lines, split):
    atlas = worlds.atlas(2, 0.4)
    poisoned = worlds.poisoned(atlas)
    clean, spoilt = (PooledPredictor(FIXED, lines).fitted(a.view("k562", split)) for a in (atlas, poisoned))
    assert clean.weights == spoilt.weights
    first, second = (p.predict(a.view("k562", split), ASKED).delta for p, a in ((clean, atlas), (spoilt, poisoned)))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("split", "reads"), [("per-line", True), ("strict", False)])
def test_the_same_gene_in_another_line_is_read_per_line_only(split, reads):
    atlas = worlds.atlas(3, 0.4)
    name = elsewhere(atlas)
    predictor = PooledPredictor(FIXED, lines=True, weights=(1.0, 1.0, 1.0, 1.0))
    shifted = with_row(atlas, "rpe1", name, 50.0)
    first, second = (predictor.predict(a.view("k562", split), [name]).delta for a in (atlas, shifted))
    assert bool(np.abs(first - second).max() > 1) is reads
    without = PooledPredictor(FIXED, lines=False, weights=(1.0, 1.0))
    np.testing.assert_array_equal(*(without.predict(a.view("k562", split), [name]).delta for a in (atlas, shifted)))


@pytest.mark.parametrize(("split", "low", "high"), [("per-line", 2.0, np.inf), ("strict", 0.0, 0.0)])
def test_a_line_that_repeats_another_weighs_the_same_knock_down_where_the_split_lets_it_be_read(split, low, high):
    cells = worlds.line(4, n=60, m=50, name="k562")
    noise = np.random.default_rng(0).normal(size=cells.delta.shape)
    twin = CellLine("rpe1", cells.perturbations, cells.genes, cells.delta + np.float32(0.1) * noise, cells.split)
    atlas = Atlas("toy", "simulated", {"k562": cells, "rpe1": twin})
    measured, filled, others, same = PooledPredictor(FIXED, lines=True).fitted(atlas.view("k562", split)).weights
    assert filled == 0, "a line without gaps has none to fill"
    assert min(measured, others) >= 0
    assert low <= same <= high


@BOTH
@SPLITS
def test_a_line_without_gaps_is_the_plain_weighted_mean_of_what_was_measured(lines, split):
    view = worlds.atlas(5).view("k562", split)
    fitted = PooledPredictor(FIXED, lines).fitted(view)
    assert fitted.weights[1] == 0
    predictions = fitted.predict(view, ASKED)
    changed = replace(fitted, weights=(fitted.weights[0], 9.0, *fitted.weights[2:]))
    np.testing.assert_array_equal(changed.predict(view, ASKED).delta, predictions.delta)
    assert np.isfinite(predictions.delta).all()


@pytest.mark.parametrize("gaps", [0.0, 0.4])
def test_an_atlas_of_one_line_has_no_other_lines_to_read(gaps):
    view = alone(worlds.atlas(6, gaps)).view("k562")
    with_lines, without = (PooledPredictor(FIXED, lines).fitted(view) for lines in (True, False))
    assert with_lines.weights[:2] == pytest.approx(without.weights, rel=0.02, abs=0.01)
    assert not any(with_lines.weights[2:])
    first, second = (p.predict(view, ASKED).delta for p in (with_lines, without))
    np.testing.assert_allclose(first, second, atol=0.01)


@BOTH
def test_a_gene_in_no_table_gets_the_training_mean(lines):
    view = worlds.atlas(7, 0.4).view("k562")
    predictions = PooledPredictor(FIXED, lines).predict(view, ["NOBODY", ASKED[0]])
    np.testing.assert_allclose(predictions.delta[0], view.target.mean, atol=1e-6)
    assert predictions.fallback.tolist() == [True, False]
    assert predictions.n_neighbours[0] == 0


def test_a_gene_in_no_table_that_another_line_measured_is_no_fallback():
    atlas = worlds.atlas(8)
    name = elsewhere(atlas)
    far = KnowledgeGraph.from_edges("far", ["A"], ["B"])
    nothing = AffinityNeighbourhood(worlds.affinity({}, far), {Feature("far", 1): 1.0})
    for split, fallback in (("per-line", False), ("strict", True)):
        view = atlas.view("k562", split)
        predictions = PooledPredictor(nothing, lines=True, weights=(1.0, 1.0, 1.0, 3.0)).predict(view, [name])
        assert predictions.fallback.tolist() == [fallback]
        mean, other = view.target.mean, view.lines["rpe1"]
        expected = mean if fallback else (mean + 3 * other.delta[other.index[name]]) / 4
        np.testing.assert_allclose(predictions.delta[0], expected, atol=1e-6)


def test_the_weights_of_the_sources_are_kept_by_content(monkeypatch):
    atlas = worlds.atlas(9, 0.4)
    first = PooledPredictor(FIXED, lines=True).fitted(atlas.view("k562")).weights
    monkeypatch.setattr(pooled.learning, "fit", lambda fractions: np.full(4, 7.0))
    again = AffinityNeighbourhood(worlds.affinity(worlds.annotations(), worlds.graph()), WEIGHTS)
    assert PooledPredictor(again, lines=True).fitted(worlds.atlas(9, 0.4).view("k562")).weights == first
    changed = with_row(atlas, "rpe1", str(atlas["rpe1"].names("train")[0]), 2.0)
    other = AffinityNeighbourhood(AFFINITY, {**WEIGHTS, Feature("go", 3): 0.9})
    for near, source, line, split in (
        (FIXED, changed, "k562", "strict"),
        (FIXED, atlas, "rpe1", "strict"),
        (FIXED, atlas, "k562", "per-line"),
        (other, atlas, "k562", "strict"),
    ):
        assert PooledPredictor(near, lines=True).fitted(source.view(line, split)).weights == (7.0,) * 4


def test_one_and_two_threads_learn_equal_weights(tmp_path, monkeypatch):
    values = []
    for threads in (1, 2):
        monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / str(threads)))
        with threadpool_limits(threads):
            values.append(PooledPredictor(FIXED, lines=True).fitted(worlds.atlas(9, 0.4).view("k562")).weights)
    assert values[0] == values[1]


def test_the_affinity_is_learnt_from_the_lines_own_training_rows():
    view = worlds.atlas(10, 0.4).view("k562")
    fitted = PooledPredictor(LearntNeighbourhood(AFFINITY)).fitted(view)
    assert fitted.neighbourhood.weights == learning.learn(AFFINITY, [view.target])
    assert fitted.fitted(view) is fitted
