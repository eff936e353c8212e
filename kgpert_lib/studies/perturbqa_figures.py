"""Figures of the chapter on PerturbQA's questions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.studies.style import BLUE, GREY, ORANGE, line_name

TASKS = {"de": "does it change?", "dir": "does it rise?"}
PUBLISHED = ("SUMMER", "Retrieval, no LLM")


def rules(table: pd.DataFrame, published: pd.DataFrame, note: str) -> Figure:
    """AUROC of every rule with its interval, one panel per line and task; published methods as dashed lines.

    `table` is `studies.perturbqa.rule_table`, `published` has method, task, line, auroc.
    """
    figure, axes = _grid(table["line"].unique(), height=2.9)
    for row, line in zip(axes, table["line"].unique(), strict=True):
        for axis, task in zip(row, TASKS, strict=True):
            part = table[(table["line"] == line) & (table["task"] == task)]
            y = np.arange(len(part))[::-1]
            error = [part["auroc"] - part["auroc_low"], part["auroc_high"] - part["auroc"]]
            axis.errorbar(part["auroc"], y, xerr=error, fmt="o", color=BLUE, linewidth=2)
            for height, value in zip(y, part["auroc"], strict=True):
                axis.annotate(
                    f"{value:.3f}", (value, height), (0, 6), textcoords="offset points", ha="center", fontsize=8
                )
            others = published[(published["line"] == line) & (published["task"] == task)]
            for method, style in zip(PUBLISHED, ("--", ":"), strict=True):
                for value in others.loc[others["method"] == method, "auroc"]:
                    axis.axvline(value, color=ORANGE, linestyle=style, linewidth=1.2, label=f"{method} (published)")
            axis.set_yticks(y, part["rule"])
            axis.set_ylim(-0.6, len(part) - 0.2)
            axis.set_title(f"{line_name(line)}, {TASKS[task]} (n = {part['questions'].iloc[0]})", fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("mean AUROC per readout gene, 95 % interval")
    figure = _noted(figure, note)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="lower right", ncols=2, fontsize=8)
    return figure


def reliability(table: pd.DataFrame, note: str) -> Figure:
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
            axis.set(xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), ylabel="measured share")
            axis.set_title(f"{line_name(line)}, {TASKS[task]} (n = {part['questions'].sum()})", fontsize=10)
    for axis in axes[-1]:
        axis.set_xlabel("stated probability")
    return _noted(figure, note)


def trust(table: pd.DataFrame, note: str, score: str = "Pearson delta") -> Figure:
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
    axes[0][0].legend(loc="lower right", fontsize=8)
    return _noted(figure, note)


def _grid(lines: Sequence[str] | np.ndarray, height: float) -> tuple[Figure, np.ndarray]:
    # one range per task, so that equal gains look equal in every line
    return plt.subplots(len(lines), 2, figsize=(9.2, height * len(lines)), sharex="col", squeeze=False)


def _noted(figure: Figure, note: str) -> Figure:
    figure.tight_layout(rect=(0, 0.03, 1, 1))
    figure.text(0.005, 0.005, f"atlas: {note}", fontsize=8, color=GREY)
    plt.close(figure)
    return figure
