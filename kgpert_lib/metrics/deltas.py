"""How well predicted deltas agree with measured ones, over whole matrices (paper, appendix A.1).

Predictions are (n, m), one row per perturbation and one column per readout gene, without gaps. Measured
deltas have the same columns and hold NaN where a gene was not measured; every score is taken over the
measured genes only. A perturbation's own readout never counts: callers make it a gap
(`targets.without_own_readouts`). A correlation with a constant row does not exist: it scores 0, and `undefined`
says where that happened. A row counts as constant when its standard deviation is below 16 roundings
of its own number type, relative to its root mean square.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.changes import are_calls, changes_of
from kgpert_lib.metrics.checks import Matrix, checked, checked_mean
from kgpert_lib.metrics.chunks import chunks, each_chunk

Ties = Literal["half", "leq"]
Vector = NDArray[np.float64]

TIE = 1e-6  # similarities closer than this are a tie: the rounding of one float32 matrix product
CANCELLED = 1e-13  # share of a sum of squares below which a variance found by subtraction is rounding
SAFE = 300  # powers of two up to which squares and their sums stay inside float64
ROWS = 1024  # predictions of one block of a matrix product
COLUMNS = 2048  # references of one block of a masked matrix product


class Block(NamedTuple):
    """Part of the (n, r) similarities of predictions with references: which rows and columns, and the values."""

    rows: slice
    columns: slice
    pearson: Matrix
    cosine: Matrix


def pearson_delta(pred: ArrayLike, truth: ArrayLike) -> Vector:
    """Pearson correlation of each predicted delta with its measured one (appendix A.1).

    `pred` (n, m), `truth` (n, m) with NaN for gaps; returns (n,), 0 where no correlation exists.
    InputError names a prediction that is not finite, a row without a measured gene, or a wrong shape.

    Examples
    --------
    >>> import numpy as np
    >>> from kgpert_lib.metrics.deltas import pearson_delta
    >>> pearson_delta([[1.0, 2.0, 9.0]], [[10.0, 20.0, np.nan]]).round(6).tolist()
    [1.0]
    """
    return _row_scores(*checked(pred, truth)).pearson


def centred_pearson(pred: ArrayLike, truth: ArrayLike, mean: ArrayLike) -> Vector:
    """Pearson delta with the mean training delta `mean`, (m,) or one for each row (n, m), subtracted from both sides
    (ours).

    It scores what is predicted beyond the effect that all perturbations share; predicting `mean` itself scores 0.

    Examples
    --------
    >>> from kgpert_lib.metrics.deltas import centred_pearson
    >>> mean = [1.0, 2.0, 3.0]
    >>> centred_pearson([mean, [2.0, 2.0, 3.0]], [[2.0, 2.0, 3.0], [2.0, 2.0, 3.0]], mean).round(6).tolist()
    [0.0, 1.0]
    """
    p, t = checked(pred, truth)
    return _row_scores(p, t, checked_mean(mean, p.shape[1], len(p))).centred_pearson


def undefined(pred: ArrayLike, truth: ArrayLike) -> NDArray[np.bool_]:
    """(n,) True where prediction or truth is constant over the measured genes, so that the score 0 stands in.

    One measured gene is always constant.
    """
    return _row_scores(*checked(pred, truth)).constant


def mse(pred: ArrayLike, truth: ArrayLike) -> Vector:
    """(n,) mean squared error over the measured genes (appendix B.2)."""
    return _row_scores(*checked(pred, truth)).mse


def mae(pred: ArrayLike, truth: ArrayLike) -> Vector:
    """(n,) mean absolute error over the measured genes (appendix B.2)."""
    return _row_scores(*checked(pred, truth)).mae


def correlation_matrix(pred: ArrayLike, truth: ArrayLike) -> NDArray[np.float32]:
    """``R[i, j]``, Pearson of prediction i with measured delta j over j's measured genes (appendix A.1).

    `pred` (n, m), `truth` (r, m); returns (n, r) float32, 0 where no correlation exists.
    """
    p, t = checked(pred, truth, paired=False)
    out = np.empty((len(p), len(t)), np.float32)
    for block in _blocks(p, t):
        out[block.rows, block.columns] = block.pearson
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

    Agreement is the Pearson correlation over the reference's measured genes. The readouts of the ranked genes
    themselves must not be among the columns (`targets.ranked_readouts`); `score` leaves them out.

    Parameters
    ----------
    pred, truth : (n, m) predictions and their measured deltas.
    reference : (r, m) measured deltas to rank against; None: `truth` itself.
    own : (n,) the row of `reference` that holds i's own delta, -1 where none does; needed with `reference`.
    ties : ``"half"`` (ours) leaves i's own delta out and counts a tie as one half, so a constant predictor
        scores exactly 0.5; ``"leq"`` is the literal reading, with i's own delta and every tie counted in full.

    Returns (n,) in 0..1. InputError when i has nothing to be ranked against.

    Examples
    --------
    >>> from kgpert_lib.metrics.deltas import retrieval
    >>> truth = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    >>> retrieval([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]], truth).tolist()
    [1.0, 0.25, 0.5]
    """
    p, t = checked(pred, truth)
    return _ranked(p, t, *_references(p, t, reference, own), ties)[0]


