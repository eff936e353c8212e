import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, roc_auc_score

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.auroc import auroc, auroc_per_gene, calibration, compare, mean_auroc, resampled


def reference(score, label, gene):
    """PerturbQA's definition, one gene at a time with scikit-learn."""
    areas = {}
    for g in np.unique(gene):
        t, s = label[gene == g], score[gene == g]
        if 0 < t.sum() < len(t):
            areas[g] = roc_auc_score(t, s)
    return areas


def questions(seed, q=400, genes=15, perturbations=40, levels=6):
    rng = np.random.default_rng(seed)
    pairs = rng.choice(genes * perturbations, q, replace=False)
    score = rng.integers(0, levels, q) / levels
    return score, rng.integers(0, 2, q), pairs % genes, pairs // genes


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(2, 40))
def test_equals_scikit_learn_gene_by_gene_also_with_ties(seed, levels, q):
    score, label, gene, _ = questions(seed, q=q, genes=4, perturbations=20, levels=levels)
    expected = reference(score, label, gene)
    if not expected:
        with pytest.raises(InputError, match="both labels"):
            auroc_per_gene(score, label, gene)
        return
    names, areas = auroc_per_gene(score, label, gene)
    assert dict(zip(names, areas, strict=True)) == pytest.approx(expected)


def test_a_gene_with_one_label_is_left_out_and_one_positive_is_enough():
    names, areas = auroc_per_gene([0.9, 0.1, 0.5, 0.5], [1, 0, 1, 1], ["A", "A", "B", "B"])
    assert list(names) == ["A"]
    assert list(areas) == [1.0]


def test_a_score_of_the_readout_gene_alone_is_one_half():
    _, label, gene, _ = questions(1)
    assert mean_auroc(np.sqrt(gene), label, gene) == 0.5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_shift_of_each_gene_and_a_rising_function_change_nothing(seed):
    score, label, gene, _ = questions(seed)
    assert mean_auroc(np.exp(3 * score) + 10.0 * gene, label, gene) == pytest.approx(mean_auroc(score, label, gene))
    assert mean_auroc(-score, label, gene) == pytest.approx(1 - mean_auroc(score, label, gene))


def test_bootstrap_repeats_the_questions_of_drawn_perturbations():
    score, label, gene, perturbation = questions(3, q=300)
    names = np.unique(perturbation)
    sampled = resampled(score, label, gene, perturbation, draws=7, seed=5)
    counts = np.random.default_rng(5).multinomial(len(names), np.full(len(names), 1 / len(names)), size=7)
    for count, value in zip(counts, sampled, strict=True):
        times = count[np.searchsorted(names, perturbation)]
        repeat = np.repeat(np.arange(len(score)), times)
        areas = reference(score[repeat], label[repeat], gene[repeat])
        assert value == pytest.approx(np.mean(list(areas.values())), abs=1e-5)


def test_interval_holds_the_mean_and_is_the_same_on_a_second_run():
    score, label, gene, perturbation = questions(4)
    first = auroc(score + 0.3 * label, label, gene, perturbation)
    assert first == auroc(score + 0.3 * label, label, gene, perturbation)
    assert first.low < first.mean < first.high
    assert first.questions == len(score)


def test_comparison_is_paired():
    score, label, gene, perturbation = questions(5)
    better = score + 0.4 * label
    scores = {"union": score, "same": score, "better": better}
    table = compare(scores, label, gene, perturbation).table.set_index("rule")
    assert table.loc["same", ["gain", "gain_low", "gain_high"]].tolist() == [0, 0, 0]
    assert table.loc["same", "p"] == 1
    assert table.loc["better", "gain_low"] > 0
    assert table.loc["better", "p"] <= 0.01


def test_calibration_equals_scikit_learn():
    rng = np.random.default_rng(0)
    p = rng.random(2000)
    label = (rng.random(2000) < p**2).astype(int)
    result = calibration(p, label)
    measured, stated = calibration_curve(label, p, n_bins=10)
    np.testing.assert_allclose(result.table["measured"], measured)
    np.testing.assert_allclose(result.table["stated"], stated)
    assert result.brier == pytest.approx(brier_score_loss(label, p))
    assert result.error == pytest.approx(np.abs(p - p**2).mean(), abs=0.03)


@pytest.mark.parametrize(
    ("score", "label", "gene", "words"),
    [
        ([0.1, np.nan], [0, 1], ["A", "A"], "finite"),
        ([0.1], [0, 1], ["A", "A"], "one each"),
        ([0.1, 0.2], [0, 2], ["A", "A"], "neither 0 nor 1"),
        ([0.1, 0.2], [1, 1], ["A", "A"], "both labels"),
        ([], [], [], "one each"),
    ],
)
def test_bad_input_is_one_sentence(score, label, gene, words):
    with pytest.raises(InputError, match=words):
        auroc_per_gene(score, label, gene)
