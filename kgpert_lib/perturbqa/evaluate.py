"""The ladder of rules on one line's test questions, beside what others have published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib import paths
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.metrics.auroc import compare
from kgpert_lib.perturbqa import tuning
from kgpert_lib.perturbqa.tasks import Questions, Task, ask_all
from kgpert_lib.perturbqa.voting import RULES, Choices, Ground, Rule, Voter
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.types import Split


@dataclass(frozen=True, eq=False)
class Ladder:
    """One line, split and task: `table` as in `score.compare`, the `questions`, each rule's probabilities (q,), and
    the fitted `voter`.
    """

    line: str
    split: Split
    task: Task
    questions: Questions
    probability: Mapping[str, NDArray[np.floating]]
    table: pd.DataFrame
    voter: Voter


def climb(
    atlas: Atlas,
    line: str,
    split: Split,
    knowledge: Affinity,
    rules: Sequence[Rule] = RULES,
    tasks: Sequence[Task] = get_args(Task),
    choices: Mapping[str, Choices] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> list[Ladder]:
    """Answer and score the test questions of `line`, one `Ladder` a task; the fits are shared between tasks.

    `choices` by task; None for the committed ones (`tuning.load`). The plain union is always scored: the gains are
    against it.
    """
    ground = Ground(atlas.view(line, split), knowledge)
    wanted: list[Rule] = list(dict.fromkeys(["union", *rules]))
    made = []
    for task in tasks:
        asked = ask_all(atlas[line], task)
        voter = Voter(ground, task, choices[task] if choices is not None else tuning.load(split, task))
        scores: dict[str, NDArray[np.floating]] = {rule: voter.answer(rule, asked) for rule in wanted}
        at = (asked.row, asked.column)
        probability: dict[str, NDArray[np.floating]] = {rule: voter.stated(rule, scores[rule], at) for rule in wanted}
        table = compare(scores, asked.label, asked.column, asked.perturbation, draws=draws, seed=seed)
        made.append(Ladder(line, split, task, asked, probability, table, voter))
    return made


def published() -> pd.DataFrame:
    """Mean AUROC per readout gene as others published it: method, task, line, auroc, source."""
    return pd.read_csv(paths.DATA / "votes" / "published.csv")
