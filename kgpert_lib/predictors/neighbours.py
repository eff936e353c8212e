"""Neighbourhoods of perturbations among the training perturbations, and the mean over them (SPEC section 5)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingLine, TrainingView
from kgpert_lib.types import FloatArray, NameArray

Cut = Literal["before", "after"]
WEIGHT_DIGITS = 6


class Neighbour(NamedTuple):
    """One member of a neighbourhood: its share of the mean and the edge weight in each graph that gave it."""

    gene: str
    share: float
    graphs: dict[str, float]


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """Which training perturbations stand beside each queried perturbation.

    Attributes
    ----------
    perturbations : (n,) queried symbols.
    training : (t,) training perturbations.
    weights : (n, t) CSR float32, weight of each neighbour in the mean; 1 for the plain mean. Never on a
        perturbation itself.
    by_graph : for each graph, (n, t) CSR with that graph's edge weights after its own cut.
    """

    perturbations: NameArray
    training: NameArray
    weights: sp.csr_matrix
    by_graph: Mapping[str, sp.csr_matrix]

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """(n,) number of neighbours."""
        return np.diff(self.weights.indptr).astype(np.int64)

    def of(self, perturbation: str) -> list[Neighbour]:
        """The neighbours of one queried perturbation, largest share first, ties by symbol."""
        row = int(np.flatnonzero(self.perturbations == perturbation)[0])
        weights = self.weights[[row]]
        total = float(weights.sum())
        given = {name: dict(zip(m[[row]].indices, m[[row]].data, strict=True)) for name, m in self.by_graph.items()}
        members = [
            Neighbour(
                str(self.training[j]),
                float(w) / total,
                {name: float(cells[j]) for name, cells in given.items() if j in cells},
            )
            for j, w in zip(weights.indices, weights.data, strict=True)
        ]
        return sorted(members, key=lambda n: (-round(n.share, WEIGHT_DIGITS), -len(n.graphs), n.gene))

    def members(self, row: int) -> list[str]:
        """The neighbours of one row, in the order of the training perturbations."""
        return [str(gene) for gene in self.training[self.weights[[row]].indices]]

    def edited(
        self, additions: Sequence[Collection[str]], removals: Sequence[Collection[str]] | None = None
    ) -> Neighbourhoods:
        """The neighbourhoods ``(N | A) - R``, one set of additions and removals a row (SPEC section 8).

        An addition outside the training perturbations or equal to the queried one and a removal outside the
        neighbourhood are ignored. What is added weighs 1.
        """
        place = {str(gene): j for j, gene in enumerate(self.training)}
        edited = self.weights.tolil(copy=True)
        for row, perturbation in enumerate(self.perturbations):
            present = set(self.weights[[row]].indices)
            for gene in additions[row]:
                if gene in place and gene != perturbation and place[gene] not in present:
                    edited[row, place[gene]] = 1.0
            for gene in removals[row] if removals is not None else ():
                if place.get(gene) in present:
                    edited[row, place[gene]] = 0.0
        weights = edited.tocsr()
        weights.eliminate_zeros()
        return replace(self, weights=weights)


def from_sets(
    perturbations: Sequence[str] | NameArray, training: Sequence[str] | NameArray, sets: Sequence[Collection[str]]
) -> Neighbourhoods:
    """Neighbourhoods that somebody else chose, one set a perturbation; genes that do not count are ignored."""
    queried, known = np.asarray(perturbations, dtype=str), np.asarray(training, dtype=str)
    nothing = sp.csr_matrix((len(queried), len(known)), dtype=np.float32)
    return Neighbourhoods(queried, known, nothing, {}).edited(sets)


def neighbourhoods(
    graphs: Sequence[KnowledgeGraph],
    perturbations: Sequence[str] | NameArray,
    training: Sequence[str] | NameArray,
    limit: int | None = 20,
    cut: Cut = "before",
    seed: int = 0,
) -> Neighbourhoods:
    """Neighbours of each perturbation among the training perturbations (SPEC section 5).

    In each graph a neighbourhood above `limit` genes is cut to the strongest edges (weights rounded to
    6 digits, ties by symbol), or, where the graph has no weights, to genes drawn at random with `seed`.
    The union over graphs follows. ``cut="before"`` (the paper) cuts the full neighbourhood and then keeps
    its training genes; ``cut="after"`` keeps the training genes and then cuts. ``limit=None`` never cuts.
    A perturbation is never its own neighbour. The result does not depend on the order of the inputs.
    """
    if cut not in ("before", "after"):
        raise InputError(f"Unknown cut {cut!r}; it is 'before' or 'after'.")
    if limit is not None and limit < 1:
        raise InputError(f"The limit is {limit}; a neighbourhood keeps at least one gene.")
    if not graphs:
        raise InputError("No graph given; name at least one.")
    if len({g.name for g in graphs}) < len(graphs):
        raise InputError(f"Two graphs share a name: {', '.join(g.name for g in graphs)}.")
    queried = np.asarray(perturbations, dtype=str)
    known = np.asarray(training, dtype=str)
    by_graph: dict[str, sp.csr_matrix] = {}
    for graph in graphs:
        edges = _rows(graph, queried)
        if cut == "before":
            edges = _strongest(edges, graph, limit, seed)
        edges = _into(edges, graph, known)
        if cut == "after":
            edges = _strongest(edges, graph, limit, seed)
        by_graph[graph.name] = sp.csr_matrix(
            (edges.weight, (edges.row, edges.place)), shape=(len(queried), len(known)), dtype=np.float32
        )
    union = sum(by_graph.values(), sp.csr_matrix((len(queried), len(known)), dtype=np.float32)).tocsr()
    union.sort_indices()
    union.data[:] = 1.0
    return Neighbourhoods(queried, known, union, by_graph)


def average(
    weights: sp.csr_matrix, line: TrainingLine, prior: float | None = None, mean: FloatArray | None = None
) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Weighted means of training deltas, shrunk towards the mean training delta.

    For each readout gene ``(sum of w * delta over measured neighbours + prior * mean) / (sum of w + prior)``
    (DESIGN: gaps and priors). `prior` None is 0 on deltas without gaps, which is the paper's equation (1),
    and 1 on deltas with gaps. Where nothing was measured and the prior is 0 the mean training delta stands.

    Parameters
    ----------
    weights : (n, t) CSR, non-negative.
    line : training rows, (t, m) deltas.
    prior : strength in neighbours.
    mean : (m,) or (n, m) to shrink towards in place of the line's mean training delta.

    Returns
    -------
    (n, m) float32 predicted deltas, and (n,) True where no neighbour was there to average.
    """
    strength = (0.0 if line.dense else 1.0) if prior is None else float(prior)
    if not np.isfinite(strength) or strength < 0:
        raise InputError(f"The prior strength is {prior}; it is a number from 0 up.")
    weights = weights.astype(np.float32)
    total = np.asarray(weights.sum(axis=1), dtype=np.float32).ravel()
    empty = total == 0
    centre = np.broadcast_to(line.mean if mean is None else mean, (len(total), len(line.genes)))
    if line.dense:
        share = np.divide(1.0, total + strength, out=np.zeros_like(total), where=~empty)
        delta = sp.diags_array(share).astype(np.float32).tocsr() @ weights @ line.delta
        if strength:
            delta += (strength * share)[:, None] * centre
    else:
        delta = weights @ line.filled
        count = weights @ line.measured.astype(np.float32)
        delta += np.float32(strength) * centre
        count += strength
        nothing = count == 0
        np.divide(delta, count, out=delta, where=~nothing)
        np.copyto(delta, centre, where=nothing)
    delta[empty] = centre[empty]
    return delta, empty


