"""The test questions answered again with the weights of a recorded run."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import torch

from kgpert_lib.errors import InputError
from kgpert_lib.rl.rehearsal.run import THREADS, answers_to_tests, recorded_policy
from kgpert_lib.rl.runs import Run
from kgpert_lib.rl.traces import ScoredAnswers


@dataclass(frozen=True)
class Compared:
    """Answers that were given again beside those recorded.

    `table` : one row a line: ``line``, ``n`` questions, means of ``reward`` and ``gap`` of both, and how many texts are
    the ``same``. `largest` : the largest absolute difference of two rewards.
    """

    table: pd.DataFrame
    largest: float


def evaluated_again(run: Run, stage: str = "trained") -> Compared:
    """Compare the answers of a run's recorded weights with the recorded answers of a stage.

    InputError where the run keeps no weights or has no such stage, and where the questions are other ones by now.
    """
    recorded = run.answers(stage)
    torch.set_num_threads(THREADS)
    given = answers_to_tests(recorded_policy(run), run.config)
    if _asked(given) != _asked(recorded):
        raise InputError(f"The test questions of {run.name} are not those of its recorded answers; train it again.")
    frames = [answers.table().set_index(["line", "gene"]) for answers in (given, recorded)]
    both = frames[0][["reward", "gap"]].join(frames[1][["reward", "gap"]], rsuffix=" recorded")
    texts = ({(a.line, a.gene): a.text for a in answers.answers} for answers in (given, recorded))
    now, then = texts
    both["same"] = [now[key] == then[key] for key in both.index]
    lines = both.groupby("line", sort=False)
    means = lines[["reward", "reward recorded", "gap", "gap recorded"]].mean()
    table = means.assign(same=lines["same"].sum()).reset_index()
    table.insert(1, "n", lines.size().to_numpy())
    return Compared(table, float((both["reward"] - both["reward recorded"]).abs().max()))


def _asked(answers: ScoredAnswers) -> set[tuple[str, str]]:
    return {(answer.line, answer.gene) for answer in answers.answers}
