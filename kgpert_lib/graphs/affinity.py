"""How strongly knowledge ties any gene to the training perturbations: GO similarity and two-step STRING."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.graphs import go, string, symbols
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.types import FloatArray, NameArray


class Ties(NamedTuple):
    """(n, k) GO `similar`ity and two-step STRING `steps` between two lists of genes."""

    similar: FloatArray
    steps: FloatArray

    def take(self, columns: NDArray[np.intp]) -> Ties:
        """The same of some columns (k2,)."""
        return Ties(self.similar[:, columns], self.steps[:, columns])

    def weight(self, power: float, string: float) -> FloatArray:
        """(n, k) ``similar ** power + string * steps``."""
        weight: FloatArray = np.power(self.similar, np.float32(power), dtype=np.float32)
        weight += np.float32(string) * self.steps
        return weight


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What ties genes together, before any screen is looked at.

    Attributes
    ----------
    genes : (g,) symbols that GO annotates, in the spelling of the screen.
    annotations : (g, t) CSR float32; rows of length 1, so that products are cosine similarities weighted by
        information content.
    string : genes one or two STRING steps apart (`graphs.string.two_step`), in the same spelling.
    graphs : the graphs whose top-20 lists make the plain union.
    """

    genes: NameArray
    annotations: sp.csr_matrix
    string: KnowledgeGraph
    graphs: tuple[KnowledgeGraph, ...]

    @classmethod
    def load(cls, names: Sequence[str]) -> Knowledge:
        """From the committed GO and STRING tables, aliases resolved to the spelling of `names`."""
        annotated = go.annotate()
        spelling = {v: k for k, v in symbols.match(map(str, annotated.genes), map(str, names)).resolved.items()}
        genes = np.array([spelling.get(str(g), str(g)) for g in annotated.genes])
        told = np.flatnonzero(annotated.information > 0)
        weights = annotated.carried[:, told] @ sp.diags(np.sqrt(annotated.information[told]).astype(np.float32))
        length = np.sqrt(np.asarray(weights.multiply(weights).sum(axis=1)).ravel())
        unit = (sp.diags((1 / np.maximum(length, 1e-6)).astype(np.float32)) @ weights).tocsr().astype(np.float32)
        graphs = tuple(symbols.align(g, names)[0] for g in (string.load(), go.load()))
        return cls(genes, unit, string.two_step(graphs[0]), graphs)

    @cached_property
    def _place(self) -> pd.Index:
        return pd.Index(self.genes)

    def known(self, names: Sequence[str] | NameArray) -> NDArray[np.bool_]:
        """(n,) True for genes that GO or STRING knows."""
        return (self._place.get_indexer(pd.Index(names)) >= 0) | np.isin(names, self.string.symbols)

    def between(self, rows: NameArray, columns: NameArray) -> Ties:
        """`similarity` and `steps` of the genes `rows` (n,) and `columns` (k,)."""
        return Ties(self.similarity(rows, columns), self.steps(rows, columns))

    def similarity(self, rows: NameArray, columns: NameArray) -> FloatArray:
        """(n, k) GO similarity, 0..1; 0 for genes without annotation and between a gene and itself."""
        left, right = (self._vectors(names) for names in (rows, columns))
        used = np.flatnonzero(right.getnnz(axis=0))
        out = left[:, used] @ right[:, used].toarray(order="F").T
        out = np.clip(out, 0.0, 1.0)
        out[np.asarray(rows)[:, None] == np.asarray(columns)[None, :]] = 0.0
        return out

    def steps(self, rows: NameArray, columns: NameArray) -> FloatArray:
        """(n, k) two-step STRING weight; 0 between a gene and itself and for genes outside STRING."""
        place = pd.Index(self.string.symbols)
        i, j = place.get_indexer(pd.Index(rows)), place.get_indexer(pd.Index(columns))
        out = np.zeros((len(rows), len(columns)), np.float32)
        a, b = np.flatnonzero(i >= 0), np.flatnonzero(j >= 0)
        out[np.ix_(a, b)] = self.string.adjacency[i[a]][:, j[b]].toarray()
        return out

    def _vectors(self, names: NameArray) -> sp.csr_matrix:
        place = self._place.get_indexer(pd.Index(names))
        rows = self.annotations[np.maximum(place, 0)]
        return (sp.diags((place >= 0).astype(np.float32)) @ rows).tocsr()
