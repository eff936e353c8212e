"""Similarities of gene pairs against dense algebra and networkx, and their weighted sum."""

import networkx as nx
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.graphs.affinity import Affinity, Feature, LinkTable, SetTable, WalkTable, fixed_weights
from kgpert_lib.graphs.graph import KnowledgeGraph
from tests import worlds

seeds = st.integers(0, 2**32 - 1)
genes = st.lists(st.sampled_from([*map(str, worlds.symbols(45)), "NOBODY"]), min_size=1, max_size=20).map(np.array)


def set_table(seed: int) -> tuple[SetTable, dict[str, list[float]]]:
    vectors = worlds.annotations(seed)
    names = np.array(list(vectors))
    return SetTable("sets", names, sp.csr_matrix(np.array(list(vectors.values()), np.float32))), vectors


def mixed(seed: int) -> Affinity:
    return worlds.affinity(
        worlds.annotations(seed), worlds.graph(seed), worlds.graph(seed, weighted=False, name="plain")
    )


@given(seeds, genes, genes)
@settings(max_examples=40, deadline=None)
def test_similarity_of_sets_is_the_cosine_of_two_genes_in_any_order_of_them(seed, rows, columns):
    table, vectors = set_table(seed)
    nothing = np.zeros(12)
    expected = [[np.dot(vectors.get(p, nothing), vectors.get(q, nothing)) for q in columns] for p in rows]
    np.testing.assert_allclose(table.block(rows, columns), expected, atol=1e-6)


@given(seeds, genes, genes)
@settings(max_examples=40, deadline=None)
def test_links_are_the_edges_of_networkx_in_any_order_of_the_genes(seed, rows, columns):
    graph = worlds.graph(seed)
    edges = worlds.to_networkx(graph)
    expected = [[edges.edges[p, q]["weight"] if edges.has_edge(p, q) else 0.0 for q in columns] for p in rows]
    np.testing.assert_allclose(LinkTable(graph).block(rows, columns), expected)


@given(seeds, genes, genes, st.booleans())
@settings(max_examples=40, deadline=None)
def test_two_steps_equal_the_normalised_laplacian_of_networkx(seed, rows, columns, weighted):
    graph = worlds.graph(seed, edges=60, weighted=weighted)
    nodes = list(map(str, graph.symbols))
    once = np.eye(len(nodes)) - nx.normalized_laplacian_matrix(worlds.to_networkx(graph), nodelist=nodes).toarray()
    steps = once + once @ once
    place = {gene: i for i, gene in enumerate(nodes)}
    expected = [[steps[place[p], place[q]] if p in place and q in place else 0.0 for q in columns] for p in rows]
    np.testing.assert_allclose(WalkTable.of(graph).block(rows, columns), expected, atol=1e-6)


def test_two_steps_by_hand():
    walk = WalkTable.of(KnowledgeGraph.from_edges("path", ["A", "B"], ["B", "C"]))
    steps = walk.block(np.array(["A", "B", "NOBODY"]), np.array(["C", "B"]))
    np.testing.assert_allclose(steps, [[0.5, 2**-0.5], [2**-0.5, 1], [0, 0]], rtol=1e-6)


@given(seeds, genes, genes)
@settings(max_examples=30, deadline=None)
def test_features_are_powers_of_tables_and_0_between_a_gene_and_itself(seed, rows, columns):
    affinity = mixed(seed)
    blocks = dict(affinity.blocks(rows, columns))
    assert list(blocks) == list(affinity.features)
    assert [str(f) for f in affinity.features] == [
        *("go", "go^3", "go^9", "toy", "toy^3", "toy^9", "toy-two-step", "plain", "plain-two-step")
    ], "links that all weigh the same have one power"
    itself = rows[:, None] == columns
    for table in affinity.tables:
        expected = np.where(itself, 0, table.block(rows, columns))
        for power in table.powers:
            np.testing.assert_allclose(blocks[Feature(table.name, power)], expected**power, atol=1e-6)


@given(seeds, genes, genes, st.data())
@settings(max_examples=30, deadline=None)
def test_the_affinity_is_the_weighted_sum_of_the_features(seed, rows, columns, data):
    affinity = mixed(seed)
    amounts = st.floats(0, 30, allow_subnormal=False)
    weights = {f: data.draw(amounts) for f in affinity.features if data.draw(st.booleans())}
    expected = sum(weights.get(f, 0) * block.astype(float) for f, block in affinity.blocks(rows, columns))
    np.testing.assert_allclose(affinity.weight(rows, columns, weights), expected, rtol=1e-5, atol=1e-6)


def test_a_limit_cuts_similarity_of_sets_and_no_link():
    affinity, names = mixed(3), worlds.symbols(40)
    similar = affinity.similarity("go", names, names)
    cut = affinity.similarity("go", names, names, 5)
    assert (np.count_nonzero(cut, axis=1) <= 5).all()
    for row, kept in zip(similar, cut, strict=True):
        assert row[kept > 0].min(initial=2) >= row[kept == 0].max() - 1e-6
    weights = {Feature("go", 3): 2.0, Feature("toy", 1): 0.5}
    expected = 2 * cut**3 + 0.5 * affinity.similarity("toy", names, names)
    np.testing.assert_allclose(affinity.weight(names, names, weights, 5), expected, atol=1e-6)
    assert not affinity.similarity("no such table", names, names).any()


def test_fixed_weights_are_those_of_the_plain_unions_graphs():
    links, other = worlds.graph(), worlds.graph(1, name="other")
    go = KnowledgeGraph.from_edges("go", ["G0001"], ["G0002"])
    affinity = Affinity(worlds.affinity(worlds.annotations(), links, other).tables, (links, go))
    assert fixed_weights(affinity) == {Feature("go", 2.0): 1.0, Feature("toy-two-step", 1): 30.0}


def test_tables_that_come_with_the_library_use_the_screens_spelling():
    """AARS of the screens is AARS1 of the annotations."""
    others = np.array(["TARS1", "RPL3"])
    renamed, own = (Affinity.load(["go", "string"], [name], ()) for name in ("AARS", "AARS1"))
    assert [table.name for table in renamed.tables] == ["go", "string", "string-two-step"]
    assert renamed.known(["AARS", "AARS1", "NOBODY"]).tolist() == [True, False, False]
    similarity = renamed.similarity("go", np.array(["AARS"]), others)
    assert similarity[0, 0] > 0.5 > similarity[0, 1]
    np.testing.assert_array_equal(own.similarity("go", np.array(["AARS1"]), others), similarity)


@pytest.mark.parametrize("names", [["INTS9"], []])
def test_a_graph_of_ones_own_is_read_as_links(names):
    graph = worlds.graph()
    tables = Affinity.load([graph], names, (graph,)).tables
    assert [type(table) for table in tables] == [LinkTable, WalkTable]
    assert tables[0].matrix is graph.adjacency
