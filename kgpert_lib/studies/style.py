"""What all figures share: settings, colours, names, one panel a cell line, and the line that names the atlas.

Every figure carries the name and kind of its atlas and its n; intervals are 95 % bootstrap intervals over
perturbations.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from kgpert_lib.lines import LINES
from kgpert_lib.studies import numbers as figure_numbers

LABELS = {"pearson": "Pearson delta", "centred_pearson": "centred Pearson delta", "retrieval": "retrieval"}
DENSE = 1000  # a cloud of more points is a picture inside the SVG: its shapes would weigh megabytes
RASTER_DPI = 200
BLUE, ORANGE, GREY, GREEN = "#2166ac", "#d95f02", "#7f7f7f", "#1b7837"
WHITE = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 0.8}  # ground of text that lines would strike
ACROSS = 2  # panels in a row: with more, letters cannot be read at the width of a page
FOOT = 0.16  # inches below the panels, for the line that names the atlas
NARROW = 6.0  # inches of width, below which a legend has a line of its own above that


def style() -> None:
    """Plot settings of the book: light background, readable at phone width, no chart junk.

    A notebook shows a figure as SVG, with its numbers as csv beside the picture.
    """
    sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "savefig.facecolor": "white",
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "legend.fontsize": 9,
            "legend.edgecolor": "none",
            "legend.framealpha": WHITE["alpha"],
            "svg.hashsalt": "kgpert",  # the same figure has the same bytes in every run
        }
    )
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None}, dpi=RASTER_DPI)
        formatter = ipython.get_ipython().display_formatter.mimebundle_formatter
        formatter.for_type(Figure, figure_numbers.bundle)


def line_name(line: object) -> str:
    """A cell line as people write it."""
    return LINES.get(str(line), str(line))


def typographic(text: str) -> str:
    """Numbers with the minus of the tick labels; a hyphen between letters or in a range stays."""
    return re.sub(r"(?<![\w-])-(?=[\d.])", "−", text)


def signed(value: float) -> str:
    """A gain with its sign and three decimals, never a negative zero."""
    return typographic(f"{round(value, 3) + 0:+.3f}")


def percent(share: float) -> str:
    """A share in per cent, spaced as in the text."""
    return f"{share:.0%}".replace("%", " %")


def panels(table: pd.DataFrame, height: float) -> tuple[Figure, Sequence[Axes]]:
    """One panel for each cell line of the table, `height` inches high, at most `ACROSS` in a row."""
    lines = table["line"].nunique()
    across = min(lines, ACROSS)
    rows = -(-lines // across)
    figure, axes = plt.subplots(rows, across, figsize=(4.6 * across, height * rows), sharey=True, squeeze=False)
    for axis in axes.flat[lines:]:
        axis.set_axis_off()
    return figure, list(axes.flat[:lines])


def label_outer(axes: Sequence[Axes], across: str = "", up: str = "") -> None:
    """The labels of the axes, on the panels at the bottom and at the left of a grid; tick labels stay."""
    for axis in axes:
        place = axis.get_subplotspec()
        assert place is not None
        if place.is_last_row():
            axis.set_xlabel(across)
        if place.is_first_col():
            axis.set_ylabel(up)


def draw_gains(axis: Axes, gains: pd.DataFrame) -> None:
    """A row for each predictor: its gain as a point and a number, and the interval; grey where that holds 0.

    `gains` has the columns predictor, gain, gain_low and gain_high.
    """
    rows = np.arange(len(gains))[::-1]
    axis.axvline(0, color=GREY, linestyle="--", linewidth=1)
    for row, item in zip(rows, gains.to_dict("records"), strict=True):
        colour = GREY if item["gain_low"] <= 0 <= item["gain_high"] else BLUE
        axis.plot([item["gain_low"], item["gain_high"]], [row, row], color=colour, linewidth=2)
        axis.plot(item["gain"], row, "o", color=colour, markersize=5)
        number(axis, signed(item["gain"]), item["gain"], row)
    axis.set_yticks(rows, gains["predictor"])
    axis.set_ylim(-0.6, len(gains) - 0.3)
    axis.xaxis.set_major_locator(MaxNLocator(5))


def number(axis: Axes, text: str, x: float, y: float) -> None:
    """Text centred above a point, on a ground that keeps lines out of it."""
    axis.annotate(text, (x, y), (0, 4), textcoords="offset points", ha="center", va="bottom", fontsize=8, bbox=WHITE)


def one_range(axes: Sequence[Axes]) -> None:
    """The same horizontal range on every panel, so that equal gains look equal."""
    ends = [axis.get_xlim() for axis in axes]
    for axis in axes:
        axis.set_xlim(min(low for low, _ in ends), max(high for _, high in ends))


def empty(reason: str) -> Figure:
    """A figure that says why there is nothing to draw."""
    figure, axis = plt.subplots(figsize=(9.2, 0.6))
    axis.set_axis_off()
    axis.text(0, 0.5, f"Nothing to draw: {reason}.", fontsize=10, color=GREY, va="center")
    plt.close(figure)
    return figure


def finished(
    figure: Figure, table: pd.DataFrame, numbers: pd.DataFrame | Mapping[str, pd.DataFrame] | None = None
) -> Figure:
    """`noted` with the atlas and its kind from the columns of the table, the numbers unless others are given."""
    atlas = ", ".join(table["atlas"].unique())
    kind = table["kind"].iloc[0] if "kind" in table else atlas
    return noted(figure, atlas + (f" ({kind})" if kind != atlas else ""), table if numbers is None else numbers)


def noted(figure: Figure, atlas: str, numbers: pd.DataFrame | Mapping[str, pd.DataFrame]) -> Figure:
    """Add the line that names the atlas, keep the numbers, and close the figure, so that a notebook shows it once.

    `numbers` are what is drawn, one row for each mark (`studies.numbers.attach`). Dense clouds and meshes become
    pictures inside the SVG, the rest stays shapes.
    """
    height, foot = figure.get_figheight(), FOOT
    if figure.legends and figure.get_figwidth() < NARROW:
        foot += 1.5 * FOOT
        figure.legends[0].set_bbox_to_anchor((1, FOOT / height), transform=figure.transFigure)
    figure.tight_layout(rect=(0, foot / height, 1, 1))
    figure.text(0.005, 0.06 / height, f"atlas: {atlas}", fontsize=8, color=GREY)
    for cloud in figure.findobj(PathCollection):
        cloud.set_rasterized(np.shape(cloud.get_offsets())[0] > DENSE)
    for mesh in figure.findobj(QuadMesh):
        mesh.set_rasterized(True)  # cells that are shapes show hairlines between them
    figure_numbers.attach(figure, numbers, atlas)
    plt.close(figure)
    return figure


def legend_below(figure: Figure, axis: Axes) -> None:
    """The legend of one panel for the whole figure, in one row right of the line that names the atlas."""
    handles, labels = axis.get_legend_handles_labels()
    corner = (1, -0.04 / figure.get_figheight())
    figure.legend(handles, labels, loc="lower right", ncols=len(labels), bbox_to_anchor=corner, fontsize=8.5)
