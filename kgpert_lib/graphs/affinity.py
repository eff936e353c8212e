"""How close knowledge puts two genes: features of gene pairs from every table, and their weighted sum.

A table of gene sets (GO, Reactome, hu.MAP, ...) gives the cosine of two genes' sets, each set weighing its
information content (`gene_sets.unit_vectors`). A table of links (STRING, BioGRID, ...) gives the weight of a link, and
the two-step weight ``B + B @ B`` with ``B = D^-1/2 A D^-1/2``: direct partners and shared partners. Each similarity s
enters as ``s ** power`` for several powers, so that few close genes may outweigh many distant ones. The affinity of
two genes is

    w(p, q) = sum over features of  b * s(p, q) ** power,   b >= 0

where the b are learnt from training perturbations (`predictors.learning`) or fixed (`fixed_weights`). The paper
averages neighbours with equal weights; this affinity is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.graphs import load_graphs, symbols
from kgpert_lib.graphs.catalogue import GRAPHS, SETS
from kgpert_lib.graphs.gene_sets import Vectors
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.ranking import strongest_first
from kgpert_lib.metrics.chunks import chunks
from kgpert_lib.types import FloatArray, NameArray

POWERS = (1, 3, 9)
TWO_STEP = "-two-step"
DENSE_COLUMNS = 1_000  # genes whose annotations are held as a dense matrix at once


class Feature(NamedTuple):
    """The similarity that a table gives, to a power."""

    table: str
    power: float

    def __str__(self) -> str:
        return self.table if self.power == 1 else f"{self.table}^{self.power:g}"


class Table(Protocol):
    """One similarity of gene pairs."""

    @property
    def name(self) -> str:
        """Name of the graph, with `TWO_STEP` for its walk."""

    @property
    def symbols(self) -> NameArray:
        """Genes that the table knows."""

    @property
    def powers(self) -> tuple[int, ...]:
        """The powers at which the similarity is a feature."""

    @property
    def matrix(self) -> sp.csr_matrix:
        """What similarities are worked out from."""

    def block(self, rows: NameArray, columns: NameArray) -> FloatArray:
        """(n, k) similarity of two lists of genes, 0 for genes that the table does not know."""


@dataclass(frozen=True, eq=False)
class SetTable:
    """Cosine similarity of the sets that genes are in; `matrix` (g, t) CSR float32 rows of length 1.

    `provenance` is that of the graph (`KnowledgeGraph`).
    """

    name: str
    symbols: NameArray
    matrix: sp.csr_matrix
    powers: tuple[int, ...] = POWERS
    provenance: str = ""

    def block(self, rows: NameArray, columns: NameArray) -> FloatArray:
        """(n, k) cosines, 0..1."""
        left, right = (self._vectors(names) for names in (rows, columns))
        shared = np.flatnonzero(right.getnnz(axis=0))
        left, right = left[:, shared], right[:, shared]
        out = np.empty((len(rows), len(columns)), np.float32)
        for block in chunks(len(columns), DENSE_COLUMNS):
            out[:, block] = left @ right[block].toarray(order="F").T
        return np.clip(out, 0.0, 1.0, out=out)

    def _vectors(self, names: NameArray) -> sp.csr_matrix:
        place = self._place.get_indexer(pd.Index(names))
        rows = self.matrix[np.maximum(place, 0)]
        return (sp.diags((place >= 0).astype(np.float32)) @ rows).tocsr()

    @cached_property
    def _place(self) -> pd.Index:
        return pd.Index(self.symbols)


@dataclass(frozen=True, eq=False)
class LinkTable:
    """The weight of the link between two genes."""

    graph: KnowledgeGraph

    @property
    def name(self) -> str:
        """The graph's name."""
        return self.graph.name

    @property
    def symbols(self) -> NameArray:
        """The graph's genes."""
        return self.graph.symbols

    @property
    def powers(self) -> tuple[int, ...]:
        """One where all links weigh the same."""
        return POWERS if self.graph.weighted else (1,)

    @property
    def matrix(self) -> sp.csr_matrix:
        """The graph's weights."""
        return self.graph.adjacency

    def block(self, rows: NameArray, columns: NameArray) -> FloatArray:
        """(n, k) weights of links."""
        return _placed(self.symbols, rows, columns, lambda i, j: self.graph.adjacency[i][:, j])


