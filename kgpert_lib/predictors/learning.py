"""Weights of knowledge, learnt on training perturbations (ours).

A prediction that averages neighbours is a fraction that is linear in its weights above and below. With features F_k of
gene pairs (`graphs.affinity`), training deltas D and their mask M, weights b >= 0 predict

    delta[p, j] = (sum over k of b_k * N_k[p, j] + prior * mean[j]) / (sum over k of b_k * C_k[p, j] + prior)

with ``N_k = F_k D`` and ``C_k = F_k M``, which are worked out once. Each training perturbation is predicted without
its own row, also in the mean; the b minimise the mean squared error over measured pairs (L-BFGS with bounds). The
scale of the b is that of the prior, which is 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from kgpert_lib.cache import cached_arrays
from kgpert_lib.files import digest
from kgpert_lib.graphs.affinity import Affinity, Feature, Table
from kgpert_lib.screens.atlas import TrainingLine
from kgpert_lib.types import FloatArray, NameArray

PRIOR = 1.0
PAIRS = 250_000  # measured pairs of a line that are learnt from
START = 0.3
ITERATIONS = 150
ITERATIONS_FROM_START = 40
DIGITS = 3  # significant digits of a weight: less than what a number of BLAS threads changes

CODE = (Path(__file__), Path(__file__).parents[1] / "graphs" / "affinity.py")
"""What the weights depend on besides tables and rows."""

Float = NDArray[np.float64]


class Fraction(NamedTuple):
    """What q measured pairs are predicted from: sums of deltas and of weights (q, k), `mean` and `truth` (q,)."""

    sums: FloatArray
    counts: FloatArray
    mean: Float
    truth: Float

    def predict(self, weights: Float, prior: float = PRIOR) -> tuple[Float, Float]:
        """(q,) predictions and their denominators."""
        weights = weights.astype(np.float32)  # products of float32 tables with float64 weights are ten times slower
        below = (self.counts @ weights).astype(np.float64) + prior
        return ((self.sums @ weights).astype(np.float64) + prior * self.mean) / below, below

    def take(self, pairs: NDArray[np.intp]) -> Fraction:
        """Some of the pairs, by place."""
        return Fraction(self.sums[pairs], self.counts[pairs], self.mean[pairs], self.truth[pairs])

    @classmethod
    def joined(cls, parts: Sequence[Fraction]) -> Fraction:
        """The pairs of several fractions together."""
        sums, counts = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
        mean, truth = (np.concatenate([part[k] for part in parts]) for k in (2, 3))
        return cls(sums, counts, mean, truth)


def fit(fractions: Sequence[Fraction], prior: float = PRIOR, start: Float | None = None) -> Float:
    """(k,) weights >= 0 of least `error`.

    `start` (k,) is where the search begins, such as at the weights of similar data. A feature that weighs nothing in
    any pair gets 0; lines without a measured pair have no say. On one BLAS thread, so that a number of cores changes
    nothing and a busy machine does not slow it down.
    """
    from scipy.optimize import minimize

    size = fractions[0].sums.shape[1]
    measured = [fraction for fraction in fractions if len(fraction.truth)]
    used = np.any([fraction.counts.any(axis=0) for fraction in fractions], axis=0)  # the others stay at 0
    begin = np.where(used, START if start is None else start, 0.0)
    if not measured or not size:
        return begin
    options = {"maxiter": ITERATIONS if start is None else ITERATIONS_FROM_START, "ftol": 1e-9, "gtol": 1e-9}

    def value_and_slope(weights: Float) -> tuple[float, Float]:
        return error(measured, weights, prior)

    with threadpool_limits(1):
        best = minimize(value_and_slope, begin, jac=True, method="L-BFGS-B", bounds=[(0, None)] * size, options=options)
    return np.array([float(f"{b:.{DIGITS}g}") for b in best.x])


def error(fractions: Sequence[Fraction], weights: Float, prior: float = PRIOR) -> tuple[float, Float]:
    """Mean squared error, the mean over `fractions` (lines) of each one's mean, and its gradient (k,)."""
    value, slope = 0.0, np.zeros_like(weights)
    for fraction in fractions:
        prediction, below = fraction.predict(weights, prior)
        miss = prediction - fraction.truth
        step = 2 * miss / below / (len(miss) * len(fractions))
        value += float(miss @ miss) / (len(miss) * len(fractions))
        slope += fraction.sums.T @ step.astype(np.float32)
        slope -= fraction.counts.T @ (step * prediction).astype(np.float32)
    return value, slope


