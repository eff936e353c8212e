"""A screen of one's own: known deltas from cells and from deltas, what is left out, what is refused."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.catalogue import GRAPHS
from kgpert_lib.screens import annotated
from kgpert_lib.screens.annotated import Settings
from kgpert_lib.screens.load import load_screen

READOUTS = ["INTS9", "RPL3", "AARS1", "TP53"]
GENES = ["INTS9", "RPL3", "AARS"]


def cells(seed=0, each=12, dtype=np.float32):
    """Counts of three knock-downs and controls in two batches."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(["non-targeting", *GENES], [2 * each, each, each, each])
    counts = rng.poisson(5, (len(labels), len(READOUTS))).astype(dtype) + 1
    batch = np.where(np.arange(len(labels)) % 2, "b1", "b2")
    obs = pd.DataFrame({"gene": labels, "batch": batch}, index=[f"c{i}" for i in range(len(labels))])
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=READOUTS))


def deltas(seed=0, n=12):
    """Deltas of genes of the gene table, INTS9 first."""
    names = [*GENES, *(f"RPL{i}" for i in (4, 5, 6, 7, 8, 9, 10, 11, 12))][:n]
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, len(READOUTS))).astype(np.float32)
    obs = pd.DataFrame({"gene": names}, index=[str(f"p{i}") for i in range(n)])
    return ad.AnnData(values, obs=obs, var=pd.DataFrame(index=READOUTS))


@pytest.fixture
def read(tmp_path):
    """Writes a matrix to ``thp1.h5ad`` and reads it as an atlas."""

    def of(data, graphs=(), **options):
        path = tmp_path / "thp1.h5ad"
        data.write_h5ad(path)
        return annotated.read_screen([path], "mine", Settings(**options), graphs)

    return of


def expected_deltas(data, logs):
    """Mean of each gene's cells minus the controls' means weighted by the gene's batches, cell by cell."""
    gene, batch = data.obs["gene"].to_numpy(), data.obs["batch"].to_numpy()
    rows = {}
    for name in GENES:
        own = gene == name
        matched = [logs[(gene == "non-targeting") & (batch == b)].mean(axis=0) for b in batch[own]]
        rows[name] = logs[own].mean(axis=0) - np.mean(matched, axis=0)
    return rows


@pytest.mark.parametrize("form", [np.asarray, sp.csr_matrix, sp.csc_matrix, lambda x: x.astype(np.int64)])
def test_counts_become_the_deltas_of_the_formula(read, form):
    data = cells()
    logs = np.log1p(data.X / data.X.sum(axis=1, keepdims=True) * 4000)
    expected = expected_deltas(data, logs)
    data.X = form(data.X)
    atlas = read(data)
    line = atlas["thp1"]
    assert atlas.kind == "real"
    assert line.genes.tolist() == ["INTS9", "RPL3", "AARS", "TP53"]  # AARS1 is the readout of the knock-down AARS
    for name in GENES:
        assert line.delta[line.index[name]] == pytest.approx(expected[name], abs=1e-5)
    assert line.n_cells.tolist() == [12, 12, 12]
    assert line.half_a is not None
    assert np.isnan(line.scored[line.index["AARS"], 2])


def test_log_normalised_cells_are_summed_as_they_are(read):
    data = cells()
    logs = np.log1p(data.X / data.X.sum(axis=1, keepdims=True) * 10_000)
    data.X = logs
    line = read(data)["thp1"]
    for name, row in expected_deltas(data, logs).items():
        assert line.delta[line.index[name]] == pytest.approx(row, abs=1e-5)


def test_the_order_of_the_cells_and_the_size_of_chunks_change_no_delta(read, monkeypatch):
    data = cells()
    line = read(data)["thp1"]
    order = np.random.default_rng(1).permutation(data.n_obs)
    monkeypatch.setattr(annotated, "CHUNK", 5)
    again = read(data[order].copy())["thp1"]
    assert again.delta == pytest.approx(line.delta, abs=1e-5)
    assert again.split.tolist() == line.split.tolist()


def test_cells_are_compared_with_all_controls_where_there_is_no_batch(read):
    data = cells()
    logs = np.log1p(data.X / data.X.sum(axis=1, keepdims=True) * 4000)
    control = logs[data.obs["gene"] == "non-targeting"].mean(axis=0)
    line = read(data, batch="none")["thp1"]
    own = logs[data.obs["gene"] == "RPL3"].mean(axis=0) - control
    assert line.delta[line.index["RPL3"]] == pytest.approx(own, abs=1e-5)


