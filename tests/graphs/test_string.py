"""STRING: files of the full release."""

import gzip

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import string

INFO = (
    "#string_protein_id\tpreferred_name\tprotein_size\tannotation\n"
    '9606.P1\tGENE1\t100\tA "quoted" remark\n9606.P2\tGENE2\t90\tx\n'
    '9606.P3\tGENE3\t80\t"open quote\n9606.P4\tGENE1\t9\tx\n'
)
LINKS = (
    "protein1 protein2 combined_score\n9606.P1 9606.P2 999\n9606.P2 9606.P1 999\n9606.P1 9606.P3 400\n"
    "9606.P3 9606.P1 400\n9606.P2 9606.P3 150\n9606.P2 9606.P9 900\n9606.P4 9606.P3 700\n9606.P1 9606.P4 800\n"
)


@pytest.fixture
def release(tmp_path):
    links, info = tmp_path / "links.txt.gz", tmp_path / "info.txt.gz"
    links.write_bytes(gzip.compress(LINKS.encode()))
    info.write_bytes(gzip.compress(INFO.encode()))
    return links, info


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_a_release_keeps_links_from_the_threshold_up(release, chunk, monkeypatch):
    monkeypatch.setattr(string, "CHUNK", chunk)
    graph = string.read_release(*release, min_score=400)
    assert graph.weighted
    assert graph.neighbours("GENE1") == {"GENE2": pytest.approx(0.999), "GENE3": pytest.approx(0.7)}
    assert graph.n_edges == 2
    assert string.read_release(*release, min_score=900).n_edges == 1


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("damage", ["missing", "cut", "columns", "text"])
def test_a_broken_release_is_one_sentence(release, which, damage):
    path = release[which]
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-15])
    elif damage == "columns":
        path.write_bytes(gzip.compress(b"a b\n1 2\n"))
    else:
        path.write_text("not gzip")
    with pytest.raises(InputError, match="kgpert fetch string" if damage == "missing" else "fetch it again"):
        string.read_release(*release)


def test_a_threshold_above_every_link_is_one_sentence(release):
    with pytest.raises(InputError, match="no link of score 1000 or more"):
        string.read_release(*release, min_score=1000)
