"""Many predictions as one long table: the readout genes that move most, one row each."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingView


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
