"""Rewired graphs: every degree stays, and the edges are others."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.rewiring import rewired
from tests import worlds


def degrees(graph, among=None):
    adjacency = graph.adjacency.astype(bool)
    if among is not None:
        adjacency = adjacency[:, np.isin(graph.symbols, among)]
    return dict(zip(graph.symbols, np.asarray(adjacency.sum(axis=1)).ravel(), strict=True))


@given(
    seed=st.integers(0, 200),
    n=st.integers(4, 40),
    edges=st.integers(30, 200),
    inside=st.integers(2, 40),
    w=st.booleans(),
)
def test_rewiring_keeps_every_degree_and_the_graph_simple(seed, n, edges, inside, w):
    graph = worlds.graph(seed, n=n, edges=edges, weighted=w)
    among = list(worlds.symbols(n)[:inside])
    other = rewired(graph, among, seed)
    assert list(other.symbols) == list(graph.symbols)
    assert degrees(other) == degrees(graph)
    assert degrees(other, among) == degrees(graph, among)
    assert other.adjacency.diagonal().sum() == 0
    assert abs(other.adjacency - other.adjacency.T).nnz == 0
    assert other.n_edges == graph.n_edges
    np.testing.assert_array_equal(np.sort(other.adjacency.data), np.sort(graph.adjacency.data))
    outside = ~np.isin(graph.symbols, among)
    assert (other.adjacency[outside] != graph.adjacency[outside]).nnz == 0


def test_rewiring_leaves_few_edges_in_place_and_depends_on_the_seed():
    graph = worlds.graph(3, n=100, edges=400)
    first, again, second = (rewired(graph, graph.symbols, seed) for seed in (0, 0, 1))
    assert (first.adjacency != again.adjacency).nnz == 0
    kept = first.adjacency.astype(bool).multiply(graph.adjacency.astype(bool)).nnz / graph.adjacency.nnz
    assert kept < 0.2, "chance keeps about a density of .08"
    assert (first.adjacency != second.adjacency).nnz > 0


def test_a_star_cannot_be_rewired():
    star = KnowledgeGraph.from_edges("star", ["A"] * 4, list("BCDE"))
    assert (rewired(star, list("ABCDE")).adjacency != star.adjacency).nnz == 0
