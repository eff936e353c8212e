"""Figures of the graph-neighbour chapter: scores in, a figure out; nothing is loaded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics import stats
from kgpert_lib.predictors.neighbours import Neighbour
from kgpert_lib.studies.style import BLUE, GREEN, GREY, LABELS, ORANGE, finished, line_name, panels

NEIGHBOUR_BINS = (0, 1, 3, 6, 11, 21)
WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.8}


def predictor_scores(table: pd.DataFrame, value: str = "pearson", reference: str = "training mean") -> Figure:
    """Mean score of every predictor with its interval, a panel a cell line; the reference is a dashed line.

    `table` is `tables.scores`.
    """
    figure, axes = panels(table, height=0.42 * table["predictor"].nunique() + 1.1)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        rows = np.arange(len(part))[::-1]
        at_reference = part["predictor"] == reference
        base = part.loc[at_reference, value].iloc[0]
        axis.axvline(base, color=GREY, linestyle="--", linewidth=1)
        for row, (_, item) in zip(rows, part.iterrows(), strict=True):
            colour = GREY if item[f"{value}_low"] <= base else BLUE
            axis.plot([item[f"{value}_low"], item[f"{value}_high"]], [row, row], color=colour, linewidth=2)
            axis.plot(item[value], row, "o", color=colour)
            axis.annotate(
                f"{item[value]:.3f}", (item[value], row), (0, 6), textcoords="offset points", ha="center", fontsize=8
            )
        axis.set_yticks(rows, part["predictor"])
        axis.set_ylim(-0.6, len(part) - 0.3)
        axis.set_title(f"{line_name(line)} (n = {part['n'].iloc[0]})")
        axis.set_xlabel(f"{LABELS.get(value, value)}, mean and 95 % interval")
        axis.xaxis.set_major_locator(MaxNLocator(5))
    return finished(figure, table)


def gain_by_neighbours(evaluated: pd.DataFrame, predictor: str, reference: str = "training mean") -> Figure:
    """Mean gain in Pearson delta over the reference by the number of training neighbours, with intervals."""
    figure, axes = panels(evaluated, height=3.2)
    edges = [*NEIGHBOUR_BINS, np.inf]
    labels = [_bin(low, high) for low, high in pairwise(edges)]
    for axis, (line, part) in zip(axes, evaluated.groupby("line", sort=False), strict=True):
        wide = part.set_index("perturbation")
        own, base = wide[wide["predictor"] == predictor], wide[wide["predictor"] == reference]
        gain = (own["pearson"] - base["pearson"].reindex(own.index)).to_numpy()
        which = np.digitize(own["n_neighbours"], edges[1:-1])
        axis.axhline(0, color=GREY, linewidth=1)
        for k in np.unique(which):
            mean, low, high = stats.bootstrap_mean(gain[which == k])
            axis.errorbar(k, mean, [[mean - low], [high - mean]], fmt="o", color=BLUE, capsize=3)
            axis.annotate(
                f"n={np.sum(which == k)}", (k, 0), (0, -12), textcoords="offset points", ha="center", fontsize=8
            )
        axis.set_xticks(range(len(labels)), labels)
        axis.set_title(line_name(line))
        axis.set_xlabel("training neighbours of the perturbed gene")
    axes[0].set_ylabel(f"gain in Pearson delta\nof {predictor} over {reference}")
    return finished(figure, evaluated)


def sensitivity(table: pd.DataFrame, reference: Mapping[str, float]) -> Figure:
    """Mean Pearson delta by neighbourhood limit, a line a cut, a panel a cell line and prior.

    `table` is `studies.sweep`; `reference` the score of the training mean by line, drawn dashed.
    """
    grid = sns.FacetGrid(
        table.assign(limit=table["limit"].map(_limit)),
        row="line",
        col="prior",
        hue="cut",
        sharey="row",
        height=2.5,
        aspect=1.15,
    )
    grid.map_dataframe(_interval_line)
    for line, row in zip(grid.row_names, grid.axes, strict=True):
        for axis in row:
            axis.axhline(reference[line], color=GREY, linestyle="--", linewidth=1)
    n = table.groupby("line")["n"].first()
    for axis, (line, prior) in zip(grid.axes.flat, product(grid.row_names, grid.col_names), strict=True):
        axis.set_title(f"{line_name(line)} (n = {n[line]}), prior {prior:g}")
    grid.set_axis_labels("largest neighbourhood", "Pearson delta")
    grid.axes[0, 0].legend(title="cut", loc="lower right")
    return finished(grid.figure, table)


def oracle_gap(table: pd.DataFrame) -> Figure:
    """What sets chosen on the answer reach: the start, removals only, additions only, both (marked as oracle).

    `table` has columns atlas, line, moves, n, pearson, pearson_low, pearson_high.
    """
    figure, axes = panels(table, height=3.0)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        rows = np.arange(len(part))[::-1]
        colours = [GREY if moves == "none" else ORANGE for moves in part["moves"]]
        error = [part["pearson"] - part["pearson_low"], part["pearson_high"] - part["pearson"]]
        axis.barh(rows, part["pearson"], xerr=error, color=colours, height=0.6)
        for row, value in zip(rows, part["pearson"], strict=True):
            axis.annotate(f"{value:.3f}", (0.02, row), va="center", color="white", fontsize=9)
        axis.set_yticks(rows, [_ORACLE[m] for m in part["moves"]])
        axis.set_xlim(0, 1)
        axis.set_title(f"{line_name(line)} (n = {part['n'].iloc[0]})")
        axis.set_xlabel("Pearson delta (orange: chosen on the answer)")
    return finished(figure, table)


def neighbourhood(gene: str, members: Sequence[Neighbour], graph: KnowledgeGraph, title: str, axis: Axes) -> None:
    """A gene, its neighbours coloured by the graphs that gave them, and the graph's edges between them."""
    import networkx as nx

    names = [gene, *(m.gene for m in members)]
    inner = nx.Graph((a, b) for a, b in _edges_between(graph, names))
    star = nx.Graph((gene, m.gene) for m in members)
    star.add_node(gene)
    place = nx.shell_layout(star, [[gene], [m.gene for m in members]] if members else [[gene]])
    nx.draw_networkx_edges(inner, place, ax=axis, edge_color="#c9c9c9", width=0.8)
    nx.draw_networkx_edges(star, place, ax=axis, edge_color="#8c8c8c", width=1.2)
    colours = [_graph_colour(m.graphs) for m in members]
    nx.draw_networkx_nodes(star, place, nodelist=names, node_color=["black", *colours], node_size=90, ax=axis)
    for name in names[1:]:
        x, y = place[name]
        turn = np.degrees(np.arctan2(y, x))
        flipped = abs(turn) > 90
        axis.annotate(
            f" {name} " if flipped else f"  {name}",
            (1.06 * x, 1.06 * y),
            rotation=turn - 180 if flipped else turn,
            rotation_mode="anchor",
            ha="right" if flipped else "left",
            va="center",
            fontsize=7.5,
        )
    axis.annotate(gene, (0, 0), (0, 9), textcoords="offset points", ha="center", fontsize=8.5, bbox=WHITE)
    axis.set_title(title, fontsize=9.5)
    axis.set(xlim=(-1.45, 1.45), ylim=(-1.45, 1.45), aspect="equal")
    axis.set_axis_off()


