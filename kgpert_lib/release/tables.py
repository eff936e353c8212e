"""The predictions of one cell line for every gene as tables.

They are made batch by batch: besides one matrix (rows x readout genes, float32) nothing of that size is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib import parquet
from kgpert_lib.evaluation.explain import trust_in
from kgpert_lib.evaluation.readouts import in_batches, strongest_readouts
from kgpert_lib.evaluation.trust import Expected, describe
from kgpert_lib.predictors.predictions import Predictions, Predictor, fitted
from kgpert_lib.screens.atlas import CellLine, TrainingView
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import Split

SHARED = "training mean"  # name of the row that stands for every gene without a neighbour


@dataclass(frozen=True)
class LineTables:
    """What was written of one line.

    Attributes
    ----------
    genes : one row per gene: perturbation, status, neighbours, fallback, expected, low, high, level.
    rows, readouts : shape of the matrix of predictions, the shared row included.
    strongest : rows of the long table.
    """

    genes: pd.DataFrame
    rows: int
    readouts: int
    strongest: int


def matrix_file(line: str) -> str:
    """File name of a line's matrix."""
    return f"full-{line}{parquet.ENDING}"


def write_line(
    folder: Path,
    strongest: parquet.FrameWriter,
    screen: Screen,
    line: str,
    model: Predictor,
    genes: Sequence[str],
    split: Split,
    top: int,
) -> LineTables:
    """Predict every gene in one line, write its matrix into `folder`, add its rows to the long table.

    A gene whose prediction is the one that a gene in no graph gets has no row of its own: that prediction is the row
    `SHARED`. A screened gene's own measurement is in the mean training delta, and never among its neighbours.
    """
    view = screen.view(line, split)
    model = fitted(model, view)
    shared = model.predict(view, [SHARED])
    trust = trust_in(view, model) if shared.neighbourhoods is not None else None
    matrix = np.empty((len(genes) + 1, len(view.target.genes)), np.float32, order="F")
    matrix[0] = shared.delta[0]
    names = [SHARED]
    written = _add(strongest, view, shared, np.array([True]), top)
    tables = []
    for predictions in in_batches(model, view, genes):
        own = ~(predictions.fallback & (predictions.delta == shared.delta).all(axis=1))
        matrix[len(names) : len(names) + own.sum()] = predictions.delta[own]
        names += predictions.perturbations[own].tolist()
        written += _add(strongest, view, predictions, own, top)
        expected = None if trust is None else trust.expect_from(describe(view, predictions))
        tables.append(_by_gene(screen[line], predictions, expected, np.nan if trust is None else trust.level))
    parquet.write_matrix(folder / matrix_file(line), names, view.target.genes, matrix[: len(names)])
    return LineTables(pd.concat(tables, ignore_index=True), len(names), matrix.shape[1], written)


def _add(
    strongest: parquet.FrameWriter, view: TrainingView, predictions: Predictions, own: NDArray[np.bool_], top: int
) -> int:
    """Add the strongest readout genes of the perturbations in `own` to the long table; returns how many rows."""
    rows = strongest_readouts(predictions, view, top)
    rows = rows[rows["perturbation"].isin(predictions.perturbations[own])]
    strongest.write(rows.assign(line=view.line)[["line", *rows.columns]])
    return len(rows)


def _by_gene(cells: CellLine, predictions: Predictions, expected: Expected | None, level: float) -> pd.DataFrame:
    """One row per gene of a batch."""
    table = pd.DataFrame(
        {
            "perturbation": predictions.perturbations,
            "status": [cells.status(str(gene)) for gene in predictions.perturbations],
            "neighbours": predictions.n_neighbours,
            "fallback": predictions.fallback,
        }
    )
    scores = dict.fromkeys(Expected._fields, np.nan) if expected is None else expected._asdict()
    return table.assign(**scores, level=level)
