"""Uncertainty of mean scores and paired comparisons of methods (paper section 6, Table 1).

The unit is the perturbation: intervals resample perturbations, and tests pair the scores that two methods
reach on the same perturbation within one cell line.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import bootstrap, wilcoxon

from kgpert_lib.errors import InputError

DIGITS = 5  # of a difference that is ranked: float32 deltas and the number of BLAS threads move scores by up to 4e-7
BATCH = 2_000_000  # resampled values held at once


class Interval(NamedTuple):
    """A mean with its bootstrap interval."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: ArrayLike, n: int = 10_000, level: float = 0.95, seed: int = 0) -> Interval:
    """Mean of `values` with the bias-corrected and accelerated (BCa) bootstrap interval from `n` resamples.

    BCa rather than percentile, because scores are skewed and their intervals should be too. NaN is left out. One
    value has a mean and no interval (NaN); equal values have an interval of width 0. InputError when nothing is left.

    Examples
    --------
    >>> from kgpert_lib.metrics.stats import bootstrap_mean
    >>> mean, low, high = bootstrap_mean([0.1, 0.4, 0.5, 0.8, 0.9])
    >>> round(mean, 2), low < mean < high
    (0.54, True)
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    x = x[~np.isnan(x)]
    if x.size == 0:
        raise InputError("No value to average: every score is missing.")
    if not np.isfinite(x).all():
        raise InputError("A score is infinite; a mean needs finite scores.")
    mean = float(x.mean())
    if x.size == 1:
        return Interval(mean, np.nan, np.nan)
    if np.ptp(x) <= 1e-12 * np.abs(x).max():
        return Interval(mean, mean, mean)
    batch = max(1, BATCH // x.size)
    result = bootstrap((x,), np.mean, n_resamples=n, confidence_level=level, method="BCa", batch=batch, rng=seed)
    return Interval(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))


def mean_of_present(values: ArrayLike, seed: int = 0) -> Interval:
    """`bootstrap_mean` of the values that are there; NaN where none is."""
    x = np.asarray(values, dtype=np.float64).ravel()
    return Interval(np.nan, np.nan, np.nan) if np.isnan(x).all() else bootstrap_mean(x, seed=seed)


def standard_error(values: ArrayLike) -> float:
    """Standard deviation of the values over the root of their number, as the paper's Table 1 gives it.

    NaN is left out; NaN for fewer than two values.
    """
    x = np.asarray(values, dtype=np.float64).ravel()
    x = x[~np.isnan(x)]
    return float(x.std(ddof=1) / np.sqrt(x.size)) if x.size > 1 else float("nan")


def percentile_bootstrap(
    samples: Sequence[ArrayLike], statistic: Callable[..., Any], draws: int, rng: int | np.random.Generator = 0
) -> tuple[Any, Any]:
    """The ends of the 95 % percentile bootstrap interval of `statistic`, by scipy.

    For statistics that BCa would take too long for, such as rank correlations and differences of means by group.
    `samples` are arrays that end in the same n perturbations, which are drawn together; `statistic` takes as many
    arrays and ``axis=-1`` and may return several statistics, the draws last. NaN where there is one perturbation.
    """
    arrays = [np.asarray(sample, dtype=np.float64) for sample in samples]
    if arrays[0].shape[-1] < 2:
        none = np.full(np.shape(statistic(*arrays, axis=-1)), np.nan)[()]
        return none, none
    result = bootstrap(
        arrays, statistic, n_resamples=draws, vectorized=True, paired=True, axis=-1, method="percentile", rng=rng
    )
    return result.confidence_interval.low, result.confidence_interval.high


def percentile_interval(values: ArrayLike) -> tuple[float, float]:
    """The ends between which 95 % of `values` lie: the percentile interval of a statistic that was resampled."""
    low, high = np.quantile(np.asarray(values, dtype=np.float64), [0.025, 0.975])
    return float(low), float(high)


def paired_wilcoxon(scores: pd.DataFrame, reference: str, seed: int = 0) -> pd.DataFrame:
    """Two-sided Wilcoxon signed-rank tests of methods against `reference` over the same perturbations, Holm-corrected.

    Parameters
    ----------
    scores : one row per perturbation, one column per method, of one cell line.
    reference : the column that each of the others is compared with.
    seed : of the 95 % BCa bootstrap interval of the mean difference.

    Returns
    -------
    One row per method: ``method_a``, ``method_b`` (the reference), ``n_pairs`` with both scores, ``n_dropped`` where
    one is NaN, ``n_nonzero`` differences after rounding to `DIGITS`, which are what is ranked, ``median_difference``,
    ``mean_difference`` (a minus b) with ``low`` and ``high``, ``p``, and ``p_holm`` over the rows of this table. No
    difference anywhere gives p = 1.
    """
    methods = list(scores.columns)
    if reference not in methods:
        raise InputError(f"No scores of method {reference!r}; there are {', '.join(map(str, methods))}.")
    if len(methods) < 2:
        raise InputError(f"Nothing to compare with {reference!r}; give the scores of at least two methods.")
    rows = []
    for method in methods:
        if method == reference:
            continue
        difference = (scores[method] - scores[reference]).to_numpy(np.float64)
        x = difference[~np.isnan(difference)]
        if x.size == 0:
            raise InputError(f"No perturbation was scored by both {method!r} and {reference!r}.")
        nonzero, p = signed_rank(x)
        sizes = (x.size, len(difference) - x.size, nonzero)
        rows.append((method, reference, *sizes, float(np.median(x)), *bootstrap_mean(x, seed=seed), p))
    table = pd.DataFrame(
        rows,
        columns=[
            *("method_a", "method_b", "n_pairs", "n_dropped", "n_nonzero"),
            *("median_difference", "mean_difference", "low", "high", "p"),
        ],
    )
    return table.assign(p_holm=holm(table["p"]))


def signed_rank(difference: ArrayLike) -> tuple[int, float]:
    """How many differences (n,) are not 0 after rounding to `DIGITS`, and the two-sided p of Wilcoxon's test of them.

    No difference anywhere gives p = 1.
    """
    ranked = np.round(np.asarray(difference, dtype=np.float64), DIGITS)
    nonzero = int(np.count_nonzero(ranked))
    return nonzero, float(wilcoxon(ranked, zero_method="wilcox").pvalue) if nonzero else 1.0


def holm(p: ArrayLike) -> NDArray[np.float64]:
    """(k,) p-values of one family of tests, corrected by Holm's method.

    Examples
    --------
    >>> from kgpert_lib.metrics.stats import holm
    >>> holm([0.01, 0.04, 0.03]).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    from statsmodels.stats.multitest import multipletests

    values = np.asarray(p, dtype=np.float64)
    return multipletests(values, method="holm")[1] if len(values) else values
