"""Drawn answers before and after the training, beside the posterior that the answers before it would make (ours).

With the policy before the training as prior and ``exp(reward / beta)`` as likelihood, the posterior weighs the answers
that were drawn before, within a question, by ``exp(reward / beta)``. `beta` is the one at which its mean reward is
that of the answers drawn after the training. The posterior reads the rewards of test genes, which no training did.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq

from kgpert_lib.metrics import stats
from kgpert_lib.rl.tasks import EditTasks
from kgpert_lib.rl.traces import ScoredAnswers
from kgpert_lib.studies.run_scores import TRAINED, WARM, RunGroup

DRAWN = "-drawn"
BETAS = 1e-3, 1e3  # where beta is looked for
SHOWN = ("reward", "gap", "moves", "likeliest edit")

Float = NDArray[np.float64]


class Draws(NamedTuple):
    """Drawn answers to k questions, d each: (k, d) of rewards, gaps, moves, and a number for each different edit."""

    reward: Float
    gap: Float
    moves: Float
    edit: NDArray[np.intp]


def posterior(group: RunGroup, seed: int = 0) -> pd.DataFrame:
    """Answers drawn from the warm start, the same as the posterior weighs them, and answers drawn after the training.

    Three rows a line (``answers``): atlas, kind, line, policy, n (questions, over all runs), ``draws`` each, ``beta``
    (of the posterior; NaN where no beta reaches the reward), and with 95 % bootstrap intervals over test genes mean
    ``reward``, ``gap``, ``moves`` (genes added and removed) and ``likeliest edit`` (probability of the most probable
    edit of a question). No row where drawn answers are not recorded.
    """
    rows = []
    stages = [f"{stage}{DRAWN}" for stage in (WARM, TRAINED)]
    if not group.runs or any(stage not in run.stages for run in group.runs for stage in stages):
        return pd.DataFrame()
    before, after = ([_by_line(run.answers(stage)) for run in group.runs] for stage in stages)
    for line in before[0]:
        prior, trained = _joined([runs[line] for runs in before]), _joined([runs[line] for runs in after])
        equal = np.full(prior.reward.shape, 1 / prior.reward.shape[1])
        beta = tilt(prior.reward, float(trained.reward.mean()))
        weights = equal if np.isnan(beta) else tilted(prior.reward, beta)
        for who, draws, weight in (
            ("drawn from the warm start", prior, equal),
            ("the same, as a posterior", prior, weights),
            ("drawn after the training", trained, np.full(trained.reward.shape, 1 / trained.reward.shape[1])),
        ):
            means = {name: stats.bootstrap_mean(v, seed=seed) for name, v in _means(draws, weight, len(before)).items()}
            row = {"line": line, "answers": who, "n": len(draws.reward), "draws": draws.reward.shape[1]}
            row["beta"] = beta if weight is weights else np.nan
            for name, interval in means.items():
                row |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
            rows.append(row)
    table = pd.DataFrame(rows)
    table.insert(0, "atlas", group.screen.name)
    table.insert(1, "kind", group.screen.kind)
    table.insert(3, "policy", group.policy)
    return table


def tilted(reward: Float, beta: float) -> Float:
    """(k, d) weights of drawn answers, of sum 1 in each question, proportional to ``exp(reward / beta)``."""
    weight = np.exp((reward - reward.max(axis=1, keepdims=True)) / beta)
    return weight / weight.sum(axis=1, keepdims=True)


def tilt(reward: Float, mean: float) -> float:
    """The beta at which tilted answers (k, d) have a mean reward; NaN where it is none between equal and best."""

    def above(log_beta: float) -> float:
        return float((reward * tilted(reward, float(np.exp(log_beta)))).sum(axis=1).mean()) - mean

    low, high = np.log(BETAS)
    if not above(low) > 0 > above(high):
        return float("nan")
    return float(np.exp(brentq(above, low, high)))


def _by_line(answers: ScoredAnswers) -> dict[str, Draws]:
    tasks = EditTasks.of(answers.settings)
    table = answers.table()
    table["edit"] = [
        "+".join(sorted(p.added)) + "-" + "+".join(sorted(p.removed))
        for p in (tasks.lines[a.line].read(a.gene, a.text or "") for a in answers.answers)
    ]
    out = {}
    for line, part in table.groupby("line", sort=False):
        draws = part.groupby("gene").size().min()
        shape = (part["gene"].nunique(), draws)
        part = part.groupby("gene").head(draws).sort_values("gene", kind="stable")
        reward, gap, moves = (
            v.to_numpy(float).reshape(shape) for v in (part["reward"], part["gap"], part["added"] + part["removed"])
        )
        edits = np.unique(part["edit"], return_inverse=True)[1]
        out[str(line)] = Draws(reward, gap, moves, edits.reshape(shape))
    return out


def _joined(runs: list[Draws]) -> Draws:
    return Draws(*(np.concatenate(parts) for parts in zip(*runs, strict=True)))


def _means(draws: Draws, weight: Float, runs: int) -> dict[str, Float]:
    """Weighted means of every question, over the runs that asked it."""
    likeliest = [np.bincount(edit, w).max() for edit, w in zip(draws.edit, weight, strict=True)]
    values = [*((getattr(draws, name) * weight).sum(axis=1) for name in Draws._fields[:3]), np.array(likeliest)]
    return {name: v.reshape(runs, -1).mean(axis=0) for name, v in zip(SHOWN, values, strict=True)}
