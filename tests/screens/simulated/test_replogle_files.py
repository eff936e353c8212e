"""The stand-ins for Replogle's files have the authors' shapes, columns and oddities, and the same bytes every time."""

import shutil

import h5py
import numpy as np
import pytest

from kgpert_lib.downloads.registry import default_registry
from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.graphs import load_graphs
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.named import build
from kgpert_lib.screens.load import load_atlas
from kgpert_lib.screens.replogle import FILES, Options, load
from kgpert_lib.screens.screen import Screen
from kgpert_lib.screens.simulated.replogle_files import write_replogle
from tests.replogle_mirror import Mirror, written_without_perturbqa

COLUMNS = {
    "num_cells_filtered", "UMI_count_filtered", "fold_expr", "pct_expr", "core_control", "energy_test_p_value",
    "anderson_darling_counts", "mann_whitney_counts", "z_gemgroup_UMI", "mitopercent", "cnv_score_z",
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return Mirror(written_without_perturbqa(tmp_path_factory.mktemp("small")))


def everything(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(small, tmp_path):
    again = everything(write_replogle(tmp_path / "again", seed=0, size="tiny"))
    assert again == everything(small.folder)
    other = everything(write_replogle(tmp_path / "other", seed=1, size="tiny"))
    assert other.keys() == again.keys()
    assert all(other[name] != again[name] for name in other)


@pytest.mark.parametrize("line", FILES)
def test_the_layout_is_the_authors(small, line):
    data = small.read(line)
    assert set(data.obs) >= COLUMNS
    assert (data.obs.index.name, data.var.index.name) == ("gene_transcript", "gene_id")
    assert data.var_names.str.fullmatch(r"ENSG\d{11}").all()
    assert data.var["gene_name"].dtype == "category"  # because two readout genes share a name
    assert data.obs["core_control"].dtype == bool
    assert data.uns["kgpert"] == "simulated"
    with h5py.File(small.path(FILES[line])) as file:
        matrix = file["X"]
        assert (matrix.dtype, matrix.chunks, matrix.compression) == (np.float32, None, None)
        assert matrix.id.get_offset() is not None


@pytest.mark.parametrize(("line", "infinite"), [("k562", 0), ("rpe1", 1), ("k562_gw", 6)])
def test_the_oddities_are_there(small, line, infinite):
    data = small.read(line)
    parts = data.obs_names.str.extract(r"^\d+_(.+)_([^_]+)_([^_]+)$")
    control = (parts[0] == "non-targeting").to_numpy()
    assert (parts[control].nunique() == 1).all()
    assert control.sum() >= 12
    assert 0 < data.obs["core_control"].sum() < control.sum()
    assert not data.obs["core_control"][~control].any()
    assert set(parts[1][~control]) == {"P1", "P2", "P1P2"}
    rows = parts[0][~control].value_counts()
    assert {2, 3} <= set(rows)
    assert np.isposinf(data.X).sum() == np.isposinf(data.X).any(axis=0).sum() == infinite
    assert not np.isnan(data.X).any()
    assert data.var["gene_name"].duplicated().sum() == 2
    unread = ~parts[2].isin(data.var_names)
    assert data.obs["fold_expr"].isna().tolist() == unread.tolist()
    assert unread[~control].any()
    named = dict(zip(data.var_names, data.var["gene_name"], strict=True))
    other = [g for g, e in zip(parts[0], parts[2], strict=True) if e in named and named[e] != g]
    assert len(set(other)) >= 3


def test_both_experiments_on_k562_measure_the_same_truth(small, monkeypatch):
    small.use(monkeypatch)
    atlas = load(FILES, download=False, options=Options(split="rule"))
    one, two, other = (atlas[line] for line in ("k562", "k562_gw", "rpe1"))

    def agreement(a, b):
        shared = sorted(set(a.index) & set(b.index))
        genes = sorted(set(a.genes) & set(b.genes))
        x, y = (line.delta[line.rows(shared)][:, [line.genes.tolist().index(g) for g in genes]] for line in (a, b))
        return np.median(pearson_delta(x, y))

    assert agreement(one, two) > 0.3
    assert agreement(one, two) > agreement(one, other) + 0.1


def test_the_registry_beside_them_names_them_as_simulated_and_keeps_the_rest(small, monkeypatch):
    packaged = default_registry()
    small.use(monkeypatch)
    registry = default_registry()
    assert registry.groups == packaged.groups
    for name, entry in registry.entries.items():
        if name in FILES.values():
            assert entry.urls == packaged[name].urls
            assert "no data" in entry.licence
            assert small.path(name).stat().st_size == entry.bytes
        else:
            assert entry == packaged[name]


def test_a_folder_that_exists_and_another_size_are_refused(tmp_path):
    with pytest.raises(InputError, match="exists already; name a new folder"):
        write_replogle(tmp_path, size="tiny")
    with pytest.raises(InputError, match="Unknown size 'huge'; it is full or tiny"):
        write_replogle(tmp_path / "new", size="huge")
    assert not (tmp_path / "new").exists()


@pytest.mark.needs_mirror
def test_with_perturbqa_at_hand_its_genes_are_knocked_down_and_its_tables_come_along(mirror, tmp_path, monkeypatch):
    files = Mirror(write_replogle(tmp_path / "files", size="tiny"))
    files.use(monkeypatch)
    atlas = load_atlas("replogle:filtered=no", ["k562"], download=False)
    perturbqa = load_atlas("perturbqa", ["k562"], download=False)
    held = set(perturbqa["k562"].names("test"))
    assert set(atlas["k562"].names("test")) == held & set(atlas["k562"].perturbations)
    assert len(atlas["k562"].names("test")) > 5


def test_files_of_full_size(tmp_path, monkeypatch):
    files = Mirror(write_replogle(tmp_path / "files"))
    files.use(monkeypatch)
    shapes = {}
    for line in FILES:
        with h5py.File(files.path(FILES[line])) as file:
            shapes[line] = file["X"].shape
    assert shapes == {"k562": (2_285, 8_563), "rpe1": (2_679, 8_749), "k562_gw": (11_258, 8_248)}
    atlas = load(FILES, download=False, options=Options(split="rule"))
    assert {line: len(cells.genes) for line, cells in atlas.lines.items()} == {
        line: shape[1] for line, shape in shapes.items()
    }
    assert all(len(cells.perturbations) > 800 for cells in atlas.lines.values())
    counts = atlas.provenance["lines"]
    assert [counts[line]["controls"] for line in FILES] == [220, 240, 585]
    assert set(atlas["k562"].names("test")).isdisjoint(atlas["k562_gw"].names("train"))
    # the hierarchy behind the numbers is GO's, so neighbours there tell a knock-down from the others
    screen = Screen(atlas.select(["k562"]), tuple(load_graphs("go", atlas.perturbations())))
    table = evaluate(screen.atlas, "k562", [build("go", screen)])
    assert table["retrieval"].mean() > 0.6
    shutil.rmtree(files.folder)
