"""Figures of the graph-neighbour chapter: scores in, a figure out; nothing is loaded here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.neighbourhoods import Neighbour
from kgpert_lib.studies.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    WHITE,
    draw_gains,
    finished,
    label_outer,
    legend_below,
    line_name,
    noted,
    one_range,
    panels,
    percent,
    typographic,
)

CALLS = LinearSegmentedColormap.from_list("calls", [BLUE, "#cfcfcf", ORANGE])  # down, no change, up


def paired_gains(gains: pd.DataFrame) -> Figure:
    """Gain of every predictor over the reference on the same genes, with its interval; one range for all panels.

    `gains` is `graph_neighbours.gains`. Grey: the interval holds 0.
    """
    figure, axes = panels(gains, height=0.42 * gains["predictor"].nunique() + 1.1)
    for axis, (line, part) in zip(axes, gains.groupby("line", sort=False), strict=True):
        draw_gains(axis, part)
        axis.set_title(f"{line_name(line)} (n = {part['n'].iloc[0]})")
        axis.set_xlabel("gain in Pearson delta, mean and 95 % interval")
    one_range(axes)
    return finished(figure, gains)


def gain_by_neighbours(table: pd.DataFrame) -> Figure:
    """Mean gain by the number of training neighbours, with its interval, n and share of the line's whole gain.

    `table` is `graph_neighbours.gain_by_neighbours`.
    """
    figure, axes = panels(table, height=3.6)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        x = np.arange(len(part))
        error = np.abs([part["gain"] - part["gain_low"], part["gain_high"] - part["gain"]])
        axis.axhline(0, color=GREY, linewidth=1)
        axis.errorbar(x, part["gain"], error, fmt="o", color=BLUE, capsize=3)
        labels = [
            f"{bin}\nn = {n}\n{percent(share)}"
            for bin, n, share in zip(part["neighbours"], part["n"], part["share of gain"], strict=True)
        ]
        axis.set_xticks(x, labels, fontsize=8.5)
        axis.set_title(line_name(line))
    label_outer(axes, "training neighbours, genes, share of the gain", "gain in Pearson delta")
    return finished(figure, table)


def matrix_of_calls(calls: pd.DataFrame, counts: pd.DataFrame, title: str) -> Figure:
    """A sample of the matrix of calls with its gaps, training genes above test genes, and how many there are of each.

    `calls` is `graph_neighbours.sample_of_calls`, `counts` `graph_neighbours.coverage`; gaps are white.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 3.9), width_ratios=(2, 1))
    left.imshow(calls.to_numpy(), cmap=CALLS, vmin=-1, vmax=1, aspect="auto", interpolation="none")
    train = int((calls.index.get_level_values("split") == "train").sum())
    left.axhline(train - 0.5, color="black", linewidth=1.4)
    left.set_yticks([train / 2, (train + len(calls)) / 2], ["training\ngenes", "test\ngenes"])
    left.set_xticks([])
    left.set_xlabel(f"{calls.shape[1]} readout genes, drawn at random")
    left.set_title(title)
    left.grid(False)
    sizes = counts.drop_duplicates("line")
    rows = np.arange(len(sizes))[::-1]
    right.barh(rows, sizes["train"], color=GREY, height=0.55)
    right.barh(rows, sizes["test"], left=sizes["train"], color=GREEN, height=0.55)
    for row, item in zip(rows, sizes.to_dict("records"), strict=True):
        for x, name in ((item["train"] / 2, "train"), (item["train"] + item["test"] / 2, "test")):
            right.text(x, row, f"{name}\n{item[name]:,}", ha="center", va="center", fontsize=8.5, color="white")
    right.set_yticks(rows, [line_name(line) for line in sizes["line"]])
    right.set_xlabel("genes knocked down")
    right.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    right.set_title("train and test")
    right.grid(False)
    sizes = sizes[["atlas", "line", "train", "test"]].assign(kind="real")
    sample = _tested(calls).assign(atlas=sizes["atlas"].iloc[0], kind="real", title=title)
    return finished(figure, sizes, {"call": sample, "genes knocked down": sizes})


def one_prediction(calls: pd.DataFrame, gene: str, line: str) -> Figure:
    """The method on one gene: calls of its neighbours, their mean and the measured calls, one column per readout gene.

    `calls` is `graph_neighbours.calls_of_neighbours`; gaps are white.
    """
    values = calls.to_numpy()
    figure, (above, below) = plt.subplots(
        2, 1, figsize=(9.2, 0.21 * len(calls) + 1.9), sharex=True, height_ratios=(len(calls) - 2, 2.4)
    )
    for axis, part, labels in (
        (above, values[:-2], list(calls.index[:-2])),
        (below, values[-2:], [f"mean with prior: {gene}", f"measured: {gene}"]),
    ):
        axis.imshow(part, cmap=CALLS, vmin=-1, vmax=1, aspect="auto", interpolation="none")
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
        axis.set_xticks(np.arange(values.shape[1] + 1) - 0.5, minor=True)
        axis.set_yticks(np.arange(len(labels) + 1) - 0.5, minor=True)
        axis.grid(False, which="major")
        axis.grid(True, which="minor", color="#d9d9d9", linewidth=0.6)
    below.set_xticks(range(values.shape[1]), list(calls.columns), rotation=90, fontsize=8)
    above.set_title(f"{gene} in {line_name(line)}: the calls of its {len(calls) - 2} training neighbours")
    return finished(
        figure, _tested(calls.rename_axis("row")).assign(atlas="perturbqa", kind="real", line=line, gene=gene)
    )


