"""Where a graph is from stays with it, and a result says which graphs are behind it."""

from dataclasses import dataclass, replace

import pytest

from kgpert_lib.graphs import load_graphs
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.provenance import in_words, provenance, records
from kgpert_lib.graphs.rewiring import rewired
from kgpert_lib.graphs.symbols import align

V12 = "STRING v12.0, physical links from 900 (2023-07, CC BY 4.0)"


@pytest.fixture
def graph():
    return replace(
        KnowledgeGraph.from_edges("toy", ["AARS1", "A", "B", "C"], ["A", "B", "C", "D"]), provenance="notes of 2019"
    )


def test_renaming_keeps_it_also_where_genes_are_merged(graph):
    assert align(graph, ["AARS"])[0].provenance == "notes of 2019"
    assert graph.renamed({"A": "Z"}).provenance == "notes of 2019"
    assert graph.renamed({"A": "C"}).provenance == "notes of 2019"
    assert load_graphs("string-v12", ["C7orf26"])[0].provenance == V12


def test_exchanged_names_or_edges_are_no_longer_the_source(graph):
    assert graph.shuffled(["A", "B"]).provenance == "notes of 2019, names exchanged at random"
    assert rewired(graph, graph.symbols).provenance == "notes of 2019, edges exchanged at random"
    assert replace(graph, provenance="").shuffled(["A"]).provenance == "names exchanged at random"


def test_a_union_names_each_source_once(graph):
    other = replace(graph, name="other", provenance="notes of 2020")
    assert graph.union(other, graph).provenance == "notes of 2019; notes of 2020"


def test_an_edge_list_is_known_by_its_path_and_checksum(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("A,B\n")
    [graph] = load_graphs(str(path))
    assert graph.provenance == f"edge list {path}, sha256 c1711ac64059"
    path.write_text("A,C\n")
    assert load_graphs(str(path))[0].provenance != graph.provenance


@dataclass
class Near:
    graphs: object
    limit: int = 20


@dataclass
class Outer:
    near: Near
    label: str = "x"


def test_graphs_are_found_wherever_a_predictor_holds_them(graph):
    unknown = replace(graph, name="unknown", provenance="")
    expected = {"toy": "notes of 2019", "unknown": ""}
    assert provenance(Outer(Near((graph, unknown)))) == expected
    assert provenance([Outer(Near([graph])), Outer(Near(unknown))], graph) == expected
    assert provenance(Outer(Near(None)), "text", 3) == {}
    assert in_words(expected) == "Graphs: notes of 2019; unknown."
    assert in_words({}) == "Graphs: none."
    assert records(expected)[0] == {"name": "toy", "provenance": "notes of 2019"}


def test_an_affinity_names_tables_of_sets_and_of_links(graph):
    affinity = Affinity.load(["smart", "string-v12", graph], ["C7orf26"], [graph])
    assert provenance(affinity) == {
        "smart": "SMART domains (2019-02, CC BY 4.0)",
        "string-v12": V12,
        "toy": "notes of 2019",
    }
