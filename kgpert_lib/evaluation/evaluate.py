"""Predictors against a cell line's test perturbations: one tidy row a predictor and perturbation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import load_graphs
from kgpert_lib.metrics import deltas
from kgpert_lib.predictors.baselines import LinearBaseline, Outside, TrainingMean
from kgpert_lib.predictors.completion import Filled
from kgpert_lib.predictors.neighbours import Cut, GraphNeighbour
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.types import Split

Reference = Literal["test", "all"]
Fill = Literal["none", "lowrank"]


def standard_predictors(
    specs: Sequence[str],
    names: Sequence[str],
    limit: int | None = 20,
    cut: Cut = "before",
    prior: float | None = None,
    seed: int = 0,
    fill: Fill = "none",
) -> list[Predictor]:
    """The training mean, the linear baseline and a graph neighbour for each of `specs`, such as ``"string+go"``.

    With ``fill="lowrank"`` each graph neighbour also runs on training deltas whose gaps are filled. Graph symbols
    take the spelling of `names`, the screened perturbations.
    """
    loaded = {g.name: g for g in load_graphs("+".join(dict.fromkeys("+".join(specs).split("+"))), names)}
    plain = [
        GraphNeighbour([loaded[Path(part).stem] for part in spec.split("+")], limit, cut, prior, seed) for spec in specs
    ]
    return [TrainingMean(), LinearBaseline(seed=seed), *plain, *(map(Filled, plain) if fill == "lowrank" else ())]


def evaluate(
    atlas: Atlas,
    line: str,
    predictors: Sequence[Predictor],
    split: Split = "per-line",
    reference: Reference = "test",
    perturbations: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Score predictors on the test perturbations of `line` (SPEC section 2), or on some of them.

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
    called = [predictor.name for predictor in predictors]
    if len(set(called)) < len(called):
        raise InputError(f"Two predictors are called {max(called, key=called.count)!r}; name each once.")
    truth = cells.delta[cells.rows(names)]
    view = atlas.view(line, split)
    against: dict[str, Any] = {"reference": cells.delta, "own": cells.rows(names)} if reference == "all" else {}
    tables = []
    for predictor in predictors:
        made = predictor.predict(view, names)
        table = deltas.score(made.delta, truth, names, mean=view.target.mean, **against)
        table = table.assign(n_neighbours=made.n_neighbours, fallback=made.fallback)
        head = {"atlas": atlas.name, "kind": atlas.kind, "line": line, "split": split, "predictor": predictor.name}
        tables.append(table.assign(**head)[[*head, *table.columns]])
    return pd.concat(tables, ignore_index=True)


def evaluate_lines(
    atlas: Atlas,
    lines: Sequence[str],
    predictors: Sequence[Predictor],
    split: Split = "per-line",
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
