"""Scores of means of deltas from inner products alone (ours): Pearson of sets, cosine of weighted sums.

With row-centred deltas D and ``G = D D'``, the Pearson correlation of the mean of a set S with a target p is
``sum_{n in S} G[n, p] / sqrt(G[p, p] * sum_{n, m in S} G[n, m])``: its cost does not depend on the number of genes.

A target's own readout j counts in none of its scores. Leaving the j-th of g genes out of two centred rows turns their
product into ``D_n D_m' - D_nj D_mj g / (g - 1)``, so that each target needs one column of D besides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError

Vector = NDArray[np.float64]
Sets: TypeAlias = sp.csr_matrix | Sequence[ArrayLike]

CHUNK = 2**13  # sets of one size whose pairs are gathered together
CONSTANT = 1e-12  # share of its members' squared lengths at or below which a mean is constant


@dataclass(frozen=True, eq=False)
class Gram:
    """Inner products of row-centred deltas, and with the targets that sets are scored against.

    Attributes
    ----------
    inner : (t, t) float64 inner products of the centred deltas that sets are drawn from.
    cross : (p, t) float64 inner products of the targets, centred and at length 1 (0 if constant), with the deltas.
    own : (p,) row of each target among the deltas, -1 for a target that is not among them.
    left_out : (p, t) what leaving the target's own readout out takes from the products of the deltas:
        ``inner[n, m] - left_out[p, n] * left_out[p, m]`` is what p is scored with. `cross` is without it already. None
        where no target has an own readout.
    """

    inner: Vector
    cross: Vector
    own: NDArray[np.intp]
    left_out: Vector | None = None

    @classmethod
    def of(cls, delta: ArrayLike, targets: ArrayLike | None = None, own_readout: ArrayLike | None = None) -> Gram:
        """From dense deltas (t, m) and targets (p, m); without targets the deltas are their own.

        `own_readout` (p,) is the column of each target's own readout, -1 where it has none.
        InputError when a value is missing or the genes differ: gaps need `oracle.greedy_oracle`.
        """
        d = _centred(delta, "deltas")
        unit = d if targets is None else _centred(targets, "targets")
        if unit.shape[1] != d.shape[1]:
            raise InputError(f"The deltas have {d.shape[1]} genes and the targets {unit.shape[1]}; give both the same.")
        inner = d @ d.T
        cross = inner if targets is None else unit @ d.T
        square = np.einsum("ij,ij->i", unit, unit)
        own = np.arange(len(d)) if targets is None else np.full(len(unit), -1)
        left_out, columns = None, np.full(len(unit), -1) if own_readout is None else np.asarray(own_readout, np.intp)
        if columns.shape != (len(unit),) or (columns < -1).any() or (columns >= d.shape[1]).any():
            raise InputError(f"own_readout needs a column from -1 to {d.shape[1] - 1} for each of {len(unit)} targets.")
        if (columns >= 0).any():
            weight = np.where(columns >= 0, np.sqrt(d.shape[1] / max(d.shape[1] - 1, 1)), 0.0)
            left_out = weight[:, None] * d[:, columns].T
            itself = weight * unit[np.arange(len(unit)), columns]
            cross = cross - itself[:, None] * left_out
            rest = square - itself**2
            square = np.where(rest > CONSTANT * square, rest, 0.0)
        length = np.sqrt(square)[:, None]
        return cls(inner, cross / np.where(length > 0, length, np.inf), own, left_out)

    def pearson(self) -> Vector:
        """(p, t) Pearson of each target with each delta, 0 where one is constant."""
        scale = np.broadcast_to(self.inner.diagonal(), self.cross.shape)
        return correlation(self.cross, scale if self.left_out is None else scale - self.left_out**2, scale)

    @cached_property
    def fallback(self) -> Vector:
        """(p,) score of the empty set: the mean of all deltas except the target's own (paper, section 4.1)."""
        among = self.own >= 0
        rows = self.own[among]
        dot, square = self.cross.sum(axis=1), np.full(len(self.own), self.inner.sum())
        lengths = np.full(len(self.own), np.trace(self.inner))
        dot[among] -= self.cross[among, rows]
        square[among] += self.inner[rows, rows] - 2 * self.inner[rows].sum(axis=1)
        lengths[among] -= self.inner[rows, rows]
        if self.left_out is not None:
            total = self.left_out.sum(axis=1)
            total[among] -= self.left_out[among, rows]
            square -= total**2
        return correlation(dot, square, lengths)

    def set_pearson(self, sets: Sets, targets: ArrayLike) -> Vector:
        """(k,) Pearson of the mean delta of each set with its target.

        `sets` is a (k, t) CSR matrix whose stored entries are the members, or k index arrays; `targets` (k,) are
        rows of the targets, or one row for all. A constant mean scores 0, the empty set as in `fallback`.
        InputError when a set holds its own target.
        """
        pointer, members = _as_csr(sets, len(self.inner))
        goal = np.broadcast_to(np.asarray(targets, dtype=np.intp), len(pointer) - 1)
        if goal.size and not (goal.min() >= 0 and goal.max() < len(self.cross)):
            raise InputError(f"A target row is outside 0 to {len(self.cross) - 1}.")
        sizes = np.diff(pointer)
        leaks = np.flatnonzero(members == np.repeat(self.own[goal], sizes))
        if leaks.size:
            culprit = int(np.searchsorted(pointer, leaks[0], side="right")) - 1
            raise InputError(f"Set {culprit} holds its own target; leave the target's delta out of the set.")
        out = self.fallback[goal]
        for size in np.unique(sizes[sizes > 0]):
            rows = np.flatnonzero(sizes == size)
            for start in range(0, len(rows), CHUNK):
                chunk = rows[start : start + CHUNK]
                out[chunk] = self._equal_sized(members[pointer[chunk] + np.arange(size)[:, None]], goal[chunk])
        return out

    def _equal_sized(self, index: NDArray[np.intp], goal: NDArray[np.intp]) -> Vector:
        """(k,) scores of k sets in the columns of `index` (size, k): each unordered pair is gathered once."""
        t = len(self.inner)
        inner, cross = self.inner.ravel(), self.cross.ravel()
        dot = np.take(cross, index + goal * t).sum(axis=0)
        lengths = np.take(inner, index * (t + 1)).sum(axis=0)
        pairs = np.zeros(len(goal))
        for a in range(len(index) - 1):
            pairs += np.take(inner, index[a + 1 :] + index[a] * t).sum(axis=0)
        square = lengths + 2 * pairs
        if self.left_out is not None:
            square -= np.take(self.left_out.ravel(), index + goal * t).sum(axis=0) ** 2
        return correlation(dot, square, lengths)


