"""GO closure, information content and similarity against hand counts, networkx and scikit-learn."""

import gzip
import math
import os
import subprocess
import sys
from dataclasses import replace

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics.pairwise import cosine_similarity

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.graphs import gene_sets, go

ROOT = paths.DATA.parent

EDGES = pd.DataFrame(
    [("A", "R", "is_a"), ("B", "R", "is_a"), ("C", "A", "is_a"), ("C", "B", "part_of"), ("D", "C", "regulates")],
    columns=["child", "parent", "relation"],
)
DIRECT = pd.DataFrame([("g1", "C"), ("g2", "C"), ("g3", "A"), ("g4", "B"), ("g4", "D")], columns=["symbol", "go_id"])
QUARTER, HALF = math.log(4 / 3), math.log(2)


@pytest.fixture(scope="module")
def real():
    return go.annotate()


TOP_FIVE = """
from kgpert_lib.graphs import go
graph = go.load()
for gene in map(str, graph.symbols):
    print(gene, *list(graph.neighbours(gene))[:5])
"""


def test_the_nearest_genes_do_not_depend_on_the_number_of_threads(tmp_path):
    out = []
    for threads in ("1", "2"):
        keys = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
        env = os.environ | dict.fromkeys(keys, threads) | {"KGPERT_CACHE": str(tmp_path / threads)}
        env["PYTHONPATH"] = str(ROOT)
        done = subprocess.run([sys.executable, "-c", TOP_FIVE], env=env, capture_output=True, text=True, check=True)
        out.append(done.stdout.splitlines())
    assert len(out[0]) > 10_000
    assert out[0] == out[1]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGPERT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield go.load()


def test_closure_and_information_content_by_hand():
    toy = go.closed(DIRECT, EDGES)
    carried = {g: set(toy.terms[toy.carried[[i]].indices]) for i, g in enumerate(toy.genes)}
    assert carried == {"g1": set("ABCR"), "g2": set("ABCR"), "g3": set("AR"), "g4": set("BDR")}
    expected = {"A": QUARTER, "B": QUARTER, "C": HALF, "D": math.log(4), "R": 0}
    assert dict(zip(toy.terms, toy.information, strict=True)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("cosine", {("g1", "g2"): 1, ("g1", "g3"): math.sqrt(QUARTER / (2 * QUARTER + HALF))}),
        ("jaccard", {("g1", "g2"): 1, ("g1", "g3"): QUARTER / (2 * QUARTER + HALF)}),
        ("shared", {("g1", "g2"): 1, ("g1", "g3"): None}),
    ],
)
def test_similarity_by_hand(measure, expected):
    graph = go.similarity_graph(go.closed(DIRECT, EDGES), measure=measure, max_size=2)
    for (a, b), value in expected.items():
        assert graph.neighbours(a).get(b) == (value if value is None else pytest.approx(value, abs=1e-6))
    assert "g4" not in graph.neighbours("g3"), "the root is shared by all and tells nothing"


@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda e: e[0] < e[1]), min_size=1))
def test_closure_equals_networkx_on_any_dag(pairs):
    edges = pd.DataFrame([(f"T{a}", f"T{b}", "is_a") for a, b in pairs], columns=["child", "parent", "relation"])
    dag = nx.DiGraph(edges[["child", "parent"]].itertuples(index=False, name=None))
    direct = pd.DataFrame([(f"g{t}", t) for t in dag], columns=["symbol", "go_id"])
    closed = go.closed(direct, edges)
    for i, gene in enumerate(closed.genes):
        assert set(closed.terms[closed.carried[[i]].indices]) == {gene[1:]} | nx.descendants(dag, gene[1:])


def test_closure_equals_networkx_on_the_real_tables(real):
    folder = paths.DATA / "knowledge"
    edges = pd.read_csv(folder / "go_edges.tsv.gz", sep="\t", dtype=str)
    edges = edges[edges["relation"].isin(["is_a", "part_of"])]
    dag = nx.DiGraph(edges[["child", "parent"]].itertuples(index=False, name=None))
    direct = pd.read_csv(folder / "go_annotations.tsv.gz", sep="\t", dtype=str, keep_default_na=False)
    direct = direct[direct["evidence"] != "ND"].groupby("symbol")["go_id"].agg(set)
    for gene in ["INTS9", "RPL3", "TP53", "PSMB5", *real.genes[::2000]]:
        i = np.searchsorted(real.genes, gene)
        expected = direct[gene].union(*(nx.descendants(dag, term) for term in direct[gene]))
        assert set(real.terms[real.carried[[i]].indices]) == expected


