"""Studies of the graph neighbour predictor over test perturbations; each returns a tidy data frame."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.evaluation.oracle import Moves, greedy_oracles
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.neighbours import (
    AffinityNeighbourhood,
    GraphNeighbourhood,
    Neighbour,
    NeighbourhoodSource,
    NeighbourPredictor,
    leave_one_out,
)
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.types import Split

MOVES: tuple[Moves, ...] = ("remove", "add", "both")


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
            rows.append(
                (atlas.name, line.name, graph.name, graph.n_edges, len(line.perturbations), known, test, joined)
            )
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

    Columns: atlas, kind, line, limit (NaN: no limit), cut, prior, n, pearson, low, high.
    """
    settings = {f"{k}": s for k, s in enumerate(product(limits, cuts, priors))}
    predictors = [
        NeighbourPredictor(GraphNeighbourhood(graphs, limit, cut, seed), prior, label=key)  # type: ignore[arg-type]
        for key, (limit, cut, prior) in settings.items()
    ]
    evaluated = evaluate_lines(atlas, list(atlas.lines), predictors, split)
    table = summaries.scores(evaluated, ["pearson"], seed=seed)
    chosen = pd.DataFrame([settings[key] for key in table["predictor"]], columns=["limit", "cut", "prior"])
    table = table.rename(columns={"pearson_low": "low", "pearson_high": "high"})
    return pd.concat(
        [table[["atlas", "kind", "line"]], chosen.astype({"limit": float}), table[["n", "pearson", "low", "high"]]],
        axis=1,
    )


def with_and_without_fill(
    union: NeighbourPredictor, others: Mapping[str, NeighbourhoodSource], prior: float
) -> list[NeighbourPredictor]:
    """The union and plain means over other neighbourhoods by label, then all of them on low-rank completed deltas."""
    plain = [union, *(NeighbourPredictor(near, prior, label=label) for label, near in others.items())]
    return [*plain, *(replace(p, fill="lowrank", label=f"{p.name}, filled") for p in plain)]


def oracle_sets(
    atlas: Atlas,
    predictor: NeighbourPredictor,
    prior: float = 1.0,
    steps: int = 20,
    split: Split = "per-line",
) -> pd.DataFrame:
    """Neighbourhoods edited greedily on the answer itself, up to `steps` single changes: a bound, no prediction.

    A row a line, test perturbation and kind of move (``none``: the graph's own neighbourhood). Columns: atlas,
    kind, line, perturbation, moves, pearson, size, added, removed.
    """
    rows = []
    for line in atlas.lines.values():
        view = atlas.view(line.name, split)
        names = line.names("test")
        found = predictor.neighbourhoods(view, names)
        starts = [found.weights[[i]].indices for i in range(len(names))]
        truth = line.delta[line.rows(names)]
        for label, moves, most in (("none", "both", 0), *((m, m, steps) for m in MOVES)):
            searches = greedy_oracles(view.target, truth, starts, prior, moves, most)
            rows += [
                (atlas.name, atlas.kind, line.name, p, label, s.score, len(s.members), len(s.added), len(s.removed))
                for p, s in zip(names, searches, strict=True)
            ]
    columns = ["atlas", "kind", "line", "perturbation", "moves", "pearson", "size", "added", "removed"]
    return pd.DataFrame(rows, columns=columns)


def weight_choices(atlas: Atlas, affinity: Affinity, limits: Sequence[int], scales: Sequence[float]) -> pd.DataFrame:
    """Leave-one-out Pearson delta on training perturbations for settings of the weighted predictor.

    The weight of a neighbour is ``similarity ** 2`` over the `limit` most similar training genes plus ``scale``
    times the two-step links (`Affinity`). Columns: atlas, line, limit, scale, n, pearson. No test perturbation is
    looked at.
    """
    rows = []
    for line in atlas.lines.values():
        view = atlas.view(line.name)
        target = view.target
        for limit, scale in product(limits, scales):
            near = AffinityNeighbourhood(affinity, string=scale, limit=limit)
            made = leave_one_out(near.neighbourhoods(view, [str(p) for p in target.perturbations]), target)
            score = float(pearson_delta(made.delta, target.delta).mean())
            rows.append((atlas.name, line.name, limit, scale, len(target.perturbations), score))
    return pd.DataFrame(rows, columns=["atlas", "line", "limit", "scale", "n", "pearson"])


def oracle_shares(searched: pd.DataFrame) -> pd.DataFrame:
    """Where the gain of `oracle_sets` comes from: a row a line.

    Columns: line, n, ``no signal`` (test perturbations that no set can score), ``gap`` of both moves together over
    the graphs, the share of it that ``additions`` and ``removals`` reach alone, and the mean number of genes added
    and removed when both are allowed.
    """
    rows = []
    for line, part in searched.groupby("line", sort=False):
        wide = part.pivot(index="perturbation", columns="moves", values="pearson")
        gain = wide.sub(wide["none"], axis=0).mean()
        both = part[part["moves"] == "both"]
        silent = int((wide == 0).all(axis=1).sum())
        shares = gain["add"] / gain["both"], gain["remove"] / gain["both"]
        rows.append((line, len(wide), silent, gain["both"], *shares, both["added"].mean(), both["removed"].mean()))
    return pd.DataFrame(
        rows, columns=["line", "n", "no signal", "gap", "additions", "removals", "genes added", "genes removed"]
    )


def extremes(evaluated: pd.DataFrame, predictor: str, line: str, at_least: int = 3, top: int = 2) -> pd.DataFrame:
    """The `top` best and worst predicted test perturbations of a line by centred Pearson delta.

    Only those with `at_least` neighbours and a measured delta that is not constant. Columns: rank (``best`` or
    ``worst``), perturbation, centred_pearson, pearson, n_neighbours, n_genes.
    """
    part = evaluated[(evaluated["predictor"] == predictor) & (evaluated["line"] == line)]
    part = part[(part["n_neighbours"] >= at_least) & ~part["constant"]]
    ranked = part.sort_values(["centred_pearson", "perturbation"], ascending=[False, True])
    found = pd.concat([ranked.head(top).assign(rank="best"), ranked.tail(top).assign(rank="worst")])
    columns = ["rank", "perturbation", "centred_pearson", "pearson", "n_neighbours", "n_genes"]
    return found[columns].reset_index(drop=True)


def panel(
    atlas: Atlas, line: str, row: Any, predictor: NeighbourPredictor, split: Split = "per-line"
) -> tuple[str, list[Neighbour], str]:
    """Gene, members and title of one drawing of `figures.neighbourhoods`, for a row of `extremes`."""
    members = predictor.neighbourhoods(atlas.view(line, split), [row.perturbation]).of(row.perturbation)
    title = f"{row.rank}: {row.perturbation}, centred {row.centred_pearson:.2f}, Pearson {row.pearson:.2f}"
    return row.perturbation, members, f"{title} (n = {row.n_genes} genes)"
