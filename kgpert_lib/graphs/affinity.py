"""How close knowledge puts two genes: one affinity, for weighted means, votes, completion and candidates.

The affinity of genes p and q is

    w(p, q) = s(p, q) ** power + string * t(p, q)

s is the cosine of their GO annotations, each term weighing its information content (`gene_sets.unit_vectors`); t is the sum
of two-step weights ``B + B @ B`` of protein links (`string.two_step`): direct partners and shared partners. `power`
above 1 lets few close genes outweigh many distant ones; `string` brings both parts to one scale. The paper averages
neighbours with equal weights; this affinity is ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.graphs import STANDARD, gene_sets, go, load_graphs, string, symbols
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.ranking import strongest_first
from kgpert_lib.metrics.chunks import chunks
from kgpert_lib.types import FloatArray, NameArray

SIMILARITY = "go"
DENSE_COLUMNS = 1_000  # genes whose annotations are held as a dense matrix at once


@dataclass(frozen=True, eq=False)
class Affinity:
    """What puts genes beside each other, before any screen is looked at.

    Attributes
    ----------
    genes : (g,) symbols that GO annotates, in the spelling of the screen.
    annotations : (g, t) CSR float32; rows of length 1, so that products are cosine similarities weighted by
        information content. Without rows (``g = 0``) there is no similarity, as on a simulated screen.
    walks : graphs of genes one or two steps apart (`graphs.string.two_step`), in the same spelling.
    graphs : the graphs behind it, whose strongest lists make the plain union.
    """

    genes: NameArray
    annotations: sp.csr_matrix
    walks: tuple[KnowledgeGraph, ...]
    graphs: tuple[KnowledgeGraph, ...]

    @classmethod
    def load(cls, names: Sequence[str]) -> Affinity:
        """From the committed GO and STRING tables, aliases resolved to the spelling of `names`."""
        genes, vectors = _committed_vectors()
        spelling = {v: k for k, v in symbols.match(map(str, genes), map(str, names)).resolved.items()}
        renamed = np.array([spelling.get(str(g), str(g)) for g in genes])
        graphs = tuple(load_graphs(STANDARD, names))
        return cls(renamed, vectors, (string.two_step(graphs[0]),), graphs)

    @classmethod
    def of_graphs(cls, graphs: Sequence[KnowledgeGraph]) -> Affinity:
        """Of a simulated screen, about whose genes GO and STRING say nothing: the walk of each of its own graphs."""
        none = sp.csr_matrix((0, 0), dtype=np.float32)
        return cls(np.array([], dtype=str), none, tuple(map(string.two_step, graphs)), tuple(graphs))

    @cached_property
    def _place(self) -> pd.Index:
        return pd.Index(self.genes)

    @cached_property
    def symbols(self) -> list[str]:
        """Every gene that GO or a walk knows, sorted."""
        return sorted({*map(str, self.genes), *(str(s) for walk in self.walks for s in walk.symbols)})

    def known(self, names: Sequence[str] | NameArray) -> NDArray[np.bool_]:
        """(n,) True for genes that GO or a walk knows."""
        return np.isin(np.asarray(names, dtype=str), self.symbols)

    def weight(self, rows: NameArray, columns: NameArray, power: float, string: float) -> FloatArray:
        """(n, k) affinity of the genes `rows` (n,) and `columns` (k,); 0 between a gene and itself."""
        out = np.empty((len(rows), len(columns)), np.float32)
        for block in chunks(len(columns), DENSE_COLUMNS):
            out[:, block] = self.combine(self.parts(rows, columns[block]), power, string)
        return out

    def parts(self, rows: NameArray, columns: NameArray, limit: int | None = None) -> dict[str, FloatArray]:
        """The (n, k) `similarity` and the two-step weights of each walk, by the name of the source.

        With `limit` the similarity counts for the `limit` most similar columns of each row only (ties by symbol);
        two-step links always count.
        """
        walks = {walk.name: _steps(walk, rows, columns) for walk in self.walks}
        return ({SIMILARITY: self.similarity(rows, columns, limit)} if len(self.genes) else {}) | walks

    def combine(self, parts: Mapping[str, FloatArray], power: float, string: float) -> FloatArray:
        """(n, k) affinity from `parts`."""
        none = np.zeros(next(iter(parts.values())).shape, np.float32)
        steps = sum((part for name, part in parts.items() if name != SIMILARITY), none)
        return combine(parts.get(SIMILARITY, none), steps, power, string)

    def similarity(self, rows: NameArray, columns: NameArray, limit: int | None = None) -> FloatArray:
        """(n, k) GO similarity, 0..1; 0 for genes without annotation and between a gene and itself."""
        if not len(self.genes):
            return np.zeros((len(rows), len(columns)), np.float32)
        left, right = (self._vectors(names) for names in (rows, columns))
        shared = np.flatnonzero(right.getnnz(axis=0))
        left, right = left[:, shared], right[:, shared]
        out = np.empty((len(rows), len(columns)), np.float32)
        for block in chunks(len(columns), DENSE_COLUMNS):
            out[:, block] = left @ right[block].toarray(order="F").T
        np.clip(out, 0.0, 1.0, out=out)
        out[np.asarray(rows)[:, None] == np.asarray(columns)[None, :]] = 0.0
        return out if limit is None else _strongest(out, np.asarray(columns), limit)

    def steps(self, rows: NameArray, columns: NameArray) -> FloatArray:
        """(n, k) two-step weight summed over the walks; 0 between a gene and itself and for genes outside them."""
        out = np.zeros((len(rows), len(columns)), np.float32)
        for walk in self.walks:
            out += _steps(walk, rows, columns)
        return out

    def _vectors(self, names: NameArray) -> sp.csr_matrix:
        place = self._place.get_indexer(pd.Index(names))
        rows = self.annotations[np.maximum(place, 0)]
        return (sp.diags((place >= 0).astype(np.float32)) @ rows).tocsr()


def combine(similarity: FloatArray, steps: FloatArray, power: float, string: float) -> FloatArray:
    """``similarity ** power + string * steps``, float32."""
    weight: FloatArray = np.power(similarity, np.float32(power), dtype=np.float32)
    weight += np.float32(string) * steps
    return weight


@lru_cache(maxsize=1)
def _committed_vectors() -> tuple[NameArray, sp.csr_matrix]:
    annotated = go.annotate_dated()
    return annotated.genes, gene_sets.unit_vectors(annotated)


def _steps(walk: KnowledgeGraph, rows: NameArray, columns: NameArray) -> FloatArray:
    place = pd.Index(walk.symbols)
    i, j = place.get_indexer(pd.Index(rows)), place.get_indexer(pd.Index(columns))
    out = np.zeros((len(rows), len(columns)), np.float32)
    a, b = np.flatnonzero(i >= 0), np.flatnonzero(j >= 0)
    out[np.ix_(a, b)] = walk.adjacency[i[a]][:, j[b]].toarray()
    return out


def _strongest(values: FloatArray, columns: NameArray, limit: int) -> FloatArray:
    """`values` with all but the `limit` largest of each row set to 0."""
    if limit >= values.shape[1]:
        return values
    out = np.zeros_like(values)
    strongest = strongest_first(values, columns)[:, :limit]
    np.put_along_axis(out, strongest, np.take_along_axis(values, strongest, axis=1), axis=1)
    return out
