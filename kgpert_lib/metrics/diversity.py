"""How many different deltas a set of perturbations shows: does averaging make all predictions alike?"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.checks import Matrix
from kgpert_lib.metrics.chunks import each_chunk


def vendi_score(delta: ArrayLike, measured: ArrayLike | None = None) -> float:
    """Vendi score of the rows of `delta` (n, m): the effective number of different ones among them, 1..n.

    It is the exponential of the entropy of the eigenvalues of ``S / n``, where S holds the cosine similarity of every
    two rows: 1 where all point the same way, n where all are orthogonal. Gaps (NaN) of `delta` and of `measured`
    (n, m) count as 0: predicted deltas are restricted to what was measured, because gaps alone make rows different.
    Rows of 0 are equal to each other and similar to no other row. InputError where the shapes differ.

    Examples
    --------
    >>> from kgpert_lib.metrics.diversity import vendi_score
    >>> round(vendi_score([[1.0, 0.0], [0.0, 1.0]]), 3), round(vendi_score([[1.0, 0.0], [2.0, 0.0]]), 3)
    (2.0, 1.0)
    """
    values = np.asarray(delta)
    gaps = values if measured is None else np.asarray(measured)
    if values.ndim != 2 or 0 in values.shape or gaps.shape != values.shape:
        raise InputError(f"Deltas have shape {values.shape} and measured deltas {gaps.shape}; they have to match.")
    unit = _unit_rows(values if values.dtype in (np.float32, np.float64) else values.astype(np.float64), gaps)
    similarity = (unit @ unit.T).astype(np.float64)
    nothing = np.flatnonzero(similarity.diagonal() == 0)
    similarity[np.ix_(nothing, nothing)] = 1.0
    shares = np.linalg.eigvalsh(similarity / len(values))
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))


def _unit_rows(values: Matrix, measured: Matrix) -> NDArray[np.float32]:
    """The rows at length 1, 0 where `measured` has a gap (NaN); a row of 0 stays."""
    out = np.empty(values.shape, np.float32)

    def work(rows: slice) -> None:
        part: NDArray[Any] = values[rows].astype(np.float64, order="C")
        part.reshape(-1)[np.flatnonzero(np.isnan(measured[rows]))] = 0.0
        if measured is not values:
            np.nan_to_num(part, copy=False, nan=0.0)
        if values.dtype == np.float64:  # squares of any size then stay inside float64
            largest = np.abs(part).max(axis=1, keepdims=True)
            part /= np.where(largest > 0, largest, 1.0)
        length = np.sqrt(np.einsum("ij,ij->i", part, part))
        np.multiply(part, (1 / np.where(length > 0, length, 1.0))[:, None], out=out[rows], casting="same_kind")

    each_chunk(work, values.shape)
    return out