def test_what_is_left_out_is_counted_and_named(read):
    data = cells()
    label = data.obs["gene"].astype(object)
    label.iloc[24:27] = ["INTS9+RPL3", "INTS9_AARS", None]
    data.obs["gene"] = label
    data.X[27] = 0
    atlas = read(data, min_cells=9)
    counts = atlas.provenance["lines"]["thp1"]
    assert atlas["thp1"].perturbations.tolist() == ["AARS", "RPL3"]
    assert counts["too_few_cells"] == ["INTS9"]
    assert counts["combinations"] == ["INTS9+RPL3", "INTS9_AARS"]
    assert (counts["rows_of_combinations"], counts["without_label"], counts["empty_cells"]) == (2, 1, 1)
    text = "\n".join(annotated.left_out(atlas))
    assert "perturbations with too few cells: 1 (INTS9)" in text


def test_deltas_with_gaps_and_repeated_rows(read):
    data = deltas()
    data.obs["gene"] = ["INTS9", "INTS9", *data.obs["gene"][2:]]
    data.obs["n_cells"] = [10, 30, *[5] * 10]
    data.X[0, 1] = np.nan
    data.X[2] = np.nan
    atlas = read(data)
    line = atlas["thp1"]
    ints9 = line.delta[line.index["INTS9"]]
    assert ints9[0] == pytest.approx(0.25 * data.X[0, 0] + 0.75 * data.X[1, 0], abs=1e-6)
    assert ints9[1] == data.X[1, 1]
    assert line.n_cells[line.index["INTS9"]] == 40
    assert "AARS" not in line.index
    counts = atlas.provenance["lines"]["thp1"]
    assert (counts["repeated"], counts["rows_of_gaps"]) == (["INTS9"], ["AARS"])


def test_a_split_that_the_file_names(read):
    data = deltas()
    data.obs["fold"] = ["test", *["train"] * 10, "val"]
    line = read(data, split="fold")["thp1"]
    assert line.names("test") == ["INTS9"]
    assert len(line.names("val")) == 1


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0.01, 0.99), seed=st.integers(0, 5), shift=st.integers(0, 11))
def test_a_drawn_split_depends_on_share_seed_and_names_only(read, share, seed, shift):
    data = deltas()
    line = read(data, split=share, seed=seed)["thp1"]
    turned = data[np.roll(np.arange(data.n_obs), shift)].copy()
    again = read(turned, split=share, seed=seed)["thp1"]
    assert sorted(line.names("test")) == sorted(again.names("test"))
    assert len(line.names("test")) == min(max(1, round(share * 12)), 11)


def test_a_gene_is_held_out_in_every_line_or_in_none(read):
    data = deltas()
    both = ad.concat([data, data[:8].copy()], index_unique="-")
    both.obs["cell_line"] = ["K562"] * 12 + ["THP1"] * 8
    atlas = read(both)
    assert list(atlas.lines) == ["k562", "thp1"]
    held_out = set(atlas["k562"].names("test"))
    assert set(atlas["thp1"].names("test")) == held_out & set(atlas["thp1"].perturbations.tolist())


def test_a_saved_screen_has_its_own_graph_and_those_that_know_its_genes(read, tmp_path):
    edges = tmp_path / "edges.csv"
    edges.write_text("gene1,gene2\nINTS9,RPL3\nAARS1,RPL4\n")
    graphs = annotated.read_edges([edges])
    folder = annotated.save_screen(read(deltas(), graphs), tmp_path / "mine", graphs)
    screen = load_screen(folder)
    assert [graph.name for graph in screen.graphs] == ["edges", "string", "go"]
    assert "RPL4" in screen.graphs[0].neighbours("AARS")
    assert [graph.name for graph in load_screen(folder, graph="edges").graphs] == ["edges"]


def test_graphs_that_do_not_know_the_genes_are_left_out(read, tmp_path, monkeypatch):
    data = deltas()
    data.obs["gene"] = [f"Gene{i}" for i in range(12)]
    edges = tmp_path / "edges.csv"
    edges.write_text("gene1,gene2\n" + "".join(f"Gene{i},Gene{i + 1}\n" for i in range(11)))
    graphs = annotated.read_edges([edges])
    folder = annotated.save_screen(read(data, graphs), tmp_path / "mine", graphs)
    monkeypatch.setattr("kgpert_lib.screens.load.STANDARD", "string")  # GO takes seconds
    assert [graph.name for graph in load_screen(folder, graph="string").graphs] == ["edges"]


def changed(data, **parts):
    for key, value in parts.items():
        setattr(data, key, value)
    return data


def obs(data, **columns):
    data.obs = data.obs.assign(**columns)
    return data


