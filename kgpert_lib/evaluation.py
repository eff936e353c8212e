"""Predictors against a cell line's test perturbations: one tidy row a predictor and perturbation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kgpert_lib import metrics
from kgpert_lib.atlas import Atlas, Split
from kgpert_lib.predictions import Predictor


def evaluate(
    atlas: Atlas,
    line: str,
    predictors: Sequence[Predictor],
    split: Split = "per-line",
) -> pd.DataFrame:
    """Score predictors on the test perturbations of `line` (SPEC section 2).

    Predictors see ``atlas.view(line, split)`` only. Columns: atlas, line, split, predictor, those of
    `metrics.score`, n_neighbours and fallback.
    """
    cells = atlas[line]
    names = cells.names("test")
    truth = cells.delta[cells.rows(names)]
    view = atlas.view(line, split)
    tables = []
    for predictor in predictors:
        made = predictor.predict(view, names)
        table = metrics.score(made.delta, truth, np.array(names), mean=view.target.mean)
        head = {"atlas": atlas.name, "line": line, "split": split, "predictor": predictor.name}
        tables.append(
            table.assign(n_neighbours=made.n_neighbours, fallback=made.fallback, **head)[
                [*head, *table.columns, "n_neighbours", "fallback"]
            ]
        )
    return pd.concat(tables, ignore_index=True)
