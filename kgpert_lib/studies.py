"""Studies of the graph neighbour predictor over test perturbations; each returns a tidy data frame."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pandas as pd

from kgpert_lib import tables
from kgpert_lib.atlas import Atlas, Split
from kgpert_lib.evaluation import evaluate_lines
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.neighbours import GraphNeighbour
from kgpert_lib.oracle import greedy_oracles

MOVES = ("none", "remove", "add", "both")


def coverage(atlas: Atlas, graphs: Sequence[KnowledgeGraph]) -> pd.DataFrame:
    """How much of the screen each graph knows: a row a line and graph.

    Columns: atlas, line, graph, edges, perturbations, ``in graph`` (perturbations that are nodes), test, and
    ``test with a neighbour`` (test perturbations joined to at least one training perturbation).
    """
    rows = []
    for line in atlas.lines.values():
        train = set(line.names("train"))
        for graph in graphs:
            joined = sum(not train.isdisjoint(graph.neighbours(p)) for p in line.names("test"))
            known = int(np.isin(line.perturbations, graph.symbols).sum())
            test = int((line.split == "test").sum())
            rows.append((atlas.name, line.name, graph.name, graph.n_edges, len(line.perturbations), known, test, joined))
    names = ["atlas", "line", "graph", "edges", "perturbations", "in graph", "test", "test with a neighbour"]
    return pd.DataFrame(rows, columns=names)


def sweep(
    atlas: Atlas,
    graphs: Sequence[KnowledgeGraph],
    limits: Sequence[int | None],
    cuts: Sequence[str],
    priors: Sequence[float],
    split: Split = "per-line",
    seed: int = 0,
) -> pd.DataFrame:
    """Mean Pearson delta with its interval for every limit, cut and prior: a row a line and setting.

    Columns: atlas, line, limit (NaN: no limit), cut, prior, n, pearson, low, high.
    """
    settings = {f"{k}": s for k, s in enumerate(product(limits, cuts, priors))}
    predictors = [
        GraphNeighbour(graphs, limit, cut, prior, seed, label=key)  # type: ignore[arg-type]
        for key, (limit, cut, prior) in settings.items()
    ]
    evaluated = evaluate_lines(atlas, list(atlas.lines), predictors, split)
    table = tables.scores(evaluated, ["pearson"], seed=seed)
    chosen = pd.DataFrame([settings[key] for key in table["predictor"]], columns=["limit", "cut", "prior"])
    table = table.rename(columns={"pearson_low": "low", "pearson_high": "high"})
    return pd.concat([table[["atlas", "line"]], chosen.astype({"limit": float}), table[["n", "pearson", "low", "high"]]], axis=1)


def oracle_sets(
    atlas: Atlas, predictor: GraphNeighbour, prior: float = 1.0, split: Split = "per-line"
) -> pd.DataFrame:
    """Neighbourhoods edited greedily on the answer itself: what removals, additions and both could reach.

    A row a line, test perturbation and kind of move (``none``: the graph's own neighbourhood). Columns: atlas,
    line, perturbation, moves, pearson, size, added, removed, ``from_graph`` (share of the final set that the
    uncut graphs join to the perturbation). Uses the answers: a bound, never a prediction.
    """
    rows = []
    for line in atlas.lines.values():
        view = atlas.view(line.name, split)
        names = line.names("test")
        found = predictor.neighbourhoods(view, names)
        starts = [found.weights[[i]].indices for i in range(len(names))]
        truth = line.delta[line.rows(names)]
        for moves in MOVES:
            searches = greedy_oracles(
                view.target, truth, starts, prior, "both" if moves == "none" else moves, 0 if moves == "none" else None
            )
            rows += [
                (atlas.name, line.name, p, moves, s.score, len(s.members), len(s.added), len(s.removed))
                for p, s in zip(names, searches, strict=True)
            ]
    names = ["atlas", "line", "perturbation", "moves", "pearson", "size", "added", "removed"]
    return pd.DataFrame(rows, columns=names)
