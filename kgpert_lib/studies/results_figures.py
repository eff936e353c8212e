"""Figures of the chapter on results: every pair of predictors with its test."""

from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from kgpert_lib.studies.results import LEVEL
from kgpert_lib.studies.style import finished, line_name, signed

BETTER, WORSE, UNCLEAR = "#9ecae1", "#fdc086", "#eeeeee"


def pairs(table: pd.DataFrame, level: float = LEVEL) -> Figure:
    """Mean differences between all pairs of rows of a line, coloured where Holm's p is below `level`.

    `table` is `results.pairwise`. A cell is its row minus its column, whose number is that of a row.
    """
    lines = list(dict.fromkeys(table["line"]))
    names = {line: list(dict.fromkeys([*part["first"], *part["second"]])) for line, part in table.groupby("line")}
    heights = [len(names[line]) for line in lines]
    size = (8.8, 0.3 * sum(heights) + 0.75 * len(lines))
    figure, axes = plt.subplots(len(lines), 1, figsize=size, height_ratios=heights, squeeze=False)
    for axis, line in zip(axes.flat, lines, strict=True):
        order = {name: place for place, name in enumerate(names[line])}
        for item in table[table["line"] == line].itertuples():
            column, row = order[str(item.first)], order[str(item.second)]
            colour = UNCLEAR if item.p_holm >= level else WORSE if item.difference > 0 else BETTER
            axis.add_patch(Rectangle((column, row), 1, 1, facecolor=colour, edgecolor="white"))
            axis.text(column + 0.5, row + 0.5, signed(-item.difference), ha="center", va="center", fontsize=8)
        axis.set_xlim(0, max(heights) - 1)
        axis.set_ylim(len(order), 0)
        axis.set_yticks(
            [place + 0.5 for place in order.values()], [f"{name}  {k + 1}" for name, k in order.items()], fontsize=9
        )
        axis.set_xticks([place + 0.5 for place in range(len(order) - 1)], range(1, len(order)), fontsize=9)
        axis.grid(visible=False)
        for side in axis.spines.values():
            side.set_visible(False)
        axis.set_title(line_name(line), fontsize=11, loc="left")
    return finished(figure, table)
