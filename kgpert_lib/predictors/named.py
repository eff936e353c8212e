"""Predictors by name, for the command line and the chapters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import graph_names
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.baselines import LinearBaseline, TrainingMean
from kgpert_lib.predictors.further import FurtherTraining
from kgpert_lib.predictors.learning import PRIOR
from kgpert_lib.predictors.neighbourhoods import Cut
from kgpert_lib.predictors.neighbours import (
    Fill,
    GraphNeighbourhood,
    LearntNeighbourhood,
    NeighbourPredictor,
    SimilarNeighbourhood,
)
from kgpert_lib.predictors.pooled import PooledPredictor
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens.screen import Screen


@dataclass(frozen=True)
class Options:
    """Settings of the graph neighbourhoods (`GraphNeighbourhood`), of the prior, and the seed of random choices.

    Attributes
    ----------
    limit : most neighbours that one graph gives (paper, section 4.1: 20); None for all.
    cut : whether the limit is applied ``"before"`` or ``"after"`` only training genes are kept.
    prior : weight of the mean training delta, in neighbours; None: 1 on deltas with gaps, else 0 (`default_prior`).
    seed : of random cuts, shuffled names and folds.

    Examples
    --------
    >>> from kgpert_lib import Options, build, load_screen
    >>> screen = load_screen("simulated", ["k562"], size="tiny")
    >>> few = build("union", screen, Options(limit=3)).predict(screen.view("k562"), ["INTS9"])
    >>> int(few.n_neighbours[0]) <= 3 * len(screen.graphs)
    True
    """

    limit: int | None = 20
    cut: Cut = "before"
    prior: float | None = None
    seed: int = 0


def _graphs(screen: Screen, options: Options, graphs: list[KnowledgeGraph], label: str | None = None) -> Predictor:
    near = GraphNeighbourhood(graphs, options.limit, options.cut, options.seed)
    return NeighbourPredictor(near, options.prior, label=label)


def _union(screen: Screen, options: Options, fill: Fill = "none") -> NeighbourPredictor:
    near = GraphNeighbourhood(list(screen.graphs), options.limit, options.cut, options.seed)
    return NeighbourPredictor(near, options.prior, fill)


def _weighted(screen: Screen, options: Options, shared: bool = False) -> Predictor:
    prior = PRIOR if options.prior is None else options.prior
    return NeighbourPredictor(LearntNeighbourhood(screen.affinity, shared, options.seed), prior)


def _pooled(screen: Screen, options: Options, lines: bool = False) -> Predictor:
    return PooledPredictor(LearntNeighbourhood(screen.affinity, False, options.seed), lines, seed=options.seed)


def _similar(screen: Screen, options: Options, fill: Fill = "none") -> Predictor:
    """The mean over the training genes most similar in GO, as many as the limit."""
    if screen.brings_graphs:
        raise InputError("GO says nothing about the genes of a simulated screen; name its own graphs instead.")
    return NeighbourPredictor(SimilarNeighbourhood(screen.graph_affinity, options.limit), options.prior, fill)


def _shuffled(screen: Screen, options: Options) -> Predictor:
    names = screen.perturbations()
    return _graphs(screen, options, [g.shuffled(names, options.seed) for g in screen.graphs], "shuffled")


def _further(screen: Screen, options: Options) -> Predictor:
    """The union with the knock-downs that only the line's second experiment measured."""
    return FurtherTraining(_union(screen, options), screen.further)


PREDICTORS: dict[str, Callable[[Screen, Options], Predictor]] = {
    "mean": lambda screen, options: TrainingMean(),
    "linear": lambda screen, options: LinearBaseline(seed=options.seed),
    "string": lambda screen, options: _graphs(screen, options, [screen.graph("string")]),
    "go": lambda screen, options: _graphs(screen, options, [screen.graph("go")]),
    "union": _union,
    "weighted": _weighted,
    "filled": lambda screen, options: _union(screen, options, "lowrank"),
    "weighted-shared": lambda screen, options: _weighted(screen, options, shared=True),
    "weighted-filled": _pooled,
    "weighted-lines": lambda screen, options: _pooled(screen, options, lines=True),
    "union-further": _further,
    "similar": _similar,
    "similar-filled": lambda screen, options: _similar(screen, options, "lowrank"),
    "shuffled": _shuffled,
}


def build(name: str, screen: Screen, options: Options | None = None) -> Predictor:
    """The predictor of a name in `PREDICTORS`, or over graphs joined by ``+``, such as ``"string+mine.csv"``.

    InputError for a name that is neither, for a graph that is named twice, and as `Screen.graph`.
    """
    options = options or Options()
    if name in PREDICTORS:
        return PREDICTORS[name](screen, options)
    parts = graph_names(name)
    repeated = [part for part in parts if parts.count(part) > 1]
    if repeated:
        raise InputError(f"The graph {repeated[0]!r} is named more than once in {name!r}; name it once.")
    return _graphs(screen, options, [screen.graph(part) for part in parts])


def of_graphs(screen: Screen) -> list[str]:
    """Names of the predictors over each graph of a screen and over their union; one graph is its own union."""
    each = [graph.name for graph in screen.graphs]
    return each if len(each) == 1 else [*each, "union"]
