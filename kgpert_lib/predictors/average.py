"""The weighted mean of training deltas, shrunk where few neighbours were measured."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import TrainingLine
from kgpert_lib.types import FloatArray

COMPLETE = 0.9  # share of measured deltas from which on a neighbour's delta is hardly ever missing


def default_prior(line: TrainingLine) -> float:
    """0 on deltas of which at least `COMPLETE` were measured, which is the paper's equation (1), else 1."""
    return 0.0 if line.dense or line.measured.mean() >= COMPLETE else 1.0


def shrunken(total: ArrayLike, count: ArrayLike, prior: float, mean: ArrayLike) -> NDArray[np.float64]:
    """``(total + prior * mean) / (count + prior)`` per gene, and `mean` where that divides by 0.

    `total` (..., m) sums of measured deltas, `count` (..., m) how many they are, `mean` (m,) mean training delta.
    """
    weight = np.asarray(count, dtype=np.float64) + prior
    centre = np.broadcast_to(np.asarray(mean, dtype=np.float64), weight.shape)
    return np.divide(np.asarray(total) + prior * centre, weight, out=centre.copy(), where=weight > 0)


def average(
    weights: sp.csr_matrix, line: TrainingLine, prior: float | None = None, mean: FloatArray | None = None
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Weighted means of training deltas, shrunk towards the mean training delta.

    For each readout gene ``(sum of w * delta over measured neighbours + prior * mean) / (sum of w + prior)``
    (ours, book page Methods). `prior` None is `default_prior` of `line`. Where nothing was measured and the prior is
    0 the prediction is the mean training delta.

    Parameters
    ----------
    weights : (n, t) CSR, non-negative.
    line : training rows, (t, m) deltas.
    prior : strength in neighbours.
    mean : (m,) or (n, m) to shrink towards in place of the line's mean training delta.

    Returns
    -------
    (n, m) float32 predicted deltas, and (n,) True where no neighbour was there to average.

    Examples
    --------
    >>> import numpy as np
    >>> import scipy.sparse as sp
    >>> from kgpert_lib.predictors.average import average
    >>> from kgpert_lib.screens.atlas import TrainingLine
    >>> line = TrainingLine("k562", np.array(["A", "B"]), np.array(["MYC", "FOS"]), np.float32([[1, 2], [3, np.nan]]))
    >>> delta, fallback = average(sp.csr_matrix([[1.0, 1.0], [0.0, 0.0]]), line, prior=0)
    >>> delta.tolist(), fallback.tolist()
    ([[2.0, 2.0], [2.0, 2.0]], [False, True])
    """
    strength = default_prior(line) if prior is None else float(prior)
    if not np.isfinite(strength) or strength < 0:
        raise InputError(f"The prior strength is {prior}; it is a number from 0 up.")
    weights = weights.astype(np.float32)
    total = np.asarray(weights.sum(axis=1), dtype=np.float32).ravel()
    empty = total == 0
    centre = np.broadcast_to(line.mean if mean is None else mean, (len(total), len(line.genes)))
    if line.dense:
        share = np.divide(1.0, total + strength, out=np.zeros_like(total), where=~empty)
        delta = sp.diags_array(share).astype(np.float32).tocsr() @ weights @ line.delta
        if strength:
            delta += (strength * share)[:, None] * centre
    else:  # as `shrunken`, in place: these matrices are as large as all predictions
        delta = weights @ line.filled
        count = weights @ line.measured.astype(np.float32)
        delta += np.float32(strength) * centre
        count += strength
        nothing = count == 0
        np.divide(delta, count, out=delta, where=~nothing)
        np.copyto(delta, centre, where=nothing)
    delta[empty] = centre[empty]
    return delta, empty
