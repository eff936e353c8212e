"""Which readouts no score counts: the perturbed gene's own, and in rankings those of all ranked genes (ours).

That a knocked-down gene is itself down is what the experiment did and no prediction, so a perturbation's own readout is
a gap in every score. A ranking compares the deltas of several perturbations, in each of which another readout is
the perturbed gene's own: whoever knows which genes were perturbed could tell them apart by those readouts alone, so
rankings leave out all of them (the rule of the Virtual Cell Challenge 2026, `book/methods.md`).

A readout is a perturbation's own where the two have the same symbol.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.types import FloatArray, NameArray


def own_readouts(perturbations: NameArray | Sequence[str], genes: NameArray) -> tuple[NDArray[np.intp], ...]:
    """Rows (k,) of the perturbations that are readout genes too, and the columns (k,) of those among `genes` (m,)."""
    column = pd.Index(genes).get_indexer(pd.Index(np.asarray(perturbations, dtype=str)))
    rows = np.flatnonzero(column >= 0)
    return rows, column[rows]


def without_own_readouts(delta: FloatArray, perturbations: NameArray | Sequence[str], genes: NameArray) -> FloatArray:
    """Deltas (n, m) with a gap (NaN) at each perturbation's own readout; `delta` itself where none was measured.

    Examples
    --------
    >>> import numpy as np
    >>> from kgpert_lib.metrics.targets import without_own_readouts
    >>> without_own_readouts(np.float32([[-2.0, 1.0]]), ["RPL3"], np.array(["RPL3", "MYC"])).tolist()
    [[nan, 1.0]]
    """
    rows, columns = own_readouts(perturbations, genes)
    measured = ~np.isnan(delta[rows, columns])
    if not measured.any():
        return delta
    hidden = delta.copy()
    hidden[rows[measured], columns[measured]] = np.nan
    return hidden


def ranked_readouts(panel: NameArray | Sequence[str], genes: NameArray) -> NDArray[np.bool_]:
    """(m,) True for the readout genes that a ranking among the perturbations `panel` may use: no gene of the panel."""
    return ~np.isin(genes, np.asarray(panel, dtype=str))
