"""Figures of the language-model chapter: shares and fates of proposals; scores are drawn as in chapter 2."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.figures.style import BLUE, GREEN, GREY, ORANGE, finished, line_name, panels

FATE_COLOURS = {
    "used": GREEN,
    "a neighbour already": "#9ecae1",
    "no neighbour": BLUE,
    "named before": "#c7c7c7",
    "the gene asked about": GREY,
    "not a training gene": "#fdbf6f",
    "no human gene": ORANGE,
}


def inside_graphs(table: pd.DataFrame) -> Figure:
    """Share of chosen genes inside the union of the graphs, a panel a line; published shares are hatched.

    `table` is `llm.studies.inside_graphs`.
    """
    figure, axes = panels(table, height=0.42 * table["who"].nunique() + 1.1)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        rows = np.arange(len(part))[::-1]
        colours = [GREY if who == "genes offered" else BLUE for who in part["who"]]
        for row, colour, share, published in zip(rows, colours, part["share"], part["published"], strict=True):
            if published:
                axis.barh(row, share, color="white", edgecolor=ORANGE, hatch="///", height=0.6)
            else:
                axis.barh(row, share, color=colour, height=0.6)
            axis.annotate(
                f"{'about ' if published else ''}{share:.0%}",
                (share, row),
                (4, 0),
                textcoords="offset points",
                va="center",
            )
        labels = [f"{who}\n(published)" if old else f"{who}\n(n = {n})" for who, old, n in _labels(part)]
        axis.set_yticks(rows, labels)
        axis.set_xlim(0, 1)
        axis.set_xlabel("share inside the union of the graphs")
        axis.set_title(line_name(line))
    return finished(figure, table)


def fates(table: pd.DataFrame, atlas: str, kind: str) -> Figure:
    """What became of all proposals, one bar a task and model, a panel a line.

    `table` is `llm.studies.fates`.
    """
    bars = table[["task", "model"]].drop_duplicates()
    figure, axes = panels(table, height=0.5 * len(bars) + 2.0)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        names = []
        for row, (_, bar) in enumerate(bars[::-1].iterrows()):
            mine = part[(part["task"] == bar["task"]) & (part["model"] == bar["model"])].set_index("fate")
            left = 0.0
            for fate, colour in FATE_COLOURS.items():
                axis.barh(row, mine.loc[fate, "share"], left=left, color=colour, height=0.6, label=fate)
                left += mine.loc[fate, "share"]
            names.append(f"{bar['task']}, {bar['model']}\n(n = {mine['n'].sum()})")
        axis.set_yticks(range(len(bars)), names)
        axis.set_xlim(0, 1)
        axis.set_xlabel("share of proposals")
        axis.set_title(line_name(line))
    handles, labels = axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure = finished(figure, table.assign(atlas=atlas, kind=kind))
    figure.subplots_adjust(bottom=0.42)
    figure.legend(unique.values(), unique.keys(), loc="lower center", ncol=4, bbox_to_anchor=(0.5, 0.05))
    return figure


def _labels(part: pd.DataFrame) -> zip:
    return zip(part["who"], part["published"], part["n"], strict=True)
