"""Predictions of many genes: a batch at a time, and as one long table of the readout genes that move most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.graphs.ranking import first_of_row
from kgpert_lib.predictors.predictions import Predictions, Predictor, fitted
from kgpert_lib.screens.atlas import TrainingView
from kgpert_lib.types import NameArray

BATCH = 1000  # perturbations predicted at once where every gene is predicted


class Places(NamedTuple):
    """Entries of a matrix: `row` and `column`, (k,) each."""

    row: NDArray[np.intp]
    column: NDArray[np.intp]


def symbol_order(genes: NameArray) -> NDArray[np.intp]:
    """(m,) rank of each readout gene by its symbol, which decides between equal values."""
    order = np.empty(len(genes), np.intp)
    order[np.argsort(genes, kind="stable")] = np.arange(len(genes))
    return order


def strongest_places(ranked: NDArray[np.floating], top: int, sign: int, order: NDArray[np.intp]) -> Places:
    """Where the `top` readout genes stand that move most up (`sign` 1) or down (-1) in each row of `ranked` (n, m).

    By row, the strongest first; equal ones in the order of the keys `order` (m,). A gene that does not move is left
    out.
    """
    size = -sign * ranked
    last = min(top, size.shape[1]) - 1
    limit = np.minimum(np.partition(size, last, axis=1)[:, [last]], -np.finfo(size.dtype).tiny)
    row, column = np.nonzero(size <= limit)
    key = size[row, column]
    first = first_of_row(row, key, order[column], top)
    row, column, key = row[first], column[first], key[first]
    by = np.lexsort((order[column], key, row))
    return Places(row[by], column[by])


def strongest_readouts(predictions: Predictions, view: TrainingView, top: int, specific: bool = False) -> pd.DataFrame:
    """The `top` readout genes that rise and the `top` that fall most, for each perturbation in order.

    Columns: perturbation, gene, predicted, specific (predicted minus mean training delta), neighbours_measured
    (neighbours that measured this readout gene; 0 for a predictor without neighbours). Ranked by ``predicted``, or
    with `specific` by that column; ties in the order of the readout genes. A gene that does not move is left out.

    Examples
    --------
    >>> from kgpert_lib import build, load_screen
    >>> from kgpert_lib.evaluation.readouts import strongest_readouts
    >>> screen = load_screen("simulated", ["k562"], size="tiny")
    >>> view = screen.view("k562")
    >>> table = strongest_readouts(build("union", screen).predict(view, ["INTS9"]), view, top=2)
    >>> len(table), table["predicted"].gt(0).tolist()
    (4, [True, True, False, False])
    """
    difference = predictions.delta - view.target.mean
    count = predictions.neighbours_measured(view)
    ranked = difference if specific else predictions.delta
    order = np.arange(ranked.shape[1])
    tables = []
    for sign in (1, -1):
        row, column = strongest_places(ranked, top, sign, order)
        tables.append(
            pd.DataFrame(
                {
                    "row": row,
                    "perturbation": predictions.perturbations[row],
                    "gene": predictions.genes[column],
                    "predicted": predictions.delta[row, column].astype(float),
                    "specific": difference[row, column].astype(float),
                    "neighbours_measured": count[row, column],
                }
            )
        )
    return pd.concat(tables).sort_values("row", kind="stable").drop(columns="row").reset_index(drop=True)


def in_batches(
    predictor: Predictor, view: TrainingView, perturbations: Sequence[str], size: int = BATCH
) -> Iterator[Predictions]:
    """Predictions of many perturbations in the view's target line, `size` at a time and in their order.

    What the predictor learns from the view is learnt once.
    """
    predictor = fitted(predictor, view)
    for start in range(0, len(perturbations), size):
        yield predictor.predict(view, perturbations[start : start + size])