def pds_cosine(
    pred: ArrayLike, truth: ArrayLike, *, reference: ArrayLike | None = None, own: ArrayLike | None = None
) -> Vector:
    """Perturbation discrimination score with cosine distance (Virtual Cell Challenge 2026).

    With ``d_ij = 1 - cos(prediction i, measured delta j)`` over j's measured genes, 1 where either is 0, and k the
    number of references j nearer than i's own measured delta, a tie counting one half: ``1 - k / (r - 1)``, where r
    counts the references with i's own. That is `retrieval` with the cosine in place of the correlation; parameters,
    result and errors as there. One prediction for all perturbations scores 0.5 on average over the references.

    Examples
    --------
    >>> from kgpert_lib.metrics.deltas import pds_cosine
    >>> truth = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
    >>> pds_cosine([[2.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 1.0, 1.0]], truth).tolist()
    [1.0, 0.25, 0.5]
    """
    p, t = checked(pred, truth)
    return _ranked(p, t, *_references(p, t, reference, own), "half")[1]


def score(
    pred: ArrayLike,
    truth: ArrayLike,
    perturbations: Sequence[str],
    mean: ArrayLike | None = None,
    *,
    reference: ArrayLike | None = None,
    own: ArrayLike | None = None,
    ties: Ties = "half",
    ranked: ArrayLike | None = None,
    threshold: float | None = None,
) -> pd.DataFrame:
    """Every score of every perturbation, one row per perturbation.

    Parameters
    ----------
    pred, truth, mean, reference, own, ties : as in `retrieval` and `centred_pearson`.
    perturbations : (n,) names of the rows, for the table and for messages.
    ranked : (m,) True for the genes that rankings use (`targets.ranked_readouts`); None: all of them.
    threshold : from which a readout counts as changed (`changes`).

    Returns
    -------
    Columns ``perturbation``, ``pearson``, ``centred_pearson`` (NaN without `mean`), ``retrieval`` and ``pds_cosine``
    (NaN where nothing is left to rank: a single perturbation without `reference`, a perturbation none of whose measured
    genes is ranked; a reference without one is left out), ``direction_fidelity``, ``direction_reach``, ``jaccard`` and
    ``nmae`` (`changes`; NaN without `threshold`, and nMAE on calls, which have no size), ``mse``, ``mae``, ``n_genes``
    measured, ``n_changed`` of them, and ``constant``: True where ``pearson`` is 0 because no correlation exists.

    Examples
    --------
    >>> from kgpert_lib import score
    >>> truth = [[1.0, 0.0, -1.0], [0.0, 1.0, 0.5]]
    >>> table = score([[0.9, 0.1, -0.5], [0.0, 0.0, 0.0]], truth, ["RPL3", "INTS9"])
    >>> table[["perturbation", "pearson", "mae", "constant"]].round(2)
      perturbation  pearson   mae  constant
    0         RPL3      1.0  0.23     False
    1        INTS9      0.0  0.50      True
    """
    names = [str(name) for name in perturbations]
    p, t = checked(pred, truth, names=names)
    rows = _row_scores(p, t, None if mean is None else checked_mean(mean, p.shape[1]))
    ranks = _left_to_rank(p, t, *_references(p, t, reference, own), ties, ranked)
    moved: dict[str, Any] = dict.fromkeys(("direction_fidelity", "direction_reach", "jaccard", "nmae"), np.nan)
    n_changed: Any = 0
    if threshold is not None:
        n_changed, *values = changes_of(p, t, threshold)
        moved = dict(zip(moved, values, strict=True))
        if are_calls(t):
            moved["nmae"] = np.nan
    return pd.DataFrame(
        {
            "perturbation": names,
            "pearson": rows.pearson,
            "centred_pearson": np.nan if mean is None else rows.centred_pearson,
            "retrieval": ranks[0],
            "pds_cosine": ranks[1],
            **moved,
            "mse": rows.mse,
            "mae": rows.mae,
            "n_genes": rows.n_genes,
            "n_changed": n_changed,
            "constant": rows.constant,
        }
    )


