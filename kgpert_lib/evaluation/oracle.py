"""How good a neighbourhood could be: greedy choice of perturbations on the answer itself.

Every search here reads the measured delta of the perturbation that it predicts. Its score is a bound on what
editing a neighbourhood can reach by single moves, never a prediction, and every figure has to say so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.deltas import pearson_delta, undefined
from kgpert_lib.metrics.gram import correlation
from kgpert_lib.predictors.average import shrunken
from kgpert_lib.screens.atlas import TrainingLine

Vector = NDArray[np.float64]
Moves = Literal["add", "remove", "both"]

GAIN = 1e-9  # a move has to improve the score by more than this
CONSTANT = 2e-6  # spread of a prediction relative to its size at or below which it is constant (as in metrics)


@dataclass(frozen=True, eq=False)
class Search:
    """A greedy search that used the answer.

    `members` are the rows chosen at the end, sorted; `scores` the Pearson delta of the start and after each move;
    `moves` the rows in the order in which they were added (``("add", row)``) or removed (``("remove", row)``).
    """

    members: NDArray[np.intp]
    scores: Vector
    moves: tuple[tuple[str, int], ...]

    @property
    def score(self) -> float:
        """Pearson delta of the final set."""
        return float(self.scores[-1])

    @property
    def added(self) -> list[int]:
        """Rows added, in order."""
        return [row for kind, row in self.moves if kind == "add"]

    @property
    def removed(self) -> list[int]:
        """Rows removed, in order."""
        return [row for kind, row in self.moves if kind == "remove"]


def greedy_oracle(
    values: ArrayLike,
    measured: ArrayLike,
    truth: ArrayLike,
    mean: ArrayLike,
    prior: float = 1.0,
    start: ArrayLike = (),
    moves: Moves = "both",
    max_steps: int | None = None,
) -> Search:
    """Greedy search on deltas with gaps; uses the answer.

    The prediction of a set is ``(sum of measured deltas + prior * mean) / (number measured + prior)`` per gene, and
    `mean` where that divides by 0 (as in `average`); its score is Pearson over the measured genes of `truth`.

    Parameters
    ----------
    values, measured : (t, m) training deltas with 0 in the gaps, and where they were measured.
    truth : (m,) measured delta of the target, NaN for gaps.
    mean : (m,) mean training delta.
    start : rows to start from; the target's own row must not be among `values`.
    moves : ``"add"``, ``"remove"`` or ``"both"``: the best single move is made until none improves the score.
    max_steps : at most so many moves.

    Examples
    --------
    >>> import numpy as np
    >>> from kgpert_lib.evaluation.oracle import greedy_oracle
    >>> deltas = np.float32([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]])
    >>> search = greedy_oracle(deltas, np.ones_like(deltas), truth=[1, 1, 0, 0], mean=np.zeros(4))
    >>> sorted(search.added), round(search.score, 3)
    ([0, 1], 1.0)
    """
    v, mask = np.asarray(values), np.asarray(measured, dtype=bool)
    y, shared = np.asarray(truth, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    if v.ndim != 2 or mask.shape != v.shape or y.shape != v.shape[1:] or shared.shape != v.shape[1:]:
        raise InputError(
            f"Values {v.shape}, measured {mask.shape}, truth {y.shape} and mean {shared.shape} do not fit together."
        )
    if prior < 0 or not np.isfinite(prior):
        raise InputError(f"The prior strength is {prior}; it is a finite number of at least 0.")
    genes = ~np.isnan(y)
    if not genes.any():
        raise InputError("The target has no measured gene, so no set can be scored against it.")
    mask, y, shared = mask[:, genes], y[genes], shared[genes]
    v = np.where(mask, v[:, genes], 0.0).astype(np.float64)
    goal = np.zeros_like(y) if undefined(y[None], y[None])[0] else (y - y.mean()) / np.linalg.norm(y - y.mean())

    row, gene = np.nonzero(mask)
    value = v[row, gene]

    def flipped(inside: NDArray[np.bool_]) -> Vector:
        total, count = v[inside].sum(axis=0), mask[inside].sum(axis=0)
        pred = shrunken(total, count, prior, shared)
        sign = np.where(inside[row], -1.0, 1.0)
        change = shrunken(total[gene] + sign * value, count[gene] + sign, prior, shared[gene]) - pred[gene]

        def by_row(weights: Vector) -> Vector:
            return np.bincount(row, weights, minlength=len(v)).astype(np.float64, copy=False)

        centred = pred - pred.mean()
        square = centred @ centred + by_row((2 * centred[gene] + change) * change) - by_row(change) ** 2 / len(y)
        size = pred @ pred + by_row(change**2)
        return correlation(centred @ goal + by_row(change * goal[gene]), square, size, CONSTANT**2)

    inside = _members(start, len(v))
    first = shrunken(v[inside].sum(axis=0), mask[inside].sum(axis=0), prior, shared)
    at_start = float(pearson_delta(first[None], y[None])[0])
    return _greedy_search(inside, at_start, flipped, moves, max_steps)


def greedy_oracles(
    line: TrainingLine,
    truth: ArrayLike,
    starts: Sequence[ArrayLike],
    prior: float = 1.0,
    moves: Moves = "both",
    max_steps: int | None = None,
) -> list[Search]:
    """`greedy_oracle` for each row of `truth` (n, m) from its own start; uses the answers.

    `line` holds the training deltas that sets are drawn from, with the genes of `truth`; `starts` are n arrays of
    its rows. None of the n perturbations may be a training perturbation of `line`.
    """
    rows = np.asarray(truth)
    if rows.ndim != 2 or rows.shape[1] != len(line.genes) or len(starts) != len(rows):
        raise InputError(
            f"{line.name}: measured deltas of shape {rows.shape} and {len(starts)} starts do not fit "
            f"{len(line.genes)} readout genes; give one row and one start a perturbation."
        )
    searches = []
    for y, start in zip(rows, starts, strict=True):
        genes = ~np.isnan(y)
        values, measured = line.filled[:, genes], line.measured[:, genes]
        searches.append(greedy_oracle(values, measured, y[genes], line.mean[genes], prior, start, moves, max_steps))
    return searches


def _members(start: ArrayLike, size: int) -> NDArray[np.bool_]:
    rows = np.asarray(start, dtype=np.intp).ravel()
    if rows.size and not (rows.min() >= 0 and rows.max() < size):
        raise InputError(f"The start names row {int(rows.max())}; there are rows 0 to {size - 1}.")
    inside = np.zeros(size, bool)
    inside[rows] = True
    return inside


def _greedy_search(
    inside: NDArray[np.bool_],
    start: float,
    flipped: Callable[[NDArray[np.bool_]], Vector],
    moves: Moves,
    max_steps: int | None,
) -> Search:
    """Make the best single move until none improves; `flipped` scores the set after adding or removing each row."""
    if moves not in ("add", "remove", "both"):
        raise InputError(f"Unknown moves {moves!r}; they are 'add', 'remove' or 'both'.")
    path = [start]
    steps: list[tuple[str, int]] = []
    while max_steps is None or len(steps) < max_steps:
        open_ = np.where(inside, moves != "add", moves != "remove")
        scores = np.where(open_, flipped(inside), -np.inf)
        best = int(scores.argmax())
        if not scores[best] > path[-1] + GAIN:
            break
        inside[best] = not inside[best]
        steps.append(("add" if inside[best] else "remove", best))
        path.append(float(scores[best]))
    return Search(np.flatnonzero(inside), np.array(path), tuple(steps))
