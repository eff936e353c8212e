"""Figures of the causal model: a hierarchy and tables of pairs in, a figure out; nothing is computed from data here."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.simulated.causal import HierarchicalSCM, State
from kgpert_lib.studies.causal_model import ALONE, MEETING, integrator
from kgpert_lib.studies.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    WHITE,
    finished,
    legend_below,
    line_name,
    panels,
    typographic,
)

PROFILES = {
    "model": ("the model: $K_0 = 0$, no noise", BLUE, "o"),
    "noise-free": ("simulated world, no noise", GREEN, "s"),
    "measured": ("simulated world, measured", ORANGE, "D"),
}
LEVEL_STYLE = {"complex": (BLUE, "o"), "pathway": (GREEN, "s"), "organelle": (ORANGE, "D"), "nowhere": (GREY, "^")}
AXES = {
    "own response": "$K_0$: own response\nof a gene",
    "moonlighting": "mean number of further\nwholes a part belongs to",
    "redundancy": "share of genes\nwith a substitute",
    "partial knock-down": "largest share of a\nfunction that remains",
}
PLURAL = {"gene": "genes", "complex": "complexes", "pathway": "pathways", "organelle": "organelles"}
PILL = {"boxstyle": "round,pad=0.28", "linewidth": 1.1}


def knock_downs(scm: HierarchicalSCM, perturbations: Sequence[str]) -> Figure:
    """The hierarchy from genes (left) to organelles (right), once for each knock-down; orange is what fails.

    Meant for a few dozen components. What fails is marked by colour and by a cross.
    """
    height = 0.36 * max(scm.sizes) + 0.5
    figure, axes = plt.subplots(len(perturbations), 1, figsize=(9, height * len(perturbations)), squeeze=False)
    place = _places(scm)
    for axis, gene in zip(axes[:, 0], perturbations, strict=True):
        _hierarchy(axis, scm, scm.do(gene), place)
        axis.set_title(f"do({gene} = 0)", fontsize=11, loc="left", pad=28 if axis is axes[0, 0] else 8)
    for number, title in enumerate(scm.levels):
        axes[0, 0].text(number, 1.12, PLURAL.get(title, title), ha="center", fontsize=9.5, color=GREY, style="italic")
    numbers = pd.concat([_components(scm, gene) for gene in perturbations])
    return finished(figure, numbers.assign(atlas="toy hierarchy", kind="made up"))


def bound(table: pd.DataFrame) -> Figure:
    """Bound (across) against actual distance (up) of every pair; the line is where the two are equal.

    `table` is `causal_model.bound_of_lines`. Darker cells hold more pairs, on one logarithmic scale for all panels.
    """
    figure, axes = panels(table, height=4.2)
    top = 1.14 * float(table["distance"].max())
    right = 1.03 * float(table["bound"].max())
    scale = LogNorm(1)
    numbers = []
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        cells = axis.hexbin(
            part["bound"], part["distance"], gridsize=(46, 28), extent=(0, right, 0, top),
            norm=scale, cmap="Blues", mincnt=1, linewidths=0.1,
        )  # fmt: skip
        axis.plot([0, top], [0, top], color=ORANGE, linewidth=1.8)
        axis.fill_between([0, top], [0, top], [top, top], color=ORANGE, alpha=0.10, linewidth=0)
        axis.annotate(
            "above the bound", (0.45 * top, 0.97 * top), (0.22 * right, 0.9 * top), fontsize=9, color=ORANGE,
            va="center", bbox=WHITE, arrowprops={"arrowstyle": "->", "color": ORANGE},
        )  # fmt: skip
        axis.set(xlim=(0, right), ylim=(0, top))
        axis.set_title(f"{line_name(line)}: {int(part['over'].sum())} of {len(part):,} pairs above the line")
        axis.set_xlabel("bound: $\\sum_l K_l\\,|De_l(p)\\,\\triangle\\,De_l(q)|$")
        scale.vmax = max(scale.vmax or 0, float(np.max(np.asarray(cells.get_array()))))
        figure.colorbar(cells, ax=axis, label="pairs" if axis is axes[-1] else "")
        middles, pairs = np.asarray(cells.get_offsets()), np.asarray(cells.get_array())
        drawn = pd.DataFrame({"bound": middles[:, 0], "distance": middles[:, 1], "pairs": pairs})
        numbers.append(part[["atlas", "kind", "line"]].head(1).merge(drawn, how="cross"))
    axes[0].set_ylabel("distance of the expected responses")
    return finished(figure, table, pd.concat(numbers))


def similarity_by_level(table: pd.DataFrame) -> Figure:
    """Mean similarity by the level of the lowest common descendant, three kinds of profile, with intervals.

    `table` is `causal_model.similarity_of_lines`.
    """
    figure, axes = panels(table, height=3.9)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        for shift, (profile, (label, colour, marker)) in zip((-0.1, 0, 0.1), PROFILES.items(), strict=True):
            rows = part[part["profile"] == profile].set_index("level").loc[list(MEETING)]
            _interval(axis, np.arange(len(MEETING)) + shift, rows, colour, marker, label)
        counts = part.drop_duplicates("level").set_index("level")["n"].loc[list(MEETING)]
        axis.set_xticks(range(len(MEETING)), [f"{m}\nn = {n:,}" for m, n in counts.items()], fontsize=9)
        axis.axhline(0, color=GREY, linewidth=1)
        axis.set_title(line_name(line))
        axis.set_xlabel("where two knock-downs first meet")
    axes[0].set_ylabel("correlation of two profiles")
    axes[0].set_ylim(bottom=min(0.0, float(table["low"].min())) - 0.03)
    axes[0].legend(loc="lower left")
    return finished(figure, table)


def cross_line_map(cross: pd.DataFrame, atlas: Atlas, deltas: str = "measured") -> Figure:
    """Correlation across cell lines of the deltas of the Integrator subunits, submodules framed.

    `cross` is `causal_model.cross_line` of the `atlas`, which is only named; on the diagonal is a gene with itself.
    `deltas` says which deltas they are. Colours run from 0 to 0.8 on every map, so that
    two maps can be compared.
    """
    submodule = integrator(list(cross.index))
    genes = list(submodule)
    lines = ", ".join(line_name(line) for line in atlas.lines)
    values = cross.loc[genes, genes].to_numpy()
    figure, axis = plt.subplots(figsize=(7.4, 5.6))
    image = axis.imshow(values, cmap="Reds", vmin=0, vmax=0.8)
    axis.set_title(f"{deltas} deltas, {lines}")
    axis.set_xticks(range(len(genes)), genes, rotation=90, fontsize=8.5)
    axis.set_yticks(range(len(genes)), genes, fontsize=8.5)
    axis.grid(False)
    for i, j in np.ndindex(values.shape):
        number = typographic(f"{values[i, j]:.2f}").replace("0.", ".")
        colour = "white" if values[i, j] > 0.55 else "black"
        axis.text(j, i, number, ha="center", va="center", fontsize=6.5, color=colour)
    names = np.array(list(submodule.values()))
    edges = [0, *(np.flatnonzero(names[1:] != names[:-1]) + 1), len(names)]
    for start, stop in pairwise(edges):
        side = stop - start
        frame = plt.Rectangle((start - 0.5, start - 0.5), side, side, fill=False, lw=2.2, ec="black", clip_on=False)
        frame.set_zorder(3)  # above the edge of the panel
        axis.add_patch(frame)
        middle = (start + stop - 1) / 2
        axis.annotate(
            names[start], (len(genes) - 0.3, middle), va="center", fontsize=8.5, annotation_clip=False,
            style="italic" if names[start] == ALONE else "normal",
        )  # fmt: skip
    figure.colorbar(image, ax=axis, label="correlation across lines", pad=0.24, shrink=0.85, extend="both")
    numbers = (
        cross.loc[genes, genes].rename_axis("gene").melt(var_name="with", value_name="correlation", ignore_index=False)
    )
    numbers = numbers.reset_index().assign(deltas=deltas, submodule=lambda table: table["gene"].map(submodule))
    return finished(figure, numbers.assign(atlas=atlas.name, kind=atlas.kind, lines=lines))


def assumptions(table: pd.DataFrame) -> Figure:
    """Similarity by meeting level (above) and pairs beyond the bound (below) as each assumption is given up.

    `table` is `causal_model.broken_assumptions`.
    """
    names = list(table["assumption"].unique())
    figure, axes = plt.subplots(
        2, len(names), figsize=(2.3 * len(names), 5.2), sharey="row", sharex="col", height_ratios=(1.7, 1)
    )
    for (above, below), (assumption, part) in zip(axes.T, table.groupby("assumption", sort=False), strict=True):
        for level, (colour, marker) in LEVEL_STYLE.items():
            rows = part[part["level"] == level]
            _interval(above, rows["value"].to_numpy(), rows, colour, marker, level)
            below.plot(rows["value"], rows["over"], marker=marker, color=colour, markersize=4)
        above.set_title(str(assumption))
        above.axhline(0, color=GREY, linewidth=0.8)
        below.set_xlabel(AXES[str(assumption)], fontsize=9)
        below.set_ylim(-0.06, 1.06)
    axes[0, 0].set_ylabel("correlation of two profiles,\nby where they meet")
    axes[1, 0].set_ylabel("share of pairs\nabove the bound")
    legend_below(figure, axes[0, 0])
    return finished(figure, table)


def _interval(axis: Axes, x: NDArray[Any], rows: pd.DataFrame, colour: str, marker: str, label: str) -> None:
    error = [rows["similarity"] - rows["low"], rows["high"] - rows["similarity"]]
    axis.errorbar(
        x, rows["similarity"], np.maximum(error, 0), fmt=f"{marker}-", color=colour, label=label,
        markersize=4.5, capsize=2.5, linewidth=1.2,
    )  # fmt: skip


def _places(scm: HierarchicalSCM) -> list[NDArray[np.float64]]:
    """Heights of the components of each level: genes evenly spread, every whole in the middle of its parts."""
    heights = [np.linspace(1, 0, scm.sizes[0])]
    for edge in scm.edges:
        parts = edge.toarray().astype(np.float64)
        heights.append(parts.T @ heights[-1] / np.maximum(parts.sum(axis=0), 1))
    return heights


def _components(scm: HierarchicalSCM, gene: str) -> pd.DataFrame:
    """Every component, what it needs directly, and whether it fails when `gene` is knocked down."""
    state = scm.do(gene)
    levels = []
    for number, level in enumerate(scm.levels):
        needs = [""] * scm.sizes[0]
        if number:
            needs = [", ".join(scm.names[number - 1][row]) for row in scm.edges[number - 1].toarray().T.astype(bool)]
        columns = {"component": scm.names[number], "needs": needs, "fails": ~state.functional(number)[0]}
        levels.append(pd.DataFrame({"knocked down": gene, "level": level, **columns}))
    return pd.concat(levels)


def _hierarchy(axis: Axes, scm: HierarchicalSCM, state: State, heights: Sequence[NDArray[np.float64]]) -> None:
    failed = [~state.functional(number)[0] for number in range(len(scm.levels))]
    for number, edge in enumerate(scm.edges):
        for lower, upper in zip(*edge.nonzero(), strict=True):
            hit = failed[number][lower]
            axis.plot(
                [number, number + 1], [heights[number][lower], heights[number + 1][upper]],
                color=ORANGE if hit else "#c4c4c4", linewidth=2.2 if hit else 1.1, zorder=2 if hit else 1,
            )  # fmt: skip
    for number, names in enumerate(scm.names):
        for name, height, hit in zip(names, heights[number], failed[number], strict=True):
            look = {"facecolor": ORANGE, "edgecolor": ORANGE} if hit else {"facecolor": "white", "edgecolor": GREY}
            axis.text(
                number, height, f"× {name}" if hit else str(name), ha="center", va="center", fontsize=8.5,
                color="white" if hit else "black", weight="bold" if hit else "normal", bbox=PILL | look, zorder=3,
            )  # fmt: skip
    axis.set(xlim=(-0.3, len(scm.levels) - 0.6), ylim=(-0.07, 1.07))
    axis.set_axis_off()
