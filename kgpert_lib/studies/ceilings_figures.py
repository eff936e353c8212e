"""Figures against the experimental ceiling (paper, Figures 3, 4 and 11, Appendix B); scores in, a figure out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kgpert_lib.studies.style import (
    BLUE,
    GREEN,
    GREY,
    LABELS,
    ORANGE,
    WHITE,
    draw_gains,
    empty,
    finished,
    legend_below,
    line_name,
    percent,
    signed,
)

ACROSS = 2  # panels in a row of `_grid`
PART_COLOURS = (BLUE, ORANGE, "#b2182b")
TRAIT_LABELS = {
    "magnitude": "delta magnitude (rms)",
    "control_likeness": "control-likeness",
}
SCORE_LABELS = LABELS | {"mse": "MSE", "mae": "MAE"}
LOGARITHMIC = ("magnitude", "unlike")
CORRECTION_COLOURS = {
    "none": GREY,
    "sqrt": BLUE,
    "linear": ORANGE,
    "spearman-brown": GREEN,
    "noise-free": "#762a83",
}
GENE = ["atlas", "kind", "line", "perturbation"]
TARGET_LABELS = {"truth": "against noise-free truth", "replicate": "against a second experiment"}


class Panel(NamedTuple):
    """One cell line's axes and rows."""

    axis: Axes
    title: str
    rows: pd.DataFrame


def gains_under_ceiling(gains: pd.DataFrame, room: pd.DataFrame) -> Figure:
    """Paired gain of every predictor over the training mean, and how far the ceiling is above that mean (Figure 3).

    `gains` is `graph_neighbours.gains`, `room` the `ceilings` of the training mean: its gap. All panels have one range.
    """
    figure, panels = _grid(gains, 0.36 * gains["predictor"].nunique() + 1.1, sharex=True, sharey=True)
    tops = room.set_index(["atlas", "line"])
    for axis, title, part in panels:
        top = tops.loc[(part["atlas"].iloc[0], part["line"].iloc[0])]
        ceiling = "no ceiling"
        if top["n"]:
            ceiling = f"ceiling {signed(top['gap'])}"
            axis.axvspan(top["gap_low"], top["gap_high"], color=ORANGE, alpha=0.2, linewidth=0)
            axis.axvline(top["gap"], color=ORANGE, linewidth=1.5)
        draw_gains(axis, part)
        axis.set_title(f"{title} (n = {part['n'].iloc[0]}), {ceiling}")
        axis.set_xlabel("gain over the training mean")
    columns = ["atlas", "kind", "line", "n", "gap", "gap_low", "gap_high"]
    return finished(figure, gains, {"gain": gains, "ceiling": room.loc[room["n"] > 0, columns]})


def gap_by_quantile(parts: pd.DataFrame, shares: pd.DataFrame) -> Figure:
    """Gap to the ceiling of every test gene, sorted, with the share of the shortfall of each part (Figure 4 i).

    `parts` is `ceilings.parts`, `shares` `ceilings.gap_shares`.
    """
    if parts.empty:
        return empty("no line of this screen has a ceiling")
    figure, panels = _grid(parts, 3.0, sharey=True)
    for axis, title, own in panels:
        own_shares = shares[(shares["atlas"] == own["atlas"].iloc[0]) & (shares["line"] == own["line"].iloc[0])]
        axis.axhline(0, color="black", linewidth=1)
        for colour, item in zip(PART_COLOURS, own_shares.to_dict("records"), strict=True):
            rows = own[own["part"] == item["part"]]
            axis.bar(rows["quantile"], rows["gap"], width=1 / len(own), color=colour, linewidth=0)
            axis.annotate(
                f"{item['part']}\n{percent(item['share of shortfall'])} of shortfall",
                (rows["quantile"].mean(), rows["gap"].max()),
                (-10 if item["part"].startswith("worst") else 0, 5),
                textcoords="offset points",
                ha="right" if item["part"].startswith("worst") else "center",
                fontsize=8,
                color=colour,
                bbox=WHITE,
            )
        axis.margins(x=0)
        axis.set_ylim(parts["gap"].min() - 0.03, parts["gap"].max() + 0.16)
        axis.xaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))
        axis.set_title(f"{title} (n = {len(own)})")
        axis.set_xlabel("test genes, smallest gap to largest")
    _label_left(panels, "ceiling minus Pearson delta")
    return finished(figure, parts, {"gene": parts[[*GENE, "part", "quantile", "gap"]], "part": shares})


