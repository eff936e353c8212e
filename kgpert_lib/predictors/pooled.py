"""The best fixed rule: neighbours at learnt weights, their gaps filled, and other lines' knock-downs (ours).

One mean pools several sources of deltas, each with a weight of its own:

    delta[p, j] = (sum over sources s of a_s * (W_s D_s)[p, j] + prior * mean[j])
                / (sum over sources s of a_s * (W_s M_s)[p, j] + prior)

``measured``  the line's own training deltas D, where they were measured (M), by the learnt affinity W
``filled``    a low-rank model's values in the gaps of the same rows (`completion.complete`), by the same W
``lines``     the other lines' training perturbations, by the same affinity
``same``      the perturbed gene's own knock-down in another line, where the split lets it be read

The a_s are fitted out of fold: each fifth of the training perturbations is hidden as the split hides test
perturbations, and the completion is fitted anew without it (`learning.fit`). W is learnt once, from all of the
line's training rows, each perturbation without its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from kgpert_lib.cache import cached_arrays
from kgpert_lib.files import digest
from kgpert_lib.predictors import completion, learning
from kgpert_lib.predictors.learning import PRIOR, Fraction
from kgpert_lib.predictors.neighbours import FAINT, AffinityNeighbourhood, LearntNeighbourhood
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingLine, TrainingView
from kgpert_lib.types import FloatArray, NameArray

FOLDS = 5
Between = Callable[[NameArray, NameArray], sp.csr_matrix]
SOURCES = ("measured", "filled", "lines", "same")


@dataclass(frozen=True, eq=False)
class PooledPredictor:
    """Neighbours at learnt weights, gaps filled; with `lines` also what other lines' training perturbations show.

    `rank` and `ridge` are those of the completion.
    """

    neighbourhood: LearntNeighbourhood | AffinityNeighbourhood
    lines: bool = False
    rank: int = 16
    ridge: float = 3.0
    seed: int = 0
    weights: tuple[float, ...] | None = None

    @property
    def name(self) -> str:
        """What is pooled."""
        return "weighted, filled, lines" if self.lines else "weighted, filled"

    def fitted(self, view: TrainingView) -> PooledPredictor:
        """The predictor with the weights that it learns from a view."""
        if self.weights is not None:
            return self
        near = self.neighbourhood
        fixed = near.fitted(view) if isinstance(near, LearntNeighbourhood) else near
        part = PooledPredictor(fixed, self.lines, self.rank, self.ridge, self.seed)
        return PooledPredictor(fixed, self.lines, self.rank, self.ridge, self.seed, part._source_weights(view))

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line, with the neighbourhoods in that line."""
        if self.weights is None:
            return self.fitted(view).predict(view, perturbations)
        near, line = self.neighbourhood.neighbourhoods(view, perturbations), view.target
        total = PRIOR * np.broadcast_to(line.mean, (len(perturbations), len(line.genes))).astype(np.float32)
        count = np.full(total.shape, PRIOR, np.float32)
        for weight, (sums, counts) in zip(self.weights, self._sources(view, perturbations, self._between), strict=True):
            if weight > 0:
                total += np.float32(weight) * sums
                count += np.float32(weight) * counts
        empty = (count == PRIOR).all(axis=1)
        return Predictions(near.perturbations, line.genes, total / count, near.sizes, empty, near)

    def _sources(
        self, view: TrainingView, perturbations: Sequence[str], between: Between
    ) -> Iterator[tuple[FloatArray, FloatArray]]:
        """Weighted sums of deltas and of weights, (n, m) each, of every source in the order of `SOURCES`."""
        line, queried = view.target, np.asarray(perturbations, dtype=str)
        own = between(queried, line.perturbations)
        yield _sums(own, line)
        yield _sums(own, self._fills(line, between(line.perturbations, line.perturbations)))
        if self.lines:
            others = [view.lines[name].over(line.genes) for name in view.lines if name != view.line]
            yield _added([_sums(between(queried, other.perturbations), other) for other in others], queried, line)
            yield _added([_sums(_same(queried, other.perturbations), other) for other in others], queried, line)

    def _fills(self, line: TrainingLine, near: sp.csr_matrix) -> TrainingLine:
        """The values of the low-rank model in the gaps of a line; gaps where a delta was measured."""
        whole = completion.complete(line, completion.normalised(near), self.rank, self.ridge)
        values = np.where(line.measured, np.float32(np.nan), whole.delta)
        return TrainingLine(line.name, line.perturbations, line.genes, values)

    def _between(self, rows: NameArray, columns: NameArray) -> sp.csr_matrix:
        """(n, t) affinity of two lists of genes as the neighbourhoods weigh it; 0 for the same gene."""
        assert isinstance(self.neighbourhood, AffinityNeighbourhood)
        weight = self.neighbourhood.affinity.weight(rows, columns, self.neighbourhood.weights)
        weight[weight < FAINT] = 0
        return sp.csr_matrix(weight)

    def _source_weights(self, view: TrainingView) -> tuple[float, ...]:
        """The weight of each source, fitted out of fold and kept in the cache folder by content."""
        assert isinstance(self.neighbourhood, AffinityNeighbourhood)
        code = [Path(__file__).with_name(f"{name}.py") for name in ("pooled", "completion", "neighbours")]
        rows = [view.line]
        if self.lines:  # else nothing but the line itself is read, whatever the split
            rows.append(view.split)
        for name in view.lines if self.lines else [view.line]:
            rows += [name, learning.line_digest(view.lines[name])]
        settings = repr((self.lines, self.rank, self.ridge, self.seed, sorted(self.neighbourhood.weights.items())))
        key = digest(*code, *learning.CODE, *rows, settings, learning.tables_digest(self.neighbourhood.affinity.tables))

        def arrays() -> dict[str, np.ndarray]:
            with threadpool_limits(1):  # as in `learning.fit`
                return {"weights": self._fit(view)}

        stored = cached_arrays("affinity", f"sources-{key[:32]}", arrays)
        return tuple(map(float, stored["weights"]))

    def _fit(self, view: TrainingView) -> np.ndarray:
        line, lookup = view.target, _Lookup.of(self._between, view)
        fold = completion.folds(len(line.perturbations), FOLDS, self.seed)
        parts = []
        for f in range(FOLDS):
            names = [str(p) for p in line.perturbations[fold == f]]
            rest, truth = view.hiding(names), line.scored[fold == f]
            row, column = np.nonzero(~np.isnan(truth))
            sources = [(sums[row, column], counts[row, column]) for sums, counts in self._sources(rest, names, lookup)]
            sums, counts = (np.column_stack(part).astype(np.float32) for part in zip(*sources, strict=True))
            mean = rest.target.mean[column].astype(np.float64)
            parts.append(Fraction(sums, counts, mean, truth[row, column].astype(np.float64)))
        return learning.fit([Fraction.joined(parts)])


