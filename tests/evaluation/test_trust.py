from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.trust import FEATURES, PREDICTION_FOLDS, Trust, describe, neighbourhood_features, out_of_fold
from kgpert_lib.metrics import deltas
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.load import load_screen
from tests.perturbqa.world import affinity, screen


def predictor(n=160):
    return NeighbourPredictor(GraphNeighbourhood(affinity(n).graphs))


def test_features_of_a_training_perturbation_do_not_read_its_own_row():
    view = screen().view("k562")
    line = view.target
    delta = line.delta.copy()
    delta[7] = np.where(np.isnan(delta[7]), np.nan, -delta[7])
    changed = replace(view, lines={**view.lines, "k562": replace(line, delta=delta)})
    before, after = (out_of_fold(v, predictor()).loc[line.perturbations[7]] for v in (view, changed))
    np.testing.assert_array_equal(before[list(FEATURES)], after[list(FEATURES)])
    assert before["score"] != after["score"]


def test_a_lonely_gene_is_trusted_less_than_a_well_connected_one():
    atlas = screen(n=400, tests=100)
    known = affinity(400)
    trust = Trust.fit(atlas.view("k562"), NeighbourPredictor(GraphNeighbourhood(known.graphs)))
    names = atlas["k562"].names("test")
    intervals = trust.expect([*names, "NOBODY"])
    assert intervals.expected[-1] < intervals.expected[:-1].mean()
    assert (intervals.low <= intervals.expected).all()
    assert (intervals.expected <= intervals.high).all()


def test_coverage_of_exchangeable_genes_is_nominal():
    atlas = screen(n=800, m=60, tests=400)
    graphs = NeighbourPredictor(GraphNeighbourhood(affinity(800).graphs))
    view, names = atlas.view("k562"), atlas["k562"].names("test")
    truth = atlas["k562"].delta[atlas["k562"].rows(names)]
    score = deltas.pearson_delta(graphs.predict(view, names).delta, truth)
    for level in (0.5, 0.8):
        expected = Trust.fit(view, graphs, level).expect(names)
        inside = (score >= expected.low) & (score <= expected.high)
        assert inside.mean() == pytest.approx(level, abs=0.08)


def test_intervals_hold_their_share_where_hiding_many_perturbations_takes_neighbours_away():
    """With half of the training perturbations hidden the rest are worse connected than test perturbations are."""
    covered, neighbours = {2: [], PREDICTION_FOLDS: []}, {2: [], PREDICTION_FOLDS: []}
    for seed in range(4):
        atlas, known = screen(seed=seed, n=800, m=60, tests=400), affinity(800, seed)
        graphs = NeighbourPredictor(GraphNeighbourhood(known.graphs), 1.0)
        view, names = atlas.view("k562"), atlas["k562"].names("test")
        predictions = graphs.predict(view, names)
        seen = describe(view, predictions)
        score = deltas.pearson_delta(predictions.delta, atlas["k562"].scored[atlas["k562"].rows(names)])
        for k in covered:
            table = out_of_fold(view, graphs, k)
            expected = Trust.learn(table, neighbourhood_features(view, graphs), (-1.0, 1.0)).expect(names)
            covered[k].append(np.mean((score >= expected.low) & (score <= expected.high)))
            neighbours[k].append(table["measured"].mean() - seen["measured"].mean())
    assert np.mean(covered[PREDICTION_FOLDS]) == pytest.approx(0.8, abs=0.02)
    assert np.mean(covered[2]) < 0.78
    assert np.mean(neighbours[2]) < -0.3 < -0.1 < np.mean(neighbours[PREDICTION_FOLDS]) < 0


def test_too_few_perturbations_and_a_level_out_of_range():
    small = screen(n=50, tests=10).view("k562")
    with pytest.raises(InputError, match="40 training perturbations are too few"):
        Trust.fit(small, predictor(50))
    with pytest.raises(InputError, match=r"The level is 1\.2"):
        Trust.fit(small, predictor(50), level=1.2)


@pytest.mark.needs_mirror
@pytest.mark.parametrize("line", ["k562", "rpe1"])
def test_coverage_on_real_test_genes(line, mirror):
    screen = load_screen("perturbqa", ["k562", "rpe1"])
    atlas, graphs = screen.atlas, NeighbourPredictor(GraphNeighbourhood(screen.graphs))
    view, names = atlas.view(line), atlas[line].names("test")
    intervals = Trust.fit(view, graphs).expect(names)
    score = deltas.pearson_delta(graphs.predict(view, names).delta, atlas[line].delta[atlas[line].rows(names)])
    assert 0.75 <= ((score >= intervals.low) & (score <= intervals.high)).mean() <= 0.85
    assert np.corrcoef(intervals.expected, score)[0, 1] > 0.4


def test_learnt_trust_is_kept_by_content(tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path))
    view, names = screen().view("k562"), ["G001", "NOBODY"]
    first = Trust.fit(view, predictor())
    (stored,) = (tmp_path / "trust").glob("*.npz")
    again = Trust.fit(screen().view("k562"), predictor())
    np.testing.assert_array_equal(again.expect(names), first.expect(names))
    assert list((tmp_path / "trust").glob("*.npz")) == [stored], "the same content has the same name"
    stored.write_bytes(stored.read_bytes()[:100])
    np.testing.assert_array_equal(Trust.fit(view, predictor()).expect(names), first.expect(names))
    Trust.fit(view, predictor(), level=0.5)
    Trust.fit(view, NeighbourPredictor(GraphNeighbourhood(affinity().graphs, 3)))
    other = screen(seed=1).view("k562")
    assert (Trust.fit(other, predictor()).coefficients != first.coefficients).any()
    assert len(list((tmp_path / "trust").glob("*.npz"))) == 4


def test_trust_of_a_filled_predictor_describes_what_it_predicts():
    atlas = screen()
    near = GraphNeighbourhood(affinity().graphs)
    filled = NeighbourPredictor(near, 1.0, "lowrank", rank=4)
    view, names = atlas.view("k562"), atlas["k562"].names("test")
    assert (Trust.fit(view, filled).expect(names).expected != Trust.fit(view, predictor()).expect(names).expected).any()