def sensitivity(table: pd.DataFrame) -> Figure:
    """Difference in Pearson delta from the choice by neighbourhood limit: panels by line and prior, curves by cut.

    `table` is `graph_neighbours.sweep`; bands are intervals of the paired differences. All panels have one range.
    """
    lines, priors = table["line"].unique(), table["prior"].unique()
    size = (3.0 * len(priors), 2.3 * len(lines))
    figure, axes = plt.subplots(len(lines), len(priors), figsize=size, sharex=True, sharey=True, squeeze=False)
    for axis, (line, prior) in zip(axes.flat, product(lines, priors), strict=True):
        part = table[(table["line"] == line) & (table["prior"] == prior)]
        axis.axhline(0, color=GREY, linestyle="--", linewidth=1)
        for (cut, rows), colour in zip(part.groupby("cut", sort=False), (BLUE, ORANGE), strict=False):
            x = np.arange(len(rows))
            axis.plot(x, rows["difference"], "o-", color=colour, label=f"cut {cut}", markersize=4)
            ends = rows["difference_low"], rows["difference_high"]
            axis.fill_between(x, *ends, color=colour, alpha=0.15, linewidth=0)
            axis.set_xticks(x, rows["limit"].map(_limit))
        axis.set_title(f"{line_name(line)} (n = {part['n'].iloc[0]:,}), prior {prior:g}")
    for axis in axes[-1]:
        axis.set_xlabel("largest neighbourhood")
    for axis in axes[:, 0]:
        axis.set_ylabel("difference")
    legend_below(figure, axes[0, 0])
    return finished(figure, table)


def cross_fitted(table: pd.DataFrame) -> Figure:
    """Gain of sets searched on the answer: on the half of the readouts that was searched, and on the other half.

    `table` has the columns atlas, kind, line, calls, moves, n, and ``seen`` and ``unseen`` with their intervals.
    """
    figure, axes = panels(table, height=3.0)
    groups = list(dict.fromkeys(zip(table["calls"], table["moves"], strict=True)))
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        own = part.set_index(["calls", "moves"]).loc[groups]
        rows = np.arange(len(groups))[::-1]
        axis.axvline(0, color=GREY, linewidth=1)
        for shift, value, colour, label in (
            (0.13, "seen", ORANGE, "the half that was searched"),
            (-0.13, "unseen", BLUE, "the other half"),
        ):
            error = np.abs([own[value] - own[f"{value}_low"], own[f"{value}_high"] - own[value]])
            axis.errorbar(own[value], rows + shift, xerr=error, fmt="o", color=colour, capsize=2.5, label=label)
        axis.set_yticks(rows, [f"{_ORACLE[moves]}, {calls} calls" for calls, moves in groups])
        axis.set_ylim(-0.6, len(groups) - 0.4)
        axis.set_title(f"{line_name(line)} (n = {part['n'].iloc[0]})")
        axis.set_xlabel("gain in Pearson delta over the graphs' union")
    one_range(axes)
    legend_below(figure, axes[0])
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
    axis.set_title(typographic(title), fontsize=9.5)
    axis.set(xlim=(-0.8, 0.8), ylim=(-0.8, 0.8), aspect="equal")
    axis.set_axis_off()


def neighbourhoods(
    drawings: Sequence[tuple[str, Sequence[Neighbour], str]], graph: KnowledgeGraph, atlas: str, line: str
) -> Figure:
    """Several neighbourhoods side by side: gene, members and title each; blue STRING, orange GO, green both."""
    figure, axes = plt.subplots(-(-len(drawings) // 2), 2, figsize=(9, 4.3 * -(-len(drawings) // 2)), squeeze=False)
    for axis in axes.ravel()[len(drawings) :]:
        axis.set_axis_off()
    for axis, (gene, members, title) in zip(axes.ravel(), drawings, strict=False):
        neighbourhood(gene, members, graph, title, axis)
    near = pd.DataFrame(
        [(gene, title, m.gene, m.share, ", ".join(m.graphs)) for gene, members, title in drawings for m in members],
        columns=["gene", "title", "neighbour", "share", "graphs"],
    )
    names = {gene: [gene, *(m.gene for m in members)] for gene, members, _ in drawings}
    pairs = [(gene, *pair) for gene, these in names.items() for pair in _edges_between(graph, these)]
    links = pd.DataFrame(pairs, columns=["gene", "from", "to"]).assign(graphs=graph.name)
    return noted(figure, f"{atlas}, {line_name(line)}", {"neighbour": near, "link": links})


_ORACLE = {"add": "additions", "remove": "removals"}


def _tested(calls: pd.DataFrame) -> pd.DataFrame:
    """One row for each call of the matrix; gaps have none."""
    names = [str(name) for name in calls.index.names]
    return calls.reset_index().melt(names, var_name="readout gene", value_name="call").dropna(subset="call")


def _limit(value: float) -> str:
    return "none" if np.isnan(value) else str(int(value))


def _edges_between(graph: KnowledgeGraph, names: Sequence[str]) -> list[tuple[str, str]]:
    """The graph's edges among the named genes."""
    rows = [graph.index[n] for n in names if n in graph]
    block = graph.adjacency[rows][:, rows].tocoo()
    symbols = graph.symbols[rows]
    return [(str(symbols[i]), str(symbols[j])) for i, j in zip(block.row, block.col, strict=True) if i < j]


def _graph_colour(graphs: Mapping[str, float]) -> str:
    if len(graphs) > 1:
        return GREEN
    return BLUE if "string" in graphs else ORANGE
