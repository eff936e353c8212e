"""Choices of the voting rules by cross-validation over training perturbations.

One set of choices for each split and task, shared by all lines; ``per-line`` differs from ``strict`` in what other
lines have to say. In each of five folds a fifth of a line's training
perturbations is hidden (under ``strict`` from every line, under ``per-line`` from its own line, as test perturbations
are), the rules are fitted on the rest and scored on the hidden ones by mean AUROC per readout gene. One setting after
the other moves along its ladder of values as long as the mean over folds and lines rises, so that none ends at the
edge of what was tried: both neighbours of a chosen value were scored too, unless there is no further value, such as
below a weight of 0. No test row is read. The result is committed as ``data/votes/choices.json`` with every candidate's
score.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.files import write_text
from kgpert_lib.graphs.affinity import Affinity, Feature
from kgpert_lib.metrics.auroc import mean_auroc
from kgpert_lib.perturbqa.tasks import Questions, Task, labels
from kgpert_lib.perturbqa.voting import PARTS, RULES, Choices, Rule, Scale, Voter, VotingData, mixture
from kgpert_lib.predictors.completion import folds
from kgpert_lib.screens.atlas import Atlas, TrainingView
from kgpert_lib.types import Split

FOLDS = 5
ORDER: tuple[Split, ...] = ("strict", "per-line")
FIGURES = ("stage", "rule", "auroc", "behind", "error")


class Stage(NamedTuple):
    """One setting that is chosen by the score of one rule, and the ladder of its values, in order."""

    rule: Rule
    setting: str
    ladder: Sequence[float | bool]


POWERS = (0.125, 0.25, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0)
STRENGTHS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
SHARES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0, 1.5)
EITHER = (False, True)


def stages(task: Task, split: Split, lines: int) -> list[Stage]:
    """The settings in the order in which they are chosen.

    What concerns a line alone is chosen under ``strict``, which hides more; ``per-line`` takes it from there and
    chooses what other lines have to say.
    """
    own = [
        Stage("affinity", "power", POWERS),
        Stage("affinity", "prior", STRENGTHS),
        Stage("affinity", "base_prior", (0.3, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 300.0, 1000.0)),
        *([Stage("affinity", "signed", EITHER)] if task == "dir" else []),
        Stage("completion", "pull_prior", STRENGTHS),
        Stage("completion", "pull", POWERS),
        Stage("completion", "rank", (4, 8, 16, 32, 48, 64, 96, 128)),
        Stage("completion", "ridge", (0.1, 0.3, 1.0, 2.0, 3.0, 5.0, 10.0, 20.0)),
        Stage("completion", "gene_affinity", EITHER),
        Stage("smoothed", "profile_power", (0.5, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)),
        Stage("smoothed", "smoothing", STRENGTHS),
    ]
    others = [
        Stage("lines", "other", SHARES),
        *([Stage("lines", "same", (0.0, *STRENGTHS))] if split == "per-line" else []),
        Stage("completion", "joint", EITHER),
    ]
    mixture = [
        Stage("mixed", "mix", (0.0, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1.0)),
        Stage("mixed", "level", SHARES),
    ]
    return [*(own if split == "strict" else []), *(others if lines > 1 else []), *mixture]


START = Choices(
    power=0.7,
    prior=3.0,
    base_prior=20.0,
    pull=1.0,
    pull_prior=0.3,
    rank=32,
    ridge=1.0,
    gene_affinity=True,
    profile_power=3.0,
    smoothing=10.0,
    other=0.1,
)
"""Where each setting begins to move."""


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


def make_folds(
    view: TrainingView,
    affinity: Affinity,
    k: int = FOLDS,
    seed: int = 0,
    weights: Mapping[Feature, float] | None = None,
) -> Iterator[Fold]:
    """The folds of a view's training perturbations; the affinity is learnt in each of them unless it has `weights`."""
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
        yield Fold(VotingData(view.hiding(held), affinity, False, weights), questions)


