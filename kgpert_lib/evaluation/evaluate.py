"""Predictors against a cell line's test perturbations: one tidy row per predictor and perturbation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.metrics import deltas
from kgpert_lib.predictors.baselines import Outside
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.types import Split

Reference = Literal["test", "all"]


def evaluate(
    atlas: Atlas,
    line: str,
    predictors: Sequence[Predictor],
    split: Split = "strict",
    reference: Reference = "test",
    perturbations: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Score predictors on the test perturbations of `line` (paper, section 4.1), or on some of them.

    Retrieval ranks a prediction against those that are scored (``"test"``) or every perturbation of the line.
    Predictors see ``atlas.view(line, split)`` only. Columns: atlas, kind, line, split, predictor, those of
    `deltas.score`, n_neighbours and fallback. Raises InputError where two predictors share a name and where the
    line has no test perturbation.
    """
    cells = atlas[line]
    names = cells.names("test") if perturbations is None else list(perturbations)
    if not names:
        raise InputError(f"{line} of {atlas.name} has no test perturbation to score.")
    if reference not in ("test", "all"):
        raise InputError(f"Unknown reference {reference!r}; it is 'test' or 'all'.")
    labels = [predictor.name for predictor in predictors]
    if len(set(labels)) < len(labels):
        raise InputError(f"Two predictors are called {max(labels, key=labels.count)!r}; name each once.")
    truth = cells.delta[cells.rows(names)]
    view = atlas.view(line, split)
    against: dict[str, Any] = {"reference": cells.delta, "own": cells.rows(names)} if reference == "all" else {}
    tables = []
    for predictor in predictors:
        predictions = predictor.predict(view, names)
        table = deltas.score(predictions.delta, truth, names, mean=view.target.mean, **against)
        table = table.assign(n_neighbours=predictions.n_neighbours, fallback=predictions.fallback)
        head = {"atlas": atlas.name, "kind": atlas.kind, "line": line, "split": split, "predictor": predictor.name}
        tables.append(table.assign(**head)[[*head, *table.columns]])
    return pd.concat(tables, ignore_index=True)


def evaluate_lines(
    atlas: Atlas,
    lines: Sequence[str],
    predictors: Sequence[Predictor],
    split: Split = "strict",
    outside: Mapping[str, Sequence[str | Path]] | None = None,
    reference: Reference = "test",
) -> pd.DataFrame:
    """`evaluate` for several lines, one below the other; `outside` holds files of predictions by line."""
    files = outside or {}
    for line in files:
        atlas[line]
    return pd.concat(
        [evaluate(atlas, line, [*predictors, *map(Outside, files.get(line, ()))], split, reference) for line in lines],
        ignore_index=True,
    )
