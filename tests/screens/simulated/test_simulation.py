import os
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import spearmanr

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.ceiling import ceiling
from kgpert_lib.metrics.deltas import mae, mse, pearson_delta
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.pseudobulk import TARGET_SUM, Pseudobulk
from kgpert_lib.screens.screen import stored_split
from kgpert_lib.screens.simulated import simulation as simulating
from kgpert_lib.screens.simulated.world import SIZES, GraphQuality, read_names


@pytest.fixture(scope="module")
def simulation():
    return simulating.simulate(seed=0, size="tiny", workers=2)


def same_bytes(a, b):
    for key in ("delta", "control", "half_a", "half_b", "n_cells"):
        assert getattr(a, key).tobytes() == getattr(b, key).tobytes()


def test_the_default_names_are_real_and_hold_integrator():
    targets, genes = read_names(SIZES["default"])
    assert (len(targets), len(genes)) == (600, 2_000)
    assert {f"INTS{i}" for i in range(1, 15)} <= set(targets) <= set(genes)
    assert len(set(genes)) == 2_000


def test_the_atlas_holds_four_lines_with_halves_controls_and_splits(simulation):
    atlas = simulation.atlas
    assert (atlas.name, atlas.kind, list(atlas.lines)) == (
        "simulated",
        "simulated",
        ["k562", "rpe1", "hepg2", "jurkat"],
    )
    for line in atlas.lines.values():
        assert line.delta.shape == line.half_a.shape == line.half_b.shape == line.control.shape == (60, 200)
        assert line.dense
        assert line.n_cells.min() >= 12
        assert line.n_cells.max() <= 40
        assert [len(line.names(s)) for s in ("test", "val", "train")] == [15, 5, 40]
    assert set(atlas["k562"].names("test")) != set(atlas["rpe1"].names("test"))


def test_same_seed_same_bytes_on_any_number_of_workers_and_lines(simulation):
    alone = simulating.simulate(seed=0, size="tiny", lines=["rpe1"], workers=1)
    same_bytes(alone.atlas["rpe1"], simulation.atlas["rpe1"])
    a, b = alone.cells("rpe1"), simulation.cells("rpe1")
    assert a.X.data.tobytes() == b.X.data.tobytes()
    assert a.obs.equals(b.obs)
    assert alone.graphs[0].adjacency.data.tobytes() == simulation.graphs[0].adjacency.data.tobytes()


def sums(bulk):
    return {key: np.asarray(values).tobytes() for key, values in bulk.arrays().items()}


@pytest.mark.parametrize(("line", "splits", "replicate"), [("k562", 1, 0), ("rpe1", 12, 0), ("rpe1", 0, 1)])
def test_sums_from_the_cache_are_those_of_the_cells_to_the_bit(simulation, cache, line, splits, replicate):
    drawn = sums(simulation._draw_bulk(line, splits, replicate))
    assert sums(simulation.bulk(line, splits, replicate)) == drawn
    files = {path: path.stat().st_mtime_ns for path in (cache / "simulated").iterdir()}
    assert sums(simulation.bulk(line, splits, replicate)) == drawn
    if splits:
        assert sums(simulation.bulk(line, 1)) == sums(simulation._draw_bulk(line, 1, 0))
    assert {path: path.stat().st_mtime_ns for path in (cache / "simulated").iterdir()} == files


def test_the_truth_from_the_cache_is_the_computed_one_to_the_bit(simulation):
    expected = simulation.world.models["rpe1"].true_deltas(TARGET_SUM)
    again = simulating.simulate(seed=0, size="tiny", lines=["rpe1"])
    assert simulation._truth("rpe1").tobytes() == again.truth["rpe1"].tobytes() == expected.tobytes()


def test_more_halves_than_are_stored_are_drawn(simulation, cache):
    simulation.bulk("k562")
    assert sums(simulation.bulk("k562", 12)) == sums(simulation._draw_bulk("k562", 12, 0))