def correlation(dot: Vector, square: Vector, scale: Vector, tolerance: float = CONSTANT) -> Vector:
    """Pearson from a centred prediction's product with a unit target (`dot`) and its squared length (`square`).

    Without centring it is the cosine. It is 0 where `square` is at most `tolerance` times `scale`: the prediction is
    constant.
    """
    constant = square <= tolerance * scale
    return np.where(constant, 0.0, np.clip(dot / np.sqrt(np.where(constant, 1.0, square)), -1.0, 1.0))


def cosines(weights: ArrayLike, inner: Vector, cross: Vector | None = None, lengths: Vector | None = None) -> Vector:
    """(n, r) cosine of weighted sums of deltas with measured deltas; nothing is centred.

    Parameters
    ----------
    weights : (n, t) one row for each sum.
    inner : (t, t) inner products of the deltas that are summed.
    cross : (t, r) their inner products with the measured deltas; None: the measured deltas are the same, `inner`.
    lengths : (r,) squared lengths of the measured deltas; needed with `cross`.

    A sum or a measured delta of length 0 has no cosine and scores 0. InputError for shapes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from kgpert_lib.metrics.gram import cosines
    >>> deltas = np.array([[1.0, 0.0], [0.0, 1.0]])
    >>> cosines([[1.0, 1.0]], deltas @ deltas.T).round(3).tolist()
    [[0.707, 0.707]]
    """
    w = np.asarray(weights, dtype=np.float64)
    products = inner if cross is None else cross
    squares = np.diag(inner) if lengths is None else lengths
    if w.ndim != 2 or inner.shape != (w.shape[1],) * 2 or products.shape != (w.shape[1], len(squares)):
        raise InputError(
            f"Weights {w.shape}, inner products {inner.shape}, products with the measured deltas {products.shape} and "
            f"{len(squares)} lengths do not fit together."
        )
    present = squares > CONSTANT * squares.max(initial=0.0)
    unit = products / np.sqrt(np.where(present, squares, np.inf))
    square = np.einsum("ij,ij->i", w @ inner, w)
    scale = np.square(w) @ np.diag(inner)
    return correlation(w @ unit, square[:, None], scale[:, None])


def _centred(delta: ArrayLike, what: str) -> Vector:
    """Row-centred float64; a row whose spread is rounding of its float32 values is exactly 0."""
    values = np.asarray(delta, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise InputError(f"The {what} have shape {values.shape}; expected perturbations x genes, at least one each.")
    if not np.isfinite(values).all():
        row = int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])
        raise InputError(f"Row {row} (counted from 0) of the {what} has a gap; the Gram matrix needs dense deltas.")
    centred = values - values.mean(axis=1, keepdims=True)
    eps = float(np.finfo(np.float32 if np.asarray(delta).dtype == np.float32 else np.float64).eps)
    centred[centred.std(axis=1) <= 16 * eps * np.abs(values).max(axis=1)] = 0.0
    return centred


def _as_csr(sets: Sets, size: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Row pointers and members; InputError for a member that is not a row of the deltas."""
    if isinstance(sets, sp.csr_matrix):
        pointer, members = sets.indptr.astype(np.intp), sets.indices.astype(np.intp)
    else:
        arrays = [np.asarray(members, dtype=np.intp).ravel() for members in sets]
        pointer = np.concatenate([[0], np.cumsum([len(a) for a in arrays], dtype=np.intp)]).astype(np.intp)
        members = np.concatenate([*arrays, np.empty(0, np.intp)])
    if members.size and not (members.min() >= 0 and members.max() < size):
        raise InputError(f"A set names row {int(members.max())}; the deltas have rows 0 to {size - 1}.")
    return pointer, members
