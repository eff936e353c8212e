"""Which knowledge counts: every graph alone, rules by cross-validation, and what the learnt affinity reads (ours).

`python -m kgpert_lib.studies.knowledge` cross-validates the rules on training perturbations and writes
``data/affinity/rules.csv``; no test label is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import get_args

import numpy as np
import pandas as pd

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.files import write_text
from kgpert_lib.graphs.affinity import TWO_STEP
from kgpert_lib.graphs.catalogue import GRAPHS
from kgpert_lib.metrics import stats
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.perturbqa.tuning import tuning_view
from kgpert_lib.predictors.completion import folds
from kgpert_lib.predictors.learning import Fraction, fit, leave_one_out_fraction
from kgpert_lib.predictors.named import build
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens import perturbqa
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import Split

RULES = ("mean", "string", "union", "weighted", "weighted-shared", "weighted-filled", "weighted-lines")
OWN_LINE = ("mean", "string", "union", "weighted", "weighted-filled")  # rules that read one line only
BEST = ("weighted", "weighted-filled", "weighted-lines")
FOLDS = 5
HIDDEN = 3  # of the folds: each takes minutes
RESAMPLES = 20


def sources() -> pd.DataFrame:
    """The committed graphs, one row each: graph, source, date, whether older than the screens, licence."""
    rows = [
        (name, source.title, source.date, source.older_than_screens, source.licence)
        for name, source in GRAPHS.items()
        if source.committed
    ]
    return pd.DataFrame(rows, columns=["graph", "source", "date", "older", "licence"])


def alone(gains: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    """Gains of single graphs over the training mean (`graph_neighbours.gains`), one row per graph, one column per line.

    `names` maps the predictors' names to the graphs'; intervals are in columns ``_low`` and ``_high``.
    """
    part = gains[gains["predictor"].isin(names)].assign(graph=lambda table: table["predictor"].map(names))
    lines = list(dict.fromkeys(part["line"]))
    ends = {"gain": "", "gain_low": "_low", "gain_high": "_high"}
    wide = part.pivot(index="graph", columns="line", values=list(ends))
    columns = [(value, line) for line in lines for value in ends]
    wide = wide[columns].set_axis([f"{line}{ends[value]}" for value, line in columns], axis=1)
    wide = wide.loc[[name for name in names.values() if name in wide.index]]
    dates = [max((GRAPHS[part].date for part in str(name).split("+")), default="") for name in wide.index]
    return wide.reset_index().assign(date=dates)[["graph", "date", *wide.columns]]


def cross_validate(
    screen: Screen, rules: Sequence[str] = RULES, seed: int = 0, splits: Sequence[Split] = get_args(Split)
) -> pd.DataFrame:
    """Mean Pearson delta of rules on training perturbations: one row per split, rule, line and fold.

    Three times a fifth of a line's training perturbations is hidden as the split hides test perturbations; under
    ``strict`` no line's test perturbations are left in any line. Columns: split, rule, line, fold, n, pearson.
    """
    rows = []
    for split in splits:
        for line in screen.lines:
            view = tuning_view(screen.atlas, line, split)
            names, truth = view.target.perturbations, view.target.scored
            fold = folds(len(names), FOLDS, seed)
            for f in range(HIDDEN):
                held = [str(name) for name in names[fold == f]]
                rest = view.hiding(held)
                for rule in rules:
                    delta = build(rule, screen).predict(rest, held).delta
                    score = float(pearson_delta(delta, truth[fold == f]).mean())
                    rows.append((split, rule, line, f, len(held), round(score, 5)))
    return pd.DataFrame(rows, columns=["split", "rule", "line", "fold", "n", "pearson"])


def cross_validated() -> pd.DataFrame:
    """The committed result of `cross_validate`: one row per split and rule, one column per line, and their mean.

    ``behind`` is how far the mean lies behind the best rule of the split, ``error`` the standard error of that
    difference over folds and lines. InputError where the file is missing.
    """
    path = paths.DATA / "affinity" / "rules.csv"
    if not path.is_file():
        raise InputError(f"{path} is missing; make it with `python -m kgpert_lib.studies.knowledge`.")
    table = pd.read_csv(path)
    parts = []
    for split, part in table.groupby("split", sort=False):
        wide = part.pivot(index="rule", columns=["line", "fold"], values="pearson").loc[
            list(dict.fromkeys(part["rule"]))
        ]
        means = wide.T.groupby(level="line", sort=False).mean().T
        best = means.mean(axis=1).idxmax()
        behind = wide.loc[best] - wide
        error = behind.std(axis=1, ddof=1) / np.sqrt(behind.shape[1])
        parts.append(
            means.assign(mean=means.mean(axis=1), behind=behind.mean(axis=1), error=error, split=split).reset_index()
        )
    return pd.concat(parts, ignore_index=True)[["split", "rule", *means.columns, "mean", "behind", "error"]]


def best_rule(screen: Screen, rules: Sequence[str] = RULES, split: Split = "strict", seed: int = 0) -> str:
    """The one of some of `RULES` that predicts hidden training perturbations best, on average over lines.

    For PerturbQA `cross_validated` says it; on another screen the rules are cross-validated now, without those that the
    screen has no graph for. Of rules that predict equally well the first is named.
    """
    if screen.name == perturbqa.NAME:
        table = cross_validated()
        means = table[(table["split"] == split) & table["rule"].isin(rules)].set_index("rule")["mean"]
    else:
        apply = [rule for rule in rules if not (screen.brings_graphs and rule == "string")]
        table = cross_validate(screen, apply, seed, [split])
        means = table.groupby(["rule", "line"], sort=False)["pearson"].mean().groupby("rule", sort=False).mean()
    return str(means.idxmax())


def by_split(screen: Screen, predictors: Sequence[Predictor], seed: int = 0) -> pd.DataFrame:
    """Mean Pearson delta of test perturbations, with intervals: a row per split and predictor, a column per line."""
    parts = []
    for split in get_args(Split):
        scores = evaluate_lines(screen.atlas, list(screen.lines), predictors, split)
        parts.append(summaries.scores(scores, ["pearson"], seed=seed).assign(split=split))
    table = pd.concat(parts, ignore_index=True)
    ends = {"pearson": "", "pearson_low": "_low", "pearson_high": "_high"}
    wide = table.pivot(index=["split", "predictor"], columns="line", values=list(ends))
    columns = [(value, line) for line in screen.lines for value in ends]
    wide = wide[columns].set_axis([f"{line}{ends[value]}" for value, line in columns], axis=1)
    order = pd.MultiIndex.from_frame(table[["split", "predictor"]]).unique()
    return wide.loc[order].reset_index()


def shares(screen: Screen, split: Split = "per-line", resamples: int = RESAMPLES, seed: int = 0) -> pd.DataFrame:
    """How much of the learnt affinity each table makes, one row per line and table, with its interval.

    The share of a table is that of its weights in the counts below the fraction line (`learning`), over all measured
    pairs: how much of what is averaged speaks because of it. Intervals are percentiles over `resamples` draws of the
    training perturbations, for each of which the weights are fitted anew. Columns: atlas, kind, line, table, share,
    share_low, share_high, and ``chosen`` (share of draws in which the table has any weight).
    """
    affinity, rows = screen.affinity, []
    tables = [feature.table.removesuffix(TWO_STEP) for feature in affinity.features]
    order = list(dict.fromkeys(tables))
    for line in screen.lines:
        target = screen.view(line, split).target
        fraction = leave_one_out_fraction(affinity, target, seed)
        weights = fit([fraction])
        whole = _shares(fraction, weights, tables, order)
        draws = _draws(fraction, target.scored, resamples, seed)
        drawn = [_shares(part, fit([part], start=weights), tables, order) for part in draws]
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
        picked = (np.array(drawn) > 0).mean(axis=0)
        for k, table in enumerate(order):
            rows.append((screen.name, screen.kind, line, table, whole[k], low[k], high[k], picked[k]))
    head = ["atlas", "kind", "line", "table", "share", "share_low", "share_high", "chosen"]
    return pd.DataFrame(rows, columns=head)


def without_tables(screen: Screen, split: Split = "per-line", seed: int = 0) -> pd.DataFrame:
    """What leave-one-out prediction of training perturbations loses when a table is left out and the rest is refitted.

    One row per line and table: ``loss`` in mean Pearson delta, with a bootstrap interval over training perturbations.
    """
    affinity, rows = screen.affinity, []
    tables = np.array([feature.table.removesuffix(TWO_STEP) for feature in affinity.features])
    for line in screen.lines:
        target = screen.view(line, split).target
        fraction = leave_one_out_fraction(affinity, target, seed)
        weights = fit([fraction])
        whole = _scores(fraction, weights, target.scored)
        for table in dict.fromkeys(tables):
            keep = tables != table
            rest = fraction._replace(sums=fraction.sums[:, keep], counts=fraction.counts[:, keep])
            loss = whole - _scores(rest, fit([rest], start=weights[keep]), target.scored)
            rows.append((screen.name, screen.kind, line, table, len(loss), *stats.bootstrap_mean(loss, seed=seed)))
    return pd.DataFrame(rows, columns=["atlas", "kind", "line", "table", "n", "loss", "loss_low", "loss_high"])


def _scores(fraction: Fraction, weights: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """(t,) Pearson delta of the leave-one-out predictions."""
    row, column = np.nonzero(~np.isnan(scored))
    delta = np.zeros(scored.shape, np.float32)
    delta[row, column] = fraction.predict(weights)[0]
    return pearson_delta(delta, scored)


def _shares(fraction: Fraction, weights: np.ndarray, tables: Sequence[str], order: Sequence[str]) -> np.ndarray:
    mass = fraction.counts.sum(axis=0, dtype=np.float64) * weights
    by_table = pd.Series(mass).groupby(list(tables)).sum().reindex(list(order)).to_numpy()
    return by_table / by_table.sum()


def _draws(fraction: Fraction, scored: np.ndarray, resamples: int, seed: int) -> Iterator[Fraction]:
    """The fraction with its training perturbations drawn with replacement."""
    row = np.nonzero(~np.isnan(scored))[0]
    places = np.split(np.arange(len(row)), np.flatnonzero(np.diff(row)) + 1)
    rng = np.random.default_rng(seed)
    for _ in range(resamples):
        yield fraction.take(np.concatenate([places[i] for i in rng.integers(0, len(places), len(places))]))


def main() -> None:
    """Cross-validate the rules on PerturbQA's lines that can be had here."""
    from kgpert_lib.screens.load import load_screen

    table = cross_validate(load_screen("perturbqa"))
    write_text(paths.DATA / "affinity" / "rules.csv", table.to_csv(index=False))


if __name__ == "__main__":
    main()
