"""How well predicted deltas agree with measured ones, over whole matrices (paper, appendix A.1).

Predictions are (n, m), one row per perturbation and one column per readout gene, without gaps. Measured
deltas have the same columns and hold NaN where a gene was not measured; every score is taken over the
measured genes only. A correlation with a constant row does not exist: it scores 0, and `undefined`
says where that happened. A row counts as constant when its standard deviation is below 16 roundings
of its own number type, relative to its root mean square.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.chunks import chunks

Ties = Literal["half", "leq"]
Matrix = NDArray[np.floating[Any]]
Vector = NDArray[np.float64]
Block = tuple[slice, slice, Matrix]

TIE = 1e-6  # correlations closer than this are a tie: the rounding of one float32 matrix product
CANCELLED = 1e-13  # share of a sum of squares below which a variance found by subtraction is rounding
SAFE = 300  # powers of two up to which squares and their sums stay inside float64
CACHE = 2**17  # values of one row-wise chunk
ROWS = 1024  # predictions of one block of a matrix product
COLUMNS = 2048  # references of one block of a masked matrix product


def pearson_delta(pred: ArrayLike, truth: ArrayLike) -> Vector:
    """Pearson correlation of each predicted delta with its measured one (appendix A.1).

    `pred` (n, m), `truth` (n, m) with NaN for gaps; returns (n,), 0 where no correlation exists.
    InputError names a prediction that is not finite, a row without a measured gene, or a wrong shape.
    """
    return _correlate_rows(*_checked(pred, truth))[0]


def centred_pearson(pred: ArrayLike, truth: ArrayLike, mean: ArrayLike) -> Vector:
    """Pearson delta with the mean training delta `mean` (m,) subtracted from both sides (ours).

    It scores what is predicted beyond the effect that all perturbations share; predicting `mean` itself scores 0.
    """
    p, t = _checked(pred, truth)
    return _correlate_rows(p, t, _checked_mean(mean, p.shape[1]))[0]


def undefined(pred: ArrayLike, truth: ArrayLike) -> NDArray[np.bool_]:
    """(n,) True where prediction or truth is constant over the measured genes, so that the score 0 stands in.

    One measured gene is always constant.
    """
    return _correlate_rows(*_checked(pred, truth))[1]


def mse(pred: ArrayLike, truth: ArrayLike) -> Vector:
    """(n,) mean squared error over the measured genes (appendix B.2)."""
    return _row_errors(*_checked(pred, truth), np.square)


def mae(pred: ArrayLike, truth: ArrayLike) -> Vector:
    """(n,) mean absolute error over the measured genes (appendix B.2)."""
    return _row_errors(*_checked(pred, truth), np.abs)


def correlation_matrix(pred: ArrayLike, truth: ArrayLike) -> NDArray[np.float32]:
    """``R[i, j]``, Pearson of prediction i with measured delta j over j's measured genes (appendix A.1).

    `pred` (n, m), `truth` (r, m); returns (n, r) float32, 0 where no correlation exists.
    """
    p, t = _checked(pred, truth, paired=False)
    out = np.empty((len(p), len(t)), np.float32)
    for rows, columns, block in _correlation_blocks(p, t):
        out[rows, columns] = block
    return out


def retrieval(
    pred: ArrayLike,
    truth: ArrayLike,
    *,
    reference: ArrayLike | None = None,
    own: ArrayLike | None = None,
    ties: Ties = "half",
) -> Vector:
    """Share of references that prediction i agrees with less than with its own measured delta (appendix A.1).

    Parameters
    ----------
    pred, truth : (n, m) predictions and their measured deltas.
    reference : (r, m) measured deltas to rank against; None: `truth` itself.
    own : (n,) the row of `reference` that holds i's own delta, -1 where none does; needed with `reference`.
    ties : ``"half"`` (ours) leaves i's own delta out and counts a tie as one half, so a constant predictor
        scores exactly 0.5; ``"leq"`` is the literal reading, with i's own delta and every tie counted in full.

    Returns (n,) in 0..1. InputError when i has nothing to be ranked against.
    """
    p, t = _checked(pred, truth)
    if ties not in ("half", "leq"):
        raise InputError(f"Unknown ties {ties!r}; it is 'half' or 'leq'.")
    r = t if reference is None else _checked(p, reference, paired=False)[1]
    mine = _checked_own(own, reference is None, len(p), len(r))
    present = mine >= 0
    left_out = present & (ties == "half")
    against = len(r) - left_out.astype(float)
    if (against < 1).any():
        raise InputError("Retrieval needs at least one reference besides the perturbation's own delta.")

    # Without gaps the block holds each prediction's own correlation, rounded like those that it is compared with.
    in_block = bool(present.all()) and not np.isnan(r).any()
    level = np.empty(len(p)) if in_block else _correlate_rows(p, t)[0]
    tie = 0.5 if ties == "half" else 1.0
    wins = np.zeros(len(p))
    for rows, columns, block in _correlation_blocks(p, r):
        inside = np.flatnonzero((mine[rows] >= columns.start) & (mine[rows] < columns.stop))
        its = mine[rows][inside] - columns.start
        if in_block:
            level[rows] = block[inside, its]
        block[inside, its] = level[rows][inside]
        low, high = ((level[rows] + side * TIE).astype(block.dtype)[:, None] for side in (-1, 1))
        tied = np.count_nonzero((block >= low) & (block <= high), axis=1)
        wins[rows] += np.count_nonzero(block < low, axis=1) + tie * tied
    return (wins - 0.5 * left_out) / against


def score(
    pred: ArrayLike,
    truth: ArrayLike,
    perturbations: Sequence[str],
    mean: ArrayLike | None = None,
    *,
    reference: ArrayLike | None = None,
    own: ArrayLike | None = None,
    ties: Ties = "half",
) -> pd.DataFrame:
    """Every score of every perturbation, one row per perturbation.

    Columns: ``perturbation``, ``pearson``, ``centred_pearson`` (NaN without `mean`), ``retrieval`` (NaN for a
    single perturbation without `reference`), ``mse``, ``mae``, ``n_genes`` measured, and ``constant``: True
    where ``pearson`` is 0 because no correlation exists. Parameters as in `retrieval` and `centred_pearson`.
    """
    names = [str(name) for name in perturbations]
    p, t = _checked(pred, truth, names=names)
    pearson, constant = _correlate_rows(p, t)
    alone = reference is None and len(p) == 1
    return pd.DataFrame(
        {
            "perturbation": names,
            "pearson": pearson,
            "centred_pearson": np.nan if mean is None else centred_pearson(p, t, mean),
            "retrieval": np.nan if alone else retrieval(p, t, reference=reference, own=own, ties=ties),
            "mse": mse(p, t),
            "mae": mae(p, t),
            "n_genes": np.count_nonzero(~np.isnan(t), axis=1),
            "constant": constant,
        }
    )


def _checked(
    pred: ArrayLike, truth: ArrayLike, *, paired: bool = True, names: Sequence[str] | None = None
) -> tuple[Matrix, Matrix]:
    """Both as floating matrices whose shapes fit and whose values can be scored."""
    p, t = (_floating(values, what) for values, what in ((pred, "Predictions"), (truth, "Measured deltas")))
    if p.shape[1] != t.shape[1] or (paired and len(p) != len(t)):
        raise InputError(f"Predictions have shape {p.shape} and measured deltas {t.shape}; they have to match.")
    if names is not None and len(names) != len(p):
        raise InputError(f"{len(names)} perturbation names for {len(p)} predictions; give one name per row.")

    def label(rows: Any) -> str:
        row = int(np.flatnonzero(rows)[0])
        return f"row {row} (counted from 0)" if names is None else names[row]

    with np.errstate(over="ignore", invalid="ignore"):
        broken = ~np.isfinite(p.sum(axis=1, dtype=np.float64))
    if broken.any() and (broken := ~np.isfinite(p).all(axis=1)).any():
        raise InputError(f"The prediction of {label(broken)} holds NaN or infinity; every gene needs a number.")
    if (endless := np.isinf(t).any(axis=1)).any():
        raise InputError(f"The measured delta of {label(endless)} holds infinity; mark a gap with NaN.")
    if (empty := np.isnan(t).all(axis=1)).any():
        raise InputError(f"The measured delta of {label(empty)} has no measured gene; leave the perturbation out.")
    return p, t


def _floating(values: ArrayLike, what: str) -> Matrix:
    array = np.asarray(values)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{what} have shape {array.shape}; expected perturbations x genes, at least one of each.")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)


def _checked_mean(mean: ArrayLike, genes: int) -> Matrix:
    values = np.asarray(mean)
    if values.shape != (genes,) or not np.isfinite(values).all():
        raise InputError(f"The mean training delta needs {genes} finite values; it has shape {values.shape}.")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _checked_own(own: ArrayLike | None, default: bool, n: int, r: int) -> NDArray[np.intp]:
    if own is None and not default:
        raise InputError("Retrieval against a reference needs own=: the reference row of each prediction, or -1.")
    rows = np.arange(n) if own is None else np.asarray(own, dtype=np.intp)
    if rows.shape != (n,) or (rows < -1).any() or (rows >= r).any():
        raise InputError(f"own= needs one row number from -1 to {r - 1} for each of the {n} predictions.")
    return rows


def _tolerance(*arrays: Matrix) -> float:
    """Relative spread at or below which a row is constant: 16 roundings of the coarsest number type."""
    return 16.0 * max(float(np.finfo(a.dtype).eps) for a in arrays)


def _scale_rows(x: Vector) -> NDArray[np.int32]:
    """Bring rows of float64 `x`, in place, near 1 where squares of their entries could overflow or vanish.

    Returns the (n,) powers of two that were taken out, mostly 0; dividing by a power of two rounds nothing.
    """
    largest, smallest = x.max(axis=1), x.min(axis=1)
    exponent = np.frexp(np.maximum(largest, -smallest))[1]
    exponent[np.abs(exponent) < SAFE] = 0
    odd = np.flatnonzero(exponent)
    x[odd] = np.ldexp(x[odd], -exponent[odd, None])
    return exponent


def _unit_rows(
    x: Vector, measured: NDArray[np.bool_] | None, tolerance: float, removed: Vector | float = 0.0
) -> tuple[Vector, NDArray[np.bool_]]:
    """Rows of float64 `x` (overwritten) minus their mean over the measured entries, at length 1; gaps are 0.

    A row is constant, becomes 0 and is marked when its standard deviation is at most `tolerance` times its root
    mean square, to which `removed` (n,) adds the size of what was subtracted from it before.
    """
    count: Any = x.shape[1]
    if measured is not None:
        count = np.count_nonzero(measured, axis=1)
        x[~measured] = 0.0
    removed = np.ldexp(removed, -_scale_rows(x))
    mean = x.sum(axis=1) / count
    x -= mean[:, None]
    if measured is not None:
        x[~measured] = 0.0
    square = np.einsum("ij,ij->i", x, x) / count
    constant = np.sqrt(square) <= tolerance * (np.sqrt(square + mean**2) + removed)
    x *= np.where(constant, 0.0, 1.0 / np.sqrt(np.where(constant, 1.0, square * count)))[:, None]
    return x, constant


def _correlate_rows(pred: Matrix, truth: Matrix, mean: Matrix | None = None) -> tuple[Vector, NDArray[np.bool_]]:
    """Row-wise correlation over the measured genes, in float64, and where it does not exist."""
    n, m = pred.shape
    scores, constant = np.empty(n), np.empty(n, bool)
    for rows in chunks(n, max(1, CACHE // m)):
        p, t = pred[rows].astype(np.float64), truth[rows].astype(np.float64)
        gaps = np.isnan(t)
        measured = ~gaps if gaps.any() else None
        removed: Vector | float = 0.0
        tolerances = _tolerance(pred), _tolerance(truth)
        if mean is not None:
            removed = _root_mean_square(mean, ~gaps)
            tolerances = _tolerance(pred, mean), _tolerance(truth, mean)
            p -= mean
            t -= mean
        p, p_constant = _unit_rows(p, measured, tolerances[0], removed)
        t, t_constant = _unit_rows(t, measured, tolerances[1], removed)
        scores[rows] = np.einsum("ij,ij->i", p, t)
        constant[rows] = p_constant | t_constant
    return np.clip(scores, -1.0, 1.0), constant


def _root_mean_square(values: Matrix, measured: NDArray[np.bool_]) -> Vector:
    """(n,) root mean square of `values` (m,) over the entries that each row of `measured` (n, m) has."""
    row = values.astype(np.float64)[None]
    exponent = _scale_rows(row)
    square = np.broadcast_to(np.square(row), measured.shape)
    return np.ldexp(np.sqrt(np.mean(square, axis=1, where=measured)), exponent)


def _row_errors(pred: Matrix, truth: Matrix, size: Callable[[Any], Any]) -> Vector:
    """(n,) mean of `size` of the error over the measured genes."""
    out = np.empty(len(pred))
    for rows in chunks(len(pred), max(1, CACHE // pred.shape[1])):
        out[rows] = np.nanmean(size(truth[rows].astype(np.float64) - pred[rows]), axis=1)
    return out


def _correlation_blocks(pred: Matrix, reference: Matrix) -> Iterator[Block]:
    """Blocks of the correlation matrix."""
    return _masked_correlations(pred, reference) if np.isnan(reference).any() else _dense_correlations(pred, reference)


def _dense_correlations(pred: Matrix, reference: Matrix) -> Iterator[Block]:
    right = _standardised(reference)
    for rows in chunks(len(pred), ROWS):
        yield rows, slice(0, len(reference)), np.clip(_standardised(pred[rows]) @ right.T, -1.0, 1.0)


def _standardised(values: Matrix) -> NDArray[np.float32]:
    """Unit rows of a matrix without gaps: centred in float64, kept in float32."""
    out = np.empty(values.shape, np.float32)
    for rows in chunks(len(values), max(1, CACHE // values.shape[1])):
        out[rows] = _unit_rows(values[rows].astype(np.float64), None, _tolerance(values))[0]
    return out


def _masked_correlations(pred: Matrix, reference: Matrix) -> Iterator[Block]:
    """Three products per block: with t centred over j's genes, the covariance is ``P t'`` and needs no mean of P.

    Rows of P are centred over all genes beforehand, so that the variance, a difference of sums, keeps its digits.
    """
    tolerance = _tolerance(pred)
    for columns in chunks(len(reference), COLUMNS):
        t = reference[columns].astype(np.float64)
        measured = ~np.isnan(t)
        count = np.count_nonzero(measured, axis=1)
        t = _unit_rows(t, measured, _tolerance(reference))[0]
        mask = measured.astype(np.float64)
        for rows in chunks(len(pred), ROWS):
            p = pred[rows].astype(np.float64)
            _scale_rows(p)
            offset = p.mean(axis=1, keepdims=True)
            p -= offset
            total, squares = p @ mask.T, np.square(p) @ mask.T
            variance = squares - total**2 / count
            raw = squares + 2 * offset * total + offset**2 * count
            constant = variance <= np.maximum(tolerance**2 * raw, CANCELLED * squares)
            block = p @ t.T / np.sqrt(np.where(constant, 1.0, variance))
            yield rows, columns, np.where(constant, 0.0, np.clip(block, -1.0, 1.0))
