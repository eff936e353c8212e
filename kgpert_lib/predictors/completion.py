"""Low-rank completion of training deltas, regularised by a graph (``fill="lowrank"``; ours, not the paper's).

Where a screen has gaps, the residuals ``R[p, j]`` from each readout gene's training mean are modelled as
``u_p . v_j``. Each half of a round solves, for all rows (or columns) at once::

    min over u_p of  sum_j (R[p, j] - u_p . v_j)^2 + ridge * |u_p - sum_q pull[p, q] * u_q|^2
    min over v_j of  sum_p (R[p, j] - u_p . v_j)^2 + ridge * |v_j|^2

over measured pairs, with the neighbours' factors ``u_q`` of the round before. This does not minimise the sum of all
these terms: a row ignores that it also stands in the penalties of its neighbours. It stops after `ROUNDS` rounds,
before it converges; the number was chosen on training rows, and more rounds predict held-out genes worse.
Only training rows enter.

A completion that saw a perturbation's own row flatters whatever is then judged on that perturbation: judge
training perturbations on `out_of_fold` completions only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.sparse.linalg import svds

from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import TrainingLine
from kgpert_lib.types import FloatArray, NameArray

ROUNDS = 8  # early stopping, chosen on training rows


class Factors(NamedTuple):
    """`rows` (t, r) of the perturbations and `columns` (m, r) of the readout genes; their product is the residual."""

    rows: FloatArray
    columns: FloatArray


def factorise(
    residual: sp.csr_matrix,
    pull: FloatArray | sp.csr_matrix,
    rank: int,
    ridge: float,
    gene_pull: FloatArray | None = None,
) -> Factors:
    """Alternating least squares over the stored entries of `residual` (t, m), explicit zeros included.

    `pull` (t, t) holds each row's neighbour weights with sums of at most 1: ``pull @ rows`` is what a row's
    factor is drawn to; `gene_pull` (m, m) is the same for readout genes. The rank is at most the smaller
    side minus one. Deterministic.
    """
    if rank < 1 or not ridge > 0:
        raise InputError(f"Completion needs a rank from 1 and a ridge above 0; got {rank} and {ridge}.")
    rank = min(rank, min(residual.shape) - 1)
    if rank < 1:
        raise InputError(f"Completion needs two perturbations and two readout genes; got {residual.shape}.")
    values = sp.csr_matrix(residual, dtype=np.float32)
    mask = _pattern(values)
    values_t, mask_t = values.T.tocsr(), mask.T.tocsr()
    start = np.random.default_rng(0).standard_normal(min(values.shape)).astype(np.float32)
    _, size, directions = svds(values, k=rank, v0=start, tol=1e-2)
    columns = (directions.T * np.sqrt(np.maximum(size, 0))).astype(np.float32)
    rows = np.zeros((values.shape[0], rank), np.float32)
    for _ in range(ROUNDS):
        rows = _solve(values, mask, columns, ridge, pull @ rows)
        columns = _solve(values_t, mask_t, rows, ridge, None if gene_pull is None else gene_pull @ columns)
    return Factors(_solve(values, mask, columns, ridge, pull @ rows), columns)


def complete(line: TrainingLine, pull: FloatArray | sp.csr_matrix, rank: int = 16, ridge: float = 3.0) -> TrainingLine:
    """The training line with its gaps filled; measured deltas stay as they are.

    `pull` (t, t) weights between training perturbations (`normalised`). A line without gaps is returned unchanged.
    """
    if line.dense:
        return line
    factors = factorise(_residual(line, line.mean), pull, rank, ridge)
    return _filled(line, line.mean, factors)


def _residual(line: TrainingLine, mean: FloatArray) -> sp.csr_matrix:
    """(t, m) measured deltas minus a mean (m,), explicit zeros included."""
    row, column = np.nonzero(line.measured)
    gap = line.delta - mean
    return sp.csr_matrix((gap[row, column], (row, column)), shape=gap.shape)


def _filled(line: TrainingLine, mean: FloatArray, factors: Factors) -> TrainingLine:
    guess = mean + factors.rows @ factors.columns.T
    return replace(line, delta=np.where(line.measured, line.delta, guess).astype(np.float32))


def normalised(weights: FloatArray | sp.csr_matrix, prior: float = 0.3) -> FloatArray | sp.csr_matrix:
    """Rows (n, t) of `weights` >= 0 divided by their sum plus `prior`: few or weak neighbours pull towards 0."""
    total = np.asarray(weights.sum(axis=1), dtype=np.float32).ravel()
    share = (1 / (total + np.float32(prior))).astype(np.float32)
    return sp.diags(share).astype(np.float32) @ weights if sp.issparse(weights) else weights * share[:, None]


def folds(n: int, k: int = 5, seed: int = 0) -> NDArray[np.intp]:
    """(n,) fold of each of n perturbations: sizes differ by one at most, the same for the same seed."""
    return np.random.default_rng(seed).permutation(n) % k


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Some training perturbations, and the completed line in whose fit they had no part.

    Their own rows in it are completed with the fitted columns, each from its own measured deltas and its neighbours
    outside the fold: no row of a held-out perturbation enters another.
    """

    perturbations: NameArray
    line: TrainingLine


def out_of_fold(
    line: TrainingLine,
    weights: FloatArray | sp.csr_matrix,
    rank: int = 16,
    ridge: float = 3.0,
    k: int = 5,
    seed: int = 0,
) -> Iterator[HeldOut]:
    """For each fold of training perturbations, the completion that the others alone were fitted for.

    `weights` (t, t) graph weights between the training perturbations, not normalised. Changing the row of a
    perturbation changes no other row in the fold that holds it.
    """
    fold = folds(len(line.perturbations), k, seed)
    every = sp.csr_matrix(weights)
    for f in range(min(k, len(fold))):
        inside, others = np.flatnonzero(fold == f), np.flatnonzero(fold != f)
        names = line.perturbations[inside]
        rest = line.without(names)
        fitted = factorise(_residual(rest, rest.mean), normalised(every[others][:, others]), rank, ridge)
        own = _residual(line.without(line.perturbations[others]), rest.mean)
        rows = np.empty((len(fold), fitted.rows.shape[1]), np.float32)
        rows[others] = fitted.rows
        toward = normalised(every[inside][:, others]) @ fitted.rows
        rows[inside] = _solve(own, _pattern(own), fitted.columns, ridge, toward)
        yield HeldOut(names, _filled(line, rest.mean, Factors(rows, fitted.columns)))


def _pattern(values: sp.csr_matrix) -> sp.csr_matrix:
    """Ones at the stored entries."""
    mask = values.copy()
    mask.data = np.ones_like(mask.data)
    return mask


def _solve(
    values: sp.csr_matrix, mask: sp.csr_matrix, other: FloatArray, ridge: float, toward: FloatArray | None = None
) -> FloatArray:
    """(n, r) ridge solutions of every row at once, given the other side's factors."""
    r = other.shape[1]
    i, j = np.triu_indices(r)
    place = np.empty((r, r), np.intp)  # where the product of two factors stands among those of the upper triangle
    place[i, j] = place[j, i] = np.arange(len(i))
    gram = np.asarray(mask @ (other[:, i] * other[:, j]), dtype=np.float32)[:, place]
    gram[:, np.arange(r), np.arange(r)] += np.float32(ridge)
    right = values @ other
    if toward is not None:
        right = right + np.float32(ridge) * toward
    return np.linalg.solve(gram, right[..., None])[..., 0].astype(np.float32)
