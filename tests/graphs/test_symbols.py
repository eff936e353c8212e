"""Old and new spellings of a gene meet; what could mean two genes is left alone and reported."""

import random

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import symbols
from kgpert_lib.graphs.graph import KnowledgeGraph


def star(*genes):
    return KnowledgeGraph.from_edges("star", ["HUB"] * len(genes), genes)


@pytest.mark.parametrize(("spelt", "wanted"), [("AARS1", "AARS"), ("AARS", "AARS1"), ("INTS15", "C7orf26")])
def test_aliases_resolve_both_ways(spelt, wanted):
    graph, report = symbols.align(star(spelt, "RPL3"), [wanted, "RPL3"])
    assert set(graph.neighbours("HUB")) == {wanted, "RPL3"}
    assert report.resolved == {wanted: spelt}
    assert (report.exact, report.ambiguous, report.missing) == (1, {}, [])


def test_two_aliases_of_one_gene_meet():
    graph, report = symbols.align(star("DEE29"), ["AARS"])
    assert report.resolved == {"AARS": "DEE29"}
    assert "AARS" in graph


def test_the_same_spelling_wins_over_an_alias():
    graph, report = symbols.align(star("AARS", "AARS1"), ["AARS"])
    assert report.resolved == {}
    assert set(graph.neighbours("HUB")) == {"AARS", "AARS1"}


def test_the_approved_symbol_wins_over_another_alias():
    _, report = symbols.align(star("AARS1", "DEE29"), ["AARS"])
    assert report.resolved == {"AARS": "AARS1"}


@pytest.mark.parametrize("present", [("QARS1", "EPRS1"), ("EPRS1",), ("QARS1",)])
def test_an_alias_of_two_genes_is_not_used_whichever_is_present(present):
    graph, report = symbols.align(star(*present), ["QARS"])
    assert report.resolved == {}
    assert report.ambiguous == {"QARS": tuple(sorted(present))}
    assert set(graph.neighbours("HUB")) == set(present)


def test_an_approved_symbol_is_never_taken_for_an_alias_of_another_gene():
    genes = symbols.gene_names()
    alias, owner = next((a, o[0]) for a, o in sorted(genes.owners.items()) if a in genes.full and len(o) == 1)
    graph, report = symbols.align(star(owner, "RPL3"), [alias])
    assert report.resolved == {}
    assert report.ambiguous == {alias: (owner,)}
    assert owner in graph


def test_one_gene_is_not_given_to_two_names():
    _, report = symbols.align(star("AARS1"), ["AARS", "DEE29"])
    assert report.resolved == {}
    assert report.ambiguous == {"AARS": ("AARS1",), "DEE29": ("AARS1",)}
    _, report = symbols.align(star("AARS1"), ["AARS", "AARS1"])
    assert (report.exact, report.resolved, report.missing) == (1, {}, ["AARS"])


def test_order_of_names_does_not_matter():
    names = ["AARS", "CARS", "QARS", "C7orf26", "RPL3", "NOSUCH1", "TAZ", "DEE29", "EPRS1"]
    graph = star("AARS1", "CARS1", "QARS1", "EPRS1", "INTS15", "RPL3", "WWTR1")
    first = symbols.align(graph, names)
    for seed in range(5):
        random.Random(seed).shuffle(names)
        again = symbols.align(graph, names)
        assert again[1] == first[1]
        assert list(again[0].symbols) == list(first[0].symbols)
        assert (again[0].adjacency != first[0].adjacency).nnz == 0


def test_the_report_is_one_line_that_names_what_was_not_found():
    _, report = symbols.align(star("AARS1", "RPL3", "EPRS1"), ["AARS", "RPL3", "QARS", "NOSUCH1"])
    assert str(report) == "2 of 4 names found (1 by an alias); ambiguous: QARS; missing: NOSUCH1."


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("RPL3", "RPL3"),
        (" rpl3 ", "RPL3"),
        ("aars1", "AARS"),
        ("dee29", "AARS"),
        ("c7ORF26", "C7orf26"),
        ("ints15", "C7orf26"),
    ],
)
def test_a_typed_symbol_is_understood(typed, meant):
    assert symbols.resolve(typed, ["AARS", "C7orf26", "RPL3"]) == meant


def test_an_unknown_symbol_is_answered_with_close_ones():
    with pytest.raises(InputError, match=r"^Unknown gene 'INTZ9'; did you mean INTS9 or INTS8\?$"):
        symbols.resolve("INTZ9", ["INTS8", "INTS9", "RPL3"])
    with pytest.raises(InputError, match=r"^Unknown gene 'qqqq'; no symbol here is close to it\.$"):
        symbols.resolve("qqqq", ["INTS9"])
    with pytest.raises(InputError, match=r"^'TP53' \(tumor protein p53\) is not among the 2 genes here; did you mean"):
        symbols.resolve("TP53", ["TP53BP1", "RPL3"])
    with pytest.raises(InputError, match=r"^'QARS' may mean EPRS1 or QARS1"):
        symbols.resolve("QARS", ["EPRS1", "QARS1"])


def test_full_names_of_symbols_and_aliases():
    assert symbols.full_name("INTS9") == "integrator complex subunit 9"
    assert symbols.full_name("AARS") == symbols.full_name("AARS1") == "alanyl-tRNA synthetase 1"
    assert symbols.full_name("QARS") is None
    assert symbols.full_name("NOSUCH1") is None


@pytest.mark.parametrize(
    ("identifier", "gene"),
    [
        ("55756", "INTS9"),
        ("ENSG00000104299", "INTS9"),
        ("ensg00000104299.14", "INTS9"),
        ("16", "AARS"),  # the list has the older spelling
        ("ENSG00000090861", "AARS"),
        (" 55756 ", "INTS9"),
    ],
)
def test_a_gene_is_had_by_its_entrez_or_ensembl_identifier(identifier, gene):
    assert symbols.resolve(identifier, ["AARS", "INTS9", "RPL3"]) == gene


@pytest.mark.parametrize("identifier", ["999999999", "ENSG99999999999"])
def test_an_identifier_of_no_gene_is_one_sentence(identifier):
    with pytest.raises(InputError, match=f"Unknown gene '{identifier}'"):
        symbols.resolve(identifier, ["INTS9"])


def test_a_known_gene_that_is_not_here_is_named_by_its_symbol():
    with pytest.raises(InputError, match=r"'TP53' \(tumor protein p53\) is not among the 1 genes"):
        symbols.resolve("7157", ["INTS9"])
