"""``kgpert screen``: a file becomes a folder that the other commands take."""

from itertools import pairwise

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from kgpert_lib.screens.load import load_screen

GENES = [f"RPL{i}" for i in (3, 4, 5, 6, 7, 8, 9, 10, 11, 12)]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """A folder to work in, with deltas of ten genes in a line of its own and an edge list."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(10, 12)).astype(np.float32)
    obs = pd.DataFrame({"target": GENES}, index=[f"row{i}" for i in range(10)])
    names = [*GENES, "TP53", "MYC"]
    ad.AnnData(values, obs=obs, var=pd.DataFrame(index=names)).write_h5ad(tmp_path / "deltas.h5ad")
    edges = "".join(f"{a},{b}\n" for a, b in pairwise(GENES))
    (tmp_path / "edges.csv").write_text(f"gene1,gene2\n{edges}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_becomes_an_atlas_that_predict_takes_with_its_line_and_graph(kgpert, files):
    options = ("--line", "THP1", "--perturbed", "target", "--split", "0.2", "--graph", "edges.csv")
    code, out, err = kgpert("screen", "deltas.h5ad", "-o", "mine", *options)
    assert (code, err) == (0, "")
    assert "mine: thp1, 10 perturbations (2 test), 12 readouts" in out
    screen = load_screen("mine", graph="edges")
    assert (screen.name, screen.kind, screen.graphs[0].name) == ("mine", "real", "edges")
    gene = screen["thp1"].names("test")[0]
    code, out, _ = kgpert("predict", gene, "--atlas", "mine", "--graph", "edges")
    assert code == 0
    assert out.startswith(f"{gene} in thp1, atlas mine (real), predictor edges; held out for test")


def test_a_refused_file_leaves_no_folder(kgpert, files):
    code, _, err = kgpert("screen", "deltas.h5ad", "-o", "mine", "--perturbed", "gene")
    assert code == 2
    assert "obs has no column 'gene'; it has target." in err
    assert sorted(p.name for p in files.iterdir()) == ["deltas.h5ad", "edges.csv"]
