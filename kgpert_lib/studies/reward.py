"""Which reward tells good edits from bad ones: signal to noise of the advantage within groups of 8 (ours).

Answers with random edits are scored on one half of the readout genes, and what they are worth is their gap on the other
half, which the reward did not see. Only training perturbations are asked about.
`python -m kgpert_lib.studies.reward` prints what the defaults of `kgpert_lib.rl.reward` follow from.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.stats import bootstrap_mean, percentile_interval
from kgpert_lib.rl.reward import Weights, rewards
from kgpert_lib.rl.tasks import EditTasks, Settings

Matrix = NDArray[np.float64]

GROUP = 8
MOST_ADDED, MOST_REMOVED = 5, 3
INVALID, UNREADABLE = 0.15, 0.05  # share of proposals that name no gene, and of answers without any list
OFFERED = 10  # a question with fewer candidates leaves random edits no choice
ALPHAS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
BETAS = (0.0, 0.1, 0.25, 0.5, 1.0)
PEARSON_SHARES = (1 / 3, 0.5, 0.6, 0.8, 1.0)
RESAMPLES = 200


@dataclass(frozen=True, eq=False)
class Groups:
    """Groups of answers to the same question, (n, 8) each.

    `readable`, `valid` and `proposed` are what the reward counts, `gap` is scored on the first half of the readout
    genes and `worth` on the second: 0 for an answer that is not readable, which leaves the neighbourhood as it is.
    """

    readable: Matrix
    valid: Matrix
    proposed: Matrix
    gap: Matrix
    worth: Matrix

    def __len__(self) -> int:
        return len(self.gap)

    def take(self, rows: NDArray[np.intp]) -> Groups:
        """The groups of some questions."""
        return Groups(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))

    def rewards(self, weights: Weights, alpha: float, beta: float) -> Matrix:
        """(n, 8) rewards."""
        return rewards(self.readable, self.valid, self.proposed, self.gap, weights, alpha, beta)[1]


def random_groups(settings: Settings, questions: int, seed: int = 0) -> Groups:
    """Groups of random answers to the first `questions` of the stream with candidates to choose from.

    An answer adds up to `MOST_ADDED` candidates and removes up to `MOST_REMOVED` neighbours; a share `INVALID` of its
    proposals names no gene, and a share `UNREADABLE` of the answers holds no list.
    """
    first, second = _halves(settings)
    asked = [place for place in _in_both(first, second) if len(first.question(*place).prompt.candidates) >= OFFERED]
    asked = asked[:questions]
    rng = np.random.default_rng(seed)
    texts = [
        (line, gene, text)
        for line, gene in asked
        for question in [first.question(line, gene)]
        for text in _answers(question.prompt.candidates, question.neighbours, rng)
    ]
    verdicts, held_out = first.judge_all(texts), second.judge_all(texts)
    valid = np.array([len(v.added) + len(v.removed) for v in verdicts], dtype=np.float64)
    readable = np.array([v.format for v in verdicts])
    invalid = np.array([v.dropped["unknown"] for v in verdicts])
    columns = (
        readable,
        valid,
        valid + invalid,
        np.array([v.gap for v in verdicts]),
        np.array([v.gap for v in held_out]) * readable,
    )
    return Groups(*(column.reshape(-1, GROUP) for column in columns))


def signal_to_noise(groups: Groups, weights: Weights, alpha: float, beta: float) -> float:
    """Correlation of the advantage (reward minus its group's mean) with the worth minus its group's mean.

    Over all answers of all groups; 0 where either never varies.
    """
    advantage, worth = _centred(groups.rewards(weights, alpha, beta)), _centred(groups.worth)
    scale = float(np.sqrt((advantage**2).sum() * (worth**2).sum()))
    return float((advantage * worth).sum()) / scale if scale > 0 else 0.0


def shapes(groups: Groups, weights: Weights, seed: int = 0) -> pd.DataFrame:
    """Signal to noise for each of `ALPHAS` and `BETAS`, with bootstrap intervals over questions."""
    grid = [(weights, alpha, beta) for alpha, beta in product(ALPHAS, BETAS)]
    return _table(groups, grid, seed)


def shares(groups: Groups, alpha: float, beta: float, seed: int = 0) -> pd.DataFrame:
    """Signal to noise for each share of the Pearson part, format and validity having the rest in equal parts.

    `least` is what an answer that is read whole and all valid earns at worst; an unreadable one earns 0.
    """
    grid = [(weights_of(share), alpha, beta) for share in PEARSON_SHARES]
    return _table(groups, grid, seed).assign(share=PEARSON_SHARES, least=[1 - 2 * s for s in PEARSON_SHARES])


def searched(settings: Settings, questions: int, seed: int = 0) -> pd.DataFrame:
    """Gaps of edits by a greedy search, on the half of the readout genes that the search saw and on the other.

    The search takes the best of all training perturbations, at most three moves, for the first `questions` of the
    stream. One row for each half: ``readouts``, mean ``gap`` with its interval, ``n`` questions.
    """
    first, second = _halves(settings)
    asked = _in_both(first, second)[:questions]
    texts = [(line, gene, first.gold(line, gene)) for line, gene in asked]
    rows = []
    for name, tasks in (("seen by the search", first), ("not seen by the search", second)):
        gap = bootstrap_mean([verdict.gap for verdict in tasks.judge_all(texts)], seed=seed)
        rows.append((name, gap.mean, gap.low, gap.high, len(texts)))
    return pd.DataFrame(rows, columns=["readouts", "gap", "gap_low", "gap_high", "n"])


def weights_of(share: float) -> Weights:
    """Weights whose Pearson part has this share, from 0 to 1, and whose other two parts share the rest."""
    return Weights(format=(1 - share) / 2, validity=(1 - share) / 2, pearson=share)


def choice(atlases: Sequence[Groups]) -> tuple[float, float, float]:
    """Share of the Pearson part, alpha and beta.

    The share is the largest at which an answer that is read whole and all valid never earns less than an unreadable
    one, which earns 0: refusing to answer then never pays. Alpha and beta have the largest mean, over the atlases, of
    the signal to noise divided by its best; beta is above 0, as the paper's reward has a term in the sign of the gap.
    """
    share = max(s for s in PEARSON_SHARES if 1 - 2 * s >= 0)
    reached = []
    for groups in atlases:
        table = shapes(groups, weights_of(share)).query("beta > 0").set_index(["alpha", "beta"])["signal"]
        reached.append(table / table.max())
    alpha, beta = pd.concat(reached, axis=1).mean(axis=1).idxmax()
    return share, float(alpha), float(beta)


def _halves(settings: Settings) -> tuple[EditTasks, EditTasks]:
    """The same questions scored on either half of the readout genes."""
    first, second = (EditTasks.of(settings.model_copy(update={"readouts": half})) for half in ("first", "second"))
    return first, second


def _in_both(first: EditTasks, second: EditTasks) -> list[tuple[str, str]]:
    """Line and gene of the questions that both halves can score, in the order of the stream."""
    both = set(second.stream)
    return [place for place in first.stream if place in both]


def _answers(candidates: Sequence[str], neighbours: Sequence[str], rng: np.random.Generator) -> Iterator[str]:
    for _ in range(GROUP):
        if rng.random() < UNREADABLE:
            yield "I am not sure."
            continue
        lists = {}
        for field, genes, most in (("add", candidates, MOST_ADDED), ("remove", neighbours, MOST_REMOVED)):
            size = int(rng.integers(0, min(most, len(genes)) + 1))
            drawn = [str(gene) for gene in rng.choice(np.array(genes, dtype=str), size, replace=False)] if size else []
            lists[field] = [gene if rng.random() > INVALID else f"NOGENE{i}" for i, gene in enumerate(drawn)]
        yield json.dumps(lists)


def _centred(values: Matrix) -> Matrix:
    return values - values.mean(axis=1, keepdims=True)


def _table(groups: Groups, grid: Sequence[tuple[Weights, float, float]], seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    draws = [groups.take(rng.integers(0, len(groups), len(groups))) for _ in range(RESAMPLES)]
    rows = []
    for weights, alpha, beta in grid:
        low, high = percentile_interval([signal_to_noise(draw, weights, alpha, beta) for draw in draws])
        signal = signal_to_noise(groups, weights, alpha, beta)
        rows.append((alpha, beta, signal, low, high, len(groups)))
    return pd.DataFrame(rows, columns=["alpha", "beta", "signal", "signal_low", "signal_high", "n"])


def main() -> None:
    """Print both tables of each atlas that is here, and the choice."""
    atlases = {}
    for atlas, questions in (("simulated", 600), ("perturbqa", 1200)):
        try:
            atlases[atlas] = random_groups(Settings(atlas=atlas), questions)
        except InputError as error:
            print(f"{atlas} is left out: {error}")
    share, alpha, beta = choice(list(atlases.values()))
    for atlas, groups in atlases.items():
        print(f"{atlas}, {len(groups)} questions")
        print(shapes(groups, weights_of(share)).round(3).to_string(index=False))
        print(shares(groups, alpha, beta).round(3).to_string(index=False))
    print(f"share of the Pearson part {share:.2f}, alpha {alpha:g}, beta {beta:g}")


if __name__ == "__main__":
    main()
