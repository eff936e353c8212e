"""How far to trust the prediction for a gene that was never knocked down (ours).

From what can be seen of its neighbourhood: how many neighbours, how many graphs and how strong the edges behind
them, whether the neighbours agree with each other, how much of their deltas was measured, how the prediction
looks. On training perturbations, each predicted without its own row, these are held against the score that was
reached, such as the Pearson delta of the prediction (`perturbqa.trust` has votes): ridge regression gives the
expected score and linear quantile regression an interval, widened or narrowed until it covers the nominal share of
held-out training perturbations (conformalised quantile regression, Romano et al. 2019, over folds).

A prediction of a test perturbation may use every training row. Training perturbations are therefore predicted with
only a twentieth of them hidden (`PREDICTION_FOLDS`): the more are hidden, the fewer measured neighbours they have
compared with test perturbations, and the fewer of those an interval learnt from them holds (methods page, trust).

Learning takes seconds and its result is a few numbers, which are cached under a digest of everything that they
depend on: training rows, graphs, settings and the code that learns them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.cache import Arrays, cached_arrays
from kgpert_lib.errors import InputError
from kgpert_lib.files import digest
from kgpert_lib.metrics import deltas
from kgpert_lib.predictors.completion import folds
from kgpert_lib.predictors.predictions import Predictions, Predictor, fitted
from kgpert_lib.screens.atlas import TrainingView
from kgpert_lib.types import FloatArray, NameArray

FEATURES = ("neighbours", "support", "graphs", "agreement", "measured", "spread", "like_mean")
PREDICTION_FOLDS = 20
FEWEST = 50  # training perturbations
CONFORMAL_FOLDS = 5
CODE = (
    *(f"kgpert_lib.predictors.{name}" for name in ("neighbours", "average", "completion", "learning", "pooled")),
    *(f"kgpert_lib.metrics.{name}" for name in ("checks", "chunks", "deltas", "targets")),
    *("kgpert_lib.evaluation.trust", "kgpert_lib.screens.atlas"),
)
PACKAGES = ("numpy", "scipy", "scikit-learn")


class Expected(NamedTuple):
    """(n,) expected score with its interval."""

    expected: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def first(self) -> dict[str, float]:
        """The values of the first gene, by name."""
        return {name: float(values[0]) for name, values in self._asdict().items()}


def describe(view: TrainingView, predictions: Predictions, mean: FloatArray | None = None) -> pd.DataFrame:
    """What can be seen of each neighbourhood before any answer is known, one row per perturbation.

    ``neighbours`` log(1 + number); ``support`` log(1 + summed edge weights over the graphs); ``graphs`` mean number
    of graphs that give a neighbour; ``agreement`` size of the sum of the neighbours' deltas over the sum of their
    sizes, 0..1; ``measured`` log(1 + mean number of measured neighbour deltas a readout gene); ``spread`` standard
    deviation of the predicted delta; ``like_mean`` its Pearson correlation with the mean training delta, or with
    `mean` (n, m) where each perturbation has one of its own.
    """
    line, near = predictions.averaged(view), predictions.neighbourhoods
    if near is None:
        raise InputError(
            "Trust is learnt from neighbourhoods, and this predictor has none; name a neighbour predictor."
        )
    member = near.weights.astype(bool).astype(np.float32)
    size = np.asarray(member.sum(axis=1)).ravel()
    edges = [np.asarray(m.sum(axis=1)).ravel() for m in near.by_graph.values()]
    counts = [np.diff(m.indptr) for m in near.by_graph.values()]
    together = np.abs(member @ line.filled).sum(axis=1)
    apart = (member @ np.abs(line.filled)).sum(axis=1)
    count = (member @ line.measured.astype(np.float32)).mean(axis=1)
    mean = np.broadcast_to(view.target.mean if mean is None else mean, predictions.delta.shape)
    return pd.DataFrame(
        {
            "neighbours": np.log1p(size),
            "support": np.log1p(np.sum(edges, axis=0)),
            "graphs": np.sum(counts, axis=0) / np.maximum(size, 1),
            "agreement": np.divide(together, apart, out=np.zeros_like(apart), where=apart > 0),
            "measured": np.log1p(count),
            "spread": predictions.delta.std(axis=1),
            "like_mean": deltas.pearson_delta(predictions.delta, mean),
        },
        index=pd.Index(near.perturbations, name="perturbation"),
    )[list(FEATURES)]


def out_of_fold(view: TrainingView, predictor: Predictor, k: int = PREDICTION_FOLDS, seed: int = 0) -> pd.DataFrame:
    """`describe` and the reached ``score`` (Pearson delta) of every training perturbation.

    Each is predicted from training rows that do not hold its own fold.
    """
    line = view.target
    fold = folds(len(line.perturbations), min(k, len(line.perturbations)), seed)
    tables = []
    for f in np.unique(fold):
        names = [str(p) for p in line.perturbations[fold == f]]
        rest = view.without(names)
        predictions = predictor.predict(rest, names)
        score = deltas.pearson_delta(predictions.delta, line.scored[fold == f])
        tables.append(describe(rest, predictions).assign(score=score))
    return pd.concat(tables).reindex(pd.Index(line.perturbations, name="perturbation"))


@dataclass(frozen=True, eq=False)
class Trust:
    """An expected score with an interval for any gene; fitted on training perturbations only.

    Attributes
    ----------
    features : gives the features of genes by name (`describe`).
    bounds : range of the score.
    level : nominal coverage of the interval.
    widen : what either end of the interval was moved outwards by, so that it covers `level` of held-out genes.
    coefficients : (3, 8) of the expected score and of the interval's ends, over `FEATURES` and a constant.

    Examples
    --------
    >>> import numpy as np
    >>> from kgpert_lib import CellLine, Atlas, KnowledgeGraph, Trust
    >>> from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
    >>> rng = np.random.default_rng(0)
    >>> genes = [f"G{i:02d}" for i in range(61)]
    >>> delta = np.repeat(rng.normal(size=(10, 8)), 6, axis=0) + 0.5 * rng.normal(size=(60, 8))
    >>> line = CellLine("toy", genes[:60], list("abcdefgh"), delta, ["train"] * 60)
    >>> pairs = [(i, j) for i in range(60) for j in range(i + 1, 60) if i // 6 == j // 6]
    >>> graph = KnowledgeGraph.from_edges("blocks", *([genes[k] for k in side] for side in zip(*pairs)))
    >>> view = Atlas("toy", "simulated", {"toy": line}).view("toy")
    >>> trust = Trust.fit(view, NeighbourPredictor(GraphNeighbourhood([graph])))
    >>> expected, low, high = trust.expect(["G00", "G60"])
    >>> bool(expected[0] > expected[1]), bool((low <= expected).all() and (expected <= high).all())
    (True, True)
    """

    features: Callable[[Sequence[str]], pd.DataFrame]
    bounds: tuple[float, float]
    level: float
    widen: float
    coefficients: NDArray[np.float64]

    @classmethod
    def fit(cls, view: TrainingView, predictor: Predictor, level: float = 0.8, seed: int = 0) -> Trust:
        """Trust in the Pearson delta of a prediction, from the cache folder if it is there; InputError as in `learn`.

        A predictor with a part that is not plain data, such as recorded answers, is learnt anew each time. What a
        predictor learns from the view, such as weights of knowledge, is learnt once and kept in all folds.
        """
        predictor = fitted(predictor, view)
        features, bounds = neighbourhood_features(view, predictor), (-1.0, 1.0)

        def arrays() -> Arrays:
            trust = cls.learn(out_of_fold(view, predictor, seed=seed), features, bounds, level, seed)
            return {"widen": np.array(trust.widen), "coefficients": trust.coefficients}

        def trust_of(stored: Arrays) -> Trust:
            coefficients = np.asarray(stored["coefficients"], np.float64).reshape(3, len(FEATURES) + 1)
            return cls(features, bounds, level, float(stored["widen"]), coefficients)

        key = _key(view, predictor, level, seed)
        return trust_of(arrays() if key is None else cached_arrays("trust", key, arrays, trust_of))

    @classmethod
    def learn(
        cls,
        table: pd.DataFrame,
        features: Callable[[Sequence[str]], pd.DataFrame],
        bounds: tuple[float, float],
        level: float = 0.8,
        seed: int = 0,
    ) -> Trust:
        """Learn a score within `bounds` from a table of features and ``score``, one row per training perturbation.

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
        miss = np.empty(len(y))  # how far a held-out score lies outside its interval; negative inside
        for f in range(CONFORMAL_FOLDS):
            low, high = _ends(_quantiles(x[fold != f], y[fold != f], level), x[fold == f])
            miss[fold == f] = np.maximum(low - y[fold == f], y[fold == f] - high)
        widen = float(np.quantile(miss, min(1.0, level * (1 + 1 / len(y))), method="higher"))
        return cls(features, bounds, level, widen, np.vstack([_centre(x, y), _quantiles(x, y, level)]))

    def expect(self, perturbations: Sequence[str] | NameArray) -> Expected:
        """(n,) expected scores and intervals of n genes by name."""
        return self.expect_from(self.features([str(p) for p in perturbations]))

    def expect_from(self, table: pd.DataFrame) -> Expected:
        """Expected score and interval of genes by their features (`describe`)."""
        x = table[list(FEATURES)].to_numpy()
        centre, low, high = _ends(self.coefficients, x)
        ends = np.sort([low - self.widen, high + self.widen], axis=0)
        low, high = np.clip(ends, *self.bounds)
        return Expected(np.clip(centre, low, high), low, high)

    def against(self, reached: pd.Series) -> pd.DataFrame:
        """Expected scores of the perturbations of `reached`, beside the scores that were reached.

        Columns: perturbation, expected, low, high, reached.
        """
        names = [str(name) for name in reached.index]
        return pd.DataFrame({"perturbation": names, **self.expect(names)._asdict(), "reached": reached.to_numpy()})


def neighbourhood_features(view: TrainingView, predictor: Predictor) -> Callable[[Sequence[str]], pd.DataFrame]:
    """The function that gives `describe` of genes by name, as the predictor sees them from the view's training rows."""
    return lambda names: describe(view, predictor.predict(view, names))


def _ends(coefficients: NDArray[np.float64], x: NDArray[np.floating]) -> NDArray[np.float64]:
    """(k, n) values of k linear functions, the constant being the last coefficient."""
    return coefficients[:, :-1] @ x.T + coefficients[:, -1:]


def _centre(x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    from sklearn.linear_model import RidgeCV

    return _linear(RidgeCV(np.logspace(-1, 3, 9)), x, y)


def _quantiles(x: NDArray[np.floating], y: NDArray[np.floating], level: float) -> NDArray[np.float64]:
    from sklearn.linear_model import QuantileRegressor

    ends = ((1 - level) / 2, (1 + level) / 2)
    return np.vstack([_linear(QuantileRegressor(quantile=q, alpha=1e-3), x, y) for q in ends])


def _linear(model: Any, x: NDArray[np.floating], y: NDArray[np.floating]) -> NDArray[np.float64]:
    """Coefficients on the scale of `x` and the constant of a linear model fitted on standardised features."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    spread[spread <= 10 * np.finfo(np.float64).eps * np.abs(mean)] = 1.0
    model.fit((x - mean) / spread, y)
    slope = model.coef_ / spread
    return np.append(slope, model.intercept_ - slope @ mean)


def _key(*depends_on: Any) -> str | None:
    """A digest of the code, of the packages and of `depends_on`; None where that holds what is not plain data."""
    code = (Path(str(import_module(name).__file__)) for name in CODE)
    try:
        return digest(*code, *(version(name) for name in PACKAGES), *_content(depends_on))[:32]
    except TypeError:
        return None


def _content(value: Any) -> Iterator[str | bytes]:
    """What an object consists of, in a fixed order; TypeError for an object that is not plain data."""
    yield type(value).__name__
    if value is None or isinstance(value, (str, int, float, bool)):
        yield repr(value)
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield f"{value.dtype} {value.shape}"
        yield np.ascontiguousarray(value).tobytes()
    elif sp.issparse(value):
        for part in (value.data, value.indices, value.indptr):
            yield from _content(part)
    elif isinstance(value, Mapping):
        for item in value.items():
            yield from _content(item)
    elif isinstance(value, (list, tuple)):
        for part in value:
            yield from _content(part)
    elif is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            yield field.name
            yield from _content(getattr(value, field.name))
    else:
        raise TypeError(f"{type(value).__name__} is not plain data")