def every_97th(annotated):
    """Some of the genes, each term as informative as among all."""
    rows = np.arange(5, len(annotated.genes), 97)
    return replace(annotated, genes=annotated.genes[rows], carried=annotated.carried[rows])


def test_similarity_equals_scikit_learn_and_does_not_depend_on_blocks(real, monkeypatch):
    few = every_97th(real)
    vectors = few.carried.astype(float).multiply(np.sqrt(real.information)).tocsr()
    expected = cosine_similarity(vectors)
    np.fill_diagonal(expected, 0)
    for block, common in ((500, 0.05), (7, 0.05), (500, 1.0), (500, 0.0)):
        monkeypatch.setattr(gene_sets, "BLOCK", block)
        monkeypatch.setattr(gene_sets, "COMMON", common)
        graph = go.similarity_graph(few, keep=None)
        place = np.searchsorted(few.genes, graph.symbols)
        got = graph.adjacency.toarray()
        np.testing.assert_allclose(got, expected[np.ix_(place, place)], atol=3e-6)


def test_the_strongest_edges_of_either_end_are_kept(real):
    few = every_97th(real)
    full, cut = (go.similarity_graph(few, keep=keep) for keep in (None, 4))
    top = {str(g): list(full.neighbours(str(g)))[:4] for g in full.symbols}
    wanted = {frozenset((g, n)) for g, near in top.items() for n in near}
    assert {frozenset((str(g), n)) for g in cut.symbols for n in cut.neighbours(str(g))} == wanted


def test_one_process_closes_the_annotations_once_for_all_that_use_them():
    code = """
from kgpert_lib.graphs import go
calls, closed = [], go.closed
go.closed = lambda *tables: calls.append(1) or closed(*tables)
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.llm.questions import _direct_terms
from kgpert_lib.screens.simulated.hierarchy import _build
Affinity.load(["go-2022"], ["INTS9", "AARS"], [])
Affinity.load(["go-2022"], ["INTS9"], [])
assert _direct_terms() and _build(go.annotate().genes[::40].tolist()).complexes
print(len(calls))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"


def test_the_later_graph_puts_complexes_together(graph):
    assert sum(g.startswith("INTS") for g in list(graph.neighbours("INTS9"))[:8]) == 8
    assert sum(g.startswith(("RPL", "RPS")) for g in list(graph.neighbours("RPL3"))[:20]) >= 18
    assert min(np.diff(graph.adjacency.indptr)) >= 20
    assert len(graph.symbols) == 20692


def test_the_annotations_of_2021_are_closed_and_plain_protein_binding_does_not_count():
    dated = go.annotate_dated()
    binding = dated.carried[:, [np.searchsorted(dated.terms, go.PROTEIN_BINDING)]].sum()
    direct = gene_sets.read_gmt(go.dated_file())
    assert 0 < binding < (direct["set"] == go.PROTEIN_BINDING).sum() / 2, "only through more specific kinds of binding"
    assert "GO:0032039" in dated.terms, "the Integrator complex"
    carried = {gene: set(dated.terms[dated.carried[[k]].indices]) for k, gene in enumerate(dated.genes[:50])}
    edges = pd.read_csv(paths.DATA / "knowledge" / "go_edges.tsv.gz", sep="\t", dtype=str)
    up = edges[edges["relation"].isin(["is_a", "part_of"])].groupby("child")["parent"].agg(set)
    for gene, own in carried.items():
        assert all(up.get(term, set()) <= own for term in own), gene


def test_evidence_and_ontologies_narrow_the_annotations(real):
    cellular = go.annotate(ontologies=["CC"])
    assert cellular.carried.nnz < real.carried.nnz
    assert "GO:0032039" in cellular.terms
    assert "GO:0003723" not in cellular.terms
    experimental = go.annotate(without_evidence=["ND", "IEA", "IBA", "ISS"])
    assert len(experimental.genes) < len(real.genes)


OBO = """format-version: 1.2

[Term]
id: GO:1
name: root
namespace: cellular_component

[Term]
id: GO:2
name: complex
is_a: GO:1 ! root
relationship: part_of GO:3 ! whole
relationship: negatively_regulates GO:4 ! other
relationship: has_part GO:5 ! ignored

