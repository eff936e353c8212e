"""The rules on one line's test questions, and what others have published."""

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
from kgpert_lib.perturbqa.voting import RULES, Choices, Rule, Voter, VotingData
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.types import Split


@dataclass(frozen=True, eq=False)
class RuleScores:
    """One line, split and task: the `questions`, each rule's (q,) `probability`, the fitted `voter`, and the scores.

    `table` and `samples` are as in `metrics.auroc.compare`.
    """

    line: str
    split: Split
    task: Task
    questions: Questions
    probability: Mapping[str, NDArray[np.floating]]
    table: pd.DataFrame
    samples: Mapping[str, NDArray[np.float64]]
    voter: Voter


def evaluate_rules(
    atlas: Atlas,
    line: str,
    split: Split,
    affinity: Affinity,
    rules: Sequence[Rule] = RULES,
    tasks: Sequence[Task] = get_args(Task),
    choices: Mapping[str, Choices] | None = None,
    draws: int = 1000,
    seed: int = 0,
) -> list[RuleScores]:
    """Answer and score the test questions of `line`, one `RuleScores` per task; the fits are shared between tasks.

    `choices` by task; None for the committed ones (`tuning.load`). The plain union is always scored: the gains are
    against it.
    """
    data = VotingData(atlas.view(line, split), affinity)
    rest = VotingData(data.view, affinity)  # kept, without the hundreds of megabytes that answers are worked out from
    rules = list(dict.fromkeys(["union", *rules]))
    scores = []
    for task in tasks:
        questions = ask_all(atlas[line], task)
        voter = Voter(data, task, choices[task] if choices is not None else tuning.load(split, task))
        evidence: dict[str, NDArray[np.floating]] = {rule: voter.answer(rule, questions) for rule in rules}
        at = (questions.row, questions.column)
        probability: dict[str, NDArray[np.floating]] = {
            rule: voter.to_probability(rule, evidence[rule], at) for rule in rules
        }
        compared = compare(evidence, questions.label, questions.column, questions.perturbation, draws=draws, seed=seed)
        kept = Voter(rest, task, voter.choices)
        scores.append(RuleScores(line, split, task, questions, probability, *compared, kept))
    return scores


def published() -> pd.DataFrame:
    """Mean AUROC per readout gene as others published it: method, task, line, auroc, source.

    A figure that was published as a mean over the four lines only has ``mean`` for its line.
    """
    return pd.read_csv(paths.DATA / "votes" / "published.csv")
