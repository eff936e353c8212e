"""Tables of links: scores, spelling, and what cannot be read."""

import gzip

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import links

TEXT = "gene1\tgene2\tscore\tother\nINTS9\tC7ORF26\t900\t0\nINTS9\tINTS1\t450\t7\nNA\tINTS9\t300\t0\n"


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "links.tsv.gz"
    path.write_bytes(gzip.compress(TEXT.encode()))
    return path


def test_a_link_weighs_its_score_over_the_highest_possible(table):
    graph = links.load(table, "mine", "score", 1000)
    assert graph.weighted
    assert graph.neighbours("INTS9") == pytest.approx({"C7orf26": 0.9, "INTS1": 0.45, "NA": 0.3})


def test_a_score_of_zero_is_no_link_and_no_score_no_weight(table):
    assert links.load(table, "mine", "other").neighbours("INTS9") == {"INTS1": 7}
    plain = links.load(table, "mine")
    assert not plain.weighted
    assert plain.n_edges == 3


@pytest.mark.parametrize("damage", ["missing", "plain", "cut", "columns"])
def test_a_damaged_table_is_one_sentence(table, damage):
    if damage == "missing":
        table.unlink()
    elif damage == "plain":
        table.write_text(TEXT)
    elif damage == "cut":
        table.write_bytes(table.read_bytes()[:-12])
    else:
        table.write_bytes(gzip.compress(b"gene1\tgene3\nA\tB\n"))
    with pytest.raises(InputError, match=r"cannot be read as a table of links with the columns gene1, gene2, score"):
        links.read_pairs(table, "score")