@dataclass(frozen=True, eq=False)
class _Lookup:
    """Affinity between all training perturbations of a view, worked out once for all folds."""

    place: pd.Index
    weight: FloatArray

    @classmethod
    def of(cls, between: Between, view: TrainingView) -> _Lookup:
        names = np.unique(np.concatenate([line.perturbations for line in view.lines.values()]))
        return cls(pd.Index(names), between(names, names).toarray())

    def __call__(self, rows: NameArray, columns: NameArray) -> sp.csr_matrix:
        i, j = (self.place.get_indexer(pd.Index(names)) for names in (rows, columns))
        return sp.csr_matrix(self.weight[np.ix_(i, j)])


def _sums(weights: sp.csr_matrix, line: TrainingLine) -> tuple[FloatArray, FloatArray]:
    """(n, m) ``weights @ deltas`` and ``weights @ measured``."""
    filled, measured = line.filled, line.measured.astype(np.float32)
    if line.measured.mean() < 0.2:
        return (weights @ sp.csr_matrix(filled)).toarray(), (weights @ sp.csr_matrix(measured)).toarray()
    return weights @ filled, weights @ measured


def _added(
    parts: Sequence[tuple[FloatArray, FloatArray]], queried: NameArray, line: TrainingLine
) -> tuple[FloatArray, FloatArray]:
    """The sums of several lines; zeros where there is no other line."""
    nothing = np.zeros((len(queried), len(line.genes)), np.float32)
    return sum((sums for sums, _ in parts), nothing), sum((counts for _, counts in parts), nothing)


def _same(queried: NameArray, training: NameArray) -> sp.csr_matrix:
    """(n, t) 1 where the training perturbation is the queried gene."""
    return sp.csr_matrix((queried[:, None] == training[None, :]).astype(np.float32))
