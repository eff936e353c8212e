"""Neighbourhoods: which training perturbations stand beside a perturbation, from graphs or from given sets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.ranking import descending, first_of_row
from kgpert_lib.screens.atlas import TrainingLine
from kgpert_lib.types import FloatArray, NameArray

Cut = Literal["before", "after"]


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

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each queried perturbation."""
        return {str(gene): row for row, gene in enumerate(self.perturbations)}

    def of(self, perturbation: str) -> list[Neighbour]:
        """The neighbours of one queried perturbation, largest share first, ties by symbol."""
        row = self.index[perturbation]
        weights = _cells(self.weights, row)
        share = np.array(list(weights.values())) / sum(weights.values())
        edges = {name: _cells(matrix, row) for name, matrix in self.by_graph.items()}
        members = [
            (key, Neighbour(str(self.training[j]), s, {name: cells[j] for name, cells in edges.items() if j in cells}))
            for j, s, key in zip(weights, share.tolist(), descending(share).tolist(), strict=True)
        ]
        members.sort(key=lambda m: (m[0], -len(m[1].graphs), m[1].gene))
        return [neighbour for _, neighbour in members]

    def members(self, row: int) -> list[str]:
        """The neighbours of one row, in the order of the training perturbations."""
        return [str(self.training[j]) for j in _cells(self.weights, row)]

    def edited(
        self, additions: Sequence[Collection[str]], removals: Sequence[Collection[str]] | None = None
    ) -> Neighbourhoods:
        """The neighbourhoods ``(N | A) - R``, one set of additions and removals per row (paper, section 5.1).

        An addition outside the training perturbations or equal to the queried one and a removal outside the
        neighbourhood are ignored. What is added weighs 1.
        """
        place = {str(gene): j for j, gene in enumerate(self.training)}
        edited = self.weights.tolil(copy=True)
        for row, perturbation in enumerate(self.perturbations):
            present = set(self.weights.indices[self.weights.indptr[row] : self.weights.indptr[row + 1]].tolist())
            for gene in additions[row]:
                if gene in place and gene != perturbation and place[gene] not in present:
                    edited[row, place[gene]] = 1.0
            for gene in removals[row] if removals is not None else ():
                if place.get(gene) in present:
                    edited[row, place[gene]] = 0.0
        weights = edited.tocsr()
        weights.eliminate_zeros()
        return replace(self, weights=weights)


def _cells(matrix: sp.csr_matrix, row: int) -> dict[int, float]:
    """The stored entries of one row by column."""
    part = slice(matrix.indptr[row], matrix.indptr[row + 1])
    return dict(zip(matrix.indices[part].tolist(), matrix.data[part].tolist(), strict=True))


def from_sets(
    perturbations: Sequence[str] | NameArray, training: Sequence[str] | NameArray, sets: Sequence[Collection[str]]
) -> Neighbourhoods:
    """Neighbourhoods that somebody else chose, one set per perturbation; genes that do not count are ignored.

    Examples
    --------
    >>> from kgpert_lib.predictors.neighbourhoods import from_sets
    >>> near = from_sets(["A", "B"], ["C", "D"], [{"C", "X"}, set()])
    >>> near.sizes.tolist()
    [1, 0]
    """
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
    """Neighbours of each perturbation among the training perturbations.

    In each graph a neighbourhood above `limit` genes is cut to the strongest edges (weights rounded to
    6 digits, ties by symbol), or, where the graph has no weights, to genes drawn at random with `seed`.
    The union over graphs follows. ``cut="before"`` (the paper) cuts the full neighbourhood and then keeps
    its training genes; ``cut="after"`` keeps the training genes and then cuts. ``limit=None`` never cuts.
    A perturbation is never its own neighbour. The result does not depend on the order of the inputs.

    Examples
    --------
    >>> from kgpert_lib import KnowledgeGraph
    >>> from kgpert_lib.predictors.neighbourhoods import neighbourhoods
    >>> graph = KnowledgeGraph.from_edges("mine", ["A", "A", "A"], ["B", "C", "D"], [0.9, 0.5, 0.2])
    >>> near = neighbourhoods([graph], ["A", "X"], ["B", "D"], limit=2, cut="before")
    >>> near.members(0), near.members(1)
    (['B'], [])
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


def measured_neighbours(neighbours: Neighbourhoods, line: TrainingLine) -> NDArray[np.int64]:
    """(n, m) how many neighbours measured each readout gene."""
    member = neighbours.weights.astype(bool).astype(np.int64)
    measured = line.measured.astype(np.int64)
    return (member @ sp.csr_matrix(measured)).toarray() if measured.mean() < 0.2 else member @ measured


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
    key = descending(crowded.weight) if graph.weighted else _draw(crowded, graph, seed)
    which = ~large
    which[large] = first_of_row(crowded.row, key, crowded.column, limit)
    return edges.keep(which)


def _draw(edges: _Edges, graph: KnowledgeGraph, seed: int) -> NDArray[np.uint64]:
    """A pseudo-random key for each edge that depends on the seed and the two symbols only."""
    ends = pd.util.hash_array(graph.symbols.astype(object))
    starts = pd.util.hash_array(edges.queried.astype(object))
    mixed = starts[edges.row] * np.uint64(0x9E3779B97F4A7C15) + ends[edges.column]
    return pd.util.hash_array(mixed ^ np.uint64(seed % 2**64))