def neighbourhoods(
    drawings: Sequence[tuple[str, Sequence[Neighbour], str]], graph: KnowledgeGraph, note: str
) -> Figure:
    """Several neighbourhoods side by side: gene, members and title each; blue STRING, orange GO, green both."""
    figure, axes = plt.subplots(-(-len(drawings) // 2), 2, figsize=(9, 4.3 * -(-len(drawings) // 2)), squeeze=False)
    for axis in axes.ravel()[len(drawings) :]:
        axis.set_axis_off()
    for axis, (gene, members, title) in zip(axes.ravel(), drawings, strict=False):
        neighbourhood(gene, members, graph, title, axis)
    figure.suptitle(note, fontsize=9, y=0.01, va="bottom")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    plt.close(figure)
    return figure


_ORACLE = {"none": "graph union", "remove": "+ best removals", "add": "+ best additions", "both": "+ both"}


def _bin(low: float, high: float) -> str:
    if np.isinf(high):
        return f"{low}+"
    return str(low) if high - low == 1 else f"{low}-{high - 1}"


def _limit(value: float) -> str:
    return "none" if np.isnan(value) else str(int(value))


def _interval_line(data: pd.DataFrame, color: str, label: str) -> None:
    axis = plt.gca()
    x = np.arange(len(data))
    axis.plot(x, data["pearson"], "o-", color=color, label=label, markersize=4)
    axis.fill_between(x, data["low"], data["high"], color=color, alpha=0.1, linewidth=0)
    axis.set_xticks(x, data["limit"])


def _edges_between(graph: KnowledgeGraph, names: Sequence[str]) -> list[tuple[str, str]]:
    """The graph's edges among the named genes."""
    rows = [graph.index[n] for n in names if n in graph]
    block = graph.adjacency[rows][:, rows].tocoo()
    kept = graph.symbols[rows]
    return [(str(kept[i]), str(kept[j])) for i, j in zip(block.row, block.col, strict=True) if i < j]


def _graph_colour(graphs: Mapping[str, float]) -> str:
    if len(graphs) > 1:
        return GREEN
    return BLUE if "string" in graphs else ORANGE
