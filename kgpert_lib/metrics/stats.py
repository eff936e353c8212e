"""Uncertainty of mean scores and paired comparisons of methods (paper section 6, Table 1).

The unit is the perturbation: intervals resample perturbations, and tests pair the scores that two methods
reach on the same perturbation within one cell line.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
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
    drawn = bootstrap((x,), np.mean, n_resamples=n, confidence_level=level, method="BCa", batch=batch, rng=seed)
    return Interval(mean, float(drawn.confidence_interval.low), float(drawn.confidence_interval.high))


def percentile_interval(drawn: ArrayLike, level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval: the ends between which the share `level` of resampled values lies.

    For statistics that BCa would take too long for, such as rank correlations and differences of means by group.
    """
    low, high = np.quantile(np.asarray(drawn, dtype=np.float64), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def paired_wilcoxon(
    scores: pd.DataFrame,
    pairs: Iterable[tuple[str, str]] | None = None,
    reference: str | None = None,
    n: int = 10_000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Two-sided Wilcoxon signed-rank tests between methods over the same perturbations, Holm-corrected.

    Parameters
    ----------
    scores : one perturbation a row, one method a column, of one cell line.
    pairs : the comparisons; None: each method against `reference`, or every pair of methods without one.
    n, level, seed : of the BCa bootstrap interval of the mean difference.

    Returns one comparison a row: ``method_a``, ``method_b``, ``n_pairs`` with both scores, ``n_dropped`` where one
    is NaN, ``n_nonzero`` differences after
    rounding to `DIGITS`, which are what is ranked, ``median_difference``, ``mean_difference`` (a minus b) with
    ``low`` and ``high``, ``p``, and ``p_holm`` over the rows of this table. No difference anywhere gives p = 1.
    """
    methods = list(scores.columns)
    if pairs is None:
        pairs = combinations(methods, 2) if reference is None else [(m, reference) for m in methods if m != reference]
    chosen = list(pairs)
    if not chosen:
        raise InputError("No pair of methods to compare; give at least two columns of scores.")
    if unknown := [m for pair in chosen for m in pair if m not in methods]:
        raise InputError(f"No scores of method {unknown[0]!r}; there are {', '.join(map(str, methods))}.")
    rows = []
    for a, b in chosen:
        difference = (scores[a] - scores[b]).to_numpy(np.float64)
        x = difference[~np.isnan(difference)]
        if x.size == 0:
            raise InputError(f"No perturbation was scored by both {a!r} and {b!r}.")
        ranked = np.round(x, DIGITS)
        nonzero = int(np.count_nonzero(ranked))
        p = float(wilcoxon(ranked, zero_method="wilcox").pvalue) if nonzero else 1.0
        mean, low, high = bootstrap_mean(x, n, level, seed)
        rows.append((a, b, x.size, len(difference) - x.size, nonzero, float(np.median(x)), mean, low, high, p))
    from statsmodels.stats.multitest import multipletests

    table = pd.DataFrame(
        rows,
        columns=[
            *("method_a", "method_b", "n_pairs", "n_dropped", "n_nonzero"),
            *("median_difference", "mean_difference", "low", "high", "p"),
        ],
    )
    return table.assign(p_holm=multipletests(table["p"], method="holm")[1])
