import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.gram import Gram


def random_sets(rng, n, size, forbidden):
    """Sets of 1 to 8 rows that never hold the row of their target."""
    return [rng.choice(np.setdiff1d(np.arange(n), [f]), rng.integers(1, size + 1), replace=False) for f in forbidden]


@pytest.mark.parametrize("offset", [0.0, 50.0])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_scores_are_scipys_on_averaged_deltas(offset, seed):
    rng = np.random.default_rng(seed)
    delta = (rng.normal(size=(20, 30)) + offset).astype(np.float32)
    targets = rng.integers(0, 20, 40)
    sets = random_sets(rng, 20, 8, targets)
    expected = [pearsonr(delta[s].astype(float).mean(0), delta[t])[0] for s, t in zip(sets, targets, strict=True)]
    gram = Gram.of(delta)
    np.testing.assert_allclose(gram.set_pearson(sets, targets), expected, atol=1e-5)
    matrix = sp.csr_matrix(
        (np.ones(sum(map(len, sets))), np.concatenate(sets), np.cumsum([0, *map(len, sets)])), shape=(40, 20)
    )
    np.testing.assert_array_equal(gram.set_pearson(matrix, targets), gram.set_pearson(sets, targets))


def test_targets_outside_the_deltas():
    rng = np.random.default_rng(0)
    delta, truth = rng.normal(size=(15, 40)), rng.normal(size=(4, 40))
    sets = [[0, 1, 2], [3], [], [14, 0]]
    expected = [pearsonr((delta[s] if s else delta).mean(0), t)[0] for s, t in zip(sets, truth, strict=True)]
    np.testing.assert_allclose(Gram.of(delta, truth).set_pearson(sets, np.arange(4)), expected, atol=1e-12)


def test_the_empty_set_is_the_mean_of_all_deltas_but_the_targets_own():
    delta = np.random.default_rng(1).normal(size=(10, 25))
    expected = [pearsonr(np.delete(delta, p, axis=0).mean(0), delta[p])[0] for p in range(10)]
    np.testing.assert_allclose(Gram.of(delta).set_pearson([[]] * 10, np.arange(10)), expected, atol=1e-12)


@pytest.mark.parametrize("outside", [False, True])
@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=20, deadline=None)
def test_a_target_s_own_readout_counts_nowhere(outside, seed):
    rng = np.random.default_rng(seed)
    delta, truth = rng.normal(size=(10, 12)), rng.normal(size=(10, 12))
    targets = truth if outside else delta
    column = rng.integers(-1, 12, 10)
    sets = [*random_sets(rng, 10, 6, np.arange(10)), *[[]] * 10]

    def expected(members, p):
        if not len(members):
            members = np.arange(10) if outside else np.delete(np.arange(10), p)
        kept = np.arange(12) != column[p]
        return pearsonr(delta[members].mean(0)[kept], targets[p][kept])[0]

    gram = Gram.of(delta, truth if outside else None, column)
    goals = np.tile(np.arange(10), 2)
    reached = gram.set_pearson(sets, goals)
    np.testing.assert_allclose(reached, [expected(s, p) for s, p in zip(sets, goals, strict=True)], atol=1e-9)
    pairs = [[expected([q], p) for q in range(10)] for p in range(10)]
    np.testing.assert_allclose(gram.pearson(), pairs, atol=1e-9)
    louder = targets + 100.0 * (np.arange(12) == column[:, None])
    again = Gram.of(delta, louder, column).set_pearson(sets[:10], goals[:10]) if outside else reached[:10]
    np.testing.assert_allclose(again, reached[:10], atol=1e-9)


def test_a_target_that_moves_nothing_but_its_own_readout_scores_zero():
    delta = np.random.default_rng(3).normal(size=(5, 20))
    target = np.eye(20)[[7]]
    assert Gram.of(delta, target, [7]).set_pearson([[0, 1]], 0)[0] == 0.0
    with pytest.raises(InputError, match="column from -1 to 19"):
        Gram.of(delta, target, [20])


def test_a_constant_mean_or_target_scores_zero():
    rng = np.random.default_rng(2)
    delta = rng.normal(size=(6, 20)).astype(np.float32)
    delta[1] = 3 - delta[0]
    delta[2] = 0.7
    gram = Gram.of(delta)
    np.testing.assert_array_equal(gram.set_pearson([[2], [0, 1, 2], [3, 4]], [3, 5, 2])[[0, 2]], 0.0)
    assert abs(Gram.of(delta.astype(np.float64)).set_pearson([[2]], 3)[0]) == 0.0
    flat = np.array([[1.0, -1.0, 2.0], [-1.0, 1.0, -2.0], [5.0, 1.0, 0.0]])
    assert Gram.of(flat).set_pearson([[0, 1]], 2)[0] == 0.0


def test_misuse_is_named():
    delta = np.random.default_rng(3).normal(size=(5, 8))
    gram = Gram.of(delta)
    with pytest.raises(InputError, match="Set 1 holds its own target"):
        gram.set_pearson([[0, 1], [2, 3]], [4, 3])
    with pytest.raises(InputError, match="names row 9"):
        gram.set_pearson([[9]], 0)
    with pytest.raises(InputError, match="A target row is outside"):
        gram.set_pearson([[1]], 5)
    with pytest.raises(InputError, match="8 genes and the targets 7"):
        Gram.of(delta, delta[:, :7])
    delta[2, 2] = np.nan
    with pytest.raises(InputError, match=r"Row 2 .* has a gap"):
        Gram.of(delta)
