import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import oracle
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.screens.atlas import TrainingLine

seeds = st.integers(0, 2**32 - 1)
moves = st.sampled_from(["add", "remove", "both"])


def completed(values, measured, members, mean, prior):
    """The predicted delta of a set by the formula, gene by gene."""
    out = []
    for g in range(values.shape[1]):
        rows = [r for r in members if measured[r, g]]
        weight = len(rows) + prior
        out.append((values[rows, g].sum() + prior * mean[g]) / weight if weight > 0 else mean[g])
    return np.array(out)


def plain_search(score, size, start, moves):
    """Try every single move, make the best, until none improves the score."""
    members = set(start)
    path = [score(members)]
    while True:
        additions = [members | {r} for r in range(size) if r not in members]
        removals = [members - {r} for r in members]
        options = (additions if moves != "remove" else []) + (removals if moves != "add" else [])
        best = max(options, key=score, default=members)
        if score(best) <= path[-1] + 1e-9:
            return path
        members = best
        path.append(score(best))


@given(seed=seeds, moves=moves, prior=st.sampled_from([0.0, 0.5, 1.0]), start=st.sets(st.integers(0, 11), max_size=6))
@settings(max_examples=40, deadline=None)
def test_search_with_gaps_makes_the_moves_of_an_exhaustive_one(seed, moves, prior, start):
    rng = np.random.default_rng(seed)
    measured = rng.random((12, 9)) < 0.4
    values = np.where(measured, rng.normal(size=(12, 9)), 0.0)
    truth, mean = rng.normal(size=9), rng.normal(size=9)
    truth[:2] = np.nan

    def score(members):
        return float(pearson_delta(completed(values, measured, members, mean, prior)[None], truth[None])[0])

    result = oracle.greedy_oracle(values, measured, truth, mean, prior, sorted(start), moves)
    np.testing.assert_allclose(result.scores, plain_search(score, 12, start, moves), atol=1e-9)
    assert result.score == pytest.approx(score(result.members), abs=1e-9)
    members = set(start)
    for kind, row in result.moves:
        members = members | {row} if kind == "add" else members - {row}
    assert set(result.members) == members
    assert (np.diff(result.scores) > 0).all()


def test_one_search_a_row_of_truth_over_its_own_genes():
    rng = np.random.default_rng(4)
    delta = np.where(rng.random((20, 12)) < 0.5, rng.normal(size=(20, 12)), np.nan).astype(np.float32)
    line = TrainingLine("k562", np.array([f"P{i}" for i in range(20)]), np.array([f"G{i}" for i in range(12)]), delta)
    truth = np.where(rng.random((3, 12)) < 0.7, rng.normal(size=(3, 12)), np.nan)
    result = oracle.greedy_oracles(line, truth, [[], [0, 1], [5]], max_steps=2)
    for y, start, search in zip(truth, [[], [0, 1], [5]], result, strict=True):
        alone = oracle.greedy_oracle(line.filled, line.measured, y, line.mean, start=start, max_steps=2)
        np.testing.assert_allclose(search.scores, alone.scores, atol=1e-12)
        assert len(search.moves) <= 2
        assert len(search.added) + len(search.removed) == len(search.moves)


def test_a_constant_target_leaves_nothing_to_find():
    values = np.random.default_rng(5).normal(size=(6, 4))
    result = oracle.greedy_oracle(values, np.ones((6, 4)), np.full(4, 2.0), np.zeros(4), start=[1])
    assert result.score == 0.0
    assert not result.moves


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prior": -1.0}, "prior strength is -1.0"),
        ({"start": [7]}, "start names row 7"),
        ({"moves": "swap"}, "Unknown moves 'swap'"),
        ({"truth": np.full(4, np.nan)}, "no measured gene"),
        ({"mean": np.zeros(3)}, "do not fit together"),
    ],
)
def test_unusable_arguments_give_one_sentence(change, sentence):
    given = {"values": np.ones((6, 4)), "measured": np.ones((6, 4), bool), "truth": np.arange(4.0), "mean": np.zeros(4)}
    with pytest.raises(InputError, match=sentence):
        oracle.greedy_oracle(**(given | change))