def _checked_own(own: ArrayLike | None, default: bool, n: int, r: int) -> NDArray[np.intp]:
    if own is None and not default:
        raise InputError("Retrieval against a reference needs own=: the reference row of each prediction, or -1.")
    rows = np.arange(n) if own is None else np.asarray(own, dtype=np.intp)
    if rows.shape != (n,) or (rows < -1).any() or (rows >= r).any():
        raise InputError(f"own= needs one row number from -1 to {r - 1} for each of the {n} predictions.")
    return rows


class _RowScores(NamedTuple):
    """(n,) scores of each prediction with its own measured delta."""

    pearson: Vector
    centred_pearson: Vector
    cosine: Vector
    mse: Vector
    mae: Vector
    n_genes: NDArray[np.int64]
    constant: NDArray[np.bool_]


def _row_scores(pred: Matrix, truth: Matrix, mean: Matrix | None = None) -> _RowScores:
    """The scores of every row in one pass, in float64; without `mean` the centred correlation is that about 0."""

    def scores(rows: slice) -> _RowScores:
        return _scores_of(pred[rows], truth[rows], mean if mean is None or mean.ndim == 1 else mean[rows])

    parts = each_chunk(scores, pred.shape)
    return _RowScores(*map(np.concatenate, zip(*parts, strict=True)))


def _scores_of(pred: Matrix, truth: Matrix, mean: Matrix | None) -> _RowScores:
    """`_row_scores` of a few rows, which stay in the processor's cache."""
    gaps = _Gaps.of(truth)
    p, t = (values.astype(np.float64, order="C") for values in (pred, truth))
    for x in (p, t):
        gaps.clear(x)
    error = p - t
    squares = np.einsum("ij,ij->i", error, error) / gaps.measured
    sizes = np.abs(error, out=error).sum(axis=1) / gaps.measured
    centred = np.zeros(len(p))
    in_single = mean is not None and mean.ndim == 1 and all(x.dtype == np.float32 for x in (pred, truth, mean))
    if mean is not None and not in_single:
        removed = _root_mean_square(mean, gaps)
        a, b = p - mean, t - mean
        for x in (a, b):
            gaps.clear(x)
        centred, *_ = _correlate(_centre(a, gaps, removed, pred, mean), _centre(b, gaps, removed, truth, mean), gaps)
    rows = _centre(p, gaps, 0.0, pred), _centre(t, gaps, 0.0, truth)
    pearson, cosine, constant = _correlate(*rows, gaps)
    if mean is not None and in_single:
        centred = _without_mean(*rows, mean, gaps)
    return _RowScores(pearson, centred, cosine, squares, sizes, gaps.measured, constant)


