"""KnowledgeGraph: gene symbols and a weighted, undirected adjacency, whatever the source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.ranking import strongest_first


@dataclass(frozen=True, eq=False)
class KnowledgeGraph:
    """Which genes knowledge puts beside which.

    Attributes
    ----------
    name : short name, such as ``"string"``; shown beside every neighbour it gives.
    symbols : (v,) gene symbols, unique and sorted.
    adjacency : (v, v) CSR float32, symmetric, no diagonal, every stored weight positive and finite.
    weighted : False when the source has no weights (all stored weights are 1); a neighbourhood above
        the limit is then cut at random with a seed instead of by weight (paper, section 4.1).
    provenance : source, date and licence in words; empty where nobody said.

    Examples
    --------
    >>> from kgpert_lib import KnowledgeGraph
    >>> graph = KnowledgeGraph.from_edges("mine", ["INTS9", "INTS9"], ["INTS4", "RPL3"], [0.9, 0.2])
    >>> list(graph.neighbours("INTS9"))
    ['INTS4', 'RPL3']
    >>> graph.union(KnowledgeGraph.from_edges("more", ["RPL3"], ["RPL4"])).n_edges
    3
    """

    name: str
    symbols: NDArray[np.str_]
    adjacency: sp.csr_matrix
    weighted: bool = True
    provenance: str = ""

    def __post_init__(self) -> None:
        v = len(self.symbols)
        if v == 0 or self.adjacency.nnz == 0:
            raise InputError(f"Graph {self.name!r} has no edge.")
        if self.adjacency.shape != (v, v):
            raise InputError(f"Graph {self.name!r} has {v} symbols and an adjacency of {self.adjacency.shape}.")
        if (np.asarray(self.symbols[1:]) <= np.asarray(self.symbols[:-1])).any():
            raise InputError(f"Graph {self.name!r}: symbols have to be unique and sorted.")
        weights = self.adjacency.data
        if not (np.isfinite(weights).all() and (weights > 0).all()):
            raise InputError(f"Graph {self.name!r} has a weight that is not a positive finite number.")

    @classmethod
    def from_edges(
        cls,
        name: str,
        source: Sequence[str] | NDArray[np.str_],
        target: Sequence[str] | NDArray[np.str_],
        weight: Sequence[float] | NDArray[np.floating] | None = None,
    ) -> KnowledgeGraph:
        """Build from edge columns; self-loops are dropped, a pair given twice keeps its largest weight."""
        a, b = np.asarray(source, dtype=str), np.asarray(target, dtype=str)
        w = np.ones(len(a), np.float32) if weight is None else np.asarray(weight, np.float32)
        keep = a != b
        symbols, codes = np.unique(np.concatenate([a[keep], b[keep]]), return_inverse=True)
        half = keep.sum()
        rows, cols = codes, np.concatenate([codes[half:], codes[:half]])
        return cls(name, symbols, _largest(rows, cols, np.tile(w[keep], 2), len(symbols)), weight is not None)

    @classmethod
    def from_matrix(
        cls, name: str, symbols: NDArray[np.str_], matrix: sp.csr_matrix, weighted: bool = True
    ) -> KnowledgeGraph:
        """Build from a (v, v) matrix over unique, sorted symbols.

        The larger of the two directions counts; the diagonal, zeros and genes without an edge are dropped.
        """
        both = sp.csr_matrix(matrix, dtype=np.float32)
        both = both.maximum(both.T)
        both.setdiag(0)
        both.eliminate_zeros()
        keep = np.flatnonzero(np.diff(both.indptr))
        return cls(name, symbols[keep], both[keep][:, keep].tocsr(), weighted)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each symbol."""
        return {str(s): i for i, s in enumerate(self.symbols)}

    @property
    def n_edges(self) -> int:
        """Undirected edges."""
        return self.adjacency.nnz // 2

    def __contains__(self, symbol: object) -> bool:
        return symbol in self.index

    def neighbours(self, symbol: str) -> dict[str, float]:
        """Weights of all neighbours, strongest first, ties by symbol; empty for a gene outside the graph."""
        if symbol not in self.index:
            return {}
        row = self.adjacency[[self.index[symbol]]]
        order = strongest_first(row.data, self.symbols[row.indices])
        return {str(self.symbols[row.indices[k]]): float(row.data[k]) for k in order}

    def union(self, *others: KnowledgeGraph, name: str | None = None) -> KnowledgeGraph:
        """All edges of all graphs; an edge in several keeps its largest weight."""
        graphs = (self, *others)
        symbols = np.unique(np.concatenate([g.symbols for g in graphs]))
        placed = (_moved(g.adjacency, np.searchsorted(symbols, g.symbols), len(symbols)) for g in graphs)
        adjacency = reduce(lambda a, b: a.maximum(b), placed).tocsr()
        label = name or "+".join(g.name for g in graphs)
        origin = "; ".join(dict.fromkeys(g.provenance for g in graphs if g.provenance))
        return KnowledgeGraph(label, symbols, adjacency, any(g.weighted for g in graphs), origin)

    def renamed(self, names: Mapping[str, str]) -> KnowledgeGraph:
        """The graph with some symbols replaced (old to new), as after resolving aliases; merged genes pool edges."""
        fresh = np.array([names.get(str(s), str(s)) for s in self.symbols])
        symbols, place = np.unique(fresh, return_inverse=True)
        if len(symbols) == len(fresh):
            return replace(self, symbols=symbols, adjacency=_moved(self.adjacency, place, len(symbols)))
        coo = self.adjacency.tocoo()
        pooled = _largest(place[coo.row], place[coo.col], coo.data, len(symbols))
        return replace(
            KnowledgeGraph.from_matrix(self.name, symbols, pooled, self.weighted), provenance=self.provenance
        )

    def shuffled(self, among: Sequence[str], seed: int = 0) -> KnowledgeGraph:
        """The graph with the symbols that are in `among` exchanged at random: same degrees, no knowledge.

        The provenance says so.
        """
        places = np.flatnonzero(np.isin(self.symbols, np.asarray(among)))
        moved = np.random.default_rng(seed).permutation(places)
        names = dict(zip(map(str, self.symbols[places]), map(str, self.symbols[moved]), strict=True))
        return self.renamed(names).altered("names exchanged at random")

    def altered(self, how: str) -> KnowledgeGraph:
        """The same graph with a provenance that says how its edges differ from the source's."""
        return replace(self, provenance=f"{self.provenance}, {how}".removeprefix(", "))

    def known(self, names: Iterable[str]) -> NDArray[np.bool_]:
        """(n,) True for genes that are nodes of the graph, spelt as it spells them."""
        return np.isin(np.asarray(list(names), dtype=str), self.symbols)


def _largest(rows: NDArray, cols: NDArray, data: NDArray, size: int) -> sp.csr_matrix:
    """CSR matrix in which a cell given several times keeps its largest value; rows and columns sorted."""
    order = np.lexsort((-data, cols, rows))
    rows, cols, data = rows[order], cols[order], data[order]
    first = np.ones(len(rows), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (cols[1:] != cols[:-1])
    return sp.csr_matrix((data[first].astype(np.float32), (rows[first], cols[first])), shape=(size, size))


def _moved(adjacency: sp.csr_matrix, place: NDArray[np.intp], size: int) -> sp.csr_matrix:
    """The same edges in a larger or reordered matrix; `place` (v,) holds each gene's new row."""
    coo = adjacency.tocoo()
    return sp.csr_matrix((coo.data, (place[coo.row], place[coo.col])), shape=(size, size))
