"""Scores of the readouts that change, against a loop over perturbations and readouts."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.metrics import changes, chunks
from tests.metrics.test_deltas import screen, seeds

THRESHOLD = 0.8
SCORES = ("direction_fidelity", "direction_reach", "significant_jaccard", "fold_change_nmae")
kinds = st.sampled_from(["dense", "gaps", "calls", "ties"])


def drawn(seed, kind, n=6, m=40, dtype=np.float64):
    """Predictions and measured deltas, calls with mean-like predictions, or a few values so that ties abound."""
    noise, truth = screen(seed, n, m, gaps=0.5 if kind in ("gaps", "calls") else 0.0, dtype=dtype)
    if kind == "calls":
        truth = np.sign(np.round(truth / 2))
    pred = np.nan_to_num(truth) + noise
    return (np.round(pred) if kind == "ties" else pred), truth


def plain(pred, truth, threshold):
    """One perturbation by the book: lists, counting, one prefix after the other."""
    genes = [g for g in range(len(truth)) if not np.isnan(truth[g])]
    changed = [g for g in genes if abs(truth[g]) >= threshold]
    called = [g for g in genes if abs(pred[g]) >= threshold]
    right = {g for g in genes if np.sign(pred[g]) == np.sign(truth[g]) != 0}
    fidelity = len(right & set(called)) / max(len(changed), len(called)) if changed else np.nan
    deepest = 0
    for k in range(1, len(changed) + 1):
        first = sorted(changed, key=lambda g: -abs(np.float32(pred[g])))[:k]
        least = abs(np.float32(pred[first[-1]]))
        whole = all(g in first for g in changed if abs(np.float32(pred[g])) >= least)
        if whole and sum(g in right for g in first) >= 0.9 * k - 1e-9:
            deepest = k
    reach = deepest / len(changed) if changed else np.nan
    union = set(changed) | set(called)
    jaccard = len(set(changed) & set(called)) / len(union) if union else 1.0
    error, size = (sum(abs(x[g] - y[g]) for g in changed) for x, y in ((pred, truth), (truth, np.zeros(len(truth)))))
    return fidelity, reach, jaccard, error / size if len(changed) >= 10 else np.nan


@given(seed=seeds, kind=kinds, dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=120, deadline=None)
def test_every_score_is_that_of_a_loop(seed, kind, dtype):
    pred, truth = drawn(seed, kind, dtype=dtype)
    for threshold in (THRESHOLD, 0.3):
        expected = np.array([plain(p, t, threshold) for p, t in zip(pred, truth, strict=True)])
        for k, name in enumerate(SCORES):
            got = getattr(changes, name)(pred, truth, threshold)
            np.testing.assert_allclose(got, expected[:, k], rtol=1e-5, err_msg=name)
        n_changed = changes.changes(pred, truth, threshold).n_changed
        np.testing.assert_array_equal(n_changed, (np.abs(truth) >= threshold).sum(axis=1))


@given(seed=seeds, kind=kinds)
@settings(max_examples=30, deadline=None)
def test_neither_the_order_of_readouts_nor_of_perturbations_matters(seed, kind):
    pred, truth = drawn(seed, kind)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(pred)), rng.permutation(pred.shape[1])
    before = changes.changes(pred, truth, THRESHOLD)
    after = changes.changes(pred[rows][:, columns], truth[rows][:, columns], THRESHOLD)
    for one, two in zip(before, after, strict=True):
        np.testing.assert_allclose(one[rows], two, rtol=1e-12)


@given(seed=seeds, kind=kinds)
@settings(max_examples=30, deadline=None)
def test_predictions_in_gaps_do_not_matter_and_the_truth_is_perfect(seed, kind):
    pred, truth = drawn(seed, kind)
    other = np.where(np.isnan(truth), 100.0, pred)
    for one, two in zip(*(changes.changes(p, truth, THRESHOLD) for p in (pred, other)), strict=True):
        np.testing.assert_array_equal(one, two)
    perfect = changes.changes(np.nan_to_num(truth), truth, THRESHOLD)
    some = perfect.n_changed > 0
    assert (perfect.direction_fidelity[some] == 1).all()
    assert (perfect.direction_reach[some] == 1).all()
    assert (perfect.significant_jaccard == 1).all()
    assert (perfect.fold_change_nmae[perfect.n_changed >= changes.FEWEST_CHANGED] == 0).all()


def test_silence_is_not_rewarded_and_too_many_calls_are_not_either():
    truth = np.array([[1.0] * 10 + [0.0] * 30])
    silent = changes.changes(np.zeros((1, 40)), truth, 0.5)
    assert [silent.direction_fidelity[0], silent.direction_reach[0], silent.significant_jaccard[0]] == [0, 0, 0]
    assert silent.fold_change_nmae[0] == 1
    careful = np.where(np.arange(40) < 1, 1.0, 0.0)[None]
    assert changes.direction_fidelity(careful, truth, 0.5)[0] == pytest.approx(0.1), "one right call of ten"
    assert changes.direction_fidelity(np.ones((1, 40)), truth, 0.5)[0] == pytest.approx(0.25)


def test_where_nothing_changes_only_the_sets_are_compared():
    truth = np.zeros((2, 12))
    pred = np.vstack([np.zeros(12), np.ones(12)])
    result = changes.changes(pred, truth, 0.5)
    assert np.isnan([result.direction_fidelity, result.direction_reach, result.fold_change_nmae]).all()
    assert result.significant_jaccard.tolist() == [1.0, 0.0]


def test_reach_forgives_one_wrong_sign_in_ten_and_goes_on_behind_a_dip():
    truth = np.ones((3, 20))
    sizes = np.linspace(2, 1, 20)
    wrong_late, wrong_first, wrong_twice = (np.ones(20) for _ in range(3))
    wrong_late[[9, 10]] = -1
    wrong_first[0] = -1
    wrong_twice[[0, 1, 2]] = -1
    reach = changes.direction_reach(np.vstack([wrong_late, wrong_first, wrong_twice]) * sizes, truth, 0.5)
    assert reach.tolist() == [1.0, 1.0, 0.0], "2 of 20, 1 of 20, 3 of 20 wrong"
    shorter = np.where(np.arange(20) < 12, wrong_late * sizes, -sizes)
    assert changes.direction_reach(shorter[None], truth[:1], 0.5)[0] == 0.5, "9 of 10 right, later fewer"


def test_readouts_predicted_alike_are_entered_together():
    truth = np.ones((1, 10))
    halves = np.where(np.arange(10) < 8, 1.0, -1.0)[None]
    assert changes.direction_reach(halves, truth, 0.5)[0] == 0
    halves[0, :8] = 1.5
    assert changes.direction_reach(halves, truth, 0.5)[0] == 0.8


def test_the_threshold_is_four_robust_deviations_of_training_rows():
    rng = np.random.default_rng(0)
    delta = rng.normal(scale=0.1, size=(500, 400)) + 5 * (rng.random((500, 400)) < 0.02)
    delta[rng.random(delta.shape) < 0.2] = np.nan
    assert changes.changed_threshold(delta) == pytest.approx(0.4, rel=0.05)
    assert changes.changed_threshold(10 * delta + 3) == pytest.approx(10 * changes.changed_threshold(delta))
    few = delta[:3]
    spread = [1.4826 * np.nanmedian(np.abs(row - np.nanmedian(row))) for row in few]
    assert changes.changed_threshold(few) == pytest.approx(4 * np.median(spread))


def test_on_calls_every_call_counts_and_zeros_never_do():
    calls = np.array([[1, 0, np.nan, -1], [0, 0, 0, np.nan]])
    assert changes.are_calls(calls)
    assert not changes.are_calls(0.5 * calls)
    assert changes.changed_threshold(calls) == 0.5
    sparse = np.zeros((4, 30))
    sparse[:, 3] = 0.25
    threshold = changes.changed_threshold(sparse)
    assert changes.changes(sparse, sparse, threshold).n_changed.tolist() == [1] * 4
    with pytest.raises(InputError, match="No training delta was measured"):
        changes.changed_threshold(np.full((2, 3), np.nan))


@pytest.mark.parametrize("threshold", [0.0, -1.0, np.nan, np.inf])
def test_a_threshold_that_is_no_size_is_one_sentence(threshold):
    with pytest.raises(InputError, match="it is a number above 0"):
        changes.changes(np.ones((1, 3)), np.ones((1, 3)), threshold)


@pytest.mark.parametrize("chunk", [1, 50, 10**6])
def test_the_answer_does_not_depend_on_how_the_work_is_cut(monkeypatch, chunk):
    pred, truth = drawn(4, "gaps", n=9)
    expected = changes.changes(pred, truth, THRESHOLD)
    monkeypatch.setattr(chunks, "CACHE", chunk)
    for one, two in zip(expected, changes.changes(pred, truth, THRESHOLD), strict=True):
        np.testing.assert_array_equal(one, two)