def part_traits(parts: pd.DataFrame) -> Figure:
    """Magnitude, unlikeness to controls and neighbours of well and poorly predicted genes (Figures 4 ii and 11).

    `parts` is `ceilings.parts` by error. Boxes: median and quartiles, whiskers to 1.5 times their distance, of the
    logarithms where the axis is logarithmic.
    """
    lines = list(parts.groupby(["atlas", "line"], sort=False))
    drawn_by_trait = {"magnitude": parts["magnitude"], "unlike": 1 - parts["control_likeness"]}
    labels = {"magnitude": "delta magnitude (rms)", "unlike": "1 − control-likeness", "n_neighbours": "neighbours"}
    names = list(parts["part"].cat.categories)
    figure, axes = plt.subplots(
        len(lines), len(labels), figsize=(9.2, 2.1 * len(lines) + 0.4), sharex="col", squeeze=False
    )
    for row, (_, own) in zip(axes, lines, strict=True):
        values = own.assign(unlike=1 - own["control_likeness"])
        for axis, (trait, label) in zip(row, labels.items(), strict=True):
            drawn = np.log10(values[trait]) if trait in LOGARITHMIC else values[trait]
            _boxes(axis, [drawn[values["part"] == name] for name in names], names)
            if trait in LOGARITHMIC:
                ticks = _log_ticks(drawn_by_trait[trait])
                axis.set_xticks(np.log10(ticks), [f"{tick:g}" for tick in ticks])
            axis.set_xlabel(label)
            axis.label_outer()
            axis.tick_params(labelsize=9)
        row[0].set_title(f"{line_name(own['line'].iloc[0])} (n = {len(own)})", loc="left")
    return finished(figure, parts, parts[[*GENE, "part", "magnitude", "control_likeness", "n_neighbours"]])


def neighbour_correlations(pairs: pd.DataFrame) -> Figure:
    """Distribution of a test gene's correlation with all training genes and with its neighbours (Figure 4 iii).

    `pairs` is `ceilings.neighbour_correlations`. Marks: the mean over test genes of the best of each.
    """
    figure, panels = _grid(pairs, 3.0, sharey=True, sharex=True)
    bins = np.linspace(np.floor(10 * pairs["pearson"].min()) / 10, 1, 45).tolist()
    bars, means = [], []
    for axis, title, own in panels:
        near = own[own["neighbour"]]
        for label, rows, colour in (("all training genes", own, GREY), ("neighbours", near, BLUE)):
            heights, *_ = axis.hist(
                rows["pearson"], bins=bins, density=True, histtype="stepfilled", label=label,
                facecolor=to_rgba(colour, 0.45), edgecolor=colour,
            )  # fmt: skip
            best = rows.groupby("perturbation")["pearson"].max().mean()
            axis.axvline(best, color=colour, linestyle=":", linewidth=1.8)
            head = own[["atlas", "kind", "line"]].head(1).assign(training=label, pairs=len(rows))
            bar = pd.DataFrame({"from": bins[:-1], "to": bins[1:], "density": heights})
            bars.append(head.merge(bar, how="cross"))
            means.append(head.assign(mean=best, n=rows["perturbation"].nunique()))
        axis.set_title(f"{title} ({own['perturbation'].nunique()} genes, {len(near):,} neighbours)", fontsize=10)
        axis.set_xlabel("Pearson between two deltas")
    _label_left(panels, "density of pairs")
    legend_below(figure, panels[0].axis)
    return finished(figure, pairs, {"density": pd.concat(bars), "mean of the best": pd.concat(means)})


def score_correlations(table: pd.DataFrame) -> Figure:
    """Spearman correlation of each score with magnitude and control-likeness, with intervals (Appendix B.2).

    `table` is `ceilings.score_correlations`.
    """
    if table.empty:
        return empty("the deltas of this screen have no magnitude")
    figure, panels = _grid(table, 2.4, sharey=True, sharex=True)
    for axis, title, own in panels:
        axis.axvline(0, color=GREY, linewidth=1)
        scores = list(dict.fromkeys(own["score"]))
        for shift, (trait, colour) in zip(
            (0.14, -0.14), (("magnitude", BLUE), ("control_likeness", ORANGE)), strict=True
        ):
            if trait not in set(own["trait"]):
                continue  # a screen without controls
            rows = own[own["trait"] == trait].set_index("score").loc[scores]
            y = np.arange(len(scores))[::-1] + shift
            error = [rows["spearman"] - rows["spearman_low"], rows["spearman_high"] - rows["spearman"]]
            axis.errorbar(rows["spearman"], y, xerr=error, fmt="o", color=colour, label=TRAIT_LABELS[trait])
        axis.set_yticks(np.arange(len(scores))[::-1], [SCORE_LABELS[s] for s in scores])
        axis.set(xlim=(-1, 1), ylim=(-0.6, len(scores) - 0.4), title=f"{title} (n = {own['n'].iloc[0]})")
        axis.set_xlabel("Spearman correlation over test genes")
    legend_below(figure, panels[0].axis)
    return finished(figure, table)


