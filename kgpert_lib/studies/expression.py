"""Studies of real expression: two experiments on one line, further training genes, two views of one screen.

Each takes screens and returns a tidy data frame; intervals are 95 % bootstrap intervals over test perturbations.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from kgpert_lib.evaluation.ceiling import between_experiments
from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.metrics import stats
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.named import Options, build
from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies.ceilings import DRAWS, HEAD, UNION, complete, rank_correlations
from kgpert_lib.types import Split

MEAN = TrainingMean.name


def agreement(screens: list[Screen], seed: int = 0) -> pd.DataFrame:
    """How well two experiments on one line agree: one row per line that was screened twice (`between_experiments`).

    Columns: atlas, kind, line, n (perturbations of both), ``cells`` and ``cells, second`` (medians), ``common
    readouts``, ``r`` (correlation of the two deltas) and ``root`` (its square root, the score of a perfect predictor
    against one of them), means with their intervals.
    """
    columns = [*HEAD, "n", "cells", "cells, second", "common readouts", *_ends("r"), *_ends("root")]
    rows = []
    for screen in screens:
        for name, line in screen.lines.items():
            second = screen.second(name)
            if second is None:
                continue
            table = between_experiments(line, second)
            sizes = (table[c].quantile(0.5) for c in ("n_cells", "n_cells_second", "n_genes"))
            means = (stats.bootstrap_mean(v, seed=seed) for v in (table["r"], np.sqrt(table["r"].clip(lower=0))))
            rows.append((screen.name, screen.kind, name, len(table), *sizes, *(x for mean in means for x in mean)))
    return pd.DataFrame(rows, columns=columns)


def further_training(screen: Screen, split: Split = "per-line", seed: int = 0) -> pd.DataFrame:
    """What more training genes add: the union, and the union with knock-downs that only a second experiment measured.

    One row per predictor and line that was screened twice, the training mean first. Columns: atlas, kind, line,
    predictor, ``training genes``, ``with a neighbour`` (test perturbations), n, ``pearson`` and ``gain`` over the union
    on the same test perturbations, each with its interval. A test gene's own row is never among the further ones.
    """
    union, more = (build(name, screen, Options(seed=seed)) for name in (UNION, "union-further"))
    rows = []
    for name, line in screen.lines.items():
        further = screen.further(name)
        if further is None:
            continue
        own = len(line.names("train"))
        scores = evaluate(screen.atlas, name, [TrainingMean(), union, more], split)
        wide = scores.pivot(index="perturbation", columns="predictor", values="pearson")
        for predictor, part in scores.groupby("predictor", sort=False):
            genes = own + len(further.perturbations) * (predictor == more.name)
            pearson = stats.bootstrap_mean(part["pearson"], seed=seed)
            gain = stats.bootstrap_mean(wide[predictor] - wide[union.name], seed=seed)
            near = int((part["n_neighbours"] > 0).sum())
            rows.append((screen.name, screen.kind, name, predictor, genes, near, len(part), *pearson, *gain))
    columns = [*HEAD, "predictor", "training genes", "with a neighbour", "n", *_ends("pearson"), *_ends("gain")]
    return pd.DataFrame(rows, columns=columns)


def two_views(calls: Screen, expression: Screen, split: Split = "per-line", seed: int = 0) -> pd.DataFrame:
    """One screen as calls and as expression, on the test perturbations that both hold out: does the same gene gain?

    One row per line: line, n, ``gain, calls`` and ``gain, expression`` of the union over the training mean in Pearson
    delta, and ``rank correlation`` of the two gains over perturbations, each with its interval.
    """
    rows = []
    for line in [name for name in calls.lines if name in expression.lines]:
        gains = [_gains(screen, line, split, seed) for screen in (calls, complete(expression))]
        both = pd.concat(gains, axis=1, join="inner", keys=["calls", "expression"])
        columns = [both["calls"].to_numpy(), both["expression"].to_numpy()]
        rank = float(rank_correlations(columns[0], columns[1]))
        ends = stats.percentile_bootstrap(columns, rank_correlations, DRAWS, seed)
        means = [x for column in columns for x in stats.bootstrap_mean(column, seed=seed)]
        rows.append((line, len(both), *means, rank, *ends))
    heads = ["line", "n", *_ends("gain, calls"), *_ends("gain, expression"), *_ends("rank correlation")]
    return pd.DataFrame(rows, columns=heads)


def _gains(screen: Screen, line: str, split: Split, seed: int) -> pd.Series:
    """Gain of the union over the training mean by test perturbation."""
    union = build(UNION, screen, Options(seed=seed))
    scores = evaluate(screen.atlas, line, [TrainingMean(), union], split)
    wide = scores.pivot(index="perturbation", columns="predictor", values="pearson")
    return wide[union.name] - wide[MEAN]


def _ends(value: str) -> list[str]:
    return [f"{value}{end}" for end in ("", "_low", "_high")]
