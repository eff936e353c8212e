import numpy as np
import pytest
from scipy.stats import pearsonr

from benchmarks.ratios import check, ratio
from kgpert_lib.metrics.deltas import pearson_delta, retrieval

TEST, REFERENCE, GENES, SLICE = 2_000, 2_000, 8_000, 200


@pytest.fixture(scope="module")
def deltas():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((REFERENCE, GENES), dtype=np.float32)
    return truth[:TEST] + rng.standard_normal((TEST, GENES), dtype=np.float32), truth


def both(pred, truth):
    return pearson_delta(pred, truth), retrieval(pred, truth)


def test_scores_against_one_matrix_product(deltas):
    pred, truth = deltas
    value = ratio(lambda: both(pred, truth), lambda: pred @ truth.T)
    check("Pearson delta and retrieval, 2,000 x 2,000 x 8,000 / one float32 product", value, at_most=3)


def test_scores_against_a_loop_over_scipy(deltas):
    pred, truth = deltas

    def loop():
        return [pearsonr(pred[i], truth[i])[0] for i in range(SLICE)]

    np.testing.assert_allclose(pearson_delta(pred, truth)[:SLICE], loop(), atol=1e-5)
    value = ratio(loop, lambda: both(pred, truth), repeats=3) * TEST * REFERENCE / SLICE
    check(f"loop over scipy.stats.pearsonr ({SLICE} pairs, scaled) / the same scores", value, at_least=1_000)
