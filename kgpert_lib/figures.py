"""One function per figure, named after what it shows; they take scores and never load data.

Every figure carries the name and kind of its atlas and its n; intervals are 95 % bootstrap intervals over
perturbations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kgpert_lib import stats
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.neighbours import Neighbour

LINE_NAMES = {"k562": "K562", "rpe1": "RPE1", "hepg2": "HepG2", "jurkat": "Jurkat"}
LABELS = {"pearson": "Pearson delta", "centred_pearson": "centred Pearson delta", "retrieval": "retrieval"}
NEIGHBOUR_BINS = (0, 1, 3, 6, 11, 21)
BLUE, ORANGE, GREY, GREEN = "#2166ac", "#d95f02", "#7f7f7f", "#1b7837"


def style() -> None:
    """Plot settings of the book: light background, readable at phone width, no chart junk."""
    sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "savefig.facecolor": "white",
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "svg.hashsalt": "kgpert",
        }
    )


def predictor_scores(table: pd.DataFrame, value: str = "pearson", reference: str = "training mean") -> Figure:
    """Mean score of every predictor with its interval, a panel a cell line; the reference is a dashed line.

    `table` is `tables.scores`.
    """
    figure, axes = _panels(table, height=0.42 * table["predictor"].nunique() + 1.1)
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
        axis.set_title(f"{LINE_NAMES.get(str(line), str(line))} (n = {part['n'].iloc[0]})")
        axis.set_xlabel(f"{LABELS.get(value, value)}, mean and 95 % interval")
    return _finished(figure, table)


def gain_by_neighbours(evaluated: pd.DataFrame, predictor: str, reference: str = "training mean") -> Figure:
    """Mean gain in Pearson delta over the reference by the number of training neighbours, with intervals."""
    figure, axes = _panels(evaluated, height=3.2)
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
        axis.set_title(LINE_NAMES.get(str(line), str(line)))
        axis.set_xlabel("training neighbours of the perturbed gene")
    axes[0].set_ylabel(f"gain in Pearson delta\nof {predictor} over {reference}")
    return _finished(figure, evaluated)


def sensitivity(table: pd.DataFrame, reference: Mapping[str, float]) -> Figure:
    """Mean Pearson delta by neighbourhood limit, a line a cut, a panel a cell line and prior.

    `table` has columns line, limit (NaN: no limit), cut, prior, pearson, low, high; `reference` the score of the
    training mean by line, drawn dashed.
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
    grid.set_titles(row_template="{row_name}", col_template="prior {col_name}")
    grid.set_axis_labels("largest neighbourhood", "Pearson delta")
    grid.add_legend(title="cut")
    return _finished(grid.figure, table)


def oracle_gap(table: pd.DataFrame) -> Figure:
    """What sets chosen on the answer reach: the start, removals only, additions only, both (marked as oracle).

    `table` has columns atlas, line, moves, n, pearson, pearson_low, pearson_high.
    """
    figure, axes = _panels(table, height=3.0)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        rows = np.arange(len(part))[::-1]
        colours = [GREY if moves == "none" else ORANGE for moves in part["moves"]]
        error = [part["pearson"] - part["pearson_low"], part["pearson_high"] - part["pearson"]]
        axis.barh(rows, part["pearson"], xerr=error, color=colours, height=0.6)
        for row, value in zip(rows, part["pearson"], strict=True):
            axis.annotate(f"{value:.3f}", (0.02, row), va="center", color="white", fontsize=9)
        axis.set_yticks(rows, [_ORACLE[m] for m in part["moves"]])
        axis.set_xlim(0, 1)
        axis.set_title(f"{LINE_NAMES.get(str(line), str(line))} (n = {part['n'].iloc[0]})")
        axis.set_xlabel("Pearson delta (orange: chosen on the answer)")
    return _finished(figure, table)


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
    for name in names:
        x, y = place[name]
        axis.annotate(name, (x, y), (0, 7), textcoords="offset points", ha="center", fontsize=7.5)
    axis.set_title(title, fontsize=9.5)
    axis.margins(0.14)
    axis.set_axis_off()


def neighbourhoods(panels: Sequence[tuple[str, Sequence[Neighbour], str]], graph: KnowledgeGraph, note: str) -> Figure:
    """Several neighbourhoods side by side: gene, members and title each; blue STRING, orange GO, green both."""
    figure, axes = plt.subplots(-(-len(panels) // 2), 2, figsize=(9, 3.9 * -(-len(panels) // 2)), squeeze=False)
    for axis in axes.ravel()[len(panels) :]:
        axis.set_axis_off()
    for axis, (gene, members, title) in zip(axes.ravel(), panels, strict=False):
        neighbourhood(gene, members, graph, title, axis)
    figure.suptitle(note, fontsize=9, y=0.01, va="bottom")
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    return figure


_ORACLE = {"none": "graph union", "remove": "+ best removals", "add": "+ best additions", "both": "+ both"}


def _panels(table: pd.DataFrame, height: float) -> tuple[Figure, Sequence[Axes]]:
    lines = table["line"].unique()
    figure, axes = plt.subplots(1, len(lines), figsize=(4.6 * len(lines), height), sharey=True, squeeze=False)
    return figure, list(axes[0])


def _finished(figure: Figure, table: pd.DataFrame) -> Figure:
    """Add the line that names the atlas and close the figure for pyplot, so that a notebook shows it once."""
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    kind = f" ({table['kind'].iloc[0]})" if "kind" in table else ""
    figure.text(0.005, 0.005, f"atlas: {', '.join(table['atlas'].unique())}{kind}", fontsize=8, color=GREY)
    plt.close(figure)
    return figure


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
    axis.fill_between(x, data["low"], data["high"], color=color, alpha=0.15, linewidth=0)
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
