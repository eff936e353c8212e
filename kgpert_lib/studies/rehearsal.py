"""Studies of recorded training runs: learning curves, what the trained edits gain on test genes, and beside what.

Scores are means over seeds for each test gene; intervals and tests are over test genes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.metrics import stats
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.named import build
from kgpert_lib.predictors.neighbours import GraphNeighbourhood
from kgpert_lib.studies import knowledge, objections, run_scores
from kgpert_lib.studies.graph_neighbours import HEAD
from kgpert_lib.studies.run_scores import RANDOM, TITLES, TRAINED, UNEDITED, WARM, RunGroup
from kgpert_lib.types import Split

Vector = NDArray[np.float64]

CURVES = ("reward", "format", "validity", "pearson", "gap", "added", "removed", "size", "entropy")
WINDOW = 20  # steps that a point of a curve is the mean over
DRAWS = 3  # of random edits, for each run
RESAMPLES = 2_000
AGAINST = (UNEDITED, RANDOM, TITLES[WARM])
TRUE = "true graph"
SPLIT: Split = "strict"  # of the questions of every run
RULES = ("weighted", "weighted-filled", "filled", "similar")

_ENDS = ("", "_low", "_high")


def curves(group: RunGroup) -> pd.DataFrame:
    """Every step of every run of a group: ``run``, ``seed`` and the columns of `Run.steps`."""
    tables = [run.steps().assign(run=run.name, seed=run.config.seed) for run in group.runs]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=["run", "seed", "step", *CURVES])


def smoothed(table: pd.DataFrame, window: int = WINDOW) -> pd.DataFrame:
    """Curves as they are drawn: means over the last `window` steps, then mean, least and most over the runs.

    `table` is `curves`; fewer steps stand at the beginning. One row per step and quantity that any run records:
    step, quantity, ``mean``, ``least``, ``most``, ``runs``. Steps that not every run has reached are left out.
    """
    names = [name for name in CURVES if table[name].notna().any()]
    wide = table.set_index(["run", "step"])[names].astype("float64")
    rolled = wide.groupby(level="run", sort=False).rolling(window, min_periods=1).mean().droplevel(0)
    long = rolled.reset_index().melt(["run", "step"], var_name="quantity").dropna(subset="value")
    by_step = long.groupby(["quantity", "step"], sort=False)["value"].agg(["mean", "min", "max", "count"]).reset_index()
    by_step = by_step.rename(columns={"min": "least", "max": "most", "count": "runs"})
    return by_step[by_step["runs"] == table["run"].nunique()].reset_index(drop=True)


def ends(groups: Iterable[RunGroup], window: int = WINDOW) -> pd.DataFrame:
    """Where the curves begin and end, one row per group and quantity.

    Columns: atlas, policy, quantity, ``steps``, ``first`` and ``last`` (means over `window` steps and over runs), each
    followed by the ``least`` and the ``most`` of the runs.
    """
    rows = []
    for group in groups:
        runs = [own.sort_values("step") for _, own in curves(group).groupby("run", sort=False)]
        for name in (name for name in CURVES if any(run[name].notna().any() for run in runs)):
            row = {"atlas": group.atlas, "policy": group.policy, "quantity": name, "steps": min(map(len, runs))}
            for place, parts in (("first", [r.head(window) for r in runs]), ("last", [r.tail(window) for r in runs])):
                values = np.array([part[name].mean() for part in parts])
                row |= dict(zip(_range(place), (values.mean(), values.min(), values.max()), strict=True))
            rows.append(row)
    return pd.DataFrame(rows, columns=["atlas", "policy", "quantity", "steps", *_range("first"), *_range("last")])


def compared(scores: pd.DataFrame, against: Sequence[str] = AGAINST, seed: int = 0) -> pd.DataFrame:
    """Trained edits against others on the same test genes: `stats.paired_wilcoxon` for each line, one Holm family.

    `scores` is `run_scores.scores` or `scores_beside_rules` of one training. What `against` names and `scores` lack is
    left out. Columns: atlas, kind, line, policy, ``compared with``, n, ``trained`` and ``other`` (mean Pearson delta),
    ``gain`` (trained minus other) with its 95 % interval, p, and p_holm over all rows.
    """
    rows = []
    for head, part in scores.groupby([*HEAD, "policy"], sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")
        for other in (name for name in against if name in wide):
            test = stats.paired_wilcoxon(wide[[TITLES[TRAINED], other]], reference=other, seed=seed).iloc[0]
            means = wide[TITLES[TRAINED]].mean(), wide[other].mean()
            gain = (test["mean_difference"], test["low"], test["high"])
            rows.append((*head, other, test["n_pairs"], *means, *gain, test["p"]))
    columns = [*HEAD, "policy", "compared with", "n", "trained", "other", *_columns("gain"), "p"]
    table = pd.DataFrame(rows, columns=columns)
    return table.assign(p_holm=stats.holm(table["p"]))


def scores_beside_rules(
    group: RunGroup, rules: Sequence[str] = RULES, draws: int = DRAWS, seed: int = 0
) -> pd.DataFrame:
    """`run_scores.scores` of a training, with the rows of the `TRUE` graph of a simulation and those of fixed rules.

    Rules are names of `predictors.named`. The rule that training perturbations choose (`knowledge.best_rule`), among
    those that read the line's own rows only as the edits do, is called ``best rule: <name>``. ``similar`` is left out
    of a simulated screen, about whose genes GO says nothing.
    """
    screen, tables = group.screen, [run_scores.scores(group, draws=draws, seed=seed)]
    genes = group.genes([TRAINED])
    if screen.simulation is not None:
        whole = objections.true_graphs(screen.simulation)["true union"]
        source = GraphNeighbourhood(whole, group.tasks(TRAINED).settings.limit)
        true = objections.scores(screen.atlas, {TRUE: [source]}, None, SPLIT, genes)
        tables.append(true[true["predictor"] == TRUE])
    best = knowledge.best_rule(screen, knowledge.OWN_LINE, SPLIT)
    names = [rule for rule in rules if not (screen.brings_graphs and rule.startswith("similar"))]
    for name in dict.fromkeys([*names, best]):
        predictor, label = build(name, screen), f"best rule: {name}" if name == best else name
        for line, own in genes.items():
            cells = screen[line]
            predictions = predictor.predict(screen.view(line, SPLIT), own)
            pearson = pearson_delta(predictions.delta, cells.scored[cells.rows(own)])
            head = {"atlas": screen.name, "kind": screen.kind, "line": line, "predictor": label, "perturbation": own}
            tables.append(pd.DataFrame({**head, "pearson": pearson, "n_neighbours": predictions.n_neighbours}))
    table = pd.concat(tables, ignore_index=True).assign(policy=group.policy)
    return table.sort_values("line", kind="stable", key=lambda lines: lines.map(list(genes).index), ignore_index=True)


def share_of_the_way(scores: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How far trained edits are on the way from the union to the true graph, by mean Pearson delta.

    `scores` is `scores_beside_rules`. Columns: atlas, kind, line, policy, n, the means of
    ``union``, ``trained`` and ``true``, and ``share`` = (trained - union) / (true - union) with its 95 % percentile
    bootstrap interval over test genes; no row where there is no true graph.
    """
    rows = []
    for head, part in scores.groupby([*HEAD, "policy"], sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")
        if TRUE not in wide:
            continue
        union, trained, true = (wide[name].to_numpy(np.float64) for name in (UNEDITED, TITLES[TRAINED], TRUE))
        drawn = stats.percentile_bootstrap([union, trained, true], _share, RESAMPLES, seed)
        rows.append((*head, len(wide), union.mean(), trained.mean(), true.mean(), _share(union, trained, true), *drawn))
    names = [*HEAD, "policy", "n", "union", "trained", "true", *_columns("share")]
    return pd.DataFrame(rows, columns=names)


def beside(scores: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Mean Pearson delta of every predictor and what the trained edits are above or below it, on the same test genes.

    One row per line and predictor, highest mean first: atlas, kind, line, policy, predictor, n, ``pearson`` with its
    95 % bootstrap interval, and ``trained minus it`` with its own (NaN for the trained edits).
    """
    rows = []
    for head, part in scores.groupby([*HEAD, "policy"], sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")
        for name in wide.mean().sort_values(ascending=False, kind="stable").index:
            own = name == TITLES[TRAINED]
            gain = (np.nan,) * 3 if own else stats.bootstrap_mean(wide[TITLES[TRAINED]] - wide[name], seed=seed)
            rows.append((*head, name, len(wide), *stats.bootstrap_mean(wide[name], seed=seed), *gain))
    return pd.DataFrame(rows, columns=[*HEAD, "policy", "predictor", "n", *_columns("pearson", "trained minus it")])


def _share(union: Vector, trained: Vector, true: Vector, axis: int = -1) -> Any:
    base = union.mean(axis=axis)
    return (trained.mean(axis=axis) - base) / (true.mean(axis=axis) - base)


def _range(name: str) -> list[str]:
    """A mean over runs and its range, which is no interval."""
    return [name, f"{name}, least", f"{name}, most"]


def _columns(*names: str) -> list[str]:
    return [f"{name}{end}" for name in names for end in _ENDS]
