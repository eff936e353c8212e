"""Graphs by name: committed tables, full releases from a mirror, users' edge lists, spelt like the screen."""

import gzip
import hashlib

import pytest

from kgpert_lib.downloads import fetch
from kgpert_lib.errors import InputError
from kgpert_lib.graphs import load_graphs

GENES = ["AARS1", "RPL3", "RPL4"]
TERMS = ["GO:2", "GO:3", "GO:2"]
LINKS = ["protein1 protein2 combined_score", "9606.P0 9606.P1 950", "9606.P0 9606.P2 650"]
INFO = ["#string_protein_id\tpreferred_name", *(f"9606.P{i}\t{gene}" for i, gene in enumerate(GENES))]
OBO = ["[Term]", "id: GO:1", "", "[Term]", "id: GO:2", "is_a: GO:1", "", "[Term]", "id: GO:3", "is_a: GO:1"]
ROW = "UniProtKB\tP{}\t{}\tinvolved_in\t{}\tPMID:1\tIDA\t\tP\tname\t\tprotein\ttaxon:9606\t20230101\tGO\t\t"
GAF = ["!gaf-version: 2.2", *(ROW.format(i, *row) for i, row in enumerate(zip(GENES, TERMS, strict=True)))]
RELEASES = {
    "string": {"9606.protein.links.v12.0.txt.gz": LINKS, "9606.protein.info.v12.0.txt.gz": INFO},
    "go": {"go-basic.obo": OBO, "goa_human.gaf.gz": GAF},
}


@pytest.fixture
def release(tmp_path, monkeypatch, make_registry):
    """Puts a tiny release of one group into a mirror, with a registry that knows it."""

    def put(group):
        files = {}
        for name, lines in RELEASES[group].items():
            text = "".join(f"{line}\n" for line in lines)
            copy = tmp_path / "mirror" / group / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
            digest = hashlib.sha256(copy.read_bytes()).hexdigest()
            files[name] = {"urls": [f"http://127.0.0.1:9/{name}"], "checksum": f"sha256:{digest}"}
        registry = make_registry(files, group)
        monkeypatch.setattr(fetch, "default_registry", lambda: registry)
        monkeypatch.setenv("KGPERT_MIRROR", str(tmp_path / "mirror"))
        return tmp_path / "mirror" / group

    return put


def test_the_full_string_release_is_weighted_and_cut_at_high_confidence(release):
    release("string")
    (graph,) = load_graphs("string-full")
    assert (graph.name, graph.weighted, graph.n_edges) == ("string-full", True, 1)
    assert graph.neighbours("AARS1") == {"RPL3": pytest.approx(0.95)}


def test_the_full_go_release_joins_genes_of_one_term(release):
    release("go")
    (graph,) = load_graphs("go-full")
    assert (graph.name, graph.n_edges) == ("go-full", 1)
    assert graph.neighbours("AARS1") == {"RPL4": pytest.approx(1)}


def test_a_release_that_is_not_what_was_published_is_refused(release):
    folder = release("string")
    (folder / "9606.protein.info.v12.0.txt.gz").write_bytes(b"something else")
    with pytest.raises(InputError, match=r"info\.v12\.0\.txt\.gz has sha256"):
        load_graphs("string-full")


def test_a_release_that_cannot_be_had_is_named(release):
    folder = release("string")
    (folder / "9606.protein.links.v12.0.txt.gz").unlink()
    with pytest.raises(InputError, match=r"links\.v12\.0\.txt\.gz could not be fetched: .* could not be reached"):
        load_graphs("string-full")


def test_names_and_edge_lists_are_loaded_in_order_and_spelt_like_the_screen(release, tmp_path):
    release("string")
    (tmp_path / "mine.tsv").write_text("gene1\tgene2\nDEE29\tRPL3\nRPL5\tRPL3\n")
    graphs = load_graphs(f"string-full + {tmp_path / 'mine.tsv'} + string", ["AARS", "RPL3"])
    assert [g.name for g in graphs] == ["string-full", "mine", "string"]
    assert all("AARS" in g and "RPL3" in g for g in graphs)
    assert not any("AARS1" in g or "DEE29" in g for g in graphs)
    assert set(graphs[1].neighbours("RPL3")) == {"AARS", "RPL5"}


def test_rows_of_an_edge_list_that_cannot_be_used_are_told_in_a_warning(tmp_path):
    (tmp_path / "mine.csv").write_text("gene1,gene2,weight\nA,B,1\nA,,1\nA,C,-2\n")
    with pytest.warns(UserWarning, match=r"1 rows used, 2 left out \(line 3: a gene is missing; line 4: the weight -2"):
        load_graphs(str(tmp_path / "mine.csv"))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            "corum",
            "Unknown graph 'corum'; choose from string, go, string-coexpression, .*, string-full, go-full or give",
        ),
        ("", "Unknown graph ''"),
        ("string+string", "'string' is named more than once"),
        ("a/mine.csv+b/mine.csv", "both called 'mine'"),
    ],
)
def test_what_cannot_be_loaded_is_one_sentence(tmp_path, monkeypatch, spec, sentence):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "mine.csv").write_text("gene1,gene2\nA,B\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        load_graphs(spec)