def _without_mean(p: _Centred, t: _Centred, mean: Matrix, gaps: _Gaps) -> Vector:
    """Correlation of both sides minus `mean`, from products with it: no second pass over the matrices.

    In float64 the products of float32 values keep nine digits more than a row needs to be told from a constant one.
    """
    m = mean.astype(np.float64)
    column = gaps.flat - gaps.row * len(m)
    left_out = [np.bincount(gaps.row, x[column], minlength=len(p.mean)) for x in (m, m * m)]
    average, square = ((x.sum() - out) / gaps.measured for x, out in zip((m, m * m), left_out, strict=True))
    own = square - average**2
    with_p, with_t = (side.rest @ m / gaps.measured for side in (p, t))
    variances = []
    for side, product in ((p, with_p), (t, with_t)):
        variance = np.maximum(side.square - 2 * product + own, 0.0)
        level = np.sqrt(variance + (side.mean - average) ** 2) + np.sqrt(square)
        constant = np.sqrt(variance) <= 16.0 * float(np.finfo(np.float32).eps) * level
        variances.append(np.where(constant, 0.0, variance))
    product = np.einsum("ij,ij->i", p.rest, t.rest) / gaps.measured - with_p - with_t + own
    squares = variances[0] * variances[1]
    return _over(product, squares, squares == 0)


class _Gaps(NamedTuple):
    """Where a matrix has gaps: their places in the flattened matrix, their rows, and (n,) how many of a row are none.

    Lists and no mask: most matrices have no gap or one a row.
    """

    flat: NDArray[np.intp]
    row: NDArray[np.intp]
    measured: NDArray[np.int64]

    @classmethod
    def of(cls, values: Matrix) -> _Gaps:
        n, m = values.shape
        flat = np.flatnonzero(np.isnan(values))
        number = np.diff(np.searchsorted(flat, np.arange(n + 1) * m))
        return cls(flat, np.repeat(np.arange(n), number), m - number)

    def clear(self, x: Vector) -> None:
        """Put 0 into the gaps of `x`."""
        x.reshape(-1)[self.flat] = 0.0


class _Centred(NamedTuple):
    """Rows minus their mean with 0 in the gaps; (n,) mean, mean square of the rest, and whether that is rounding."""

    rest: Vector
    mean: Vector
    square: Vector
    constant: NDArray[np.bool_]


def _centre(x: Vector, gaps: _Gaps, removed: Vector | float, *sources: Matrix) -> _Centred:
    """Centre float64 `x` (overwritten; 0 in the gaps), which came from `sources`.

    A row is constant when its standard deviation is at most 16 roundings of the coarsest source, relative to its root
    mean square, to which `removed` (n,) adds the size of what was subtracted from it before.
    """
    tolerance = 16.0 * max(float(np.finfo(a.dtype).eps) for a in sources)
    if any(a.dtype == np.float64 for a in sources):  # squares of float32 values stay inside float64
        removed = np.ldexp(removed, -_scale_rows(x))
    mean = x.sum(axis=1) / gaps.measured
    x -= mean[:, None]
    gaps.clear(x)
    square = np.einsum("ij,ij->i", x, x) / gaps.measured
    return _Centred(x, mean, square, np.sqrt(square) <= tolerance * (np.sqrt(square + mean**2) + removed))


def _correlate(p: _Centred, t: _Centred, gaps: _Gaps) -> tuple[Vector, Vector, NDArray[np.bool_]]:
    """Row-wise correlation and cosine, 0 where they do not exist, and where there is no correlation."""
    product = np.einsum("ij,ij->i", p.rest, t.rest) / gaps.measured
    constant = p.constant | t.constant
    correlation = _over(product, p.square * t.square, constant)
    norms = (p.square + p.mean**2) * (t.square + t.mean**2)
    return correlation, _over(product + p.mean * t.mean, norms, norms == 0), constant


def _over(product: Vector, squares: Vector, nothing: NDArray[np.bool_]) -> Vector:
    """``product / sqrt(squares)`` within -1..1, and 0 where `nothing` is True."""
    return np.where(nothing, 0.0, np.clip(product / np.sqrt(np.where(nothing, 1.0, squares)), -1.0, 1.0))


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


