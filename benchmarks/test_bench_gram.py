import numpy as np
import pytest
import scipy.sparse as sp
from scipy.stats import pearsonr

from benchmarks.ratios import check, ratio
from kgpert_lib.metrics.gram import Gram

GENES, POOL, SETS, LARGEST, SLICE = 8_000, 2_000, 100_000, 25, 200


@pytest.fixture(scope="module")
def case():
    """Deltas, their Gram matrix, 100,000 candidate sets of 1 to 25 of them, and a target for each."""
    rng = np.random.default_rng(0)
    delta = rng.standard_normal((POOL, GENES), dtype=np.float32)
    targets = rng.integers(0, POOL, SETS)
    sizes = rng.integers(1, LARGEST + 1, SETS)
    stride = rng.integers(1, POOL // LARGEST, SETS)
    step = np.concatenate([np.arange(1, size + 1) for size in sizes])
    members = (np.repeat(targets, sizes) + step * np.repeat(stride, sizes)) % POOL
    pointer = np.concatenate([[0], np.cumsum(sizes)])
    return delta, Gram.of(delta), sp.csr_matrix((np.ones(len(members)), members, pointer), shape=(SETS, POOL)), targets


def test_candidate_sets_against_averaging_and_correlating(case):
    delta, gram, sets, targets = case
    rows = [sets.indices[sets.indptr[i] : sets.indptr[i + 1]] for i in range(SLICE)]

    def loop():
        return [pearsonr(delta[r].mean(axis=0), delta[t])[0] for r, t in zip(rows, targets[:SLICE], strict=True)]

    np.testing.assert_allclose(gram.set_pearson(sets, targets)[:SLICE], loop(), atol=1e-5)
    value = ratio(loop, lambda: gram.set_pearson(sets, targets), repeats=3) * SETS / SLICE
    check(f"average and scipy.stats.pearsonr ({SLICE} sets, scaled) / Gram scoring, 100,000 sets", value, at_least=50)


def test_candidate_sets_against_vectorised_averaging(case):
    """A stricter peer than the loop; shown without a bound."""
    delta, gram, sets, targets = case
    count = 5 * SLICE
    unit = delta - delta.mean(axis=1, keepdims=True)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)

    def vectorised():
        total = sets[:count].astype(np.float32) @ delta
        total -= total.mean(axis=1, keepdims=True)
        return np.einsum("ij,ij->i", total, unit[targets[:count]]) / np.linalg.norm(total, axis=1)

    np.testing.assert_allclose(gram.set_pearson(sets, targets)[:count], vectorised(), atol=1e-5)
    value = ratio(vectorised, lambda: gram.set_pearson(sets, targets), repeats=3) * SETS / count
    check(f"average by one sparse product ({count:,} sets, scaled) / Gram scoring, 100,000 sets", value)


def test_candidate_sets_with_the_gram_matrix_still_to_be_built(case):
    """What a single use costs, where the matrix serves one batch of sets only; shown without a bound."""
    delta, _, sets, targets = case
    rows = [sets.indices[sets.indptr[i] : sets.indptr[i + 1]] for i in range(SLICE)]

    def loop():
        return [pearsonr(delta[r].mean(axis=0), delta[t])[0] for r, t in zip(rows, targets[:SLICE], strict=True)]

    value = ratio(loop, lambda: Gram.of(delta).set_pearson(sets, targets), repeats=3) * SETS / SLICE
    check("the same loop / Gram scoring and building the Gram matrix once", value)
