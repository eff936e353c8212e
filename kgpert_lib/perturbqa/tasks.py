"""PerturbQA's two tasks as arrays of questions, from the signed deltas of an atlas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import CellLine
from kgpert_lib.types import FloatArray, NameArray

Task = Literal["de", "dir"]


@dataclass(frozen=True, eq=False)
class Questions:
    """Questions of one task and split of one cell line.

    Attributes
    ----------
    line, task, split : ``"de"`` asks whether the readout gene changes (label 1: it does), ``"dir"`` whether a
        readout gene that changes rises (label 1) or falls (label 0).
    perturbations : (n,) perturbations of the split, in row order of the line.
    genes : (m,) readout genes of the line.
    row, column : (q,) places of each question in `perturbations` and `genes`.
    label : (q,) 0 or 1.
    masked : questions left out because the readout gene is the perturbed gene itself.
    """

    line: str
    task: Task
    split: str
    perturbations: NameArray
    genes: NameArray
    row: NDArray[np.intp]
    column: NDArray[np.intp]
    label: NDArray[np.int8]
    masked: int

    def __len__(self) -> int:
        return len(self.label)

    @property
    def perturbation(self) -> NameArray:
        """(q,) perturbed gene of each question."""
        return self.perturbations[self.row]

    @property
    def readout(self) -> NameArray:
        """(q,) readout gene of each question."""
        return self.genes[self.column]


def labels(delta: FloatArray, task: Task) -> FloatArray:
    """(n, m) labels 0 and 1 with NaN where the task asks nothing, from signed calls -1, 0, +1 with NaN gaps."""
    if task not in get_args(Task):
        raise InputError(f"Unknown task {task!r}; it is 'de' (does it change?) or 'dir' (up or down?).")
    calls = np.asarray(delta, np.float32)
    odd = ~np.isnan(calls) & ~np.isin(calls, (-1.0, 0.0, 1.0))
    if odd.any():
        raise InputError(f"Questions need signed calls -1, 0 or +1; this atlas holds {calls[odd][0]:.3g}.")
    return np.abs(calls) if task == "de" else np.where(calls == 0, np.float32(np.nan), (calls + 1) / 2)


def ask_all(line: CellLine, task: Task, split: str = "test") -> Questions:
    """Every question of `task` about the perturbations of `split`; a gene's readout of itself is masked and counted."""
    rows = np.flatnonzero(line.split == split)
    answers = labels(line.scored[rows], task)
    row, column = np.nonzero(~np.isnan(answers))
    asked = np.count_nonzero(~np.isnan(labels(line.delta[rows], task)))
    if not len(row):
        raise InputError(f"{line.name} has no question of task {task!r} in the split {split!r}.")
    return Questions(
        line=line.name,
        task=task,
        split=split,
        perturbations=line.perturbations[rows],
        genes=line.genes,
        row=row,
        column=column,
        label=answers[row, column].astype(np.int8),
        masked=int(asked - len(row)),
    )