def _root_mean_square(values: Matrix, gaps: _Gaps) -> Vector:
    """(n,) root mean square of `values`, (m,) or (n, m), over what is no gap in each row."""
    if values.ndim == 2:
        each = values.astype(np.float64, order="C")
        gaps.clear(each)
        exponents = _scale_rows(each)
        return np.ldexp(np.sqrt(np.square(each).sum(axis=1) / gaps.measured), exponents)
    row = values.astype(np.float64)[None]
    exponent = _scale_rows(row)
    square = np.square(row[0])
    column = gaps.flat - gaps.row * len(values)
    missing = np.bincount(gaps.row, square[column], minlength=len(gaps.measured))
    return np.ldexp(np.sqrt(np.maximum(square.sum() - missing, 0.0) / gaps.measured), exponent)


def _references(
    pred: Matrix, truth: Matrix, reference: ArrayLike | None, own: ArrayLike | None
) -> tuple[Matrix, NDArray[np.intp]]:
    """References to rank against and the row of each prediction's own among them, checked."""
    alike = reference is None or reference is truth
    r = truth if alike else checked(pred, reference, paired=False)[1]  # type: ignore[arg-type]
    return r, _checked_own(own, reference is None, len(pred), len(r))


def _left_to_rank(
    pred: Matrix, truth: Matrix, reference: Matrix, own: NDArray[np.intp], ties: Ties, ranked: ArrayLike | None
) -> tuple[Vector, Vector]:
    """`retrieval` and `pds_cosine` over the genes that are ranked; NaN where nothing is left to rank."""
    scores = np.full(len(pred), np.nan), np.full(len(pred), np.nan)
    alike = reference is truth
    if ranked is not None:
        columns = np.flatnonzero(ranked)
        pred, truth = pred[:, columns], truth[:, columns]
        reference = truth if alike else reference[:, columns]
    rows = np.flatnonzero(~np.isnan(truth).all(axis=1))
    known = rows if alike else np.flatnonzero(~np.isnan(reference).all(axis=1))
    place = np.full(len(reference) + 1, -1)  # the last stands for no row, -1
    place[known] = np.arange(len(known))
    own = place[own]
    if len(known) < len(reference):
        reference = reference[known]
    if len(rows) < len(pred):
        pred, truth, own = pred[rows], truth[rows], own[rows]
    if len(rows) and (len(reference) - (own >= 0)).min() > 0:
        for every, part in zip(scores, _ranked(pred, truth, reference, own, ties), strict=True):
            every[rows] = part
    return scores


def _ranked(p: Matrix, t: Matrix, r: Matrix, own: NDArray[np.intp], ties: Ties) -> tuple[Vector, Vector]:
    """`retrieval` and `pds_cosine` from the same products."""
    if ties not in ("half", "leq"):
        raise InputError(f"Unknown ties {ties!r}; it is 'half' or 'leq'.")
    present = own >= 0
    if (len(r) - (present & (ties == "half")) < 1).any():
        raise InputError("Retrieval needs at least one reference besides the perturbation's own delta.")

    # Without gaps the block holds each prediction's own similarity, rounded like those that it is compared with.
    in_block = bool(present.all()) and not np.isnan(r).any()
    levels = np.empty((2, len(p)))
    if not in_block:
        rows = _row_scores(p, t)
        levels[:] = rows.pearson, rows.cosine
    wins = np.zeros((2, len(p)))
    for block in _blocks(p, r):
        inside = np.flatnonzero((own[block.rows] >= block.columns.start) & (own[block.rows] < block.columns.stop))
        its = own[block.rows][inside] - block.columns.start
        for k, similarity in enumerate((block.pearson, block.cosine)):
            level = levels[k, block.rows]
            if in_block:
                level[:] = similarity[inside, its]
            similarity[inside, its] = level[inside]
            low, high = ((level + side * TIE).astype(similarity.dtype)[:, None] for side in (-1, 1))
            tied = np.count_nonzero((similarity >= low) & (similarity <= high), axis=1)
            tie = 1.0 if ties == "leq" and not k else 0.5
            wins[k, block.rows] += np.count_nonzero(similarity < low, axis=1) + tie * tied
    halves = (wins - 0.5 * present) / np.maximum(len(r) - present, 1)
    return (halves[0] if ties == "half" else wins[0] / len(r)), halves[1]


