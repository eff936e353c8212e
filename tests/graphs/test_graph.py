"""KnowledgeGraph keeps its edges through every operation."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph
from tests import worlds

GENES = [f"G{i}" for i in range(9)]
EDGES = st.lists(
    st.tuples(st.sampled_from(GENES), st.sampled_from(GENES), st.integers(1, 8).map(lambda i: i / 8)),
    min_size=1,
    max_size=25,
).filter(lambda edges: any(a != b for a, b, _ in edges))
GRAPHS = EDGES.map(lambda edges: KnowledgeGraph.from_edges("g", *zip(*edges, strict=True)))


def edges_of(graph):
    return {
        frozenset((str(graph.symbols[i]), str(graph.symbols[j]))): w
        for i, j, w in zip(*sp.find(graph.adjacency), strict=True)
    }


def largest(edges):
    kept = {}
    for a, b, w in edges:
        if a != b:
            kept[frozenset((a, b))] = max(w, kept.get(frozenset((a, b)), 0))
    return kept


@given(EDGES)
def test_from_edges_keeps_the_largest_weight_and_no_self_loop(edges):
    graph = KnowledgeGraph.from_edges("g", *zip(*edges, strict=True))
    assert edges_of(graph) == largest(edges)
    assert graph.n_edges == len(largest(edges))
    assert (graph.adjacency != graph.adjacency.T).nnz == 0


@given(EDGES, st.randoms(use_true_random=False))
def test_order_and_direction_of_edges_do_not_matter(edges, random):
    turned = [(b, a, w) if random.random() < 0.5 else (a, b, w) for a, b, w in edges]
    random.shuffle(turned)
    one, two = (KnowledgeGraph.from_edges("g", *zip(*e, strict=True)) for e in (edges, turned))
    assert list(one.symbols) == list(two.symbols)
    assert edges_of(one) == edges_of(two)


@given(GRAPHS, GRAPHS, GRAPHS)
def test_union_is_commutative_associative_and_symmetric(a, b, c):
    assert edges_of(a.union(b)) == edges_of(b.union(a))
    assert edges_of(a.union(b).union(c)) == edges_of(a.union(b.union(c))) == edges_of(a.union(b, c))
    joined = a.union(b)
    assert (joined.adjacency != joined.adjacency.T).nnz == 0
    both = [(*pair, w) for g in (a, b) for pair, w in edges_of(g).items()]
    assert edges_of(joined) == largest(both)


@given(GRAPHS)
def test_union_with_itself_changes_nothing(graph):
    assert edges_of(graph.union(graph)) == edges_of(graph)


@given(GRAPHS, st.permutations(GENES))
def test_renaming_moves_edges_with_their_genes(graph, fresh):
    names = dict(zip(GENES, fresh, strict=True))
    moved = {frozenset(names[g] for g in pair): w for pair, w in edges_of(graph).items()}
    assert edges_of(graph.renamed(names)) == moved


def test_renaming_two_genes_to_one_pools_their_edges():
    graph = KnowledgeGraph.from_edges("g", ["OLD", "NEW", "OLD"], ["A", "A", "NEW"], [0.9, 0.4, 0.7])
    pooled = graph.renamed({"OLD": "NEW"})
    assert edges_of(pooled) == {frozenset(("NEW", "A")): np.float32(0.9)}


def test_from_matrix_takes_the_larger_direction_and_drops_what_has_no_edge():
    matrix = sp.csr_matrix(np.array([[5, 0.2, 0], [0.6, 0, 0], [0, 0, 1]]))
    graph = KnowledgeGraph.from_matrix("g", np.array(["A", "B", "C"]), matrix)
    assert list(graph.symbols) == ["A", "B"]
    assert graph.neighbours("B") == {"A": pytest.approx(0.6)}


def test_neighbours_are_ordered_by_weight_then_symbol_and_empty_for_strangers():
    graph = KnowledgeGraph.from_edges("g", ["X"] * 3, ["C", "B", "A"], [0.5, 0.5 + 1e-8, 0.9])
    assert list(graph.neighbours("X")) == ["A", "B", "C"]
    assert graph.neighbours("Y") == {}
    assert "X" in graph
    assert "Y" not in graph


@pytest.mark.parametrize("weight", [0.0, -1.0, np.inf, np.nan])
def test_a_weight_that_is_no_positive_number_is_refused(weight):
    with pytest.raises(InputError, match="positive finite"):
        KnowledgeGraph.from_edges("g", ["A", "B"], ["B", "C"], [1.0, weight])


def test_a_graph_of_self_loops_has_no_edge():
    with pytest.raises(InputError, match="'g' has no edge"):
        KnowledgeGraph.from_edges("g", ["A"], ["A"])


@given(GRAPHS, st.lists(st.sampled_from(GENES), unique=True), st.integers(0, 99))
def test_shuffling_exchanges_the_named_genes_and_keeps_every_degree_and_weight(graph, among, seed):
    moved = graph.shuffled(among, seed)
    assert sorted(edges_of(moved).values()) == sorted(edges_of(graph).values())
    degree, before = (dict(worlds.to_networkx(g).degree()) for g in (moved, graph))
    assert sorted(degree[g] for g in among if g in graph) == sorted(before[g] for g in among if g in graph)
    assert all(degree[g] == before[g] for g in before if g not in among)
    assert nx.is_isomorphic(worlds.to_networkx(moved), worlds.to_networkx(graph))
    assert edges_of(graph.shuffled(among[::-1], seed)) == edges_of(moved)


def test_shuffling_is_seeded_and_leaves_little_of_the_graph():
    rng = np.random.default_rng(0)
    names = np.array([f"N{i:03d}" for i in range(200)])
    graph = KnowledgeGraph.from_edges("g", rng.choice(names, 400), rng.choice(names, 400))
    edges = set(edges_of(graph))
    one, two = (set(edges_of(graph.shuffled(list(names), seed))) for seed in (1, 2))
    assert one != two
    assert len(one & edges) < 0.1 * len(edges)