def learn(affinity: Affinity, lines: Sequence[TrainingLine], seed: int = 0) -> dict[Feature, float]:
    """The weight of every feature for the training rows of one line, or shared by several lines.

    Of a line with more than `PAIRS` measured pairs, readout genes are drawn with `seed`. Kept in the cache folder
    under a digest of the tables, the rows and this code.
    """
    features = affinity.features

    def arrays() -> dict[str, Float]:
        with threadpool_limits(1):
            return {"weights": fit([leave_one_out_fraction(affinity, line, seed) for line in lines])}

    key = digest(*CODE, tables_digest(affinity.tables), *map(line_digest, lines), str(seed))
    stored = cached_arrays("affinity", key[:32], arrays, lambda a: a["weights"].shape == (len(features),))
    return dict(zip(features, map(float, stored["weights"]), strict=True))


def leave_one_out_fraction(affinity: Affinity, line: TrainingLine, seed: int = 0) -> Fraction:
    """The fraction of a line's own training perturbations, each without its own row."""
    row, column = _pairs(line, seed)
    columns, place = np.unique(column, return_inverse=True)
    value, mask = line.filled[:, columns], line.measured[:, columns].astype(np.float32)
    own, seen = value[row, place], mask[row, place]
    count = mask.sum(axis=0, dtype=np.float64)
    mean = (value.sum(axis=0, dtype=np.float64)[place] - own) / np.maximum(count[place] - seen, 1)
    names = line.perturbations
    sums, counts = pooled(affinity, names, names, value, mask, (row, place))
    return Fraction(sums, counts, mean, line.scored[row, column].astype(np.float64))


def pooled(
    affinity: Affinity,
    rows: NameArray,
    columns: NameArray,
    value: FloatArray,
    mask: FloatArray,
    at: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> tuple[FloatArray, FloatArray]:
    """(q, k) of every feature's ``F_k value`` and ``F_k mask`` at pairs of `rows` and readout genes.

    `value` and `mask` are (t, m) of the perturbations `columns` (t,).
    """
    row, place = at
    sparse = mask.sum() < 0.2 * mask.size
    left = [sp.csr_matrix(part.T) if sparse else np.ascontiguousarray(part.T) for part in (value, mask)]
    total = np.empty((len(row), len(affinity.features)), np.float32)
    count = np.empty_like(total)
    for k, (_, block) in enumerate(affinity.blocks(rows, columns)):
        other = np.ascontiguousarray(block.T)
        for out, part in zip((total, count), left, strict=True):
            out[:, k] = (part @ other)[place, row]
    return total, count


def line_digest(line: TrainingLine) -> str:
    """Digest of a line's training rows."""
    return digest(*(array_bytes(values) for values in (line.perturbations, line.genes, line.delta)))


def tables_digest(tables: Sequence[Table]) -> str:
    """Digest of what the tables say."""
    parts: list[bytes | str] = []
    for table in tables:
        parts += [table.name, str(table.powers), array_bytes(table.symbols), *sparse_bytes(table.matrix)]
    return digest(*parts)


def _pairs(line: TrainingLine, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of measured pairs, own readouts left out, of as many readout genes as `PAIRS` allow."""
    known = ~np.isnan(line.scored)
    per_gene = known.sum(axis=0)
    if per_gene.sum() > PAIRS:
        order = np.random.default_rng(seed).permutation(len(per_gene))
        known[:, order[np.cumsum(per_gene[order]) > PAIRS]] = False
    row, column = np.nonzero(known)
    return row, column


def array_bytes(values: NDArray) -> bytes:
    """Type, shape and content of an array, for a digest."""
    return f"{values.dtype} {values.shape}".encode() + np.ascontiguousarray(values).tobytes()


def sparse_bytes(matrix: sp.csr_matrix) -> list[bytes]:
    """The same of a sparse matrix."""
    return [array_bytes(part) for part in (matrix.data, matrix.indices, matrix.indptr)]
