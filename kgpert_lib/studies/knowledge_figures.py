"""Figures of the chapter on which knowledge counts; nothing is loaded here."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.studies.style import BLUE, GREY, finished, label_outer, line_name, one_range, panels


def shares(table: pd.DataFrame) -> Figure:
    """Share of the learnt affinity that each table makes, with its interval; one panel for each line.

    `table` is `knowledge.shares`. Grey: no weight in at least half of the draws.
    """
    figure, axes = panels(table, height=0.26 * table["table"].nunique() + 0.9)
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        rows = np.arange(len(part))[::-1]
        for row, item in zip(rows, part.to_dict("records"), strict=True):
            colour = BLUE if item["chosen"] > 0.5 else GREY
            axis.plot([item["share_low"], item["share_high"]], [row, row], color=colour, linewidth=2)
            axis.plot(item["share"], row, "o", color=colour, markersize=5)
        axis.set_yticks(rows, part["table"])
        axis.set_title(line_name(line))
    one_range(axes)
    label_outer(axes, across="share of the affinity, with 95 % interval")
    return finished(figure, table)
