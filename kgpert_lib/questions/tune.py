"""Choices of the voting rules by cross-validation over training perturbations; ``python -m kgpert_lib.questions.tune``.

Rung by rung, with what the rungs below chose: in each fold some training perturbations of the line are hidden
(under ``strict`` from every line, under ``per-line`` from their own line, as test perturbations are), the rules are
fitted on the rest and scored on the hidden ones by mean AUROC per readout gene. Equal means go to the first of
the candidates. No test row is read. The result is committed as ``data/votes/choices.json`` with every
candidate's score.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, get_args

import numpy as np
from sklearn.linear_model import LogisticRegression

from kgpert_lib import paths
from kgpert_lib.atlas import Atlas, Split, TrainingView
from kgpert_lib.completion import folds
from kgpert_lib.errors import InputError
from kgpert_lib.questions.knowledge import Knowledge
from kgpert_lib.questions.pairs import Questions, Task, labels, own_readout
from kgpert_lib.questions.score import mean_auroc
from kgpert_lib.questions.voting import PARTS, RULES, Choices, Ground, Rule, Scale, Voter, mixture

FOLDS = 3
Candidate = dict[str, Any]


def _grid(**values: list[Any]) -> list[Candidate]:
    return [dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())]


def stages(task: Task, split: Split, lines: int) -> list[tuple[Rule, list[Candidate]]]:
    """The candidates of each rung."""
    plan: list[tuple[Rule, list[Candidate]]] = [
        ("weighted", _grid(power=[3.0, 2.0], string=[2.0, 1.0], prior=[0.3, 1.0], signed=[False])),
        (
            "smoothed",
            _grid(signed=[False, True] if task == "dir" else [False], profile_power=[6.0, 3.0], smoothing=[10.0, 3.0]),
        ),
        ("completion", _grid(joint=[False] if lines < 2 else [False, True], rank=[16, 32], ridge=[3.0])),
        ("mixed", _grid(mix=[0.25, 0.5, 0.0, 0.75, 1.0], level=[0.0, 0.15, 0.3])),
    ]
    if lines > 1:
        same = [1.0, 10.0] if split == "per-line" else [0.0]
        plan.insert(2, ("lines", _grid(other=[0.0, 0.25, 0.5], same=same)))
    return plan


@dataclass(frozen=True, eq=False)
class Fold:
    """One fold: what is left to fit on, and the questions about the hidden training perturbations."""

    ground: Ground
    questions: Mapping[Task, Questions]


def hidden(view: TrainingView, held: np.ndarray) -> TrainingView:
    """The view without the perturbations `held`, hidden as the split hides test perturbations."""
    if view.split == "strict":
        return view.without(held)
    return replace(view, lines={**view.lines, view.line: view.target.without(held)})


def make_folds(view: TrainingView, knowledge: Knowledge, k: int = FOLDS, seed: int = 0) -> Iterator[Fold]:
    """The folds of a view's training perturbations."""
    line = view.target
    fold = folds(len(line.perturbations), k, seed)
    for f in range(k):
        held = line.perturbations[fold == f]
        delta = np.where(own_readout(held, line.genes), np.nan, line.delta[fold == f]).astype(np.float32)
        questions = {}
        for task in get_args(Task):
            answers = labels(delta, task)
            row, column = np.nonzero(~np.isnan(answers))
            label = answers[row, column].astype(np.int8)
            questions[task] = Questions(line.name, task, "train", held, line.genes, row, column, label, 0)
        yield Fold(Ground(hidden(view, held), knowledge), questions)


def choose(folds_: list[Fold], task: Task, split: Split, lines: int) -> tuple[Choices, list[dict[str, Any]]]:
    """The choices for one task, and a table of every candidate's mean AUROC over folds."""
    chosen, table = Choices(other=0.0, same=0.0), []
    for rule, candidates in stages(task, split, lines):
        if rule == "mixed":
            chosen = replace(chosen, deviation=_deviation(folds_, task, chosen))
        best, best_score = chosen, -np.inf
        parts = [_parts(f, task, chosen) for f in folds_] if rule == "mixed" else []
        for candidate in candidates:
            trial = replace(chosen, **candidate)
            if rule == "mixed":
                made = [mixture(p, trial) for p in parts]
            else:
                made = [Voter(f.ground, task, trial).answer(rule, f.questions[task]) for f in folds_]
            scores = [
                mean_auroc(s, f.questions[task].label, f.questions[task].column)
                for s, f in zip(made, folds_, strict=True)
            ]
            table.append({"rule": rule, **candidate, "auroc": round(float(np.mean(scores)), 4)})
            if np.mean(scores) > best_score + 1e-6:
                best, best_score = trial, float(np.mean(scores))
        chosen = best
    return replace(chosen, scales={rule: _scale(folds_, task, chosen, rule) for rule in RULES}), table