def _blocks(pred: Matrix, reference: Matrix) -> Iterator[Block]:
    """Blocks of the similarities of predictions with references."""
    return _masked_blocks(pred, reference) if np.isnan(reference).any() else _dense_blocks(pred, reference)


def _dense_blocks(pred: Matrix, reference: Matrix) -> Iterator[Block]:
    """One product per block: the cosine is the correlation and the product of the means, each weighed."""
    right, right_spread, right_mean = _standardised(reference)
    for rows in chunks(len(pred), ROWS):
        left, spread, mean = _standardised(pred[rows])
        pearson = np.clip(left @ right.T, -1.0, 1.0)
        cosine = pearson * spread[:, None]
        cosine *= right_spread
        cosine += mean[:, None] * right_mean
        yield Block(rows, slice(0, len(reference)), pearson, cosine)


def _standardised(values: Matrix) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Unit rows of a matrix without gaps, centred in float64 and kept in float32.

    Also (n,) the length of the centred row and root m times its mean, both over the length of the row itself.
    """
    out = np.empty(values.shape, np.float32)
    shares = np.empty((2, len(values)), np.float32)
    none = np.empty(0, np.intp)

    def work(rows: slice) -> None:
        part = values[rows].astype(np.float64, order="C")
        centred = _centre(part, _Gaps(none, none, np.full(len(part), part.shape[1])), 0.0, values)
        length = np.sqrt(centred.square + centred.mean**2)
        shares[:, rows] = np.array([np.sqrt(centred.square), centred.mean]) / np.where(length > 0, length, 1.0)
        np.multiply(part, _inverse_length(centred, part.shape[1])[:, None], out=out[rows], casting="same_kind")

    each_chunk(work, values.shape)
    return out, shares[0], shares[1]


def _inverse_length(centred: _Centred, count: Any) -> Vector:
    """(n,) one over the length of each centred row, and 0 for a constant one."""
    return np.where(centred.constant, 0.0, 1.0 / np.sqrt(np.where(centred.constant, 1.0, centred.square * count)))


def _masked_blocks(pred: Matrix, reference: Matrix) -> Iterator[Block]:
    """Four products per block: with t centred over j's genes, the covariance is ``P t'`` and needs no mean of P.

    Rows of P are centred over all genes beforehand, so that the variance, a difference of sums, keeps its digits.
    """
    tolerance = 16.0 * float(np.finfo(pred.dtype).eps)
    for columns in chunks(len(reference), COLUMNS):
        t = reference[columns].astype(np.float64, order="C")
        gaps = _Gaps.of(t)
        mask = 1.0 - np.isnan(t)
        gaps.clear(t)
        centred = _centre(t, gaps, 0.0, reference)
        spread, mean, count = np.sqrt(centred.square), centred.mean, gaps.measured
        t *= _inverse_length(centred, count)[:, None]
        for rows in chunks(len(pred), ROWS):
            p = pred[rows].astype(np.float64)
            _scale_rows(p)
            raw = np.square(p) @ mask.T
            offset = p.mean(axis=1, keepdims=True)
            p -= offset
            total, squares, product = p @ mask.T, np.square(p) @ mask.T, p @ t.T
            variance = squares - total**2 / count
            constant = variance <= np.maximum(tolerance**2 * raw, CANCELLED * squares)
            inner = spread * product * np.sqrt(count) + mean * (total + offset * count)
            norms = raw * (spread**2 + mean**2) * count
            yield Block(rows, columns, _over(product, variance, constant), _over(inner, norms, norms == 0))