[Term]
id: GO:6
name: gone
is_obsolete: true
is_a: GO:1

[Typedef]
id: part_of
is_a: overlaps
"""
GAF = """!gaf-version: 2.2
UniProtKB\tP1\tGENE1\tlocated_in\tGO:2\tPMID:1\tIDA\t\tC\tName! one\tX|Y\tprotein\ttaxon:9606\t20230101\tGO\t\t
UniProtKB\tP1\tGENE1\tlocated_in\tGO:2\tPMID:2\tIDA\t\tC\tName\tX|Y\tprotein\ttaxon:9606\t20230101\tGO\t\t
UniProtKB\tP2\tGENE2\tNOT|located_in\tGO:2\tPMID:1\tIDA\t\tC\tName\t\tprotein\ttaxon:9606\t20230101\tGO\t\t
UniProtKB\tP3\tGENE3\tpart_of\tGO:2\tPMID:1\tND\t\tC\tName\t\tprotein\ttaxon:9606\t20230101\tGO\t\t
UniProtKB\tP4\tGENE4\tpart_of\tGO:2\tPMID:1\tIMP\t\tC\tName\t\tprotein\ttaxon:9606\t20230101\tGO\t\t
UniProtKB\tP5\tGENE5\tenables\tGO:4\tPMID:1\tIMP\t\tF\tName\t\tprotein\ttaxon:9606\t20230101\tGO\t\t
"""


@pytest.fixture
def release(tmp_path):
    obo, gaf = tmp_path / "go-basic.obo", tmp_path / "goa_human.gaf"
    obo.write_text(OBO)
    gaf.write_text(GAF)
    return obo, gaf


def test_a_release_gives_the_same_tables(release):
    edges = {tuple(row) for row in go.read_obo(release[0]).to_numpy()}
    assert edges == {("GO:2", "GO:1", "is_a"), ("GO:2", "GO:3", "part_of"), ("GO:2", "GO:4", "negatively regulates")}
    assert go.read_gaf(release[1]).to_numpy().tolist() == [
        ["GENE1", "GO:2", "CC", "IDA"],
        ["GENE3", "GO:2", "CC", "ND"],
        ["GENE4", "GO:2", "CC", "IMP"],
        ["GENE5", "GO:4", "MF", "IMP"],
    ]


def test_a_release_is_loaded_like_the_committed_tables(release, tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "cache"))
    graph = go.load(release=release)
    assert graph.n_edges == 1
    assert graph.neighbours("GENE1") == {"GENE4": pytest.approx(1)}
    release[1].write_text(GAF.replace("GENE4", "GENE6"))
    assert "GENE6" in go.load(release=release), "another release is another graph"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": "euclid"}, "Unknown GO measure 'euclid'; choose from cosine, jaccard, shared"),
        ({"ontologies": ["BP", "XX"]}, "Unknown ontology 'XX'; choose from BP, CC, MF"),
        ({"release": ("none.obo", "none.gaf")}, "There is no file none.obo"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(arguments, message):
    with pytest.raises(InputError, match=message):
        go.load(**arguments)


def test_genes_that_share_the_root_only_have_no_graph():
    unrelated = pd.DataFrame([("g1", "A"), ("g2", "B"), ("g3", "R")], columns=["symbol", "go_id"])
    with pytest.raises(InputError, match="No two of the chosen genes share a GO term"):
        go.similarity_graph(go.closed(unrelated, EDGES))


@pytest.mark.parametrize(
    ("reader", "content", "message"),
    [
        (go.read_obo, b"[Term]\nid: GO:1\n", "no GO term with a parent"),
        (go.read_obo, b"\xff\xfe\x00", "cannot be read as an OBO file"),
        (go.read_gaf, b"", "not a whole GAF file"),
        (go.read_gaf, b"a\tb\n", "not a whole GAF file"),
        (go.read_gaf, GAF.splitlines()[3].encode(), "holds no annotation"),
    ],
)
def test_a_damaged_release_is_one_sentence(reader, content, message, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        reader(path)


def test_a_release_cut_short_is_one_sentence(tmp_path):
    for reader, text in ((go.read_obo, OBO), (go.read_gaf, GAF)):
        path = tmp_path / f"{reader.__name__}.gz"
        path.write_bytes(gzip.compress(text.encode())[:-20])
        with pytest.raises(InputError, match="fetch it again"):
            reader(path)