def run(
    atlas: Atlas,
    knowledge: Knowledge,
    splits: tuple[Split, ...] = ("strict", "per-line"),
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Choices and candidates of every line, split and task of an atlas, ready for JSON."""
    out: dict[str, Any] = {
        "atlas": atlas.name,
        "lines": list(atlas.lines),
        "folds": FOLDS,
        "choices": {},
        "candidates": {},
    }
    for line, split in product(atlas.lines, splits):
        made = list(make_folds(atlas.view(line, split), knowledge))
        for task in get_args(Task):
            chosen, table = choose(made, task, split, len(atlas.lines))
            key = f"{line}/{split}/{task}"
            out["choices"][key], out["candidates"][key] = asdict(chosen), table
            best = {
                rule: max(t["auroc"] for t in table if t["rule"] == rule)
                for rule in dict.fromkeys(t["rule"] for t in table)
            }
            tell(f"{key}: {best}")
    return out


def load(line: str, split: Split, task: Task, path: Path | None = None) -> Choices:
    """The committed choices of one line, split and task; InputError where none were made."""
    source = path or paths.DATA / "votes" / "choices.json"
    if not source.is_file():
        raise InputError(f"{source} is missing; make it with `python -m kgpert_lib.questions.tune`.")
    made = json.loads(source.read_text(encoding="utf-8"))["choices"]
    key = f"{line}/{split}/{task}"
    if key not in made:
        raise InputError(f"{source} has no choices for {key}; it has {', '.join(made)}.")
    values = made[key]
    scales = {rule: Scale(*scale) for rule, scale in values["scales"].items()}
    return Choices(**{**values, "scales": scales})


def _parts(fold: Fold, task: Task, choices: Choices) -> dict[str, np.ndarray]:
    """(q,) evidence of each part of the mixture on the hidden questions."""
    asked = fold.questions[task]
    voter = Voter(fold.ground, task, choices)
    return {
        "lines": voter.answer("lines", asked),
        "completion": voter.answer("completion", asked),
        "level": voter.level(asked.perturbations)[asked.row, 0],
    }


def _deviation(folds_: list[Fold], task: Task, choices: Choices) -> dict[str, float]:
    parts = [_parts(f, task, choices) for f in folds_]
    return {name: float(np.std(np.concatenate([p[name] for p in parts]))) for name in PARTS}


def _scale(folds_: list[Fold], task: Task, choices: Choices, rule: Rule) -> Scale:
    """Logistic regression of the hidden labels on the base rate's log odds and the evidence."""
    columns, answers = [], []
    for fold in folds_:
        asked, voter = fold.questions[task], Voter(fold.ground, task, choices)
        base = np.clip(voter.base[asked.column], 1e-4, 1 - 1e-4)
        columns.append(np.column_stack([np.log(base / (1 - base)), voter.answer(rule, asked)]))
        answers.append(asked.label)
    x, y = np.concatenate(columns), np.concatenate(answers)
    spread = np.maximum(x.std(axis=0), 1e-9)
    model = LogisticRegression(C=1e3).fit(x / spread, y)
    base_slope, slope = model.coef_[0] / spread
    return Scale(float(model.intercept_[0]), float(base_slope), float(slope))


def main(target: Path | None = None) -> None:
    """Write the choices for PerturbQA's lines that can be had here."""
    from kgpert_lib.sources import load_atlas

    path = target or paths.DATA / "votes" / "choices.json"
    atlas = load_atlas("perturbqa", ["k562", "rpe1"])
    made = run(atlas, Knowledge.load(atlas.perturbations()), tell=lambda text: print(text, flush=True))
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".tmp")
    scratch.write_text(json.dumps(made, indent=1, default=float) + "\n", encoding="utf-8")
    os.replace(scratch, path)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
