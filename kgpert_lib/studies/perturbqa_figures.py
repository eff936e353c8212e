"""Figures of the chapter on PerturbQA's questions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kgpert_lib.studies.style import (
    BLUE,
    GREY,
    ORANGE,
    label_outer,
    legend_below,
    line_name,
    noted,
    number,
    panels,
)

TASKS = {"de": "does it change?", "dir": "does it rise?"}
PUBLISHED = ("SUMMER", "Retrieval, no LLM")


def rules(own_split: pd.DataFrame, strict: pd.DataFrame, published: pd.DataFrame, atlas: str) -> Figure:
    """AUROC of every rule with its interval on the benchmark's own split and under ``strict``, by line and task.

    Published methods, which were scored on the benchmark's own split, are vertical lines. `own_split` and `strict` are
    `studies.perturbqa.rule_table` of the two splits, `published` has method, task, line, auroc.
    """
    figure, axes = _grid(own_split["line"].unique(), height=3.0)
    for across, line in zip(axes, own_split["line"].unique(), strict=True):
        for axis, task in zip(across, TASKS, strict=True):
            others = published[(published["line"] == line) & (published["task"] == task)]
            for method, style in zip(PUBLISHED, ("--", ":"), strict=True):
                for value in others.loc[others["method"] == method, "auroc"]:
                    axis.axvline(value, color=ORANGE, linestyle=style, linewidth=1.2, label=f"{method} (published)")
            for table, shift, colour, label in (
                (own_split, 0.14, BLUE, "the benchmark's own split"),
                (strict, -0.2, GREY, "strict split"),
            ):
                part = table[(table["line"] == line) & (table["task"] == task)]
                y = np.arange(len(part))[::-1] + shift
                error = np.abs([part["auroc"] - part["auroc_low"], part["auroc_high"] - part["auroc"]])
                axis.errorbar(part["auroc"], y, xerr=error, fmt="o", color=colour, markersize=4.5, label=label)
                if table is own_split:
                    for height, value in zip(y, part["auroc"], strict=True):
                        number(axis, f"{value:.3f}", value, height)
            axis.set_yticks(np.arange(len(part))[::-1], part["rule"])
            axis.set_ylim(-0.6, len(part) - 0.1)
            axis.set_title(f"{line_name(line)}, {TASKS[task]} (n = {part['questions'].iloc[0]:,})", fontsize=10)
    label_outer(list(axes.flat), "mean AUROC per readout gene, 95 % interval")
    legend_below(figure, axes[0][0])
    others = published[published["method"].isin(PUBLISHED) & published["line"].isin(own_split["line"])]
    columns = ["line", "task", "split", "rule", "questions", "auroc", "auroc_low", "auroc_high"]
    return noted(figure, atlas, {"rule": pd.concat([own_split, strict])[columns], "published": others})


def reliability(table: pd.DataFrame, atlas: str) -> Figure:
    """Stated probability against measured share, one panel per line and task; the size of a point is its questions."""
    figure, axes = _grid(table["line"].unique(), height=2.7)
    for row, line in zip(axes, table["line"].unique(), strict=True):
        for axis, task in zip(row, TASKS, strict=True):
            part = table[(table["line"] == line) & (table["task"] == task)]
            axis.plot([0, 1], [0, 1], color=GREY, linestyle="--", linewidth=1)
            axis.plot(part["stated"], part["measured"], color=BLUE, linewidth=1)
            axis.scatter(
                part["stated"], part["measured"], s=8 + 120 * part["questions"] / part["questions"].max(), color=BLUE
            )
            axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03))
            axis.set_title(f"{line_name(line)}, {TASKS[task]} (n = {part['questions'].sum():,})", fontsize=10)
    label_outer(list(axes.flat), "stated probability", "measured share")
    return noted(figure, atlas, table)


def trust(table: pd.DataFrame, atlas: str, score: str = "Pearson delta") -> Figure:
    """Reached against expected score of test perturbations with their 80 % intervals, sorted by expectation.

    One panel per line, or one row of panels per line where `table` has tasks; a dashed line then marks what
    base rates reach.
    """
    lines, tasks = table["line"].unique(), list(table["task"].unique()) if "task" in table else [None]
    if len(tasks) > 1:
        size = (4.6 * len(tasks), 2.7 * len(lines))
        figure, grid = plt.subplots(len(lines), len(tasks), figsize=size, sharey=True, squeeze=False)
        axes: Sequence[Axes] = list(grid.flat)
    else:
        figure, axes = panels(table, height=2.9)
    for axis, (line, task) in zip(axes, product(lines, tasks), strict=True):
        part = table[(table["line"] == line) & ((task is None) | (table.get("task") == task))]
        part = part.sort_values(["expected", "perturbation"])
        x = np.arange(len(part))
        axis.fill_between(x, part["low"], part["high"], color=BLUE, alpha=0.18, linewidth=0, label="80 % interval")
        axis.plot(x, part["expected"], color=BLUE, label="expected")
        axis.plot(x, part["reached"], ".", color=ORANGE, markersize=4, label="reached")
        if "base_rate" in part:
            axis.axhline(part["base_rate"].iloc[0], color=GREY, linestyle="--", linewidth=1, label="base rates alone")
        question = f", {TASKS[task]}" if task else ""
        axis.set_title(f"{line_name(line)}{question} (n = {len(part)})", fontsize=10)
    label_outer(axes, "test perturbations by expected score", score)
    legend_below(figure, axes[0])
    return noted(figure, atlas, table)


def _grid(lines: Sequence[str] | np.ndarray, height: float) -> tuple[Figure, np.ndarray]:
    # one range per task, so that equal gains look equal in every line
    return plt.subplots(len(lines), 2, figsize=(9.2, height * len(lines)), sharex="col", squeeze=False)
