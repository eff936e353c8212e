"""Figures of the appendix on expression as distances: tables in, a figure out; nothing is loaded here."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from kgpert_lib.metrics.stats import bootstrap_mean
from kgpert_lib.screens.distances import Distances
from kgpert_lib.studies.distances import SCORES
from kgpert_lib.studies.style import BLUE, GREY, ORANGE, draw_gains, finished, one_range


def effects(tables: Sequence[Distances]) -> Figure:
    """E-distance of every guide to the first control in units of the noise, sorted; one panel for each screen.

    The axis is linear between -1 and 1 and logarithmic beyond.
    """
    figure, axes = plt.subplots(1, len(tables), figsize=(2.35 * len(tables), 3.2), sharey=True, squeeze=False)
    numbers = []
    for axis, distances in zip(axes[0], tables, strict=True):
        ratios = distances.to_control(distances.controls[0]) / distances.noise
        order = np.argsort(ratios, kind="stable")[::-1]
        ratio = ratios[order]
        guides = {"guide": distances.guides[order], "gene": distances.genes[order], "distance / noise": ratio}
        numbers.append(pd.DataFrame(guides).assign(atlas=distances.name, kind="real", n=len(ratio)))
        clear = int((ratio > 1).sum())
        x = np.arange(len(ratio))
        for part, colour in ((x >= 0, GREY), (x < clear, BLUE)):
            axis.fill_between(x, ratio, where=part, step="mid", color=colour, linewidth=0)
        axis.axhline(1, color=ORANGE, linewidth=1)
        axis.set_yscale("symlog", linthresh=1)
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axis.set_title(f"{distances.name}\n{clear} of {len(ratio)} above noise", fontsize=10)
        axis.set_xlabel("guides, sorted")
        axis.grid(False, axis="x")
    axes[0, 0].set_ylabel("E-distance to control / noise")
    return finished(figure, pd.concat(numbers))


def gains(table: pd.DataFrame) -> Figure:
    """Gain of every predictor over the training mean, one row of panels for each screen and control.

    `table` is `distances.gains`. Grey: the interval holds 0. A score has one range in all rows.
    """
    groups = list(table.groupby(["atlas", "control"], sort=False))
    rows = table["predictor"].nunique()
    size = (9.2, len(groups) * (0.26 * rows + 0.55) + 0.5)
    figure, axes = plt.subplots(len(groups), len(SCORES), figsize=size, sharex="col", squeeze=False)
    for line, ((atlas, control), part) in zip(axes, groups, strict=True):
        for axis, score in zip(line, SCORES, strict=True):
            draw_gains(axis, part[part["score"] == score])
        line[1].set_yticklabels([])
        name = atlas if control == "control" else f"{atlas}, control {control}"
        line[0].set_title(f"{name} (n = {part['n'].max()})", loc="left", fontsize=10)
    for column, score in enumerate(SCORES):
        one_range(list(axes[:, column]))
        axes[-1, column].set_xlabel(f"gain in {score}, mean and 95 % interval")
    return finished(figure, table)


def two_guides(scores: pd.DataFrame, seed: int = 0) -> Figure:
    """Scores of genes with several guides under every predictor: a grey line for each gene, means with intervals.

    `scores` is `distances.with_two_guides` of one screen; one row of panels for each control.
    """
    controls = scores["control"].unique()
    figure, axes = plt.subplots(
        len(controls), len(SCORES), figsize=(9.2, 2.5 * len(controls)), sharex=True, sharey="col", squeeze=False
    )
    head = ["atlas", "kind", "control", "predictor"]
    means = []
    for line, control in zip(axes, controls, strict=True):
        part = scores[scores["control"] == control]
        for axis, score in zip(line, SCORES, strict=True):
            wide = part.pivot(index="perturbation", columns="predictor", values=score)[part["predictor"].unique()]
            x = np.arange(wide.shape[1])
            axis.plot(x, wide.to_numpy().T, color=GREY, linewidth=0.8, alpha=0.6)
            for place, predictor in zip(x, wide, strict=True):
                mean, low, high = bootstrap_mean(wide[predictor], seed=seed)
                axis.errorbar(place, mean, [[mean - low], [high - mean]], fmt="o", color=BLUE, capsize=3, zorder=3)
                interval = {"score": score, "mean": mean, "mean_low": low, "mean_high": high, "n": len(wide)}
                means.append(part.loc[part["predictor"] == predictor, head].head(1).assign(**interval))
            axis.set_xticks(x, [name.replace(" ", "\n") for name in wide])
            axis.set_ylabel(score)
        line[0].set_title(f"control {control} (n = {part['perturbation'].nunique()} genes)", loc="left", fontsize=10)
    genes = scores[[*head, "perturbation", *SCORES]]
    return finished(figure, scores, {"gene": genes, "mean": pd.concat(means)})