def choose(
    folds_: list[Fold],
    task: Task,
    split: Split,
    lines: int,
    start: Choices,
    report: Callable[[str], None] = lambda text: None,
) -> tuple[Choices, list[dict[str, Any]]]:
    """The choices for one task, and a table of every candidate.

    ``auroc`` is the mean over `folds_` (of all lines), ``behind`` how far it lies behind the chosen candidate of its
    stage, and ``error`` the standard error of that difference over folds.
    """
    settings, table = start, []
    for number, stage in enumerate(stages(task, split, lines)):
        parts = [_parts(f, task, settings) for f in folds_] if stage.rule == "mixed" else []
        if parts:
            settings = replace(settings, deviation=_deviation(parts))
        score = partial(_scores, folds_, task, stage, settings, parts)
        scores = climb(stage.ladder, getattr(settings, stage.setting), score)
        best = max(scores, key=lambda value: scores[value].mean())
        for value in sorted(scores):
            behind = scores[best] - scores[value]
            error = behind.std(ddof=1) / np.sqrt(len(folds_))
            figures = {"auroc": scores[value].mean(), "behind": behind.mean(), "error": error}
            rounded = {name: round(float(figure), 4) for name, figure in figures.items()}
            table.append({"stage": number, "rule": stage.rule, stage.setting: value, **rounded})
        settings = _changed(settings, stage, best)
        report(f"{split}/{task} {stage.rule}: {stage.setting} {best} ({scores[best].mean():.4f})")
    return replace(settings, scales={rule: _scale(folds_, task, settings, rule) for rule in RULES}), table


def climb(
    ladder: Sequence[float | bool], start: float | bool, score: Callable[[float | bool], NDArray[np.float64]]
) -> dict[float | bool, NDArray[np.float64]]:
    """The scores of `start` and of the values that were tried from there.

    Both neighbours of the best value so far are tried until both are no better or the ladder ends.
    """
    scores = {start: score(start)}
    while True:
        best = max(scores, key=lambda value: scores[value].mean())
        place = list(ladder).index(best)
        untried = [
            value
            for value in (*ladder[max(place - 1, 0) : place], *ladder[place + 1 : place + 2])
            if value not in scores
        ]
        if not untried:
            return scores
        scores.update({value: score(value) for value in untried})


def run(atlas: Atlas, affinity: Affinity, report: Callable[[str], None] = lambda text: None) -> dict[str, Any]:
    """Choices and candidates of every split and task of an atlas, ready for JSON."""
    lines = list(atlas.lines)
    out: dict[str, Any] = {"atlas": atlas.name, "lines": lines, "folds": FOLDS, "choices": {}, "candidates": {}}
    starts: dict[Task, Choices] = dict.fromkeys(get_args(Task), START)
    for split in ORDER:
        folds_ = [fold for line in lines for fold in make_folds(tuning_view(atlas, line, split), affinity)]
        for task in get_args(Task):
            starts[task], table = choose(folds_, task, split, len(lines), starts[task], report)
            key = f"{split}/{task}"
            out["choices"][key], out["candidates"][key] = asdict(starts[task]), table
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


def _changed(settings: Choices, stage: Stage, value: float | bool) -> Choices:
    changes: dict[str, Any] = {stage.setting: value}
    return replace(settings, **changes)


def _scores(
    folds_: list[Fold],
    task: Task,
    stage: Stage,
    settings: Choices,
    parts: list[dict[str, np.ndarray]],
    value: float | bool,
) -> NDArray[np.float64]:
    """Mean AUROC per readout gene in each fold with one value of a stage's setting."""
    trial, areas = _changed(settings, stage, value), []
    for i, fold in enumerate(folds_):
        questions = fold.questions[task]
        evidence = mixture(parts[i], trial) if parts else Voter(fold.data, task, trial).answer(stage.rule, questions)
        areas.append(mean_auroc(evidence, questions.label, questions.column))
    return np.array(areas)


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
    from kgpert_lib.screens.load import load_screen

    path = target or paths.DATA / "votes" / "choices.json"
    screen = load_screen("perturbqa")
    choices = run(screen.atlas, screen.affinity, report=lambda text: print(text, flush=True))
    write_text(path, json.dumps(choices, indent=1, default=float) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
