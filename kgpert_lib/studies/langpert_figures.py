"""Figures of the language-model chapter: shares and fates of proposals, gains of predictors over a reference."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.studies.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    WHITE,
    draw_gains,
    finished,
    line_name,
    one_range,
    panels,
    percent,
)

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
    """Share of chosen genes inside the union of the graphs, one panel per line; published shares are hatched.

    `table` is `studies.langpert.inside_graphs`.
    """
    figure, axes = panels(table, height=0.42 * table["who"].nunique() + 1.1)
    published = set(table.loc[table["published"], "who"])
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        rows = np.arange(len(part))[::-1]
        colours = [GREY if who == "genes offered" else BLUE for who in part["who"]]
        values = zip(part["share"].tolist(), part["n"].tolist(), part["published"].tolist(), strict=True)
        for row, colour, (share, n, old) in zip(rows, colours, values, strict=True):
            if old:
                axis.barh(row, share, color="white", edgecolor=ORANGE, hatch="///", height=0.6)
            else:
                axis.barh(row, share, color=colour, height=0.6)
            text = f"about {percent(share)}" if old else f"{percent(share)} of {n:,}"
            axis.annotate(text, (share, row), (5, 0), textcoords="offset points", va="center", fontsize=9, bbox=WHITE)
        axis.set_yticks(rows, [f"{who}\n(published)" if who in published else who for who in part["who"]])
        axis.grid(visible=False, axis="y")
        axis.set_xlim(0, 1)
        axis.set_xlabel("share inside the union of the graphs")
        axis.set_title(line_name(line))
    return finished(figure, table)


def fates(table: pd.DataFrame, atlas: str, kind: str) -> Figure:
    """What became of all proposals, one bar per task and model, one panel per line.

    `table` is `studies.langpert.fates`.
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
            names.append(f"{bar['task']}\n({bar['model']})")
            axis.annotate(f"n = {mine['n'].sum()}", (1, row + 0.33), ha="right", va="bottom", fontsize=8)
        axis.set_yticks(range(len(bars)), names)
        axis.set_ylim(-0.5, len(bars) - 0.35)
        axis.grid(visible=False, axis="y")
        axis.set_xlim(0, 1)
        axis.set_xlabel("share of proposals")
        axis.set_title(line_name(line))
    handles, labels = axes[0].get_legend_handles_labels()
    unique = dict(zip(labels, handles, strict=True))
    figure = finished(figure, table.assign(atlas=atlas, kind=kind))
    figure.subplots_adjust(bottom=0.42)
    figure.legend(unique.values(), unique.keys(), loc="lower center", ncol=4, bbox_to_anchor=(0.5, 0.05))
    return figure


def paired_gains(tests: pd.DataFrame, atlas: str, kind: str) -> Figure:
    """Gain of each predictor over the reference on the same genes with its 95 % interval, one panel per line.

    `tests` is `summaries.paired_tests`. Blue: the interval leaves out 0. All panels have one range.
    """
    names = {"method_a": "predictor", "method_b": "compared with", "n_pairs": "n"}
    gains = tests.rename(columns={**names, "mean_difference": "gain", "low": "gain_low", "high": "gain_high"})
    figure, axes = panels(gains, height=0.42 * gains["predictor"].nunique() + 1.3)
    for axis, (line, part) in zip(axes, gains.groupby("line", sort=False), strict=True):
        draw_gains(axis, part)
        axis.set_xlabel("gain in Pearson delta")
        axis.set_title(f"{line_name(line)} (n = {part['n'].iloc[0]})")
    one_range(axes)
    return finished(figure, gains.assign(atlas=atlas, kind=kind))
