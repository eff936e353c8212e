import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import scipy.sparse as sp

from kgpert_lib.errors import InputError
from kgpert_lib.screens.pseudobulk import Pseudobulk, assign_halves, log_normalised
from kgpert_lib.screens.simulated.cells import CellModel

GENES = [f"G{i:02d}" for i in range(60)]
PERTURBATIONS = ["AAAS", "BRCA1", "CDK1"]


@pytest.fixture
def screen():
    """600 cells, three perturbations and controls in two batches, with cells that hold no count."""
    rng = np.random.default_rng(0)
    rate = rng.lognormal(0, 1.5, 60)
    counts = rng.poisson(rng.lognormal(0, 0.4, (600, 1)) * rate).astype(np.float32)
    counts[:3] = 0
    names = rng.choice(["control", "AAAS", "BRCA1", "CDK1"], 600, p=[0.4, 0.2, 0.2, 0.2])
    obs = pd.DataFrame({"perturbation": names, "batch": rng.choice(["b1", "b2"], 600)})
    return sp.csr_matrix(counts), obs


def whole(counts, obs, training=(), splits=1, seed=0):
    """The sums over a screen that arrives at once."""
    bulk = Pseudobulk(GENES, PERTURBATIONS, ["b1", "b2"], training or PERTURBATIONS, splits=splits)
    bulk.add(counts, obs, assign_halves(obs, splits, seed))
    return bulk


def test_normalisation_is_scanpys(screen):
    counts, _ = screen
    reference = ad.AnnData(counts.copy())
    sc.pp.normalize_total(reference, target_sum=4_000)
    sc.pp.log1p(reference)
    np.testing.assert_allclose(log_normalised(counts).toarray(), reference.X.toarray(), rtol=1e-5)
    np.testing.assert_allclose(log_normalised(counts.toarray()), reference.X.toarray(), rtol=1e-5)


def test_deltas_are_scanpys_means_against_the_controls_of_each_batch(screen):
    counts, obs = screen
    reference = ad.AnnData(log_normalised(counts), obs=obs.astype("category").set_axis(obs.index.astype(str)))
    of = sc.get.aggregate(reference, by="perturbation", func="mean")
    by_batch = sc.get.aggregate(reference[obs.perturbation.to_numpy() == "control"], by="batch", func="mean")
    control = pd.DataFrame(by_batch.layers["mean"], index=by_batch.obs_names)
    bulk = whole(counts, obs)
    delta, matched = bulk.deltas()
    for row, name in enumerate(bulk.perturbations):
        batches = obs.batch[obs.perturbation == name]
        expected = control.loc[batches].to_numpy().mean(axis=0)
        np.testing.assert_allclose(matched[row], expected, atol=1e-5)
        np.testing.assert_allclose(delta[row], of[name].layers["mean"].ravel() - expected, atol=1e-5)
    assert bulk.n_cells.tolist() == [(obs.perturbation == name).sum() for name in bulk.perturbations]


def test_chunks_and_formats_give_the_same_sums(screen):
    counts, obs = screen
    cuts = [slice(0, 1), slice(1, 250), slice(250, 600)]
    streamed = Pseudobulk(GENES, PERTURBATIONS, ["b1", "b2"], splits=2)
    halves = assign_halves(obs, 2)
    for i, c in enumerate(cuts):
        streamed.add(counts[c].toarray() if i % 2 else counts[c], obs.iloc[c], halves[c])
    at_once = whole(counts, obs, splits=2)
    np.testing.assert_allclose(streamed.deltas()[0], at_once.deltas()[0], atol=1e-5)
    np.testing.assert_allclose(streamed.halves(1)[1], at_once.halves(1)[1], atol=1e-5)


def test_merging_parts_is_adding_all_cells(screen):
    counts, obs = screen
    halves = assign_halves(obs, 1)
    total = Pseudobulk(GENES, PERTURBATIONS, ["b1", "b2"], splits=1)
    for kept in (["AAAS"], ["BRCA1", "CDK1"]):
        pick = np.flatnonzero(obs.perturbation.isin([*kept, *(["control"] if len(kept) == 1 else [])]))
        part = Pseudobulk(GENES, kept, ["b1", "b2"], splits=1)
        part.add(counts[pick], obs.iloc[pick], halves[pick])
        total.merge(part)
    np.testing.assert_allclose(total.deltas()[0], whole(counts, obs).deltas()[0], atol=1e-5)
    np.testing.assert_allclose(total.halves()[0], whole(counts, obs).halves()[0], atol=1e-5)


