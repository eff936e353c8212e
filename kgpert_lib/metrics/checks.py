"""Whether predicted and measured deltas can be scored: shapes, numbers, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError

Matrix = NDArray[np.floating[Any]]


def checked(
    pred: ArrayLike, truth: ArrayLike, *, paired: bool = True, names: Sequence[str] | None = None
) -> tuple[Matrix, Matrix]:
    """Predictions (n, m) and measured deltas (n, m), or (r, m) if not `paired`, as floating matrices.

    InputError where shapes do not fit, a prediction is not finite, a measured delta is infinite or has no measured
    gene; rows are named by `names` (n,) or by number.
    """
    p, t = (_floating(values, what) for values, what in ((pred, "Predictions"), (truth, "Measured deltas")))
    if p.shape[1] != t.shape[1] or (paired and len(p) != len(t)):
        raise InputError(f"Predictions have shape {p.shape} and measured deltas {t.shape}; they have to match.")
    if names is not None and len(names) != len(p):
        raise InputError(f"{len(names)} perturbation names for {len(p)} predictions; give one name per row.")

    def label(rows: Any) -> str:
        row = int(np.flatnonzero(rows)[0])
        return f"row {row} (counted from 0)" if names is None else names[row]

    with np.errstate(over="ignore", invalid="ignore"):
        # The sum of a row is finite where all of its entries are; its own type will do, as the rest is looked at again.
        broken, odd = ~np.isfinite(p.sum(axis=1)), np.flatnonzero(~np.isfinite(t.sum(axis=1)))
    if broken.any() and (broken := ~np.isfinite(p).all(axis=1)).any():
        raise InputError(f"The prediction of {label(broken)} holds NaN or infinity; every gene needs a number.")
    endless, empty = np.zeros(len(t), bool), np.zeros(len(t), bool)
    endless[odd], empty[odd] = np.isinf(t[odd]).any(axis=1), np.isnan(t[odd]).all(axis=1)
    if endless.any():
        raise InputError(f"The measured delta of {label(endless)} holds infinity; mark a gap with NaN.")
    if empty.any():
        raise InputError(
            f"The measured delta of {label(empty)} has no measured gene (its own readout does not count); "
            "leave the perturbation out."
        )
    return p, t


def checked_mean(mean: ArrayLike, genes: int, rows: int | None = None) -> Matrix:
    """The mean training delta (m,) or (n, m) as floats; InputError unless it has (rows x) `genes` finite ones."""
    values = np.asarray(mean)
    if values.shape not in ((genes,), (rows, genes)) or not np.isfinite(values).all():
        raise InputError(f"The mean training delta needs {genes} finite values; it has shape {values.shape}.")
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _floating(values: ArrayLike, what: str) -> Matrix:
    array = np.asarray(values)
    if array.ndim != 2 or 0 in array.shape:
        raise InputError(f"{what} have shape {array.shape}; expected perturbations x genes, at least one of each.")
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float64)