def test_a_damaged_file_in_the_cache_is_drawn_again(simulation, cache):
    expected = sums(simulation.bulk("k562"))
    (path,) = (cache / "simulated").glob("k562-*.npz")
    path.write_bytes(path.read_bytes()[:1000])
    assert sums(simulation.bulk("k562")) == expected
    np.savez(path, cells=np.zeros((3, 2, 2)))
    assert sums(simulation.bulk("k562")) == expected


def test_another_seed_or_replicate_draws_other_cells(simulation):
    other = simulating.simulate(seed=1, size="tiny", lines=["k562"])
    assert (other.atlas["k562"].delta != simulation.atlas["k562"].delta).any()
    again = simulation.bulk("k562", replicate=1)
    assert (again.deltas()[0] != simulation.atlas["k562"].delta).mean() > 0.9
    assert again.n_cells.tolist() == simulation.atlas["k562"].n_cells.tolist()


def test_cells_follow_the_scperturb_schema(simulation):
    cells = simulation.cells("k562")
    obs = cells.obs
    columns = ["perturbation", "batch", "guide_id", "percent_mito", "ncounts", "ngenes", "nperts", "cell_line"]
    assert obs.columns.tolist() == columns
    assert (cells.X.data > 0).all()
    assert (cells.X.data == np.round(cells.X.data)).all()
    np.testing.assert_allclose(obs["ncounts"], np.asarray(cells.X.sum(axis=1)).ravel())
    np.testing.assert_array_equal(obs["ngenes"], (cells.X > 0).sum(axis=1).A1)
    control = obs["perturbation"] == "control"
    assert control.sum() == 120
    assert (obs["nperts"] == (~control).astype(int)).all()
    assert set(obs["perturbation"]) == {"control", *simulation.perturbations}
    assert cells.var_names.tolist() == simulation.genes.tolist()
    assert cells.var["ensembl_id"].is_unique
    assert obs.index.is_unique


def test_the_atlas_is_the_pseudobulk_of_its_cells(simulation):
    cells = simulation.cells("hepg2")
    bulk = Pseudobulk(simulation.genes, simulation.perturbations, np.unique(cells.obs["batch"].astype(str)), splits=0)
    bulk.add(cells.X, cells.obs)
    np.testing.assert_allclose(bulk.deltas()[0], simulation.atlas["hepg2"].delta, atol=1e-4)


def test_observed_deltas_scatter_around_the_truth(simulation):
    truth, observed = simulation.truth["k562"], simulation.atlas["k562"].delta
    agreement = pearson_delta(truth, observed)
    swapped = pearson_delta(np.roll(truth, 1, axis=0), observed)
    assert (agreement > swapped).mean() > 0.9
    slope = np.polyfit(truth.ravel(), observed.ravel(), 1)[0]
    assert slope == pytest.approx(1.0, abs=0.1)


def test_the_target_itself_is_knocked_down(simulation):
    column = np.searchsorted(simulation.genes, simulation.perturbations)
    own = simulation.truth["k562"][np.arange(60), column]
    assert (own < 0).mean() > 0.9
    assert np.median(own) < 5 * np.median(simulation.truth["k562"])


def test_the_bound_holds_for_every_pair_of_every_line(simulation):
    for scm in simulation.scms.values():
        assert (cdist(scm.response(), scm.response()) <= scm.bound() + 1e-9).all()


def test_lines_share_part_of_their_biology(simulation):
    a, b = simulation.scms["k562"].silenced(0).response(), simulation.scms["jurkat"].silenced(0).response()
    same = pearson_delta(a, b).mean()
    assert 0.3 < same < 0.95


def test_perfect_graphs_hold_exactly_the_true_pairs_and_blind_ones_fewer(simulation):
    perfect = simulating.simulate(
        0, "tiny", ["k562"], complexes=GraphQuality(1.0, 0.0, 1.0), pathways=GraphQuality(1.0, 0.0, 1.0)
    )
    level = perfect.scm.meeting_level()
    pairs = {tuple(perfect.perturbations[[i, j]]) for i, j in np.argwhere(np.triu(level == 1, 1))}
    graph = perfect.graphs[0]
    coo = graph.adjacency.tocoo()
    assert pairs == {tuple(graph.symbols[[i, j]]) for i, j in zip(coo.row, coo.col, strict=True) if i < j}
    assert simulation.graphs[0].n_edges < graph.n_edges


