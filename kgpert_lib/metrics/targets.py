"""The readouts of the perturbed genes themselves, which no score counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def without_own_readout(
    delta: NDArray[np.float32], perturbations: Sequence[str], genes: Sequence[str]
) -> NDArray[np.float32]:
    """A copy of the (n, m) deltas with a gap at the readout of each perturbed gene."""
    scored = np.array(delta)
    scored[np.asarray(perturbations)[:, None] == np.asarray(genes)[None]] = np.nan
    return scored
