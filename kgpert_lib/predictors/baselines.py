"""What a graph has to beat: the training mean, a linear model, and predictions made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingLine, TrainingView
from kgpert_lib.types import FloatArray


@dataclass(frozen=True)
class TrainingMean:
    """The mean training delta, whatever the perturbation.

    Examples
    --------
    >>> from kgpert_lib import load_screen
    >>> from kgpert_lib.predictors.baselines import TrainingMean
    >>> view = load_screen("simulated", ["k562"], size="tiny").view("k562")
    >>> (TrainingMean().predict(view, ["TP53"]).delta == view.target.mean).all().item()
    True
    """

    name = "training mean"

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """The same (m,) mean for every perturbation."""
        return _fallback(view.target, perturbations)


@dataclass(frozen=True)
class LinearBaseline:
    """The linear model of Ahlmann-Eltze, Huber and Anders (2025) with its published settings.

    Readout genes are embedded by the first `components` principal components of the training expression
    (genes as samples); a perturbation takes the embedding of the gene that it knocks down. The deltas are
    ``mean + G K P`` with both factors ridge-penalised. A perturbed gene that is not among the readout genes
    has no embedding: its prediction is the mean training delta, as all are where fewer than two training perturbations
    are readout genes. Gaps are filled with the mean; where the
    atlas has no control expression the components come from the deltas.

    Examples
    --------
    >>> from kgpert_lib import load_screen
    >>> from kgpert_lib.predictors.baselines import LinearBaseline
    >>> view = load_screen("simulated", ["k562"], size="tiny").view("k562")
    >>> LinearBaseline(components=5).predict(view, ["INTS9"]).delta.shape
    (1, 200)
    """

    components: int = 10
    ridge: float = 0.1
    seed: int = 0
    name = "linear"

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line."""
        line = view.target
        column = pd.Index(line.genes)
        trained = column.get_indexer(pd.Index(line.perturbations))
        if (trained >= 0).sum() < 2:
            return _fallback(line, perturbations)
        centred = np.where(line.measured, line.delta, line.mean) - line.mean
        genes = self._embedding(line, centred)
        coefficients = self._solve(genes, genes[trained[trained >= 0]], centred[trained >= 0])
        result = _fallback(line, perturbations)
        queried = column.get_indexer(pd.Index(result.perturbations))
        known = queried >= 0
        result.delta[known] += genes[queried[known]] @ coefficients.T @ genes.T
        return Predictions(result.perturbations, line.genes, result.delta, result.n_neighbours, ~known)

    def _embedding(self, line: TrainingLine, centred: FloatArray) -> FloatArray:
        """(m, components) principal component scores of the readout genes."""
        from sklearn.decomposition import PCA  # half a second that other predictors do not pay

        values = centred if line.control is None else centred + line.mean + line.control
        components = min(self.components, *(size - 1 for size in values.shape))
        if not np.ptp(values, axis=1).any():  # genes that are all alike have no direction to vary in
            return np.zeros((values.shape[1], components), np.float32)
        pca = PCA(components, svd_solver="arpack", random_state=self.seed)
        return pca.fit_transform(values.T).astype(np.float32)

    def _solve(self, genes: FloatArray, perturbed: FloatArray, centred: FloatArray) -> FloatArray:
        """(components, components) ridge solution of ``centred.T = genes K perturbed.T``."""
        penalty = self.ridge * np.eye(genes.shape[1], dtype=np.float32)
        left = np.linalg.solve(genes.T @ genes + penalty, genes.T @ centred.T)
        return np.linalg.solve(perturbed.T @ perturbed + penalty, perturbed.T @ left.T).T


@dataclass(frozen=True)
class Outside:
    """Predictions made elsewhere, read from a file; every asked perturbation and readout gene must be in it."""

    path: str | Path

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return Path(self.path).stem

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """The file's rows for `perturbations`, in the order of the target line's readout genes."""
        return Predictions.load(self.path).select(perturbations, view.target.genes)


def _fallback(line: TrainingLine, perturbations: Sequence[str]) -> Predictions:
    """The mean training delta for each perturbation."""
    names = np.asarray(perturbations, dtype=str)
    delta = np.tile(line.mean, (len(names), 1))
    return Predictions(names, line.genes, delta, np.zeros(len(names), np.int64), np.ones(len(names), bool))