REFUSED = {
    "column": (cells, {"perturbation": "target"}, "no column 'target'; it has gene, batch"),
    "batch column": (cells, {"batch": "lane"}, "no column 'lane' of batches"),
    "gene column": (cells, {"genes": "symbol"}, "var has no column 'symbol'"),
    "layer": (cells, {"layer": "counts"}, "no layer 'counts'"),
    "split": (deltas, {"split": "fold"}, "no column 'fold' for the split"),
    "no control": (lambda: cells()[24:].copy(), {}, "no row is a control"),
    "control label": (lambda: obs(cells(), gene=["safe"] * 24 + GENES * 12), {}, "--control"),
    "numbers": (lambda: obs(cells(), gene=np.arange(60) % 4), {}, "holds numbers such as 0 and no genes"),
    "digits": (lambda: obs(cells(), gene=(np.arange(60) % 4).astype(str)), {}, "holds numbers such as 0"),
    "symbols": (lambda: obs(deltas(), gene=[f"Gene{i}" for i in range(12)]), {}, "12 of 12 perturbed genes are not"),
    "readouts": (lambda: changed(deltas(), var_names=list("abcd")), {}, "0% of the 4 readout genes are recognised"),
    "zero": (lambda: changed(cells(), X=np.zeros((60, 4), np.float32)), {}, "X is 0 throughout"),
    "normalised": (lambda: changed(cells(), X=cells().X * 13.7), {}, "neither counts nor logarithms"),
    "scaled": (lambda: changed(cells(each=12), X=cells().X - 5), {}, "scaled or centred"),
    "gap in cells": (lambda: changed(cells(), X=np.where(np.eye(60, 4), np.nan, 1.0)), {}, "in row 0, column 0"),
    "infinite": (lambda: changed(deltas(), X=np.full((12, 4), -np.inf, np.float32)), {}, "not finite in row 0"),
    "no X": (lambda: changed(cells(), X=None), {}, "has no X"),
    "empty": (lambda: cells()[:0].copy(), {}, "is empty"),
    "bare batch": (lambda: obs(cells(), batch=["x"] * 59 + ["y"]), {}, "batch 'y' of thp1 has 0 control cells"),
    "few cells": (lambda: cells(each=5), {}, "no perturbation of thp1 has 10 cells"),
    "labels": (lambda: obs(deltas(), split=["held out"] * 12), {}, "holds 'held out'"),
    "two labels": (
        lambda: obs(deltas(), gene=["INTS9"] * 12, split=["test", *["train"] * 11]), {}, "gives INTS9 several labels",
    ),
    "cells": (lambda: obs(deltas(), n_cells=[0] * 12), {}, "something other than numbers of cells"),
    "combinations": (lambda: obs(deltas(), gene=["A+B"] * 12), {}, "no row is labelled with one gene"),
    "several lines": (
        lambda: obs(deltas(), cell_line=["a"] * 6 + ["b"] * 6), {"line": "thp1"}, "leave --line out",
    ),
    "one gene": (lambda: obs(deltas(), gene=["INTS9"] * 12), {}, "fell to the test genes"),
    "share": (deltas, {"split": 1.5}, "no share between 0 and 1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.filterwarnings("ignore::anndata.ImplicitModificationWarning")
def test_what_cannot_be_read_is_refused_in_one_sentence(read, case):
    make, options, words = REFUSED[case]
    with pytest.raises(InputError) as refused:
        read(make(), **options)
    assert words in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is empty"), (b"<html>", "not an HDF5 file"), (b"\x89HDF\r\n\x1a\n123", "cut short")]
)
def test_bytes_that_are_no_annotated_matrix(tmp_path, content, words):
    path = tmp_path / "x.h5ad"
    path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        annotated.read_screen([path], "mine")


def test_hdf5_of_another_layout_and_a_missing_file(tmp_path):
    with h5py.File(tmp_path / "raw.h5", "w") as file:
        file["matrix/data"] = [1, 2]
    with pytest.raises(InputError, match="no obs, only matrix; read it with scanpy"):
        annotated.read_screen([tmp_path / "raw.h5"], "mine")
    with pytest.raises(InputError, match="cannot be read"):
        annotated.read_screen([tmp_path / "none.h5ad"], "mine")


def test_nothing_is_written_over_and_no_half_is_left(read, tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "note").write_text("mine")
    atlas = read(deltas())
    with pytest.raises(InputError, match="exists already"):
        annotated.save_screen(atlas, tmp_path / "kept")
    edges = tmp_path / "far.csv"
    edges.write_text("gene1,gene2\nNOBODY,NOWHERE\n")
    with pytest.raises(InputError, match="none of the 12 perturbed genes"):
        annotated.save_screen(atlas, tmp_path / "new", annotated.read_edges([edges]))
    assert not (tmp_path / "new").exists()
    assert [p.name for p in (tmp_path / "kept").iterdir()] == ["note"]


@pytest.mark.parametrize("name", [next(iter(GRAPHS)), "a+b", "my.graph"])
def test_an_edge_list_whose_name_cannot_be_a_graph(tmp_path, name):
    path = tmp_path / f"{name}.csv"
    path.write_text("gene1,gene2\nA,B\n")
    with pytest.raises(InputError, match="rename"):
        annotated.read_edges([path])