def measured_neighbours(neighbours: Neighbourhoods, line: TrainingLine) -> NDArray[np.int64]:
    """(n, m) how many neighbours measured each readout gene."""
    member = neighbours.weights.astype(bool).astype(np.int64)
    return member @ line.measured.astype(np.int64)


def predict(neighbours: Neighbourhoods, line: TrainingLine, prior: float | None = None) -> Predictions:
    """The prediction of each queried perturbation: `average` over its neighbourhood."""
    if not np.array_equal(neighbours.training, line.perturbations):
        raise InputError("The neighbourhoods were made for other training perturbations than the line's.")
    delta, empty = average(neighbours.weights, line, prior)
    return Predictions(neighbours.perturbations, line.genes, delta, neighbours.sizes, empty)


def leave_one_out(neighbours: Neighbourhoods, line: TrainingLine, prior: float | None = None) -> Predictions:
    """Predictions of the line's own training perturbations, each without its own delta, also in the mean.

    `neighbours` were asked for the line's training perturbations, in their order; none is its own neighbour.
    """
    if not np.array_equal(neighbours.perturbations, line.perturbations):
        raise InputError("Leave-one-out needs the neighbourhoods of the line's own training perturbations.")
    count = line.measured.sum(axis=0) - line.measured
    mean = (line.filled.sum(axis=0, dtype=np.float64) - line.filled) / np.maximum(count, 1)
    delta, empty = average(neighbours.weights, line, prior, mean.astype(np.float32))
    return Predictions(neighbours.perturbations, line.genes, delta, neighbours.sizes, empty)


