"""Figures of the chapter on claims and real expression: scores in, a figure out; nothing is loaded here."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.studies.style import BLUE, GREY, ORANGE, finished, line_name, number, one_range

ROW = 0.27  # inches


def beside_published(scores: pd.DataFrame, ceilings: pd.DataFrame, quoted: pd.DataFrame) -> Figure:
    """Mean Pearson delta of our predictors beside published figures, which are marked as quoted (paper, Figure 3).

    `scores` is `summaries.scores`, `ceilings` `ceilings.ceilings` of any predictor, `quoted` `published.quoted`. The
    ceiling is drawn where the line has one.
    """
    lines = list(dict.fromkeys(scores["line"]))
    quoted = quoted[(quoted["metric"] == "pearson") & quoted["line"].isin(lines)]
    tops = ceilings[(ceilings["n"] > 0) & ceilings["line"].isin(lines)]
    figure, axes = plt.subplots(
        1, len(lines), figsize=(4.6 * len(lines), ROW * _rows(scores, quoted) + 1.2), squeeze=False
    )
    for axis, line in zip(axes[0], lines, strict=True):
        own = scores[scores["line"] == line]
        others = quoted[quoted["line"] == line]
        for row in tops[tops["line"] == line].to_dict("records"):
            axis.axvspan(row["ceiling_low"], row["ceiling_high"], color=ORANGE, alpha=0.2, linewidth=0)
            axis.axvline(row["ceiling"], color=ORANGE, linewidth=1.5)
        y = np.arange(len(own) + len(others))[::-1]
        for place, row in zip(y, own.to_dict("records"), strict=False):
            axis.plot([row["pearson_low"], row["pearson_high"]], [place, place], color=BLUE, linewidth=2)
            axis.plot(row["pearson"], place, "o", color=BLUE, markersize=5)
            number(axis, f"{row['pearson']:.3f}", row["pearson"], place)
        for place, row in zip(y[len(own) :], others.to_dict("records"), strict=True):
            error = 0 if np.isnan(row["standard_error"]) else row["standard_error"]
            axis.errorbar(row["value"], place, xerr=error, fmt="D", color=GREY, markerfacecolor="white", markersize=5)
            number(axis, f"{row['value']:.3f}", row["value"], place)
        axis.set_yticks(y, [*own["predictor"], *(f"{name} (quoted)" for name in others["method"])])
        axis.set_ylim(-0.6, len(y) + 0.1)
        axis.set_title(f"{line_name(line)} (ours: n = {own['n'].iloc[0]})")
        axis.set_xlabel("mean Pearson delta, 95 % interval")
        axis.grid(visible=False, axis="y")
    one_range(list(axes[0]))
    ours = scores[["atlas", "kind", "line", "predictor", "n", "pearson", "pearson_low", "pearson_high"]]
    ceiling = tops[["atlas", "kind", "line", "n", "ceiling", "ceiling_low", "ceiling_high"]]
    others = quoted.drop(columns="metric").rename(columns={"value": "pearson"})
    return finished(figure, scores, {"ours": ours, "quoted": others, "ceiling": ceiling})


def _rows(scores: pd.DataFrame, quoted: pd.DataFrame) -> int:
    """Rows of the longest panel."""
    return int(max((scores["line"] == line).sum() + (quoted["line"] == line).sum() for line in scores["line"].unique()))
