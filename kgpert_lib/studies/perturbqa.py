"""What chapter 7 shows of the ladder: tables over lines, splits and tasks, calibration, and where votes fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from kgpert_lib.evaluation.trust import Expected, Trust, coverage
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.metrics import deltas
from kgpert_lib.metrics.auroc import calibration, mean_auroc
from kgpert_lib.perturbqa import tuning
from kgpert_lib.perturbqa.evaluate import Ladder, climb, published
from kgpert_lib.perturbqa.tasks import Task
from kgpert_lib.perturbqa.trust import told_and_reached
from kgpert_lib.perturbqa.voting import Rule
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.types import Split

TASKS = {"de": "differential expression", "dir": "direction"}
BINS = (0, 1, 6, 21)


def ladders(atlas: Atlas, splits: Sequence[Split], knowledge: Affinity, seed: int = 0) -> list[Ladder]:
    """The whole ladder for every line, split and task."""
    return [
        made for line in atlas.lines for split in splits for made in climb(atlas, line, split, knowledge, seed=seed)
    ]


def steps(made: Sequence[Ladder], split: Split) -> pd.DataFrame:
    """A row a line, task and rule of one split: AUROC and gain over the plain union, each with its interval."""
    parts = [
        item.table.assign(line=item.line, task=item.task, split=item.split) for item in made if item.split == split
    ]
    table = pd.concat(parts, ignore_index=True)
    table = table.rename(columns={"low": "auroc_low", "high": "auroc_high"})
    head = ["line", "task", "split", "rule", "genes", "questions", "auroc", "auroc_low", "auroc_high"]
    return table[[*head, "gain", "gain_low", "gain_high", "p"]]


def chosen(split: Split) -> pd.DataFrame:
    """What cross-validation on training perturbations chose, a row a task and stage.

    ``behind`` is how far the next best candidate lies behind in mean AUROC, ``error`` the standard error of that
    difference over folds.
    """
    rows = []
    for task in get_args(Task):
        table, settings = tuning.candidates(split, task), tuning.load(split, task)
        for _, stage in table.groupby("stage"):
            known = [c for c in stage.columns if c not in tuning.FIGURES and stage[c].notna().all()]
            taken = np.all([stage[c] == getattr(settings, c) for c in known], axis=0)
            best, others = stage[taken].iloc[0], stage[~taken]
            said = ", ".join(f"{name} {best[name]:g}" for name in known)
            second = others.sort_values("behind").iloc[0]
            rows.append((task, best["rule"], said, len(stage), best["auroc"], second["behind"], second["error"]))
    return pd.DataFrame(rows, columns=["task", "rule", "chosen", "tried", "auroc", "behind", "error"])


def splits_compared(made: Sequence[Ladder], rule: str = "lines") -> pd.DataFrame:
    """One rule's AUROC under both splits, a row a line and task, with the number of questions."""
    both = pd.concat([steps(made, "strict"), steps(made, "per-line")])
    chosen = both[both["rule"].isin(["weighted", rule])]
    wide = chosen.pivot(index=["line", "task"], columns=["rule", "split"], values="auroc")
    wide.columns = pd.Index([", ".join(key) for key in wide.columns])
    return wide.reset_index()


def beside_published(made: Sequence[Ladder], rule: str = "mixed", split: Split = "strict") -> pd.DataFrame:
    """Published mean AUROCs and ours, a row a method, a column a task and line; NaN where nothing was published."""
    lines = list(dict.fromkeys(item.line for item in made))
    others = published()
    others = others[others["line"].isin(lines)]
    ours = steps(made, split)
    ours = ours[ours["rule"].isin(["union", rule])].assign(source="this book")
    ours = ours.assign(method=[f"{name} ({split})" for name in ours["rule"]])
    both = pd.concat([others, ours[["method", "task", "line", "auroc", "source"]]], ignore_index=True)
    wide = both.pivot(index=["method", "source"], columns=["task", "line"], values="auroc")
    wide = wide[[(task, line) for task in TASKS for line in lines]]
    wide.columns = pd.Index([" ".join(key) for key in wide.columns])
    order = dict.fromkeys(zip(both["method"], both["source"], strict=True))
    return wide.loc[list(order)].reset_index()


