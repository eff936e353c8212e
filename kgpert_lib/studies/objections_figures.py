"""Figures of the chapter on what could be wrong: tables in, a figure out; nothing is loaded here."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.studies.style import BLUE, GREY, ORANGE, legend_below, line_name, noted, one_range, panels


def beside_asked(table: pd.DataFrame, atlas: str) -> Figure:
    """AUROC of every rule with its interval, on all readout genes and on those that change now and then.

    `table` is `objection_scores.beside_asked`; the dashed line is chance.
    """
    rules = list(table["rule"].unique())
    figure, axes = panels(table, height=0.5 * len(rules) + 1.2)
    rows = np.arange(len(rules))[::-1]
    for axis, (line, part) in zip(axes, table.groupby("line", sort=False), strict=True):
        axis.axvline(0.5, color=GREY, linestyle="--", linewidth=1)
        sizes = []
        strata = part.groupby("readout genes", sort=False)
        for (name, own), colour, shift in zip(strata, (BLUE, ORANGE), (0.12, -0.12), strict=True):
            values = own.set_index("rule").loc[rules]
            error = np.abs([values["auroc"] - values["auroc_low"], values["auroc_high"] - values["auroc"]])
            axis.errorbar(
                values["auroc"], rows + shift, xerr=error, fmt="o", markersize=5, capsize=2.5, color=colour, label=name
            )
            sizes.append(f"{own['questions'].iloc[0]:,}")
        axis.set_yticks(rows, rules)
        axis.set_ylim(-0.6, len(rules) - 0.4)
        axis.set_title(f"{line_name(line)} (n = {' and '.join(sizes)} questions)")
        axis.set_xlabel("AUROC, mean over readout genes")
    one_range(axes)
    legend_below(figure, axes[0])
    return noted(figure, atlas, table)