@dataclass(frozen=True, eq=False)
class WalkTable:
    """Two-step weight ``B + B @ B`` of the links of a graph (reconstructed); `matrix` is B.

    B divides a link by the geometric mean of both genes' degrees, so hubs do not dominate, and ``B @ B`` adds the
    common neighbours of two genes; unlike a random walk's matrix it is symmetric.
    """

    name: str
    symbols: NameArray
    matrix: sp.csr_matrix
    powers: tuple[int, ...] = (1,)

    @classmethod
    def of(cls, graph: KnowledgeGraph) -> WalkTable:
        """The walk of a graph."""
        degree = np.asarray(graph.adjacency.sum(axis=1)).ravel()
        scale = sp.diags(1 / np.sqrt(np.where(degree > 0, degree, 1)))
        links = sp.csr_matrix(scale @ graph.adjacency @ scale, dtype=np.float32)
        return cls(f"{graph.name}{TWO_STEP}", graph.symbols, links)

    def block(self, rows: NameArray, columns: NameArray) -> FloatArray:
        """(n, k) two-step weights; only the walks between these genes are worked out."""
        return _placed(self.symbols, rows, columns, self._steps)

    def _steps(self, i: NDArray[np.intp], j: NDArray[np.intp]) -> sp.csr_matrix:
        first, last = self.matrix[i], self.matrix[:, j]
        return first[:, j] + first @ last


@dataclass(frozen=True, eq=False)
class Affinity:
    """What puts genes beside each other, before any screen is looked at.

    Attributes
    ----------
    tables : similarities of gene pairs, in the spelling of the screen.
    graphs : the graphs whose strongest lists make the plain union.

    Examples
    --------
    >>> from kgpert_lib import load_screen
    >>> affinity = load_screen("simulated", ["k562"], size="tiny").affinity
    >>> [table.name for table in affinity.tables]
    ['complexes', 'complexes-two-step', 'pathways', 'pathways-two-step']
    >>> affinity.similarity("complexes", ["INTS9"], ["INTS9", "INTS6", "RFC5"]).round(1)
    array([[0. , 0.8, 0. ]], dtype=float32)
    """

    tables: tuple[Table, ...]
    graphs: tuple[KnowledgeGraph, ...]

    @classmethod
    def load(
        cls, graphs: Sequence[str | KnowledgeGraph], names: Sequence[str], union: Sequence[KnowledgeGraph]
    ) -> Affinity:
        """From graphs by name or as such, in the spelling of `names`; `union` are the graphs of the plain union.

        A graph that comes with the library from gene sets is read as these sets, without the cut of its edges.
        """
        tables: list[Table] = []
        for graph in graphs:
            if isinstance(graph, str) and graph in SETS:
                tables.append(_set_table(graph, SETS[graph](), names))
            else:
                links = load_graphs(graph, names)[0] if isinstance(graph, str) else graph
                tables += [LinkTable(links), WalkTable.of(links)]
        return cls(tuple(tables), tuple(union))

    @property
    def features(self) -> tuple[Feature, ...]:
        """Every feature, in the order of the tables."""
        return tuple(Feature(table.name, power) for table in self.tables for power in table.powers)

    @cached_property
    def symbols(self) -> list[str]:
        """Every gene that some table knows, sorted."""
        return sorted({str(s) for table in self.tables for s in table.symbols})

    def known(self, names: Sequence[str] | NameArray) -> NDArray[np.bool_]:
        """(n,) True for genes that some table knows."""
        return np.isin(np.asarray(names, dtype=str), self.symbols)

    def blocks(self, rows: NameArray, columns: NameArray) -> Iterator[tuple[Feature, FloatArray]]:
        """Every feature of the genes `rows` (n,) and `columns` (k,) as (n, k); 0 between a gene and itself."""
        for table in self.tables:
            block = _without_self(table.block(rows, columns), rows, columns)
            for power in table.powers:
                yield Feature(table.name, power), block if power == 1 else np.power(block, np.float32(power))

    def similarity(self, name: str, rows: NameArray, columns: NameArray, limit: int | None = None) -> FloatArray:
        """(n, k) similarity of one table; 0 between a gene and itself, and 0 everywhere where there is no such table.

        With `limit` only the `limit` most similar columns of each row count (ties by symbol).
        """
        for table in self.tables:
            if table.name == name:
                block = _without_self(table.block(rows, columns), rows, columns)
                return block if limit is None else _strongest(block, np.asarray(columns), limit)
        return np.zeros((len(rows), len(columns)), np.float32)

    def weight(
        self, rows: NameArray, columns: NameArray, weights: Mapping[Feature, float], limit: int | None = None
    ) -> FloatArray:
        """(n, k) affinity; features without a weight are not worked out.

        With `limit` the similarity of gene sets counts for the `limit` most similar columns of each row only; links
        always count.
        """
        out = np.zeros((len(rows), len(columns)), np.float32)
        for table in self.tables:
            used = {f.power: b for f, b in weights.items() if f.table == table.name and b > 0}
            if used:
                cut = limit if isinstance(table, SetTable) else None
                block = self.similarity(table.name, rows, columns, cut)
                for power, b in used.items():
                    out += np.float32(b) * (block if power == 1 else np.power(block, np.float32(power)))
        return out


