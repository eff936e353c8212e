"""Predictions of many genes: a batch at a time, and as one long table of the readout genes that move most."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from kgpert_lib.predictors.predictions import Predictions, Predictor, fitted
from kgpert_lib.screens.atlas import TrainingView

BATCH = 1000  # perturbations predicted at once where every gene is predicted


def strongest_readouts(predictions: Predictions, view: TrainingView, top: int, specific: bool = False) -> pd.DataFrame:
    """The `top` readout genes that rise and the `top` that fall most, for each perturbation in order.

    Columns: perturbation, gene, predicted, specific (predicted minus mean training delta), neighbours_measured
    (neighbours that measured this readout gene; 0 for a predictor without neighbours). Ranked by ``predicted``, or
    with `specific` by that column; ties in the order of the readout genes. A gene that does not move is left out.
    """
    difference = predictions.delta - view.target.mean
    count = predictions.neighbours_measured(view)
    ranked = difference if specific else predictions.delta
    tables = []
    for sign in (1, -1):
        columns = np.argsort(-sign * ranked, axis=1, kind="stable")[:, :top]
        rows = np.arange(len(columns))[:, None]
        moves = (sign * ranked[rows, columns] > 0).ravel()
        tables.append(
            pd.DataFrame(
                {
                    "row": np.repeat(np.arange(len(columns)), columns.shape[1]),
                    "perturbation": np.repeat(predictions.perturbations, columns.shape[1]),
                    "gene": predictions.genes[columns].ravel(),
                    "predicted": predictions.delta[rows, columns].ravel().astype(float),
                    "specific": difference[rows, columns].ravel().astype(float),
                    "neighbours_measured": count[rows, columns].ravel(),
                }
            )[moves]
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
