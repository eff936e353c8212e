"""A graph with exchanged edges in which every gene keeps its own degree: a null model for what edges know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.graphs.graph import KnowledgeGraph

ROUNDS = 20  # each round offers every edge one exchange


def rewired(graph: KnowledgeGraph, among: Sequence[str], seed: int = 0, rounds: int = ROUNDS) -> KnowledgeGraph:
    """The graph after random double edge swaps between edges whose ends are both in `among` (ours).

    Two edges a-b and c-d become a-d and c-b, unless that joins a gene to itself or repeats an edge. Every gene keeps
    its number of neighbours, and its number of neighbours in `among`; edges that leave `among` stay as they are. A
    weight goes with the first end of its edge. `KnowledgeGraph.shuffled` exchanges names instead, and with them the
    degrees of genes.
    """
    rng = np.random.default_rng(seed)
    half = sp.triu(graph.adjacency, 1).tocoo()
    inside = np.isin(graph.symbols, np.asarray(among, dtype=str))
    free = inside[half.row] & inside[half.col]
    fixed = np.flatnonzero(~free)
    free = np.flatnonzero(free)
    size = len(graph.symbols)
    a, b = half.row[free].astype(np.int64), half.col[free].astype(np.int64)
    for _ in range(rounds):
        turned = rng.random(len(a)) < 0.5
        a, b = np.where(turned, b, a), np.where(turned, a, b)
        a, b = _swapped(a, b, rng.permutation(len(a)), size)
    rows = np.concatenate([half.row[fixed], a])
    columns = np.concatenate([half.col[fixed], b])
    weights = np.concatenate([half.data[fixed], half.data[free]])
    upper = sp.csr_matrix((weights, (rows, columns)), shape=(size, size), dtype=np.float32)
    return replace(graph, adjacency=(upper + upper.T).tocsr()).altered("edges exchanged at random")


def _swapped(
    a: NDArray[np.int64], b: NDArray[np.int64], order: NDArray[np.intp], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The edges a-b after every allowed exchange of ends between the edges that `order` pairs.

    An exchange is allowed if both new edges are no loops, no edges of the graph as it is, and offered once.
    """
    first, second = order[: len(order) // 2], order[len(order) // 2 : len(order) // 2 * 2]
    one, other = _keys(a[first], b[second], size), _keys(a[second], b[first], size)
    present = np.sort(_keys(a, b, size))
    offered, times = np.unique(np.concatenate([one, other]), return_counts=True)
    repeated = offered[times > 1]
    allowed = (a[first] != b[second]) & (a[second] != b[first])
    for keys in (one, other):
        allowed &= ~np.isin(keys, present) & ~np.isin(keys, repeated)
    exchanged = b.copy()
    exchanged[first[allowed]], exchanged[second[allowed]] = b[second[allowed]], b[first[allowed]]
    return a, exchanged


def _keys(a: NDArray[np.int64], b: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """One number for each undirected edge."""
    return np.minimum(a, b) * size + np.maximum(a, b)
