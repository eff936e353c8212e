"""The predictor that averages over neighbourhoods, and what chooses them: graphs or an affinity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.affinity import TWO_STEP, Affinity, Feature
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.average import average, default_prior
from kgpert_lib.predictors.completion import complete, normalised
from kgpert_lib.predictors.learning import learn
from kgpert_lib.predictors.neighbourhoods import Cut, Neighbourhoods, neighbourhoods
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingLine, TrainingView
from kgpert_lib.types import FloatArray

Fill = Literal["none", "lowrank"]
FAINT = 0.01  # affinity below which a training perturbation is no neighbour: a hundredth of the prior's weight
SIMILARITY = "go"


def leave_one_out(neighbours: Neighbourhoods, line: TrainingLine, prior: float | None = None) -> Predictions:
    """Predictions of the line's own training perturbations, each without its own delta, also in the mean.

    `neighbours` were asked for the line's training perturbations, in their order; none is its own neighbour.
    """
    if not np.array_equal(neighbours.perturbations, line.perturbations):
        raise InputError("Leave-one-out needs the neighbourhoods of the line's own training perturbations.")
    delta, empty = average(neighbours.weights, line, prior, line.mean_without(line.perturbations))
    return Predictions(neighbours.perturbations, line.genes, delta, neighbours.sizes, empty, neighbours)


class NeighbourhoodSource(Protocol):
    """Whoever chooses neighbourhoods: graphs, an affinity, a language model, chance."""

    @property
    def name(self) -> str:
        """Short name, shown in tables."""

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Neighbours among the target line's training perturbations."""


@dataclass(frozen=True)
class GraphNeighbourhood:
    """The union of the genes that each graph puts beside a perturbation, of equal weight (paper, section 3)."""

    graphs: Sequence[KnowledgeGraph]
    limit: int | None = 20
    cut: Cut = "before"
    seed: int = 0

    @property
    def name(self) -> str:
        """The graphs' names joined by ``+``."""
        return "+".join(g.name for g in self.graphs)

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Neighbours among the target line's training perturbations (`neighbourhoods`)."""
        return neighbourhoods(self.graphs, perturbations, view.target.perturbations, self.limit, self.cut, self.seed)


@dataclass(frozen=True, eq=False)
class AffinityNeighbourhood:
    """Every training perturbation of positive affinity at weights that are given, by that weight (ours).

    `weights` of the affinity's features; with `limit` only so many of the most similar training genes count for
    similarity in gene sets, while links always count. An affinity below `FAINT` counts as none.
    """

    affinity: Affinity
    weights: Mapping[Feature, float]
    limit: int | None = None
    name: str = "weighted"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Neighbours among the target line's training perturbations, and what each table adds to their weights."""
        training = view.target.perturbations
        queried = np.asarray(perturbations, dtype=str)
        by_graph: dict[str, FloatArray] = {}
        for graph in dict.fromkeys(feature.table.removesuffix(TWO_STEP) for feature in self.weights):
            own = {f: b for f, b in self.weights.items() if f.table.removesuffix(TWO_STEP) == graph}
            part = self.affinity.weight(queried, training, own, self.limit)
            if part.any():
                by_graph[graph] = part
        total = sum(by_graph.values(), np.zeros((len(queried), len(training)), np.float32))
        total[total < FAINT] = 0
        shown = {graph: (total > 0) & (part >= FAINT / 10) for graph, part in by_graph.items()}
        parts = {graph: sp.csr_matrix(np.where(shown[graph], part, np.float32(0))) for graph, part in by_graph.items()}
        return Neighbourhoods(queried, training, sp.csr_matrix(total), parts)


@dataclass(frozen=True, eq=False)
class LearntNeighbourhood:
    """Every training perturbation by an affinity whose weights are learnt on training rows (`learning.learn`; ours).

    Learnt for each view from its target line, or with `shared` from all of its lines.
    """

    affinity: Affinity
    shared: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        """Whether lines share the weights."""
        return "weighted, shared" if self.shared else "weighted"

    def fitted(self, view: TrainingView) -> AffinityNeighbourhood:
        """The same with the weights that it learns from a view."""
        lines = list(view.lines.values()) if self.shared else [view.target]
        return AffinityNeighbourhood(self.affinity, learn(self.affinity, lines, self.seed), name=self.name)

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Neighbours among the target line's training perturbations with their weights."""
        return self.fitted(view).neighbourhoods(view, perturbations)


