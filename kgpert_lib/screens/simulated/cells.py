"""Negative-binomial single cells with batches and library sizes, and their exact expected expression."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.special import gammaln

CONTROL = "control"
TAIL = 14.0  # standard deviations of a count after which its distribution is cut


@dataclass(frozen=True, eq=False)
class CellModel:
    """The distribution that the cells of one line are drawn from.

    A cell of perturbation p in batch b has library size ``L`` (log-normal around `depth[b]`) and counts
    ``NB(mean = L * q, variance = mean + dispersion * mean^2)``, where ``q`` is the softmax over genes of
    `log_rate` + `batch_shift[b]` + `effect[p]`.

    Attributes
    ----------
    key : (seed, line) numbers from which the seed of every unit (perturbation, batch) is spawned.
    log_rate : (m,) log relative rate of each gene.
    batch_shift : (B, m) what each batch adds to the log rates.
    effect : (n, m) log fold changes.
    depth : (B,) median counts per cell.
    spread : standard deviation of the log library size.
    """

    key: tuple[int, int]
    log_rate: NDArray[np.float64]
    batch_shift: NDArray[np.float64]
    effect: NDArray[np.float64]
    depth: NDArray[np.float64]
    spread: float
    dispersion: float

    def rates(self, perturbation: int, batch: int) -> NDArray[np.float64]:
        """(m,) relative rates; perturbation -1 is the control."""
        log = self.log_rate + self.batch_shift[batch]
        if perturbation >= 0:
            log = log + self.effect[perturbation]
        rate = np.exp(log - log.max())
        return rate / rate.sum()

    def generator(self, perturbation: int, batch: int, replicate: int = 0) -> np.random.Generator:
        """The unit's own stream, the same whichever worker draws it and whatever else is drawn."""
        seed, line = self.key
        return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(line, replicate, perturbation + 1, batch)))

    def draw(self, perturbation: int, batch: int, cells: int, replicate: int = 0) -> NDArray[np.float32]:
        """(cells, m) counts of one unit."""
        rng = self.generator(perturbation, batch, replicate)
        size = self.depth[batch] * np.exp(self.spread * rng.standard_normal((cells, 1)))
        mean = rng.standard_gamma(1 / self.dispersion, (cells, len(self.log_rate)), dtype=np.float32)
        mean *= (self.dispersion * size).astype(np.float32)
        mean *= self.rates(perturbation, batch).astype(np.float32)
        return rng.poisson(mean).astype(np.float32)

    def draw_units(self, code: NDArray[np.intp], batch: NDArray[np.intp], replicate: int = 0) -> NDArray[np.float32]:
        """(cells, m) counts of cells sorted by (perturbation code, batch)."""
        counts = np.empty((len(code), len(self.log_rate)), np.float32)
        edge = np.flatnonzero((np.diff(code) != 0) | (np.diff(batch) != 0)) + 1
        bounds = np.concatenate([[0], edge, [len(code)]])
        for start, stop in pairwise(bounds):
            counts[start:stop] = self.draw(int(code[start]), int(batch[start]), stop - start, replicate)
        return counts

    def true_deltas(self, target_sum: float) -> NDArray[np.float32]:
        """(n, m) noise-free deltas: the expected values of pseudobulk deltas with equally large batches.

        The scaled count is taken over the drawn library size; the counts' own sum differs from it by about 2 %,
        for perturbed cells and controls alike.
        """
        n, m = self.effect.shape
        total = np.zeros((n, m))
        for batch, depth in enumerate(self.depth):
            expected = self._expected(depth, target_sum)
            control = expected(np.log(self.rates(-1, batch)))
            for row in range(n):
                total[row] += expected(np.log(self.rates(row, batch))) - control
        return (total / len(self.depth)).astype(np.float32)

    def _expected(self, depth: float, target_sum: float) -> CubicSpline:
        """E[log1p(target_sum * count / L)] as a function of a gene's log rate, by summing the distribution."""
        low = self.log_rate.min() - np.log(np.exp(self.log_rate).sum()) - 6
        grid = np.linspace(low, 0.0, 200)
        nodes, weights = np.polynomial.hermite_e.hermegauss(11)
        size = depth * np.exp(self.spread * nodes)
        weights = weights / weights.sum()
        shape = 1 / self.dispersion
        # sum over counts k >= 1 of P(k) log1p(target_sum k / L), L by Gauss-Hermite quadrature
        values = np.zeros(len(grid))
        for i, log_rate in enumerate(grid):
            mean = size * np.exp(log_rate)
            if mean.max() > 5_000:  # the log of so large a count hardly varies
                values[i] = weights @ np.log1p(target_sum * mean / size)
                continue
            top = mean.max() + TAIL * np.sqrt(mean.max() + self.dispersion * mean.max() ** 2) + 20
            k = np.arange(1, int(top))
            log = gammaln(k + shape) - gammaln(shape) - gammaln(k + 1)
            log = log + k * np.log(mean / (shape + mean))[:, None] - shape * np.log1p(mean / shape)[:, None]
            values[i] = weights @ (np.exp(log) * np.log1p(target_sum * k / size[:, None])).sum(axis=1)
        return CubicSpline(grid, values)


def design(
    rng: np.random.Generator, perturbations: NDArray[np.str_], n_cells: NDArray[np.int64], batches: int, controls: int
) -> pd.DataFrame:
    """Which cell has which perturbation in which batch, controls first; sorted by (perturbation, batch).

    Columns ``perturbation``, ``batch`` and the codes ``row`` (-1 control) and ``unit_batch``.
    """
    row = np.concatenate([np.full(controls, -1), np.repeat(np.arange(len(perturbations)), n_cells)])
    batch = np.concatenate([np.arange(controls) % batches, rng.integers(batches, size=int(n_cells.sum()))])
    order = np.lexsort((batch, row))
    row, batch = row[order], batch[order]
    names = np.concatenate([[CONTROL], perturbations])[row + 1]
    labels = np.array([f"gem{b + 1}" for b in range(batches)])[batch]
    return pd.DataFrame({"perturbation": names, "batch": labels, "row": row, "unit_batch": batch})
