"""Gene sets: the gmt reader, sets that count for nothing, confidence, and similarity by hand."""

import gzip
import math

import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import gene_sets

TEXT = "S1\tfirst\tA\tB\tB\t\nS2\t\tc7ORF26\tA\nS3\tlonely\tA\n"


@pytest.fixture
def gmt(tmp_path):
    def write(text, name="sets.gmt.gz"):
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()))
        return path

    return write


def test_every_member_is_one_row_however_often_and_in_whatever_case_it_is_written(gmt):
    table = gene_sets.read_gmt(gmt(TEXT))
    assert table.to_numpy().tolist() == [
        ["S1", "first", "A"],
        ["S1", "first", "B"],
        ["S2", "", "C7orf26"],
        ["S2", "", "A"],
        ["S3", "lonely", "A"],
    ]


@pytest.mark.parametrize("text", ["", "\n", "S1\n", "S1\tfirst\n", "S1\tfirst\t\t\n"])
def test_a_table_without_a_set_is_one_sentence(gmt, text):
    with pytest.raises(InputError, match=r"sets\.gmt\.gz holds no gene set"):
        gene_sets.read_gmt(gmt(text))


@pytest.mark.parametrize("damage", ["missing", "plain", "cut", "latin"])
def test_a_damaged_table_is_one_sentence(gmt, damage):
    path = gmt(TEXT)
    if damage == "missing":
        path.unlink()
    elif damage == "plain":
        path.write_text(TEXT)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-12])
    else:
        path.write_bytes(gzip.compress("S1\tgène\tA\tB\n".encode("latin-1")))
    with pytest.raises(InputError, match="cannot be read as a table of gene sets"):
        gene_sets.read_gmt(path)


def members(*rows):
    return pd.DataFrame(rows, columns=["set", "description", "symbol"])


PAIRS = members(
    ("S1", "confidence=1", "A"),
    ("S1", "confidence=1", "B"),
    ("S2", "confidence=5", "A"),
    ("S2", "confidence=5", "B"),
    ("S2", "confidence=5", "C"),
    ("S3", "confidence=2", "D"),
    ("S4", "confidence=1", "A"),
    ("S4", "confidence=1", "D"),
)


def test_a_set_weighs_its_information_and_a_set_of_one_gene_nothing():
    annotated = gene_sets.memberships(PAIRS)
    assert list(annotated.genes) == list("ABCD")
    assert list(annotated.terms) == ["S1", "S2", "S4"]
    assert annotated.information == pytest.approx([math.log(2), math.log(4 / 3), math.log(2)])
    assert annotated.carried.toarray().astype(int).tolist() == [[1, 1, 1], [1, 1, 0], [0, 1, 0], [0, 0, 1]]


def test_confidence_one_counts_fully_and_five_a_fifth():
    stated = pd.Series([f"confidence={k}" for k in range(1, 6)])
    assert gene_sets.confidence(stated).tolist() == pytest.approx([1, 0.8, 0.6, 0.4, 0.2])
    annotated = gene_sets.memberships(PAIRS, by_confidence=True)
    assert annotated.information == pytest.approx([math.log(2), math.log(4 / 3) / 5, math.log(2)])


@pytest.mark.parametrize("measure", ["cosine", "jaccard"])
def test_similarity_by_hand(measure):
    graph = gene_sets.similarity_graph(gene_sets.memberships(PAIRS), "sets", measure)
    one, wide = math.log(2), math.log(4 / 3)
    a, b, shared = 2 * one + wide, one + wide, one + wide
    expected = shared / math.sqrt(a * b) if measure == "cosine" else shared / (a + b - shared)
    assert graph.neighbours("A")["B"] == pytest.approx(expected, abs=1e-6)
    assert "D" not in graph.neighbours("B")


def test_a_graph_of_a_table_is_built_anew_when_the_table_changes(gmt):
    first = gene_sets.load(gmt(TEXT + "S4\t\tD\tE\n"), "mine")
    assert set(first.symbols) == {"A", "B", "C7orf26", "D", "E"}
    again = gene_sets.load(gmt("S1\t\tA\tB\nS2\t\tC\tD\n"), "mine")
    assert set(again.symbols) == set("ABCD")
