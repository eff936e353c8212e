"""Figures of recorded training runs: learning curves, gains on test genes, enrichments, gaps by agreement of runs."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter

from kgpert_lib.screens.atlas import label
from kgpert_lib.screens.load import SIMULATED
from kgpert_lib.studies import rehearsal
from kgpert_lib.studies.run_scores import RunGroup
from kgpert_lib.studies.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    draw_gains,
    empty,
    finished,
    label_outer,
    line_name,
    noted,
    number,
    one_range,
    panels,
    signed,
)

PANELS = {
    "reward": {"reward": BLUE},
    "parts of the reward": {"format": GREY, "validity": ORANGE, "pearson": GREEN},
    "gap": {"gap": BLUE},
    "genes an answer": {"added": GREEN, "removed": ORANGE},
}
GAP = ("gap", "gap_low", "gap_high")
NOTHING = "no run of this atlas is recorded"


def curves(groups: Sequence[RunGroup], window: int = rehearsal.WINDOW) -> Figure:
    """Learning curves of each group, a row of panels each: reward, its parts, gap, sizes of the edits.

    Lines are means over runs of means over the last `window` steps; bands reach from the least to the most run.
    """
    recorded = [(group, rehearsal.curves(group)) for group in groups]
    recorded = [(group, table) for group, table in recorded if len(table)]
    if not recorded:
        return empty(NOTHING)
    size = (2.35 * len(PANELS), 2.3 * len(recorded))
    figure, grid = plt.subplots(len(recorded), len(PANELS), figsize=size, squeeze=False)
    numbers = []
    for axes, (group, table) in zip(grid, recorded, strict=True):
        drawn = rehearsal.smoothed(table, window)
        for axis, (title, colours) in zip(axes, PANELS.items(), strict=True):
            _curve(axis, drawn, colours)
            axis.set_title(title, fontsize=10)
        atlas = group.atlas.partition(":")[0]
        quantities = [name for colours in PANELS.values() for name in colours]
        numbers.append(drawn[drawn["quantity"].isin(quantities)].assign(atlas=atlas, policy=group.policy))
        axes[0].set_ylabel(f"{group.policy}\n{atlas} ({table['run'].nunique()} runs)", fontsize=9)
    for axis in grid[-1]:
        axis.set_xlabel("step")
    names = dict.fromkeys(group.atlas for group, _ in recorded)
    atlases = ", ".join(label(name, SIMULATED if name == SIMULATED else "real") for name in names)
    return noted(figure, atlases, pd.concat(numbers))


def gains(table: pd.DataFrame) -> Figure:
    """What trained edits gain over each comparison, one panel for each line; `table` is `rehearsal.compared`."""
    if table.empty:
        return empty(NOTHING)
    labels = "over " + table["compared with"]
    if table["policy"].nunique() > 1:
        labels = table["policy"] + " " + labels
    table = table.assign(predictor=labels)
    figure, axes = panels(table, 0.42 * labels.nunique() + 1.3)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        draw_gains(axis, part)
        axis.set_title(f"{line_name(line)} (n = {part['n'].max()})")
    one_range(axes)
    label_outer(axes, "gain in Pearson delta")
    return finished(figure, table)


def enrichment(table: pd.DataFrame) -> Figure:
    """Enrichment of classes of genes among what was removed and added; `table` is `rehearsal_edits.enriched`."""
    if table.empty:
        return empty(NOTHING)
    edits = list(dict.fromkeys(table["edit"]))
    rows = [int((table["edit"] == edit).sum()) for edit in edits]
    figure, axes = plt.subplots(
        len(edits),
        1,
        figsize=(8.6, 0.32 * sum(rows) + 1.3 * len(edits)),
        height_ratios=rows,
        sharex=True,
        squeeze=False,
    )
    for axis, edit in zip(axes.flat, edits, strict=True):
        part = table[table["edit"] == edit]
        for place, item in zip(range(len(part))[::-1], part.to_dict("records"), strict=True):
            clear = not item["enrichment_low"] <= 1 <= item["enrichment_high"]
            colour = BLUE if clear else GREY
            axis.plot([item["enrichment_low"], item["enrichment_high"]], [place, place], color=colour, linewidth=2)
            axis.plot(item["enrichment"], place, "o", color=colour, markersize=5)
        axis.axvline(1, color=GREY, linestyle="--", linewidth=1)
        axis.set_yticks(
            range(len(part))[::-1],
            [f"{name} ({n:,})" for name, n in zip(part["genes that"], part["offered"], strict=True)],
        )
        axis.set_ylim(-0.6, len(part) - 0.4)
        axis.set_title(f"genes that were {edit}", fontsize=10, loc="left")
    last = axes.flat[-1]
    last.set_xscale("log")
    ends = table[["enrichment_low", "enrichment_high"]].replace(0, np.nan)
    low, high = max(0.1, float(ends.min().min())), min(20.0, float(ends.max().max()))
    last.set_xlim(0.9 * min(low, 0.5), 1.1 * max(high, 2))
    last.xaxis.set_major_locator(FixedLocator([0.1, 0.2, 0.5, 1, 2, 5, 10, 20]))
    last.xaxis.set_major_formatter("{x:g}")
    last.xaxis.set_minor_formatter(NullFormatter())
    last.set_xlabel("enrichment (1: as often as offered)")
    return finished(figure, table)


def votes(table: pd.DataFrame) -> Figure:
    """What a move gains alone, by how many runs make it; `table` is `rehearsal_edits.gain_by_votes`."""
    if table.empty:
        return empty(NOTHING)
    figure, axis = plt.subplots(figsize=(6.4, 3.2))
    axis.axhline(0, color=GREY, linestyle="--", linewidth=1)
    for shift, colour, (edit, part) in zip(
        (-0.06, 0.06), (GREEN, ORANGE), table.groupby("edit", sort=True), strict=False
    ):
        x, (gap, low, high) = part["runs that make it"].to_numpy() + shift, part[list(GAP)].to_numpy(float).T
        axis.errorbar(x, gap, [gap - low, high - gap], fmt="o", color=colour, label=edit)
        for place, value in zip(x, gap, strict=True):
            number(axis, signed(value), place, value)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("runs whose edit makes the move")
    axis.set_ylabel("gap of the move alone")
    axis.legend(loc="upper left")
    axis.margins(x=0.2, y=0.2)
    return finished(figure, table)


def _curve(axis: Axes, drawn: pd.DataFrame, colours: dict[str, str]) -> None:
    for name, colour in colours.items():
        part = drawn[drawn["quantity"] == name]
        axis.fill_between(part["step"], part["least"], part["most"], color=colour, alpha=0.2, linewidth=0)
        axis.plot(part["step"], part["mean"], color=colour, linewidth=1.5, label=name)
    if len(colours) > 1:
        axis.legend(loc="best", fontsize=8)
    axis.xaxis.set_major_locator(MaxNLocator(4))
    axis.tick_params(labelsize=8.5)