def fixed_weights(affinity: Affinity, power: float = 2.0, walk: float = 30.0) -> dict[Feature, float]:
    """Weights of the plain union's graphs that no screen was asked for: similarity squared, two-step links at 30."""
    weights = {}
    for table in affinity.tables:
        if table.name.removesuffix(TWO_STEP) in {graph.name for graph in affinity.graphs}:
            if isinstance(table, SetTable):
                weights[Feature(table.name, power)] = 1.0
            elif isinstance(table, WalkTable):
                weights[Feature(table.name, 1)] = walk
    return weights


def _set_table(name: str, vectors: Vectors, names: Sequence[str]) -> SetTable:
    """The sets of a table, its genes renamed to the spelling of `names`."""
    spelling = {v: k for k, v in symbols.match(map(str, vectors.genes), map(str, names)).resolved.items()}
    renamed = np.array([spelling.get(str(g), str(g)) for g in vectors.genes])
    return SetTable(name, renamed, vectors.rows, provenance=str(GRAPHS[name]))


def _placed(
    known: NameArray,
    rows: NameArray,
    columns: NameArray,
    part: Callable[[NDArray[np.intp], NDArray[np.intp]], sp.csr_matrix],
) -> FloatArray:
    """(n, k) values of `part` at the genes that are `known`, 0 elsewhere."""
    place = pd.Index(known)
    i, j = place.get_indexer(pd.Index(rows)), place.get_indexer(pd.Index(columns))
    out = np.zeros((len(rows), len(columns)), np.float32)
    a, b = np.flatnonzero(i >= 0), np.flatnonzero(j >= 0)
    out[np.ix_(a, b)] = part(i[a], j[b]).toarray()
    return out


def _without_self(block: FloatArray, rows: NameArray, columns: NameArray) -> FloatArray:
    block[np.asarray(rows)[:, None] == np.asarray(columns)[None, :]] = 0.0
    return block


def _strongest(values: FloatArray, columns: NameArray, limit: int) -> FloatArray:
    """`values` with all but the `limit` largest of each row set to 0."""
    if limit >= values.shape[1]:
        return values
    out = np.zeros_like(values)
    strongest = strongest_first(values, columns)[:, :limit]
    np.put_along_axis(out, strongest, np.take_along_axis(values, strongest, axis=1), axis=1)
    return out
