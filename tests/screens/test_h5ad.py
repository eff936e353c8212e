"""Files of annotated matrices: read back whole, and the same bytes for the same content."""

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import scipy.sparse as sp

from kgpert_lib.screens.h5ad import write_h5ad


def cells(seed):
    counts = sp.csr_matrix(np.random.default_rng(seed).poisson(0.3, (300, 200)).astype(np.float32))
    obs = pd.DataFrame({"batch": pd.Categorical(["gem1", "gem2"] * 150)}, index=[f"c{i}" for i in range(300)])
    return ad.AnnData(counts, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(200)]))


def test_what_is_written_is_read_back_and_equal_matrices_are_equal_bytes(tmp_path):
    paths = [tmp_path / f"{k}.h5ad" for k in range(20)]
    for path in paths:
        write_h5ad(cells(0), path)
    assert len({path.read_bytes() for path in paths}) == 1
    back = ad.read_h5ad(paths[0])
    assert (back.X != cells(0).X).nnz == 0
    assert back.obs["batch"].tolist() == ["gem1", "gem2"] * 150


def test_no_part_is_compressed_by_lzf_whose_output_varies(tmp_path):
    write_h5ad(cells(1), tmp_path / "cells.h5ad")
    kinds = {}
    with h5py.File(tmp_path / "cells.h5ad") as file:
        file.visititems(lambda name, part: kinds.update({name: getattr(part, "compression", None)}))
    assert kinds["X/data"] == "gzip"
    assert "lzf" not in kinds.values()
