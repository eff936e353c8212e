"""Every graph that comes with the library: what it says of known genes, how old it is, and how it is listed."""

import re

import numpy as np
import pytest

from kgpert_lib.graphs import DATED, GRAPHS, STANDARD, catalogue, graph_names, load_graphs
from kgpert_lib.graphs.listing import listing
from kgpert_lib.graphs.symbols import gene_names

COMMITTED = [name for name, source in GRAPHS.items() if source.committed]
LATER = ["string-v12", "go-2022", "go-shared", "string-full", "go-full"]


@pytest.fixture(scope="module")
def graphs(tmp_path_factory):
    """Every committed graph, built once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGPERT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield {name: load_graphs(name)[0] for name in COMMITTED}


def test_every_committed_graph_is_whole_and_spelt_like_the_gene_table(graphs):
    shouted = {symbol.upper() for symbol in gene_names().full if symbol != symbol.upper()}
    for name, graph in graphs.items():
        assert graph.name == name
        assert graph.provenance == str(GRAPHS[name])
        assert graph.adjacency.diagonal().sum() == 0, name
        assert abs(graph.adjacency - graph.adjacency.T).nnz == 0, name
        assert shouted.isdisjoint(map(str, graph.symbols)), name
        assert "C7ORF26" not in graph, name


@pytest.mark.parametrize(
    ("name", "genes", "edges", "weighted"),
    [
        ("string", 14409, 358242, True),
        ("string-experimental", 15077, 176203, True),
        ("biogrid", 21747, 592676, False),
        ("intact", 17554, 284398, False),
        ("string-v12", 7871, 36710, False),
    ],
)
def test_links_are_those_of_their_tables(graphs, name, genes, edges, weighted):
    graph = graphs[name]
    assert (len(graph.symbols), graph.n_edges, graph.weighted) == (genes, edges, weighted)


def test_strings_weights_are_its_scores(graphs):
    data = graphs["string"].adjacency.data
    assert data.min() == pytest.approx(0.8)
    assert data.max() == pytest.approx(0.999)
    coexpressed = graphs["string-coexpression"]
    assert set(map(str, coexpressed.symbols)) < set(map(str, graphs["string"].symbols))
    assert coexpressed.neighbours("RPL3")["RPL4"] > 0.9


@pytest.mark.parametrize("name", ["string", "string-experimental", "string-v12", "go", "go-2022", "go-shared"])
def test_the_first_neighbours_of_an_integrator_subunit_are_integrator_subunits(graphs, name):
    assert all(gene.startswith("INTS") for gene in list(graphs[name].neighbours("INTS9"))[:8])


@pytest.mark.parametrize("name", ["go-2022", "go-cc", "humap", "reactome", "string", "string-coexpression"])
def test_ribosomal_proteins_stand_beside_ribosomal_proteins(graphs, name):
    assert sum(gene.startswith(("RPL", "RPS")) for gene in list(graphs[name].neighbours("RPL3"))[:20]) >= 16


def test_c7orf26_is_in_the_integrator_by_its_proteins_and_later_by_its_annotation(graphs):
    def subunits(name, gene):
        return sum(other.startswith("INTS") for other in graphs[name].neighbours(gene))

    assert subunits("string", "C7orf26") == 8
    assert subunits("humap", "C7orf26") == 12
    for name in ("go", "reactome", "wikipathways", "go-cc"):
        assert "C7orf26" not in graphs[name]
        assert "INTS15" not in graphs[name]
    assert subunits("go-2022", "INTS15") >= 8, "the later annotation knows what the screens showed"


def test_a_gene_keeps_its_hundred_closest_in_sets(graphs):
    reactome = graphs["reactome"]
    strongest = {str(g): set(list(reactome.neighbours(str(g)))[:100]) for g in reactome.symbols[::500]}
    for gene, closest in strongest.items():
        for other in set(reactome.neighbours(gene)) - closest:
            assert gene in list(reactome.neighbours(other))[:100]


def test_dates_are_snapshots_and_only_the_dated_graphs_are_older_than_the_screens():
    for source in GRAPHS.values():
        assert re.fullmatch(r"20[12]\d(-(0[1-9]|1[0-2]))?", source.date)
    assert set(DATED) == set(GRAPHS) - set(LATER)
    assert all(GRAPHS[name].date < catalogue.SCREENS_PUBLISHED for name in DATED)
    assert set(graph_names(STANDARD)) <= set(DATED)
    assert len({str(source) for source in GRAPHS.values()}) == len(GRAPHS)


def test_sets_are_the_graphs_that_have_vectors(graphs):
    for name in catalogue.SETS:
        genes, rows = catalogue.SETS[name]()
        assert set(map(str, graphs[name].symbols)) <= set(map(str, genes))
        length = np.sqrt(rows.multiply(rows).sum(axis=1))
        np.testing.assert_allclose(length[length > 0], 1, atol=1e-5)


def test_the_listing_counts_genes_and_a_screens_share_of_them_also_under_an_alias(graphs):
    table = listing({"one": ["INTS9", "RPL3", "INTS15", "NOSUCH"], "two": ["NOSUCH"]}).set_index("graph")
    assert list(table.index) == list(GRAPHS)
    for name, graph in graphs.items():
        assert (table["genes"][name], table["edges"][name]) == (len(graph.symbols), graph.n_edges)
        assert table["fetched"][name]
    assert table["one"]["string"] == 0.75, "STRING of 2019 says C7orf26"
    assert table["one"]["go"] == 0.5
    assert table["two"]["string"] == 0
    absent = table.loc[["string-full", "go-full"]]
    assert not absent["fetched"].any()
    assert absent[["genes", "edges", "one"]].isna().all(axis=None)
    assert table.index[table["older"]].tolist() == list(DATED)
