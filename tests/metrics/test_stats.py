import numpy as np
import pandas as pd
import pytest
from scipy.stats import bootstrap, wilcoxon

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.stats import bootstrap_mean, paired_wilcoxon, percentile_bootstrap


def test_interval_is_scipys_bca_and_the_same_on_every_run():
    x = np.random.default_rng(0).exponential(size=80)
    interval = bootstrap_mean(x, n=2000, seed=3)
    expected = bootstrap((x,), np.mean, n_resamples=2000, method="BCa", rng=3).confidence_interval
    assert interval.mean == pytest.approx(x.mean())
    assert interval[1:] == pytest.approx((expected.low, expected.high))
    assert bootstrap_mean(x, n=2000, seed=3) == interval
    assert bootstrap_mean(x, n=2000, seed=4) != interval
    assert bootstrap_mean(np.append(x, np.nan), n=2000, seed=3) == interval


def test_interval_covers_the_true_mean_about_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = []
    for draw in range(300):
        _, low, high = bootstrap_mean(rng.exponential(size=50), n=500, level=0.9, seed=draw)
        covered.append(low <= 1.0 <= high)
    assert 0.84 <= np.mean(covered) <= 0.95


def test_degenerate_samples():
    assert bootstrap_mean([0.3, 0.3, 0.3]) == pytest.approx((0.3, 0.3, 0.3))
    one = bootstrap_mean([0.7])
    assert one.mean == 0.7
    assert np.isnan(one.low)
    assert np.isnan(one.high)
    with pytest.raises(InputError, match="every score is missing"):
        bootstrap_mean([np.nan])
    with pytest.raises(InputError, match="infinite"):
        bootstrap_mean([1.0, np.inf])


def test_paired_tests_are_scipys_with_holm():
    rng = np.random.default_rng(3)
    base = rng.normal(size=70)
    scores = pd.DataFrame({"mean": base, "go": base + 0.3 + rng.normal(size=70), "string": base + rng.normal(size=70)})
    scores.loc[:4, "go"] = np.nan
    table = paired_wilcoxon(scores, "mean").set_index(["method_a", "method_b"])
    assert list(table.index) == [("go", "mean"), ("string", "mean")]
    assert list(table["n_pairs"]) == [65, 70]
    assert list(table["n_dropped"]) == [5, 0]
    for (a, b), row in table.iterrows():
        difference = (scores[a] - scores[b]).dropna()
        assert row["p"] == pytest.approx(wilcoxon(difference).pvalue)
        assert row["median_difference"] == pytest.approx(difference.median())
        assert row["mean_difference"] == pytest.approx(difference.mean())
        assert row["low"] < row["mean_difference"] < row["high"]
    order = np.sort(table["p"])
    expected = np.minimum(np.maximum.accumulate(order * [2, 1]), 1.0)
    np.testing.assert_allclose(np.sort(table["p_holm"]), expected)


def test_noise_below_the_fifth_digit_moves_no_p_value():
    rng = np.random.default_rng(5)
    a = pd.Series(rng.normal(size=60))
    b = a + np.round(rng.normal(0.02, 0.1, 60) * (rng.random(60) < 0.5), 2)
    clean, noisy = (
        paired_wilcoxon(pd.DataFrame({"a": a, "b": b + noise}), "b") for noise in (0.0, rng.uniform(-4e-7, 4e-7, 60))
    )
    for column in ("n_nonzero", "p", "p_holm"):
        assert clean[column][0] == noisy[column][0]


def test_differences_of_rounding_are_no_difference():
    x = np.random.default_rng(5).normal(size=30)
    table = paired_wilcoxon(pd.DataFrame({"a": x, "b": x + 1e-9}), "b")
    assert table["p"][0] == 1.0
    assert table["p_holm"][0] == 1.0
    assert table["n_nonzero"][0] == 0
    assert table["n_pairs"][0] == 30


def test_comparisons_that_cannot_be_made_are_named():
    scores = pd.DataFrame({"a": [1.0, np.nan], "b": [np.nan, 2.0]})
    with pytest.raises(InputError, match="both 'a' and 'b'"):
        paired_wilcoxon(scores, "b")
    with pytest.raises(InputError, match="No scores of method 'c'"):
        paired_wilcoxon(scores, "c")
    with pytest.raises(InputError, match="Nothing to compare with 'a'"):
        paired_wilcoxon(scores[["a"]], "a")


def test_percentile_bootstrap_draws_perturbations_together_for_all_samples_and_statistics():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 40))

    def statistic(x, y, axis):
        return np.stack([(x * y).mean(axis=axis), x.mean(axis=axis)])

    low, high = percentile_bootstrap([x, y], statistic, 500, rng=7)
    rows = np.random.default_rng(7).integers(40, size=(500, 40))
    product, mean = (x * y)[rows].mean(axis=1), x[rows].mean(axis=1)
    np.testing.assert_allclose([low[0], high[0]], np.quantile(product, [0.025, 0.975]))
    np.testing.assert_allclose([low[1], high[1]], np.quantile(mean, [0.025, 0.975]))


def test_percentile_bootstrap_of_one_perturbation_has_no_interval():
    assert np.isnan(percentile_bootstrap([[0.5]], np.mean, 100)).all()