@dataclass(frozen=True)
class GraphNeighbour:
    """The paper's predictor: mean training delta over the neighbours that the graphs give (SPEC section 5)."""

    graphs: Sequence[KnowledgeGraph]
    limit: int | None = 20
    cut: Cut = "before"
    prior: float | None = None
    seed: int = 0
    label: str | None = field(default=None, kw_only=True)

    @property
    def name(self) -> str:
        """The graphs' names joined by ``+`` unless a label was given."""
        return self.label or "+".join(g.name for g in self.graphs)

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Neighbours among the target line's training perturbations."""
        return neighbourhoods(self.graphs, perturbations, view.target.perturbations, self.limit, self.cut, self.seed)

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line."""
        return predict(self.neighbourhoods(view, perturbations), view.target, self.prior)


class WeightPart(NamedTuple):
    """One term of a neighbour's weight: ``scale * edge weight ** power`` over the `limit` strongest training genes."""

    graph: KnowledgeGraph
    power: float = 1.0
    scale: float = 1.0
    limit: int | None = None


@dataclass(frozen=True)
class WeightedNeighbour:
    """Mean of related training deltas, each weighing the sum of its parts (ours; no equal vote for weak relations)."""

    parts: Sequence[WeightPart]
    prior: float | None = None
    name: str = "weighted"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Neighbours among the target line's training perturbations with their weights."""
        training = view.target.perturbations
        found = [neighbourhoods([p.graph], perturbations, training, p.limit, "after") for p in self.parts]
        by_graph = {p.graph.name: n.by_graph[p.graph.name] for p, n in zip(self.parts, found, strict=True)}
        none = sp.csr_matrix((len(perturbations), len(training)), dtype=np.float32)
        weights = sum((p.scale * by_graph[p.graph.name].power(p.power) for p in self.parts), none).tocsr()
        return Neighbourhoods(found[0].perturbations, training, weights, by_graph)

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line."""
        return predict(self.neighbourhoods(view, perturbations), view.target, self.prior)


def weighted(
    similarity: KnowledgeGraph, walk: KnowledgeGraph, limit: int = 50, scale: float = 30.0, prior: float | None = None
) -> WeightedNeighbour:
    """The book's weighted predictor: GO similarity squared plus the two-step STRING walk (chapter 2 has the leave-one-out choice)."""
    return WeightedNeighbour([WeightPart(similarity, 2.0, 1.0, limit), WeightPart(walk, 1.0, scale)], prior)


class _Edges(NamedTuple):
    """Edges from queried perturbations (`row`) to graph symbols (`column`), at `place` among the training genes."""

    row: NDArray[np.intp]
    column: NDArray[np.intp]
    place: NDArray[np.intp]
    weight: FloatArray
    queried: NameArray

    def keep(self, which: NDArray) -> _Edges:
        return _Edges(self.row[which], self.column[which], self.place[which], self.weight[which], self.queried)


def _rows(graph: KnowledgeGraph, queried: NameArray) -> _Edges:
    """Every edge of the queried perturbations that are in the graph."""
    node = pd.Index(graph.symbols).get_indexer(pd.Index(queried))
    present = np.flatnonzero(node >= 0)
    part = graph.adjacency[node[present]]
    row = np.repeat(present, np.diff(part.indptr))
    column = part.indices.astype(np.intp)
    return _Edges(row, column, np.full(len(row), -1), part.data, queried)


def _into(edges: _Edges, graph: KnowledgeGraph, training: NameArray) -> _Edges:
    """Only the edges that end at a training perturbation other than the queried one."""
    place = pd.Index(training).get_indexer(pd.Index(graph.symbols))[edges.column]
    keep = (place >= 0) & (graph.symbols[edges.column] != edges.queried[edges.row])
    return edges._replace(place=place).keep(keep)


def _strongest(edges: _Edges, graph: KnowledgeGraph, limit: int | None, seed: int) -> _Edges:
    """At most `limit` edges a row: by weight and then symbol, or by a seeded draw in an unweighted graph."""
    if limit is None or len(edges.row) == 0:
        return edges
    size = np.bincount(edges.row, minlength=len(edges.queried))
    large = size[edges.row] > limit
    if not large.any():
        return edges
    crowded = edges.keep(large)
    strength = -np.round(crowded.weight.astype(np.float64), WEIGHT_DIGITS)
    order = np.lexsort((crowded.column, strength if graph.weighted else _draw(crowded, graph, seed), crowded.row))
    row = crowded.row[order]
    start = np.flatnonzero(np.r_[True, row[1:] != row[:-1]])
    rank = np.arange(len(row)) - np.repeat(start, np.diff(np.r_[start, len(row)]))
    kept = np.zeros(len(row), bool)
    kept[order[rank < limit]] = True
    which = ~large
    which[large] = kept
    return edges.keep(which)


def _draw(edges: _Edges, graph: KnowledgeGraph, seed: int) -> NDArray[np.uint64]:
    """A pseudo-random key for each edge that depends on the seed and the two symbols only."""
    ends = pd.util.hash_array(graph.symbols.astype(object))
    starts = pd.util.hash_array(edges.queried.astype(object))
    mixed = starts[edges.row] * np.uint64(0x9E3779B97F4A7C15) + ends[edges.column]
    return pd.util.hash_array(mixed ^ np.uint64(seed % 2**64))
