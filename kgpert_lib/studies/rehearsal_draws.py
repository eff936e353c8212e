"""Answers that a policy drew to the same question: how its mass over edits moved from the warm start to the end.

A rehearsal records several drawn answers to some test questions beside the greedy one, in the stages ``warm-drawn`` and
``trained-drawn``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.metrics import stats
from kgpert_lib.rl.reward import TIE
from kgpert_lib.rl.runs import DRAWN, TRAINED, WARM, Run
from kgpert_lib.studies.graph_neighbours import HEAD
from kgpert_lib.studies.run_scores import TITLES, RunGroup

RESAMPLES = 2_000
SHARES = ("helps", "hurts", "changes nothing")
TILTS = np.concatenate([[0.0], np.geomspace(0.05, 2_000, 200)])  # 1 / beta


def drawn(group: RunGroup) -> pd.DataFrame:
    """Every drawn answer of every run, before and after GRPO; empty where the runs recorded none.

    Columns: run, stage (``warm`` or ``trained``), line, gene, ``edit`` (the genes that it adds and removes, as text),
    reward, gap, and ``greedy``: whether it is the edit of the greedy answer of that stage.
    """
    tables = [
        _drawn(run, stage)
        for run in group.runs
        for stage in (WARM, TRAINED)
        if stage in run.stages and f"{stage}{DRAWN}" in run.stages
    ]
    columns = ["run", "stage", "line", "gene", "edit", "reward", "gap", "greedy"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def spread(group: RunGroup, seed: int = 0) -> pd.DataFrame:
    """How a policy's mass lies over edits, before and after GRPO: one row per line and stage.

    Means over questions, whose draws and runs are averaged first: n (questions), ``draws`` to each in a run,
    ``different edits`` among them, ``greedy`` (share of the draws with the greedy answer's edit), the shares of draws
    whose edit ``helps``, ``hurts`` and ``changes nothing``, and ``gap`` with its 95 % bootstrap interval. Besides:
    atlas, kind, line, policy, predictor (the stage in print).
    """
    table = drawn(group)
    gap = table["gap"].astype("float64")
    table = table.assign(**dict(zip(SHARES, (gap > TIE, gap < -TIE, gap.abs() <= TIE), strict=True)))
    rows = []
    for (line, stage), part in table.groupby(["line", "stage"], sort=False):
        questions = part.groupby(["gene", "run"])
        counts = questions["edit"].agg(["size", "nunique"])
        means = questions[["greedy", *SHARES, "gap"]].mean().groupby(level="gene").mean()
        size, different = counts.groupby(level="gene").mean().mean()
        values = (means[name].mean() for name in ("greedy", *SHARES))
        interval = stats.bootstrap_mean(means["gap"], seed=seed)
        rows.append((line, TITLES[str(stage)], len(means), size, different, *values, *interval))
    ends = ["gap", "gap_low", "gap_high"]
    columns = ["line", "predictor", "n", "draws", "different edits", "greedy", *SHARES, *ends]
    head = {"atlas": group.screen.name, "kind": group.screen.kind, "policy": group.policy}
    return pd.DataFrame(rows, columns=columns).assign(**head)


def implied_beta(group: RunGroup, seed: int = 0) -> pd.DataFrame:
    """With which beta is ``pi_0 exp(reward / beta)`` over the warm start's draws worth what the trained draws are?

    The draws of the warm start to a question are weighted by ``exp(reward / beta)``; beta is where their mean reward,
    over all questions, equals that of the trained policy's draws. 0 where these earn as much as the best draw of each
    question or more, infinite where they earn no more than the warm start's.

    One row per line: atlas, kind, line, policy, n (questions), the mean rewards ``before`` and ``after`` GRPO and of
    the ``best draw`` of the warm start, and ``beta`` with its 95 % percentile bootstrap interval over questions. No row
    where nothing was drawn.
    """
    rows = []
    table = drawn(group)
    for line, part in table.groupby("line", sort=False):
        tilted, after = [], []
        for _, question in part.groupby("gene", sort=False):
            by_stage = dict(iter(question.groupby("stage")))
            if set(by_stage) != {WARM, TRAINED}:
                continue
            rewards = [own["reward"].to_numpy(np.float64) for _, own in by_stage[WARM].groupby("run")]
            tilted.append(np.mean([_tilted(own) for own in rewards], axis=0))
            after.append(by_stage[TRAINED].groupby("run")["reward"].mean().mean())
        if not tilted:
            continue
        curves, reached = np.array(tilted), np.array(after)
        samples = [*curves.T, reached]
        tilts = _tilt(*samples), *stats.percentile_bootstrap(samples, _tilt, RESAMPLES, seed)
        beta, high, low = (_beta(float(tilt)) for tilt in tilts)
        means = curves[:, 0].mean(), reached.mean(), curves[:, -1].mean()
        rows.append((group.screen.name, group.screen.kind, line, group.policy, len(reached), *means, beta, low, high))
    columns = ["n", "before", "after", "best draw", "beta", "beta_low", "beta_high"]
    return pd.DataFrame(rows, columns=[*HEAD, "policy", *columns])


def _drawn(run: Run, stage: str) -> pd.DataFrame:
    answers = run.answers(f"{stage}{DRAWN}")
    verdicts = answers.verdicts()
    greedy = run.answers(stage)
    own = {(a.line, a.gene): _edit(v.added, v.removed) for a, v in zip(greedy.answers, greedy.verdicts(), strict=True)}
    rows = [
        (run.name, stage, a.line, a.gene, edit, v.total, v.gap, edit == own.get((a.line, a.gene)))
        for a, v in zip(answers.answers, verdicts, strict=True)
        for edit in [_edit(v.added, v.removed)]
    ]
    return pd.DataFrame(rows, columns=["run", "stage", "line", "gene", "edit", "reward", "gap", "greedy"])


def _edit(added: tuple[str, ...], removed: tuple[str, ...]) -> str:
    """The genes of an edit as text, in one order."""
    return ", ".join([*(f"+{gene}" for gene in sorted(added)), *(f"-{gene}" for gene in sorted(removed))])


def _tilted(rewards: NDArray[np.float64]) -> NDArray[np.float64]:
    """(k,) mean of the rewards (n,) weighted by ``exp(t * reward)``, for each t of `TILTS`."""
    weight = np.exp(np.outer(TILTS, rewards - rewards.max()))
    return weight @ rewards / weight.sum(axis=1)


def _tilt(*samples: Any, axis: int = -1) -> Any:
    """1 / beta at which the mean of the curves, a sample for each of `TILTS`, meets the mean of the last sample.

    The last of `TILTS` where it is that of the best draws or more.
    """
    *curves, reached = (np.asarray(sample, np.float64).mean(axis=axis) for sample in samples)
    means, goal = np.stack(curves), np.asarray(reached)
    last = len(TILTS) - 1
    above = np.where(goal >= means[last] - TIE, last, (means >= goal - TIE).argmax(axis=0))
    before = np.where(above == last, last, np.maximum(above - 1, 0))
    first, second = (np.take_along_axis(means, place[None], axis=0)[0] for place in (before, above))
    part = np.divide(goal - first, second - first, out=np.ones_like(goal), where=second > first)
    return (TILTS[before] + np.clip(part, 0, 1) * (TILTS[above] - TILTS[before]))[()]


def _beta(tilt: float) -> float:
    """1 / tilt; 0 at the end of `TILTS`."""
    if tilt >= TILTS[-1]:
        return 0.0
    return 1 / tilt if tilt > 0 else np.inf