def test_halves_share_no_cell_and_cut_controls_in_every_batch(screen):
    _, obs = screen
    halves = assign_halves(obs, splits=3, seed=1)
    for key in [obs.perturbation == "AAAS", (obs.perturbation == "control") & (obs.batch == "b2")]:
        n = int(key.sum())
        assert halves[key.to_numpy()].sum(axis=0).tolist() == [-(-n // 2)] * 3
    assert (halves[:, 0] != halves[:, 1]).any()
    np.testing.assert_array_equal(halves, assign_halves(obs, splits=3, seed=1))


def test_half_deltas_are_the_deltas_of_the_half_screens(screen):
    counts, obs = screen
    bulk = whole(counts, obs, seed=4)
    first = assign_halves(obs, 1, seed=4)[:, 0]
    for part, computed in zip((first, ~first), bulk.halves(0), strict=True):
        pick = np.flatnonzero(part)
        np.testing.assert_allclose(computed, whole(counts[pick], obs.iloc[pick]).deltas()[0], atol=1e-5)


def test_highly_variable_genes_are_scanpys(screen):
    counts, obs = screen
    reference = ad.AnnData(log_normalised(counts))
    sc.pp.highly_variable_genes(reference, n_top_genes=15, flavor="seurat")
    expected = np.asarray(GENES)[reference.var.highly_variable.to_numpy()]
    assert whole(counts, obs).highly_variable(15).tolist() == expected.tolist()


def test_test_perturbations_never_shape_the_highly_variable_genes(screen):
    counts, obs = screen
    before = whole(counts, obs, training=["AAAS", "BRCA1"]).highly_variable(12)
    changed = counts.toarray()
    changed[(obs.perturbation == "CDK1").to_numpy()] *= np.random.default_rng(1).integers(0, 50, 60)
    after = whole(sp.csr_matrix(changed), obs, training=["AAAS", "BRCA1"]).highly_variable(12)
    assert before.tolist() == after.tolist()
    assert before.tolist() != whole(sp.csr_matrix(changed), obs).highly_variable(12).tolist()


def test_the_finished_line_keeps_only_variable_genes(screen):
    counts, obs = screen
    bulk = whole(counts, obs, training=["AAAS", "BRCA1"])
    line = bulk.cell_line("k562", ["train", "train", "test"], n_top=20)
    assert line.genes.tolist() == bulk.highly_variable(20).tolist()
    assert line.delta.shape == line.control.shape == line.half_a.shape == (3, 20)


def test_error_falls_with_the_root_of_the_number_of_cells():
    rng = np.random.default_rng(7)
    model = CellModel(
        key=(7, 1),
        log_rate=rng.normal(0, 1.0, 300),
        batch_shift=rng.normal(0, 0.1, (2, 300)),
        effect=rng.normal(0, 0.3, (1, 300)),
        depth=np.array([3_000.0, 4_000.0]),
        spread=0.3,
        dispersion=0.2,
    )
    truth = model.true_deltas(4_000.0)[0]
    genes = [f"G{i:03d}" for i in range(300)]
    sizes = np.array([100, 400, 1_600, 6_400])
    errors = []
    for n in sizes:
        code, batch = np.repeat([-1, -1, 0, 0], n // 2), np.tile(np.repeat([0, 1], n // 2), 2)
        obs = pd.DataFrame({"perturbation": np.where(code < 0, "control", "P"), "batch": batch.astype(str)})
        bulk = Pseudobulk(genes, ["P"], ["0", "1"], splits=0)
        bulk.add(model.draw_units(code, batch), obs)
        errors.append(np.sqrt(((bulk.deltas()[0][0] - truth) ** 2).mean()))
    slope = np.polyfit(np.log(sizes), np.log(errors), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.06)
    assert errors[-1] < 0.03


def test_mistakes_are_named(screen):
    counts, obs = screen
    with pytest.raises(InputError, match="came with 600 cells and 60 genes"):
        whole(counts[:, :-1], obs)
    bare = obs.assign(batch=np.where(obs.perturbation == "control", "b1", "b2"))
    with pytest.raises(InputError, match="AAAS has cells in batch b2, which has no control"):
        whole(counts, bare).deltas()
    with pytest.raises(InputError, match="ZZZ3 has no cell"):
        Pseudobulk(GENES, ["ZZZ3"], ["b1"]).deltas()
    with pytest.raises(InputError, match="no split 3"):
        whole(counts, obs).halves(3)
    with pytest.raises(InputError, match="'b2' is not among"):
        Pseudobulk(GENES, ["AAAS"], ["b1"]).add(counts, obs)


def test_shared_controls_leave_the_perturbed_halves_and_use_every_control(screen):
    counts, obs = screen
    bulk = whole(counts, obs)
    a, b = bulk.halves(0, controls="shared")
    count = assign_halves(obs, 1)[:, 0]
    n = np.array([[(obs.perturbation[count == h] == p).sum() for p in bulk.perturbations] for h in (True, False)])
    mean = (n[0][:, None] * a + n[1][:, None] * b) / n.sum(axis=0)[:, None]
    np.testing.assert_allclose(mean, bulk.deltas()[0], atol=1e-5)