def test_false_edges_are_as_many_as_asked_for():
    few, many = (
        simulating.simulate(0, "tiny", ["k562"], complexes=GraphQuality(0.6, rate)).graphs[0].n_edges
        for rate in (0.0, 1.0)
    )
    assert 1.5 * few < many <= 2 * few


def test_the_default_atlas_behaves_like_the_published_screens():
    """Ranges around the paper's figures: paper, section 4 and appendix B, and the ceiling by the square-root rule."""
    simulation = simulating.simulate(lines=["k562"])
    line, view = simulation.atlas["k562"], simulation.atlas.view("k562")
    test = line.names("test")
    truth = line.delta[line.rows(test)]
    predicted = NeighbourPredictor(GraphNeighbourhood(simulation.graphs)).predict(view, test).delta
    graph = pearson_delta(predicted, truth)
    mean = pearson_delta(TrainingMean().predict(view, test).delta, truth)
    gap = np.sort(ceiling(stored_split(line))["ceiling"].to_numpy()[line.rows(test)] - graph)
    assert 0.40 < mean.mean() < 0.52
    assert 0.55 < graph.mean() < 0.65
    assert 0.02 < gap.mean() < 0.12
    cut = [int(0.6 * len(gap)), int(0.9 * len(gap))]
    best, middle, worst = (part.sum() / gap.sum() for part in np.split(gap, cut))
    assert best < 0.1
    assert middle > worst > 0.25
    magnitude = np.linalg.norm(truth, axis=1)
    control = line.control[line.rows(test)]
    control_like = pearson_delta(control + truth, control)
    # stronger, less control-like perturbations are easier by Pearson (higher score) and harder by error (higher error)
    for score in (graph, mse(predicted, truth), mae(predicted, truth)):
        assert spearmanr(score, magnitude).statistic > 0.2
        assert spearmanr(score, control_like).statistic < -0.2


def test_write_makes_an_atlas_and_a_file_of_cells_a_line(simulation, tmp_path):
    folder = simulating.write(tmp_path / "out", lines=["k562", "rpe1"], size="tiny")
    atlas = Atlas.load(folder / "atlas")
    same_bytes(atlas["rpe1"], simulation.atlas["rpe1"])
    cells = ad.read_h5ad(folder / "cells" / "rpe1.h5ad")
    assert (cells.X != simulation.cells("rpe1").X).nnz == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
    with pytest.raises(InputError, match="exists already"):
        simulating.write(folder, size="tiny")


@pytest.mark.parametrize("name", ["file/below", "x" * 256, "loop"])
def test_a_folder_that_cannot_be_written_is_one_sentence(simulation, tmp_path, name):
    (tmp_path / "file").write_text("old")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match=r"cannot be written \(.*\); choose another path") as caught:
        simulation.write(tmp_path / name)
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "loop"]


def test_a_link_to_nothing_yet_is_followed(simulation, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "screen")
    simulation.write(tmp_path / "link")
    assert Atlas.load(tmp_path / "disk" / "screen" / "atlas").name == "simulated"


FULL_DISK = """
import resource, signal, sys
import anndata
from kgpert_lib.errors import InputError
from kgpert_lib.screens.simulated.simulation import simulate
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
simulation = simulate(size="tiny", lines=["k562"])
simulation.atlas
for room in (0, 10_000, 150_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        simulation.write(sys.argv[1])
    except InputError as error:
        print(error)
"""


def test_a_disk_that_fills_up_is_one_sentence_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path / "out")]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    assert run.stdout.count("cannot be written (the file would be larger than this system allows)") == 3
    assert run.stdout.count("\n") == 3
    assert list(tmp_path.iterdir()) == []


def test_mistakes_are_named(simulation):
    with pytest.raises(InputError, match="no line 'hela'"):
        simulating.load(["hela"])
    with pytest.raises(InputError, match="Unknown size 'huge'"):
        simulating.simulate(size="huge")
    with pytest.raises(InputError, match="holds no line 'a549'"):
        simulation.cells("a549")
