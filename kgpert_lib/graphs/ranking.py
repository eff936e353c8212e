"""Which genes are strongest: one order of weights for graphs, affinities, neighbourhoods and votes.

Weights that agree to `DIGITS` digits are equal and the symbol decides, so that neither the number of BLAS threads nor
the order of the genes in a file turns two of them around.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

DIGITS = 6


def descending(weights: ArrayLike) -> NDArray[np.float64]:
    """Keys, of the shape of `weights`, that sort the largest first; equal where weights agree to `DIGITS` digits."""
    return -np.asarray(weights, dtype=np.float64).round(DIGITS)


def strongest_first(weights: ArrayLike, symbols: ArrayLike) -> NDArray[np.intp]:
    """The places of `symbols` (k,), by falling weight and then by symbol; `weights` is (k,) or has rows (n, k)."""
    by_symbol = np.argsort(np.asarray(symbols), kind="stable")
    return by_symbol[np.argsort(descending(weights)[..., by_symbol], axis=-1, kind="stable")]


def first_of_row(row: NDArray[np.intp], key: NDArray[Any], column: NDArray[np.intp], limit: int) -> NDArray[np.bool_]:
    """True for the `limit` entries of each row with the smallest keys, the lower column of equal ones.

    `row`, `key` and `column` are the coordinates of a sparse matrix, one entry each.
    """
    order = np.lexsort((column, key, row))
    ordered = row[order]
    rank = np.arange(len(row)) - np.searchsorted(ordered, ordered)
    first = np.zeros(len(row), dtype=bool)
    first[order[rank < limit]] = True
    return first