def reliability(made: Sequence[Ladder], rule: str = "mixed", split: Split = "strict") -> pd.DataFrame:
    """The reliability table of one rule: a row a line, task and bin of stated probability."""
    parts = []
    for item in made:
        if item.split == split:
            found = calibration(item.probability[rule], item.questions.label)
            parts.append(found.table.assign(line=item.line, task=item.task))
    return pd.concat(parts, ignore_index=True)


def calibrated(made: Sequence[Ladder], split: Split = "strict") -> pd.DataFrame:
    """Brier score and expected calibration error of every rule, a row a line, task and rule.

    ``reference`` is the Brier score of always stating the overall share of positives, which is ``positive`` among
    these questions and ``trained`` among the training perturbations'.
    """
    rows = []
    for item in made:
        if item.split == split:
            positive = float(item.questions.label.mean())
            trained = float(np.nanmean(item.voter.ground.answers(item.task, signed=False)))
            for rule, stated in item.probability.items():
                found = calibration(stated, item.questions.label)
                size = len(item.questions)
                rows.append(
                    (item.line, item.task, rule, size, trained, positive, found.brier, found.reference, found.error)
                )
    head = ["line", "task", "rule", "questions", "trained", "positive", "brier", "reference", "error"]
    return pd.DataFrame(rows, columns=head)


def by_neighbours(made: Sequence[Ladder], knowledge: Affinity, atlas: Atlas, rule: str = "mixed") -> pd.DataFrame:
    """AUROC of one rule among questions whose perturbation has few or many training neighbours (strict split).

    A row a line, task and bin of the number of neighbours in the union of STRING and GO.
    """
    rows = []
    for item in made:
        if item.split != "strict":
            continue
        view = atlas.view(item.line, "strict")
        asked = item.questions
        near = GraphNeighbourhood(knowledge.graphs).neighbourhoods(view, [str(p) for p in asked.perturbations])
        which = np.digitize(near.sizes, BINS[1:])[asked.row]
        for k in np.unique(which):
            here = which == k
            last = "" if k == len(BINS) - 1 else f"-{BINS[k + 1] - 1}"
            label = f"{BINS[k]}{last}" if k else "0"
            area = mean_auroc(item.probability[rule][here], asked.label[here], asked.column[here])
            n = len(np.unique(asked.row[here]))
            rows.append((item.line, item.task, label if k < len(BINS) - 1 else f"{BINS[k]}+", n, int(here.sum()), area))
    return pd.DataFrame(rows, columns=["line", "task", "neighbours", "perturbations", "questions", "auroc"])


def trusted(atlas: Atlas, predictor: NeighbourPredictor, seed: int = 0) -> pd.DataFrame:
    """Expected and reached Pearson delta of every test perturbation.

    Columns: those of `Trust.against`, line, atlas, kind.
    """
    parts = []
    for line in atlas.lines.values():
        view, names = atlas.view(line.name), line.names("test")
        reached = deltas.pearson_delta(predictor.predict(view, names).delta, line.delta[line.rows(names)])
        told = Trust.fit(view, predictor, seed=seed).against(pd.Series(reached, index=names))
        parts.append(told.assign(line=line.name, atlas=atlas.name, kind=atlas.kind))
    return pd.concat(parts, ignore_index=True)


def trusted_votes(
    made: Sequence[Ladder], atlas: Atlas, rule: Rule = "mixed", split: Split = "strict", seed: int = 0
) -> pd.DataFrame:
    """Expected and reached probability that a vote is right, a row a line, task and test perturbation.

    Columns as in `trusted`, and task.
    """
    parts = [
        told_and_reached(item.voter, rule, atlas, seed).assign(line=item.line, task=item.task)
        for item in made
        if item.split == split
    ]
    return pd.concat(parts, ignore_index=True)


def covered(told: pd.DataFrame) -> pd.DataFrame:
    """A row a line (and task, where the table has tasks): share of test perturbations inside their interval
    (``covered``), its mean width, and the correlation of expected and reached score.
    """
    by = ["line", "task"] if "task" in told else ["line"]
    rows = []
    for key, part in told.groupby(by, sort=False):
        inside = coverage(Expected(*part[["expected", "low", "high"]].to_numpy().T), part["reached"].to_numpy())
        width = float((part["high"] - part["low"]).mean())
        rows.append((*key, len(part), inside, width, float(part["expected"].corr(part["reached"]))))
    return pd.DataFrame(rows, columns=[*by, "n", "covered", "width", "correlation"])
