"""How far to trust the prediction for a gene that was never knocked down (ours).

From what can be seen of its neighbourhood: how many neighbours, how many graphs and how strong the edges behind
them, whether the neighbours agree with each other, how much of their deltas was measured, how the prediction
looks. On training perturbations, each predicted without its own row, these are held against the score that was
reached, such as the Pearson delta of the prediction (`questions.confidence` has votes): ridge regression gives the
expected score and linear quantile regression an interval, widened or narrowed until it covers the nominal share of
held-out training perturbations (conformalised quantile regression, Romano et al. 2019, over folds).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import QuantileRegressor, RidgeCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kgpert_lib.errors import InputError
from kgpert_lib.metrics import deltas
from kgpert_lib.predictors.completion import folds
from kgpert_lib.predictors.neighbours import Neighbourhoods
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingView
from kgpert_lib.types import NameArray

FEATURES = ("neighbours", "support", "graphs", "agreement", "measured", "spread", "like_mean")
PREDICTION_FOLDS = 10
FEWEST = 50  # training perturbations
CONFORMAL_FOLDS = 5


class NeighbourPredictor(Protocol):
    """A predictor that can show its neighbourhoods, such as `neighbours.GraphNeighbour`."""

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Neighbours among the target line's training perturbations."""

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line."""


class Expected(NamedTuple):
    """(n,) expected score with its interval."""

    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def first(self) -> dict[str, float]:
        """The values of the first gene, by name."""
        return {name: float(values[0]) for name, values in self._asdict().items()}


def describe(view: TrainingView, found: Neighbourhoods, made: Predictions) -> pd.DataFrame:
    """What can be seen of each neighbourhood before any answer is known, one perturbation a row.

    ``neighbours`` log(1 + number); ``support`` log(1 + summed edge weights over the graphs); ``graphs`` mean number
    of graphs that give a neighbour; ``agreement`` |sum of the neighbours' deltas| over the sum of their sizes, 0..1;
    ``measured`` log(1 + mean number of measured neighbour deltas a readout gene); ``spread`` standard deviation of
    the predicted delta; ``like_mean`` its Pearson correlation with the mean training delta.
    """
    line = view.target
    member = found.weights.astype(bool).astype(np.float32)
    size = np.asarray(member.sum(axis=1)).ravel()
    edges = [np.asarray(m.sum(axis=1)).ravel() for m in found.by_graph.values()]
    given = [np.diff(m.indptr) for m in found.by_graph.values()]
    together = np.abs(member @ line.filled).sum(axis=1)
    apart = (member @ np.abs(line.filled)).sum(axis=1)
    count = (member @ line.measured.astype(np.float32)).mean(axis=1)
    mean = np.broadcast_to(line.mean, made.delta.shape)
    return pd.DataFrame(
        {
            "neighbours": np.log1p(size),
            "support": np.log1p(np.sum(edges, axis=0)),
            "graphs": np.sum(given, axis=0) / np.maximum(size, 1),
            "agreement": np.divide(together, apart, out=np.zeros_like(apart), where=apart > 0),
            "measured": np.log1p(count),
            "spread": made.delta.std(axis=1),
            "like_mean": deltas.pearson_delta(made.delta, mean),
        },
        index=pd.Index(found.perturbations, name="perturbation"),
    )[list(FEATURES)]


def out_of_fold(
    view: TrainingView, predictor: NeighbourPredictor, k: int = PREDICTION_FOLDS, seed: int = 0
) -> pd.DataFrame:
    """`describe` and the reached ``score`` (Pearson delta) of every training perturbation.

    Each is predicted from training rows that do not hold its own fold.
    """
    line = view.target
    fold = folds(len(line.perturbations), min(k, len(line.perturbations)), seed)
    tables = []
    for f in np.unique(fold):
        held = line.perturbations[fold == f]
        rest = view.without(held)
        made = predictor.predict(rest, held)
        table = describe(rest, predictor.neighbourhoods(rest, held), made)
        tables.append(table.assign(score=deltas.pearson_delta(made.delta, line.delta[fold == f])))
    return pd.concat(tables).reindex(pd.Index(line.perturbations, name="perturbation"))


@dataclass(frozen=True, eq=False)
class Trust:
    """An expected score with an interval for any gene; fitted on training perturbations only.

    `seen` gives the features of genes by name (`describe`), `bounds` the range of the score, `level` the nominal
    coverage, `widen` what the interval was moved by on either side, `table` the features and ``score`` of the
    training perturbations that it was fitted on.
    """

    seen: Callable[[Sequence[str]], pd.DataFrame]
    bounds: tuple[float, float]
    level: float
    widen: float
    table: pd.DataFrame
    _centre: Pipeline
    _low: Pipeline
    _high: Pipeline

    @classmethod
    def fit(cls, view: TrainingView, predictor: NeighbourPredictor, level: float = 0.8, seed: int = 0) -> Trust:
        """Trust in the Pearson delta of a prediction; InputError as in `learn`."""
        return cls.learn(out_of_fold(view, predictor, seed=seed), seer(view, predictor), (-1.0, 1.0), level, seed)

    @classmethod
    def learn(
        cls,
        table: pd.DataFrame,
        seen: Callable[[Sequence[str]], pd.DataFrame],
        bounds: tuple[float, float],
        level: float = 0.8,
        seed: int = 0,
    ) -> Trust:
        """Learn a score within `bounds` from a table of features and ``score``, one training perturbation a row.

        InputError for fewer rows than `FEWEST` or a level outside 0..1.
        """
        if not 0 < level < 1:
            raise InputError(f"The level is {level}; the coverage of an interval lies between 0 and 1.")
        if len(table) < FEWEST:
            raise InputError(
                f"{len(table)} training perturbations are too few to learn how far to trust; it takes {FEWEST}."
            )
        x, y = table[list(FEATURES)].to_numpy(), table["score"].to_numpy()
        fold = folds(len(y), CONFORMAL_FOLDS, seed)
        miss = np.empty(len(y))
        for f in range(CONFORMAL_FOLDS):
            low, high = _quantiles(x[fold != f], y[fold != f], level)
            miss[fold == f] = np.maximum(
                low.predict(x[fold == f]) - y[fold == f], y[fold == f] - high.predict(x[fold == f])
            )
        widen = float(np.quantile(miss, min(1.0, level * (1 + 1 / len(y))), method="higher"))
        low, high = _quantiles(x, y, level)
        centre = make_pipeline(StandardScaler(), RidgeCV(np.logspace(-1, 3, 9))).fit(x, y)
        return cls(seen, bounds, level, widen, table, centre, low, high)

    def expect(self, perturbations: Sequence[str] | NameArray) -> Expected:
        """Expected score and interval of genes by name."""
        x = self.seen([str(p) for p in perturbations])[list(FEATURES)].to_numpy()
        ends = np.sort([self._low.predict(x) - self.widen, self._high.predict(x) + self.widen], axis=0)
        low, high = np.clip(ends, *self.bounds)
        return Expected(np.clip(self._centre.predict(x), low, high), low, high)

    def against(self, reached: pd.Series) -> pd.DataFrame:
        """What is told of the perturbations of `reached`, beside the scores that were reached.

        Columns: perturbation, expected, low, high, reached.
        """
        names = [str(name) for name in reached.index]
        return pd.DataFrame({"perturbation": names, **self.expect(names)._asdict(), "reached": reached.to_numpy()})


def seer(view: TrainingView, predictor: NeighbourPredictor) -> Callable[[Sequence[str]], pd.DataFrame]:
    """`describe` of genes by name, as the predictor sees them from the view's training rows."""
    return lambda names: describe(view, predictor.neighbourhoods(view, names), predictor.predict(view, names))


def coverage(expected: Expected, score: NDArray[np.floating]) -> float:
    """Share of reached scores inside their intervals."""
    return float(np.mean((score >= expected.low) & (score <= expected.high)))


def _quantiles(x: NDArray[np.floating], y: NDArray[np.floating], level: float) -> tuple[Pipeline, Pipeline]:
    ends = ((1 - level) / 2, (1 + level) / 2)
    low, high = (make_pipeline(StandardScaler(), QuantileRegressor(quantile=q, alpha=1e-3)).fit(x, y) for q in ends)
    return low, high
