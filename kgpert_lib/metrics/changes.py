"""Scores over the readouts that change: which they are, which way they go, and by how much (ours).

The suite of the Virtual Cell Challenge 2026 defines them over significance tests of cells. Deltas have no p-values, so
one number a cell line takes their place: a readout counts as changed where the absolute value of its delta reaches
`threshold`, in the predicted and in the measured delta alike. On calls every threshold from above 0 to 1 means the
same measured set, the significant ones.

Predictions are (n, m) without gaps; measured deltas are (n, m) with NaN where nothing was measured. Only measured
readouts count, in either set; callers make a perturbation's own readout a gap (`targets.without_own_readouts`).
Perturbations of which no measured readout changes have no direction to get right and no size to be off by: there
`direction_fidelity`, `direction_reach` and `fold_change_nmae` are NaN, whatever was predicted, so that every method
is scored on the same perturbations; `significant_jaccard` is what counts readouts that were called changed there.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.checks import Matrix, checked
from kgpert_lib.metrics.chunks import chunks, each_chunk

Vector = NDArray[np.float64]

WRONG_ONE_IN = 10  # a prefix of a ranking is pure while at most one in so many signs is wrong
FEWEST_CHANGED = 10  # changed readouts, below which a ratio of their sizes is noise
CALLED = 0.5  # threshold of calls
SPREADS = 4.0  # robust standard deviations of a delta from which a readout counts as changed
TO_STANDARD_DEVIATION = 1.4826  # of a normal distribution, from its median absolute deviation
SAMPLE = 200  # training perturbations whose spread is looked at


class Changes(NamedTuple):
    """(n,) scores of changed readouts: their number, and what the functions of these names return."""

    n_changed: NDArray[np.int64]
    direction_fidelity: Vector
    direction_reach: Vector
    significant_jaccard: Vector
    fold_change_nmae: Vector


def changes(pred: ArrayLike, truth: ArrayLike, threshold: float) -> Changes:
    """All scores of changed readouts at once.

    InputError for a threshold that is not a positive number and as `checks.checked`.
    """
    return changes_of(*checked(pred, truth), threshold)


def changes_of(p: Matrix, t: Matrix, threshold: float) -> Changes:
    """`changes` of matrices that were checked."""
    if not (np.isfinite(threshold) and threshold > 0):
        raise InputError(f"The threshold of a change is {threshold}; it is a number above 0, in units of the delta.")
    parts = each_chunk(lambda rows: _changes(p[rows], t[rows], threshold), p.shape)
    return Changes(*map(np.concatenate, zip(*parts, strict=True)))


def direction_fidelity(pred: ArrayLike, truth: ArrayLike, threshold: float) -> Vector:
    """(n,) right signs among the readouts predicted to change, over the larger of both sets of changed readouts.

    ``#{g called: sign(pred_g) = sign(truth_g)} / max(#called, #changed)``, 0..1: calling nothing scores 0, and so does
    every call too many add nothing. The sign has to be that of the measured delta, whatever its size; a measured 0
    has none. NaN where nothing changed.

    Examples
    --------
    >>> from kgpert_lib.metrics.changes import direction_fidelity
    >>> direction_fidelity([[0.5, 0.5, 0.0]], [[1.0, -1.0, 0.1]], threshold=0.3).tolist()
    [0.5]
    """
    return changes(pred, truth, threshold).direction_fidelity


def direction_reach(pred: ArrayLike, truth: ArrayLike, threshold: float) -> Vector:
    """(n,) how far down a prediction's own ranking of the truly changed readouts its signs stay right.

    The changed readouts are put in the order of the size of their prediction, largest first. The score is the
    deepest k among whose first k at least 90 % have the right sign, over the number changed, 0..1. A prediction of 0
    has no right sign. Readouts predicted of equal size (in float32) have no order: k ends only where such a group
    ends. NaN where nothing changed.
    """
    return changes(pred, truth, threshold).direction_reach


def significant_jaccard(pred: ArrayLike, truth: ArrayLike, threshold: float) -> Vector:
    """(n,) size of the intersection over that of the union of the readouts that change, predicted and measured.

    Signs do not matter. Where neither set holds a readout the two agree: 1.

    Examples
    --------
    >>> from kgpert_lib.metrics.changes import significant_jaccard
    >>> significant_jaccard([[0.5, 0.5, 0.0]], [[1.0, 0.1, 0.1]], threshold=0.3).tolist()
    [0.5]
    """
    return changes(pred, truth, threshold).significant_jaccard


def fold_change_nmae(pred: ArrayLike, truth: ArrayLike, threshold: float) -> Vector:
    """(n,) ``sum |pred - truth| / sum |truth|`` over the readouts that change; lower is better.

    Predicting no change scores 1. NaN where fewer than `FEWEST_CHANGED` readouts change.
    """
    return changes(pred, truth, threshold).fold_change_nmae


def are_calls(delta: ArrayLike) -> bool:
    """True where every measured delta is -1, 0 or 1."""
    values = np.asarray(delta)
    for rows in chunks(len(values), SAMPLE):
        size = np.abs(values[rows])
        if not ((size == 0) | (size == 1) | np.isnan(size)).all():
            return False
    return True


def changed_threshold(delta: ArrayLike) -> float:
    """The threshold from which a readout counts as changed, from training deltas (t, m) with NaN for gaps (ours).

    `CALLED` on calls. Else four robust standard deviations: the median, over at most `SAMPLE` evenly spaced
    perturbations, of 1.4826 times the median absolute deviation of the perturbation's deltas from their median. Most
    readouts of a knock-down do not change, so that this is the spread of noise. Where it is 0, any delta other
    than 0 counts as changed.
    """
    values = np.asarray(delta)
    values = values[~np.isnan(values).all(axis=1)]
    if not len(values):
        raise InputError("No training delta was measured, so there is no threshold of a change; give one.")
    if are_calls(values):
        return CALLED
    rows = np.unique(np.linspace(0, len(values) - 1, min(SAMPLE, len(values))).round().astype(np.intp))
    sample = values[rows].astype(np.float64)
    deviation = np.nanmedian(np.abs(sample - np.nanmedian(sample, axis=1, keepdims=True)), axis=1)
    threshold = SPREADS * TO_STANDARD_DEVIATION * float(np.median(deviation))
    return max(threshold, float(np.finfo(np.float32).tiny))


def _changes(p: Matrix, t: Matrix, threshold: float) -> Changes:
    """`changes` of a few rows: few readouts change, so that all but the comparisons runs over these alone."""
    flat_p, flat_t = p.ravel(), t.ravel()
    changed = np.flatnonzero(np.abs(flat_t) >= threshold)
    called = np.flatnonzero(np.abs(flat_p) >= threshold)
    called = called[~np.isnan(flat_t[called])]
    row, n_changed = _rows_of(changed, p.shape)
    called_row, n_called = _rows_of(called, p.shape)

    def count(rows: NDArray[np.intp], weights: Any) -> Vector:
        return np.bincount(rows, weights, minlength=len(p)).astype(np.float64, copy=False)

    predicted, measured = flat_p[changed].astype(np.float64), flat_t[changed].astype(np.float64)
    right = count(called_row, np.sign(flat_p[called]) == np.sign(flat_t[called]))
    both = count(row, np.abs(flat_p[changed]) >= threshold)
    error, size = count(row, np.abs(predicted - measured)), count(row, np.abs(measured))
    reached = _pure_depth(row, n_changed, np.abs(predicted), np.sign(predicted) != np.sign(measured))
    some, enough = n_changed > 0, n_changed >= FEWEST_CHANGED
    union = n_changed + n_called - both
    return Changes(
        n_changed,
        _ratio(right, np.maximum(n_changed, n_called), some),
        _ratio(reached, n_changed, some),
        np.where(union == 0, 1.0, _ratio(both, union, union > 0)),
        _ratio(error, size, enough),
    )


def _pure_depth(
    row: NDArray[np.intp], n_changed: NDArray[np.int64], size: Vector, wrong: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """(n,) deepest pure prefix of each row's readouts by `size`; `row` is sorted and holds `n_changed` of each."""
    # One sort of integers orders rows, sizes from large to small and, of equal size, right before wrong signs: the
    # bits of a positive float32 rise with its value.
    with np.errstate(over="ignore"):
        bits = size.astype(np.float32).view(np.uint32).astype(np.uint64)
    key = (row.astype(np.uint64) << np.uint64(33)) | ((np.uint64(2**32 - 1) - bits) << np.uint64(1)) | wrong
    key.sort()
    misses = np.cumsum(key & np.uint64(1), dtype=np.int64)
    start = np.cumsum(n_changed) - n_changed
    depth = np.arange(len(key)) - start[row] + 1
    misses -= np.concatenate([[0], misses])[start[row]]
    group_ends = np.append(key[1:] >> np.uint64(1) != key[:-1] >> np.uint64(1), True)[: len(key)]
    pure = group_ends & (WRONG_ONE_IN * misses <= depth)
    deepest = np.zeros(len(n_changed), np.int64)
    np.maximum.at(deepest, row[pure], depth[pure])
    return deepest


def _rows_of(flat: NDArray[np.intp], shape: tuple[int, ...]) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """The row of each of some sorted positions in a flattened matrix, and (n,) how many lie in each row."""
    count = np.diff(np.searchsorted(flat, np.arange(shape[0] + 1) * shape[1]))
    return np.repeat(np.arange(shape[0]), count), count


def _ratio(part: NDArray[Any], whole: NDArray[Any], where: NDArray[np.bool_]) -> Vector:
    return np.divide(part, whole, out=np.full(len(whole), np.nan), where=where)
