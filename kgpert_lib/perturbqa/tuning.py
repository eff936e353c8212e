"""Choices of the voting rules by cross-validation over training perturbations.

One set of choices for each split and task, shared by all lines. Stage by stage, with what the stages before chose:
in each of five folds a fifth of a line's training perturbations is hidden (under ``strict`` from every line, under
``per-line`` from its own line, as test perturbations are), the rules are fitted on the rest and scored on the
hidden ones by mean AUROC per readout gene; the candidate with the highest mean over folds and lines is chosen,
the first of equals. No test row is read. The result is committed as ``data/votes/choices.json`` with every
candidate's score.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.files import write_text
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.metrics.auroc import mean_auroc
from kgpert_lib.perturbqa.tasks import Questions, Task, labels
from kgpert_lib.perturbqa.voting import PARTS, RULES, Choices, Rule, Scale, Voter, VotingData, mixture
from kgpert_lib.predictors.completion import folds
from kgpert_lib.screens.atlas import Atlas, TrainingView
from kgpert_lib.types import Split

FOLDS = 5
FIGURES = ("stage", "rule", "auroc", "behind", "error")
Candidate = dict[str, Any]


def _grid(**values: list[Any]) -> list[Candidate]:
    return [dict(zip(values, setting, strict=True)) for setting in product(*values.values())]


def stages(task: Task, split: Split, lines: int) -> list[tuple[Rule, list[Candidate]]]:
    """The rule that each stage scores, and its candidates."""
    plan: list[tuple[Rule, list[Candidate]]] = [
        ("affinity", _grid(power=[1.0, 2.0, 3.0, 4.0], string=[0.5, 1.0, 2.0, 4.0])),
        ("affinity", _grid(prior=[1.0, 0.3, 3.0], base_prior=[1.0, 2.0, 5.0])),
        ("completion", _grid(pull=[1.0, 2.0, 4.0, 6.0], gene_affinity=[False, True])),
        ("completion", _grid(rank=[16, 32], ridge=[1.0, 3.0, 10.0])),
        ("smoothed", _grid(profile_power=[1.0, 3.0, 6.0], smoothing=[1.0, 3.0, 10.0, 30.0])),
        ("mixed", _grid(mix=[0.0, 0.25, 0.5, 0.75, 1.0], level=[0.0, 0.15, 0.3, 0.6])),
    ]
    if task == "dir":
        plan.insert(2, ("affinity", _grid(signed=[False, True])))
    if lines > 1:
        same = [1.0, 3.0, 10.0] if split == "per-line" else [0.0]
        plan.insert(-1, ("lines", _grid(other=[0.0, 0.1, 0.25, 0.5, 1.0], same=same)))
        plan.insert(-1, ("completion", _grid(joint=[False, True])))
    return plan


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold of one line: what is left to fit on, and the questions about the hidden training perturbations."""

    data: VotingData
    questions: Mapping[Task, Questions]


def tuning_view(atlas: Atlas, line: str, split: Split) -> TrainingView:
    """What may be read to choose for `line`.

    Lines share their choices, so under ``strict`` no line's test genes are left in any line.
    """
    view = atlas.view(line, split)
    if split == "per-line":
        return view
    return view.without(np.unique(np.concatenate([cells.names("test") for cells in atlas.lines.values()])))


def hidden(view: TrainingView, held: np.ndarray) -> TrainingView:
    """The view without the perturbations `held`, hidden as the split hides test perturbations."""
    if view.split == "strict":
        return view.without(held)
    return replace(view, lines={**view.lines, view.line: view.target.without(held)})


def make_folds(view: TrainingView, affinity: Affinity, k: int = FOLDS, seed: int = 0) -> Iterator[Fold]:
    """The folds of a view's training perturbations."""
    line = view.target
    fold = folds(len(line.perturbations), k, seed)
    for f in range(k):
        held = line.perturbations[fold == f]
        questions = {}
        for task in get_args(Task):
            answers = labels(line.scored[fold == f], task)
            row, column = np.nonzero(~np.isnan(answers))
            label = answers[row, column].astype(np.int8)
            questions[task] = Questions(line.name, task, "train", held, line.genes, row, column, label, 0)
        yield Fold(VotingData(hidden(view, held), affinity, cache=False), questions)


