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

from kgpert_lib.atlas import TrainingLine
from kgpert_lib.errors import InputError
from kgpert_lib.gram import Gram, correlation
from kgpert_lib.metrics import undefined

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


def greedy_set(
    gram: Gram, target: int, start: ArrayLike = (), moves: Moves = "both", max_size: int | None = None
) -> Search:
    """Greedy search on dense deltas: the mean of which set correlates best with a target; uses the answer.

    Parameters
    ----------
    gram : inner products of t deltas with p targets.
    target : row of the target; where it is among the deltas its own row is never chosen.
    start : rows to start from, such as a graph neighbourhood. The empty set scores as the mean of all deltas.
    moves : ``"add"``, ``"remove"`` or ``"both"``: the best single move is made until none improves the score.
    max_size : no addition beyond this many members.
    """
    if not 0 <= target < len(gram.cross):
        raise InputError(f"Target row {target} is outside 0 to {len(gram.cross) - 1}.")
    t = len(gram.inner)
    dot, own, diagonal = gram.cross[target], int(gram.own[target]), np.diagonal(gram.inner)
    empty = float(gram.fallback[target])

    def evaluate(inside: NDArray[np.bool_], sign: int) -> Vector:
        square = gram.inner[inside].sum(axis=0)
        lengths = diagonal[inside].sum()
        changed = correlation(
            dot[inside].sum() + sign * dot,
            square[inside].sum() + sign * 2 * square + diagonal,
            lengths + sign * diagonal,
        )
        return changed if sign > 0 or inside.sum() > 1 else np.full(t, empty)

    def current(inside: NDArray[np.bool_]) -> float:
        return float(gram.set_pearson([np.flatnonzero(inside)], target)[0])

    allowed = np.arange(t) != own
    return _climb(_members(start, t), allowed, current, evaluate, moves, max_size, None)


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
    `mean` where that divides by 0 (DESIGN: gaps and priors); its score is Pearson over the measured genes of `truth`.

    Parameters
    ----------
    values, measured : (t, m) training deltas with 0 in the gaps, and where they were measured.
    truth : (m,) measured delta of the target, NaN for gaps.
    mean : (m,) mean training delta.
    start : rows to start from; the target's own row must not be among `values`.
    moves, max_steps : as in `greedy_set`; at most `max_steps` moves.
    """
    v, known = np.asarray(values), np.asarray(measured, dtype=bool)
    y, shared = np.asarray(truth, dtype=np.float64), np.asarray(mean, dtype=np.float64)
    if v.ndim != 2 or known.shape != v.shape or y.shape != v.shape[1:] or shared.shape != v.shape[1:]:
        raise InputError(
            f"Values {v.shape}, measured {known.shape}, truth {y.shape} and mean {shared.shape} do not fit together."
        )
    if prior < 0 or not np.isfinite(prior):
        raise InputError(f"The prior strength is {prior}; it is a finite number of at least 0.")
    genes = ~np.isnan(y)
    if not genes.any():
        raise InputError("The target has no measured gene, so no set can be scored against it.")
    v, known, y, shared = v[:, genes].astype(np.float64), known[:, genes], y[genes], shared[genes]
    goal = np.zeros_like(y) if undefined(y[None], y[None])[0] else (y - y.mean()) / np.linalg.norm(y - y.mean())

    def pearson(total: Vector, count: Vector) -> Vector:
        weight = count + prior
        pred = np.where(weight > 0, (total + prior * shared) / np.where(weight > 0, weight, 1.0), shared)
        size = np.einsum("ij,ij->i", pred, pred)
        pred -= pred.mean(axis=1, keepdims=True)
        return correlation(pred @ goal, np.einsum("ij,ij->i", pred, pred), size * CONSTANT**2 / 1e-12)

    def evaluate(inside: NDArray[np.bool_], sign: int) -> Vector:
        total, count = v[inside].sum(axis=0), known[inside].sum(axis=0)
        rows = np.flatnonzero(inside if sign < 0 else useful & ~inside)
        out = np.full(len(v), -np.inf)
        out[rows] = pearson(total + sign * v[rows], count + sign * known[rows].astype(np.float64))
        return out

    def current(inside: NDArray[np.bool_]) -> float:
        return float(pearson(v[inside].sum(axis=0)[None], known[inside].sum(axis=0)[None])[0])

    useful = known.any(axis=1)
    return _climb(_members(start, len(v)), np.ones(len(v), bool), current, evaluate, moves, None, max_steps)


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
    found = []
    for y, start in zip(rows, starts, strict=True):
        genes = ~np.isnan(y)
        found.append(
            greedy_oracle(
                *(line.filled[:, genes], line.measured[:, genes], y[genes], line.mean[genes]),
                **{"prior": prior, "start": start, "moves": moves, "max_steps": max_steps},
            )
        )
    return found


def _members(start: ArrayLike, size: int) -> NDArray[np.bool_]:
    rows = np.asarray(start, dtype=np.intp).ravel()
    if rows.size and not (rows.min() >= 0 and rows.max() < size):
        raise InputError(f"The start names row {int(rows.max())}; there are rows 0 to {size - 1}.")
    inside = np.zeros(size, bool)
    inside[rows] = True
    return inside


def _climb(
    inside: NDArray[np.bool_],
    allowed: NDArray[np.bool_],
    current: Callable[[NDArray[np.bool_]], float],
    evaluate: Callable[[NDArray[np.bool_], int], Vector],
    moves: Moves,
    max_size: int | None,
    max_steps: int | None,
) -> Search:
    """Make the best single move until none improves; `evaluate` scores every row's addition (+1) or removal (-1)."""
    if moves not in ("add", "remove", "both"):
        raise InputError(f"Unknown moves {moves!r}; they are 'add', 'remove' or 'both'.")
    if (inside & ~allowed).any():
        raise InputError("The start holds the target itself; leave it out.")
    path, made = [current(inside)], []
    while max_steps is None or len(made) < max_steps:
        options = []
        if moves != "remove" and (max_size is None or inside.sum() < max_size):
            options.append(("add", np.where(allowed & ~inside, evaluate(inside, 1), -np.inf)))
        if moves != "add" and inside.any():
            options.append(("remove", np.where(inside, evaluate(inside, -1), -np.inf)))
        if not options:
            break
        kind, scores = max(options, key=lambda option: option[1].max())
        row = int(scores.argmax())
        if not scores[row] > path[-1] + GAIN:
            break
        inside[row] = kind == "add"
        made.append((kind, row))
        path.append(current(inside))
    return Search(np.flatnonzero(inside), np.array(path), tuple(made))