def scores_against_trait(table: pd.DataFrame, trait: str, predictor: str, scores: Sequence[str]) -> Figure:
    """Every test gene's scores against a trait, one row per score, one column per line (Appendix B.2).

    `table` is `ceilings.scores`; the magnitude is drawn on a logarithmic axis. A score has one range in all lines.
    """
    rows = table[table["predictor"] == predictor]
    lines = list(rows.groupby(["atlas", "line"], sort=False))
    size = (2.3 * len(lines), 2 * len(scores) + 0.6)
    figure, axes = plt.subplots(len(scores), len(lines), figsize=size, sharex=True, sharey="row", squeeze=False)
    for row, score in zip(axes, scores, strict=True):
        for axis, (_, own) in zip(row, lines, strict=True):
            axis.plot(own[trait], own[score], "o", color=BLUE, markersize=2.5, alpha=0.6)
            if trait in LOGARITHMIC:
                axis.set_xscale("log")
                axis.set_xticks(ticks := _log_ticks(rows[trait]), [f"{tick:g}" for tick in ticks])
                axis.minorticks_off()
            axis.tick_params(labelsize=8)
            axis.yaxis.set_major_locator(MaxNLocator(4))
        row[0].set_ylabel(SCORE_LABELS[score])
    for axis, (_, own) in zip(axes[0], lines, strict=True):
        axis.set_title(f"{line_name(own['line'].iloc[0])} (n = {len(own)})")
    for axis in axes[-1]:
        axis.set_xlabel(TRAIT_LABELS[trait], fontsize=9)
    return finished(figure, rows, rows[[*GENE, "predictor", trait, *scores]])


def correction_bias(calibration: pd.DataFrame) -> Figure:
    """Bias of each correction of the split-half correlation by cells per perturbation, against truth and replicate.

    `calibration` is `ceiling.calibrate`; one row of panels per line.
    """
    binned = calibration[calibration["cells"] != "all"]
    lines = list(dict.fromkeys(binned["line"]))
    figure, axes = plt.subplots(
        len(lines), 2, figsize=(9.2, 2.7 * len(lines) + 0.7), sharex=True, sharey=True, squeeze=False
    )
    for row, line in zip(axes, lines, strict=True):
        for axis, target in zip(row, TARGET_LABELS, strict=True):
            own = binned[(binned["line"] == line) & (binned["target"] == target)]
            axis.axhline(0, color="black", linewidth=1)
            for name, colour in CORRECTION_COLOURS.items():
                part = own[own["correction"] == name]
                x = np.arange(len(part))
                axis.plot(x, part["bias"], "o-", color=colour, label=name, markersize=4)
                axis.fill_between(x, part["low"], part["high"], color=colour, alpha=0.2, linewidth=0)
            axis.set_xticks(x, part["cells"].str.replace("-", "–"))
            axis.set_title(f"{line_name(line)}, {TARGET_LABELS[target]}")
        row[0].set_ylabel("corrected minus target")
    for axis in axes[-1]:
        axis.set_xlabel("cells with the perturbation")
    legend_below(figure, axes[0, 0])
    return finished(figure, binned.assign(atlas="simulated"))


def _boxes(axis: Axes, values: Sequence[pd.Series], names: Sequence[str]) -> None:
    """One horizontal box for each part of the genes, the first on top, in the colours of the parts."""
    drawn = axis.boxplot(
        values, tick_labels=names, orientation="horizontal", patch_artist=True, widths=0.75,
        medianprops={"color": "black"}, flierprops={"markersize": 2},
    )  # fmt: skip
    for box, colour in zip(drawn["boxes"], PART_COLOURS, strict=True):
        box.set_facecolor(colour)
    axis.grid(visible=False, axis="y")
    axis.invert_yaxis()


def _log_ticks(values: pd.Series) -> list[float]:
    """Up to five round numbers, 1, 2 or 5 times a power of ten, that lie inside the range of the values above 0."""
    low, high = values[values > 0].min(), values.max()
    ladder = [factor * 10.0**power for power in range(-6, 4) for factor in (1, 2, 5)]
    inside = [tick for tick in ladder if low <= tick <= high]
    return inside[:: -(-len(inside) // 5) or 1]


def _label_left(panels: Sequence[Panel], label: str) -> None:
    """A vertical label for the first panel of each row."""
    for panel in panels[::ACROSS]:
        panel.axis.set_ylabel(label)


def _grid(table: pd.DataFrame, height: float, sharex: bool = False, sharey: bool = False) -> tuple[Figure, list[Panel]]:
    """Panels of `height` inches, one for each line of each atlas, in rows of at most `ACROSS`."""
    groups = list(table.groupby(["atlas", "line"], sort=False))
    several = table["atlas"].nunique() > 1
    across = min(ACROSS, len(groups))
    down = -(-len(groups) // across)
    figure, axes = plt.subplots(
        down, across, figsize=(4.6 * across, height * down), sharex=sharex, sharey=sharey, squeeze=False
    )
    for axis in axes.ravel()[len(groups) :]:
        axis.set_axis_off()
    panels = []
    for axis, ((atlas, line), rows) in zip(axes.ravel(), groups, strict=False):
        name = line_name(line)
        panels.append(Panel(axis, f"{name}, {atlas}" if several else name, rows))
    return figure, panels
