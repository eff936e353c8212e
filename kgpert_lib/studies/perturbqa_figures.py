"""Figures of the chapter on PerturbQA's questions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.studies.style import BLUE, GREY, ORANGE, legend_below, line_name, noted, number

TASKS = {"de": "does it change?", "dir": "does it rise?"}
PUBLISHED = ("SUMMER", "Retrieval, no LLM")


def rules(table: pd.DataFrame, own_split: pd.DataFrame, published: pd.DataFrame, atlas: str) -> Figure:
    """AUROC of every rule with its interval, one panel per line and task.

    Orange is what the benchmark's own split gives: the mixed rule in a row of its own, published methods as lines.
    `table` and `own_split` are `studies.perturbqa.rule_table` of two splits, `published` has method, task, line, auroc.
    """
    mixed = own_split[own_split["rule"] == "mixed"].assign(rule="mixed (per-line)")
    rows = pd.concat([table.assign(colour=BLUE), mixed.assign(colour=ORANGE)])
    figure, axes = _grid(table["line"].unique(), height=3.1)
    for across, line in zip(axes, table["line"].unique(), strict=True):
        for axis, task in zip(across, TASKS, strict=True):
            part = rows[(rows["line"] == line) & (rows["task"] == task)]
            y = np.arange(len(part))[::-1]
            for height, item in zip(y, part.to_dict("records"), strict=True):
                axis.plot([item["auroc_low"], item["auroc_high"]], [height] * 2, color=item["colour"], linewidth=2)
                axis.plot(item["auroc"], height, "o", color=item["colour"], markersize=5)
                number(axis, f"{item['auroc']:.3f}", item["auroc"], height)
            others = published[(published["line"] == line) & (published["task"] == task)]
            for method, style in zip(PUBLISHED, ("--", ":"), strict=True):
                for value in others.loc[others["method"] == method, "auroc"]:
                    axis.axvline(value, color=ORANGE, linestyle=style, linewidth=1.2, label=f"{method} (published)")
            axis.set_yticks(y, part["rule"])
            axis.set_ylim(-0.6, len(part) - 0.2)
            axis.set_title(f"{line_name(line)}, {TASKS[task]} (n = {part['questions'].iloc[0]:,})", fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("mean AUROC per readout gene, 95 % interval")
    legend_below(figure, axes[0][0])
    return noted(figure, atlas)


def reliability(table: pd.DataFrame, atlas: str) -> Figure:
    """Stated probability against measured share, one panel per line and task; the size of a point is its questions."""
    figure, axes = _grid(table["line"].unique(), height=3.1)
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
    for axis in axes[-1]:
        axis.set_xlabel("stated probability")
    for axis in axes[:, 0]:
        axis.set_ylabel("measured share")
    return noted(figure, atlas)


def trust(table: pd.DataFrame, atlas: str, score: str = "Pearson delta") -> Figure:
    """Reached against expected score of test perturbations with their 80 % intervals, sorted by expectation.

    One panel per line, or one row of panels per line where `table` has tasks; a dashed line then marks what
    base rates reach.
    """
    lines, tasks = table["line"].unique(), list(table["task"].unique()) if "task" in table else [None]
    shape = (len(lines), len(tasks)) if len(tasks) > 1 else (1, len(lines))
    size = (4.6 * shape[1], 3.6 if shape[0] == 1 else 3.0 * shape[0])
    figure, axes = plt.subplots(*shape, figsize=size, sharey=True, squeeze=False)
    for axis, (line, task) in zip(axes.flat, product(lines, tasks), strict=True):
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
    for axis in axes[-1]:
        axis.set_xlabel("test perturbations by expected score")
    for axis in axes[:, 0]:
        axis.set_ylabel(score)
    legend_below(figure, axes[0][0])
    return noted(figure, atlas)


def _grid(lines: Sequence[str] | np.ndarray, height: float) -> tuple[Figure, np.ndarray]:
    # one range per task, so that equal gains look equal in every line
    return plt.subplots(len(lines), 2, figsize=(9.2, height * len(lines)), sharex="col", squeeze=False)
