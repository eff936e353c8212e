"""Is a metric usable at all, and how far is a prediction from a repeated experiment?

A metric is held against two controls: a negative one that knows nothing of the perturbation (the training mean), and a
positive one that knows it as well as an experiment can (a replicate, or its interpolation). The definitions are
those of Miller et al. (2025) and of the Virtual Cell Challenge 2026; `book/methods.md` has their formulas.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.types import FloatArray

Vector = NDArray[np.float64]


def interpolated_duplicate(replicate: ArrayLike, alpha: ArrayLike = 0.5) -> FloatArray:
    """A positive control (n, m): ``alpha * replicate + (1 - alpha) * mean of the other perturbations``.

    `replicate` (n, m) holds deltas measured a second time, NaN for gaps, which stay; the mean is over the other rows
    that measured a readout, 0 where none did. `alpha` in 0..1 is one number or one for each entry: Miller et al.
    take one minus the p-value of the change; one number is ours, as deltas have no p-values.
    """
    values, share = np.asarray(replicate, dtype=np.float64), np.asarray(alpha, dtype=np.float64)
    if not ((share >= 0) & (share <= 1)).all():
        raise InputError("alpha of the interpolated duplicate lies between 0 and 1.")
    measured = ~np.isnan(values)
    filled = np.where(measured, values, 0.0)
    count = measured.sum(axis=0) - measured
    others = (filled.sum(axis=0) - filled) / np.maximum(count, 1)
    return (share * values + (1 - share) * others).astype(np.float32)


def dynamic_range_fraction(positive: ArrayLike, negative: ArrayLike, perfect: float) -> Vector:
    """DRF (n,): ``(positive - negative) / (perfect - negative)``, the part of a score's range that can be reached.

    `positive` and `negative` (n,) are the scores of both controls on each perturbation, `perfect` that of the truth.
    Cut to -1..1 as published; NaN where the negative control is perfect, or a score is missing.
    """
    high, low = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    span = perfect - low
    fraction = np.divide(high - low, span, out=np.full(np.shape(span), np.nan), where=span != 0)
    return np.clip(fraction, -1.0, 1.0)


def positive_wins(positive: ArrayLike, negative: ArrayLike, perfect: float) -> Vector:
    """(n,) 1 where the positive control is nearer to `perfect` than the negative one, else 0; NaN for a missing score.

    The mean over perturbations is the bound discrimination score (BDS). A tie is no win.
    """
    high, low = np.asarray(positive, dtype=np.float64), np.asarray(negative, dtype=np.float64)
    wins = (np.abs(perfect - high) < np.abs(perfect - low)).astype(np.float64)
    return np.where(np.isnan(high) | np.isnan(low), np.nan, wins)


def scaled_score(score: ArrayLike, negative: ArrayLike, replicate: ArrayLike, axis: int = -1) -> Vector:
    """``(u - b) / (r - b)`` of means over perturbations (the last axis): 0 is the negative control, 1 a replicate.

    `score` u, `negative` b and `replicate` r are scores on the same perturbations. Above 1 a prediction is better than
    repeating the experiment. A ratio of means and no mean of ratios, whose denominators can be 0.

    Examples
    --------
    >>> from kgpert_lib.metrics.controls import scaled_score
    >>> scaled_score([0.5, 0.7], negative=[0.4, 0.4], replicate=[0.8, 0.8]).round(2).item()
    0.5
    """
    u, b, r = (np.mean(np.asarray(x, dtype=np.float64), axis=axis) for x in (score, negative, replicate))
    return np.divide(u - b, r - b, out=np.full(np.shape(u), np.nan), where=r != b)
