import numpy as np
import pytest
from scipy.stats import pearsonr

from benchmarks.ratios import check, ratio
from kgpert_lib.metrics.deltas import pearson_delta, retrieval, score
from kgpert_lib.metrics.diversity import vendi_score
from kgpert_lib.metrics.targets import ranked_readouts, without_own_readouts

TEST, REFERENCE, GENES, SLICE = 2_000, 2_000, 8_000, 200
SCORED, READOUTS, CHANGED = 600, 8_563, 0.05  # test perturbations, readout genes and share of them that change


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


@pytest.fixture(scope="module")
def evaluated():
    """600 test perturbations that are all readout genes, their predictions, and the mean delta."""
    rng = np.random.default_rng(1)
    genes = np.array([f"G{i}" for i in range(READOUTS)])
    names = rng.permutation(genes)[:SCORED]
    measured = rng.normal(scale=0.05, size=(SCORED, READOUTS)).astype(np.float32)
    measured += (rng.random(measured.shape) < CHANGED) * rng.standard_normal(measured.shape, dtype=np.float32)
    pred = measured / 2 + rng.normal(scale=0.03, size=measured.shape).astype(np.float32)
    return pred, measured, measured.mean(axis=0), list(map(str, names)), genes


def test_every_score_of_a_perturbation_against_one_matrix_product(evaluated):
    """With own readouts as gaps and without the readouts of all 600 perturbations in rankings."""
    pred, measured, mean, names, genes = evaluated

    def scores():
        truth, ranked = without_own_readouts(measured, names, genes), ranked_readouts(names, genes)
        return score(pred, truth, names, mean, ranked=ranked, threshold=0.2)

    assert scores()["pds_cosine"].mean() > 0.9
    value = ratio(scores, lambda: pred @ measured.T, repeats=15)
    check("every score of 600 perturbations, 8,563 readout genes / one float32 product", value, at_most=5)


def test_vendi_score_against_one_matrix_product(evaluated):
    pred, measured, *_ = evaluated
    value = ratio(lambda: vendi_score(pred, measured), lambda: pred @ measured.T, repeats=15)
    check("Vendi score of 600 perturbations, 8,563 readout genes / one float32 product", value)
