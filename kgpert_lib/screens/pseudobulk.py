"""Single cells to deltas: sums over cells, chunk by chunk, then differences of means within batches.

Every number that a delta needs is a sum over cells of log-normalised expression: for each perturbation,
and for the controls of each batch. `Pseudobulk` holds those sums, so a screen of any size passes through
in chunks and chunks may be added in any split; nothing but the current chunk is ever in memory.

    delta_p = mean over cells of p  -  sum over batches b of (share of p's cells in b) * mean control of b

Half-sample deltas (paper, section 4.2 and appendix A.2) use the same formula on a random half of the cells; the
controls of each batch are halved too, so that the two halves share no cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import CONTROL_NAMES, CellLine

TARGET_SUM = 4_000.0
RANDOM_HALVES = 10  # splits of the cells into halves that the ceilings of the book are means over
Counts: TypeAlias = Any  # a scipy CSR matrix or a NumPy array
Names: TypeAlias = Sequence[str] | NDArray[np.str_]


def log_normalised(counts: Counts, target_sum: float = TARGET_SUM) -> Counts:
    """log1p of counts scaled to `target_sum` per cell, float32, sparse where the input is; empty cells stay 0.

    Examples
    --------
    >>> import numpy as np
    >>> from kgpert_lib.screens.pseudobulk import log_normalised
    >>> log_normalised(np.array([[1, 3], [0, 0]]), target_sum=4).round(2)
    array([[0.69, 1.39],
           [0.  , 0.  ]], dtype=float32)
    """
    total = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    scale = (target_sum / np.where(total > 0, total, 1.0)).astype(np.float32)
    if isinstance(counts, np.ndarray):
        scaled = counts.astype(np.float32)
        scaled *= scale[:, None]
        return np.log1p(scaled, out=scaled)
    result = counts.astype(np.float32, copy=True)
    result.data *= np.repeat(scale, np.diff(result.indptr))
    np.log1p(result.data, out=result.data)
    return result


def assign_halves(obs: pd.DataFrame, splits: int = 1, seed: int = 0) -> NDArray[np.bool_]:
    """(cells, splits) random halves: the cells of each perturbation, and the controls of each batch, cut in two.

    An odd cell goes to the first half (True). `obs` needs the columns ``perturbation`` and ``batch``.
    """
    control = obs["perturbation"].isin(list(CONTROL_NAMES)).to_numpy()
    label = np.where(control, "batch\0" + obs["batch"].astype(str), "cells\0" + obs["perturbation"].astype(str))
    group = np.unique(label.astype(str), return_inverse=True)[1]
    size = np.bincount(group)
    start = np.concatenate([[0], np.cumsum(size)[:-1]])
    halves = np.zeros((len(obs), splits), bool)
    for split in range(splits):
        draw = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(split,))).random(len(obs))
        order = np.lexsort((draw, group))
        rank = np.arange(len(obs)) - start[group[order]]
        halves[order, split] = rank % 2 == 0
    return halves


class Pseudobulk:
    """Sums of log-normalised expression from which deltas, half-sample deltas and HVGs are computed.

    Parameters
    ----------
    genes : (m,) readout genes, the columns of every chunk.
    perturbations : (n,) perturbations to sum up, without controls.
    batches : names of the batches.
    training : perturbations whose cells, with the controls, choose the highly variable genes; others never do.
    target_sum : counts a cell is scaled to before log1p (4,000 in the TxPert preprocessing); None for cells that
        come as log-normalised expression and are summed up as they are.
    splits : number of random half splits that chunks are given for.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from kgpert_lib.screens.pseudobulk import Pseudobulk
    >>> bulk = Pseudobulk(["MYC", "FOS"], ["RPL3"], ["day 1"], target_sum=8)
    >>> obs = pd.DataFrame({"perturbation": ["RPL3", "control"], "batch": "day 1"})
    >>> bulk.add(np.array([[2, 6], [4, 4]]), obs)
    >>> delta, control = bulk.deltas()
    >>> delta.round(2)
    array([[-0.51,  0.34]], dtype=float32)
    """

    def __init__(
        self,
        genes: Names,
        perturbations: Names,
        batches: Names,
        training: Iterable[str] = (),
        target_sum: float | None = TARGET_SUM,
        splits: int = 0,
    ) -> None:
        self.genes = np.asarray(genes, dtype=str)
        self.perturbations = np.asarray(perturbations, dtype=str)
        self.batches = np.asarray(batches, dtype=str)
        self.target_sum, self.splits = target_sum, splits
        self.training = frozenset(training)
        n, m, b = len(self.perturbations), len(self.genes), len(self.batches)
        # layer 0 holds all cells, layer 1 + s the first half of split s
        self._cells = np.zeros((1 + splits, n, m))
        self._controls = np.zeros((1 + splits, b, m))
        self._count = np.zeros((1 + splits, n, b), np.int64)
        self._n_controls = np.zeros((1 + splits, b), np.int64)
        self._moments = np.zeros((2, m))
        self._n_moments = 0

    def add(self, counts: Counts, obs: pd.DataFrame, halves: NDArray[np.bool_] | None = None) -> None:
        """Add a chunk: (cells, m) raw counts, CSR or dense, with ``perturbation`` and ``batch`` in `obs`.

        `halves` is the chunk's slice of `assign_halves`. Cells of other perturbations are skipped.
        """
        if counts.shape != (len(obs), len(self.genes)):
            raise InputError(
                f"A chunk of counts {counts.shape} came with {len(obs)} cells and {len(self.genes)} genes."
            )
        if self.splits and (halves is None or halves.shape != (len(obs), self.splits)):
            raise InputError(f"Half-sample deltas need a (cells, {self.splits}) table of halves with each chunk.")
        control = obs["perturbation"].isin(list(CONTROL_NAMES)).to_numpy()
        row = pd.Index(self.perturbations).get_indexer(pd.Index(obs["perturbation"].astype(str)))
        column = pd.Index(self.batches).get_indexer(pd.Index(obs["batch"].astype(str)))
        if (column < 0).any():
            raise InputError(f"Batch {obs['batch'].iloc[int(np.argmin(column))]!r} is not among the declared batches.")
        values = counts if self.target_sum is None else log_normalised(counts, self.target_sum)
        self._add_moments(values, control | obs["perturbation"].isin(list(self.training)).to_numpy())
        for layer in range(1 + self.splits):
            used = np.ones(len(obs), bool) if layer == 0 or halves is None else halves[:, layer - 1]
            _add_groups(self._cells[layer], values, row, used & (row >= 0))
            _add_groups(self._controls[layer], values, column, used & control)
            np.add.at(self._count[layer], (row[used & (row >= 0)], column[used & (row >= 0)]), 1)
            self._n_controls[layer] += np.bincount(column[used & control], minlength=len(self.batches))

    def _add_moments(self, values: Counts, used: NDArray[np.bool_]) -> None:
        cells = values[np.flatnonzero(used)]
        scaled = np.expm1(cells) if isinstance(cells, np.ndarray) else cells.expm1()
        square = scaled * scaled if isinstance(scaled, np.ndarray) else scaled.multiply(scaled)
        self._moments[0] += np.asarray(scaled.sum(axis=0, dtype=np.float64)).ravel()
        self._moments[1] += np.asarray(square.sum(axis=0, dtype=np.float64)).ravel()
        self._n_moments += int(used.sum())

    def merge(self, other: Pseudobulk) -> None:
        """Add the sums of another part of the same screen; its perturbations must be among this one's."""
        rows = pd.Index(self.perturbations).get_indexer(pd.Index(other.perturbations))
        self._cells[:, rows] += other._cells
        self._count[:, rows] += other._count
        self._controls += other._controls
        self._n_controls += other._n_controls
        self._moments += other._moments
        self._n_moments += other._n_moments

    @property
    def shape(self) -> tuple[int, int]:
        """Number of perturbations and of readout genes."""
        return len(self.perturbations), len(self.genes)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """All sums by name, for a file; as float32 where that loses no bit."""
        sums = {"cells": self._cells, "controls": self._controls, "count": self._count, "n_controls": self._n_controls}
        sums |= {"moments": self._moments, "n_moments": np.array(self._n_moments)}
        return {key: _shortest(values) for key, values in sums.items()}

    def restore(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Set all sums to those that `arrays` returned for the same screen with at least as many splits."""
        layers = 1 + self.splits
        self._cells = arrays["cells"][:layers].astype(np.float64)
        self._controls = arrays["controls"][:layers].astype(np.float64)
        self._count, self._n_controls = arrays["count"][:layers], arrays["n_controls"][:layers]
        self._moments, self._n_moments = arrays["moments"].astype(np.float64), int(arrays["n_moments"])

    @property
    def n_cells(self) -> NDArray[np.int64]:
        """(n,) cells of each perturbation."""
        return self._count[0].sum(axis=1)

    def deltas(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, m) deltas and (n, m) means of the matched controls, over all cells.

        InputError when a perturbation has no cell, or cells in a batch without control.
        """
        mean, control = self._means(self._cells[0], self._count[0], self._controls[0], self._n_controls[0])
        return (mean - control).astype(np.float32), control.astype(np.float32)

    def halves(
        self, split: int = 0, controls: Literal["split", "shared"] = "split"
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(n, m) deltas of the two halves of one split; each half has its own half of the controls.

        ``controls="shared"`` takes all controls for both halves, which then correlate through the controls' own
        noise; `evaluation.ceiling.shared_control_inflation` measures by how much.
        """
        if not 0 <= split < self.splits:
            raise InputError(f"There is no split {split}; {self.splits} were accumulated.")
        layer = 1 + split
        pair = []
        for part in (0, 1):
            cells, count = self._cells[layer], self._count[layer]
            sums, number = self._controls[layer], self._n_controls[layer]
            if part == 1:
                cells, count = self._cells[0] - cells, self._count[0] - count
                sums, number = self._controls[0] - sums, self._n_controls[0] - number
            if controls == "shared":
                sums, number = self._controls[0], self._n_controls[0]
            mean, control = self._means(cells, count, sums, number)
            pair.append((mean - control).astype(np.float32))
        return pair[0], pair[1]

    def highly_variable(self, n_top: int) -> NDArray[np.str_]:
        """The `n_top` genes of highest normalised dispersion, in readout order, from training and control cells only.

        The "seurat" rule of scanpy: log dispersion, standardised in 20 bins of mean expression.
        """
        n = self._n_moments
        if n < 2:
            raise InputError("Highly variable genes need at least two training or control cells.")
        mean = self._moments[0] / n
        variance = (self._moments[1] - n * mean**2) / (n - 1)
        mean[mean == 0] = 1e-12
        dispersion = variance / mean
        dispersion[dispersion == 0] = np.nan
        table = pd.DataFrame({"mean": np.log1p(mean), "dispersion": np.log(dispersion)})
        bins = table.groupby(pd.cut(table["mean"], bins=20), observed=True)["dispersion"]
        centre, spread = bins.transform("mean"), bins.transform("std")
        centre, spread = centre.where(spread.notna(), 0.0), spread.fillna(bins.transform("mean"))
        score = ((table["dispersion"] - centre) / spread).fillna(-np.inf).to_numpy()
        order = np.lexsort((self.genes, -score))
        return self.genes[np.sort(order[:n_top])]

    def cell_line(self, name: str, split: Names, n_top: int | None = None) -> CellLine:
        """The finished line: deltas, matched controls, the halves of split 0 if there is one, cell counts.

        `split` has one label for each perturbation; `n_top` keeps the highly variable genes only.
        """
        keep = slice(None) if n_top is None else np.isin(self.genes, self.highly_variable(n_top))
        delta, control = self.deltas()
        half_a, half_b = self.halves(0) if self.splits else (None, None)
        return CellLine(
            name=name,
            perturbations=self.perturbations,
            genes=self.genes[keep],
            delta=delta[:, keep],
            split=np.asarray(split, dtype=str),
            control=control[:, keep],
            half_a=None if half_a is None else half_a[:, keep],
            half_b=None if half_b is None else half_b[:, keep],
            n_cells=self.n_cells,
        )

    def _means(
        self, cells: NDArray, count: NDArray[np.int64], controls: NDArray, n_controls: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        total = count.sum(axis=1)
        if (total == 0).any():
            raise InputError(f"{self.perturbations[total == 0][0]} has no cell; leave it out of the perturbations.")
        bare = (count > 0) & (n_controls == 0)
        if bare.any():
            i, b = np.argwhere(bare)[0]
            raise InputError(
                f"{self.perturbations[i]} has cells in batch {self.batches[b]}, which has no control cell."
            )
        share = count / total[:, None]
        return cells / total[:, None], share @ (controls / np.maximum(n_controls, 1)[:, None])


def _shortest(values: NDArray[Any]) -> NDArray[Any]:
    short = values.astype(np.float32) if values.dtype == np.float64 else values
    return short if np.array_equal(short, values) else values


def _add_groups(sums: NDArray[np.float64], values: Counts, group: NDArray[np.intp], used: NDArray[np.bool_]) -> None:
    """Add each used cell's row to the row of its group."""
    cells = np.flatnonzero(used)
    if not len(cells):
        return
    present, code = np.unique(group[cells], return_inverse=True)
    pick = sp.csr_array(
        (np.ones(len(cells), np.float32), (code, cells)), shape=(len(present), values.shape[0]), dtype=np.float32
    )
    part = pick @ values
    sums[present] += part if isinstance(part, np.ndarray) else part.toarray()