def choose(folds_: list[Fold], task: Task, split: Split, lines: int) -> tuple[Choices, list[dict[str, Any]]]:
    """The choices for one task, and a table of every candidate.

    ``auroc`` is the mean over `folds_` (of all lines), ``behind`` how far it lies behind the chosen candidate of its
    stage, and ``error`` the standard error of that difference over folds.
    """
    settings, table = Choices(), []
    for stage, (rule, candidates) in enumerate(stages(task, split, lines)):
        parts = [_parts(f, task, settings) for f in folds_] if rule == "mixed" else []
        if parts:
            settings = replace(settings, deviation=_deviation(parts))
        trials = [replace(settings, **candidate) for candidate in candidates]
        scores = np.array([_scores(folds_, task, rule, trial, parts) for trial in trials])
        mean = np.round(scores.mean(axis=1), 6)
        best = int(np.argmax(mean))
        behind = scores[best] - scores
        error = behind.std(axis=1, ddof=1) / np.sqrt(len(folds_))
        for i, candidate in enumerate(candidates):
            figures = {"auroc": mean[i], "behind": behind[i].mean(), "error": error[i]}
            table.append(
                {"stage": stage, "rule": rule, **candidate, **{k: round(float(v), 4) for k, v in figures.items()}}
            )
        settings = trials[best]
    return replace(settings, scales={rule: _scale(folds_, task, settings, rule) for rule in RULES}), table


def run(
    atlas: Atlas,
    affinity: Affinity,
    report: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Choices and candidates of every split and task of an atlas, ready for JSON."""
    lines = list(atlas.lines)
    out: dict[str, Any] = {"atlas": atlas.name, "lines": lines, "folds": FOLDS, "choices": {}, "candidates": {}}
    for split in get_args(Split):
        folds_ = [fold for line in lines for fold in make_folds(tuning_view(atlas, line, split), affinity)]
        for task in get_args(Task):
            choices, table = choose(folds_, task, split, len(lines))
            key = f"{split}/{task}"
            out["choices"][key], out["candidates"][key] = asdict(choices), table
            best = {t["rule"]: t["auroc"] for t in table if not t["behind"]}
            report(f"{key}: {best}")
    return out


def load(split: Split, task: Task, path: Path | None = None) -> Choices:
    """The committed choices of one split and task; InputError where the file is missing."""
    values = _read(path)["choices"][f"{split}/{task}"]
    return Choices(**{**values, "scales": {rule: Scale(*scale) for rule, scale in values["scales"].items()}})


def candidates(split: Split, task: Task, path: Path | None = None) -> pd.DataFrame:
    """Every candidate of one split and task: `FIGURES` and one column per setting, blank where it is not tried."""
    return pd.DataFrame(_read(path)["candidates"][f"{split}/{task}"])


def _read(path: Path | None) -> dict[str, Any]:
    source = path or paths.DATA / "votes" / "choices.json"
    if not source.is_file():
        raise InputError(f"{source} is missing; make it with `python -m kgpert_lib.perturbqa.tuning`.")
    content: dict[str, Any] = json.loads(source.read_text(encoding="utf-8"))
    return content


def _scores(folds_: list[Fold], task: Task, rule: Rule, trial: Choices, parts: list[dict[str, Any]]) -> list[float]:
    """Mean AUROC per readout gene in each fold."""
    areas = []
    for i, fold in enumerate(folds_):
        questions = fold.questions[task]
        evidence = mixture(parts[i], trial) if parts else Voter(fold.data, task, trial).answer(rule, questions)
        areas.append(mean_auroc(evidence, questions.label, questions.column))
    return areas


def _parts(fold: Fold, task: Task, choices: Choices) -> dict[str, np.ndarray]:
    """(q,) evidence of each part of the mixture on the hidden questions."""
    questions = fold.questions[task]
    return Voter(fold.data, task, choices).parts(questions.perturbations, (questions.row, questions.column))


def _deviation(parts: list[dict[str, np.ndarray]]) -> dict[str, float]:
    return {name: float(np.std(np.concatenate([p[name] for p in parts]))) for name in PARTS}


def _scale(folds_: list[Fold], task: Task, choices: Choices, rule: Rule) -> Scale:
    """Logistic regression of the hidden labels on the base rate's log odds and the evidence."""
    from sklearn.linear_model import LogisticRegression

    columns, answers = [], []
    for fold in folds_:
        questions, voter = fold.questions[task], Voter(fold.data, task, choices)
        base = np.clip(voter.base[questions.column], 1e-4, 1 - 1e-4)
        columns.append(np.column_stack([np.log(base / (1 - base)), voter.answer(rule, questions)]))
        answers.append(questions.label)
    x, y = np.concatenate(columns), np.concatenate(answers)
    spread = np.maximum(x.std(axis=0), 1e-9)
    model = LogisticRegression(C=1e3).fit(x / spread, y)
    base_slope, slope = model.coef_[0] / spread
    return Scale(float(model.intercept_[0]), float(base_slope), float(slope))


def main(target: Path | None = None) -> None:
    """Write the choices from those of PerturbQA's lines that can be had here."""
    from kgpert_lib.screens.load import load_atlas

    path = target or paths.DATA / "votes" / "choices.json"
    atlas = load_atlas("perturbqa")
    choices = run(atlas, Affinity.load(atlas.perturbations()), report=lambda text: print(text, flush=True))
    write_text(path, json.dumps(choices, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