@dataclass(frozen=True)
class SimilarNeighbourhood:
    """The `limit` training perturbations most similar in GO, of equal weight (chapter 2); none where there is no GO."""

    affinity: Affinity
    limit: int | None = 20

    @property
    def name(self) -> str:
        """How many are averaged."""
        return f"{'all' if self.limit is None else self.limit} most similar"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Neighbours among the target line's training perturbations (`Affinity.similarity`)."""
        training = view.target.perturbations
        queried = np.asarray(perturbations, dtype=str)
        similarity = sp.csr_matrix(self.affinity.similarity(SIMILARITY, queried, training, self.limit))
        equal = similarity.astype(bool).astype(np.float32)
        return Neighbourhoods(queried, training, equal, {SIMILARITY: similarity})


@dataclass(frozen=True, eq=False)
class NeighbourPredictor:
    """Weighted mean of the neighbours' training deltas (paper, equation 1), whoever chose the neighbourhoods.

    Parameters
    ----------
    neighbourhood : chooses the neighbours and their weights.
    prior : strength of the training mean in `average`; None is `default_prior` of the line as it was measured, also
        where `fill` leaves no gap to average over.
    fill : ``"lowrank"`` fills the gaps of the training deltas first (`completion.complete`, of `rank` and `ridge`). A
        training perturbation is pulled towards the neighbours that `neighbourhood` gives it among the training
        perturbations, so that no test delta enters. Fitted once for each view.
    label : name in tables; None: that of the neighbourhood, and whether gaps were filled.

    Examples
    --------
    >>> from kgpert_lib import load_screen
    >>> from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
    >>> screen = load_screen("simulated", ["k562"], size="tiny")
    >>> predictor = NeighbourPredictor(GraphNeighbourhood(screen.graphs, limit=5))
    >>> predictor.predict(screen.view("k562"), ["INTS9", "TP53"]).fallback.tolist()
    [False, True]
    """

    neighbourhood: NeighbourhoodSource
    prior: float | None = None
    fill: Fill = "none"
    rank: int = 16
    ridge: float = 3.0
    label: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.fill not in ("none", "lowrank"):
            raise InputError(f"Unknown fill {self.fill!r}; it is 'none' or 'lowrank'.")

    @property
    def name(self) -> str:
        """The label, or the neighbourhood's name and whether gaps were filled."""
        return self.label or f"{self.neighbourhood.name}{', filled' if self.fill == 'lowrank' else ''}"

    def fitted(self, view: TrainingView) -> NeighbourPredictor:
        """The predictor with what its neighbourhood learns from a view, where it learns anything."""
        if isinstance(self.neighbourhood, LearntNeighbourhood):
            return replace(self, neighbourhood=self.neighbourhood.fitted(view))
        return self

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """What is averaged; `predict` returns the same with its predictions."""
        return self.neighbourhood.neighbourhoods(view, perturbations)

    def training_data(self, view: TrainingView) -> TrainingLine:
        """The target line's training rows, their gaps filled if the predictor fills them."""
        if self.fill == "none":
            return view.target
        by_view = _COMPLETED.setdefault(self, WeakKeyDictionary())
        if view not in by_view:
            weights = self.neighbourhoods(view, [str(p) for p in view.target.perturbations]).weights
            by_view[view] = complete(view.target, normalised(weights), self.rank, self.ridge)
        return by_view[view]

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line, with the neighbourhoods that they are means of.

        InputError where the neighbourhoods were made for other training perturbations.
        """
        return self._averaged(view, perturbations, None)

    def predict_without_own(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """`predict` where no perturbation's own row is among the training rows, for many at once.

        Of what the neighbourhood learns from a view, such as weights of knowledge, nothing is learnt anew.
        InputError where gaps are filled: that is one completion for each perturbation.
        """
        if self.fill != "none":
            raise InputError(
                f"{self.name} fills gaps, which is done anew for each perturbation; predict one at a time."
            )
        return self._averaged(view, perturbations, view.target.mean_without(perturbations))

    def _averaged(self, view: TrainingView, perturbations: Sequence[str], mean: FloatArray | None) -> Predictions:
        near, line = self.neighbourhoods(view, perturbations), self.training_data(view)
        if not np.array_equal(near.training, line.perturbations):
            raise InputError("The neighbourhoods were made for other training perturbations than the line's.")
        prior = default_prior(view.target) if self.prior is None else self.prior
        delta, empty = average(near.weights, line, prior, mean)
        return Predictions(near.perturbations, line.genes, delta, near.sizes, empty, near)


# Completed training rows by predictor and view; an entry goes with either of them.
_COMPLETED: WeakKeyDictionary[NeighbourPredictor, WeakKeyDictionary[TrainingView, TrainingLine]] = WeakKeyDictionary()
