import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import Atlas, CellLine

ROOT = Path(__file__).parents[2]
POISON = 1e14


def toy_line(name="k562", **changes):
    """Four perturbations (two train, one val, one test) by three genes, with a gap."""
    fields = {
        "name": name,
        "perturbations": ["A", "B", "C", "D"],
        "genes": ["G", "H", "I"],
        "delta": [[1, np.nan, 0], [2, 4, 0], [5, 5, 5], [9, 9, 9]],
        "split": ["train", "train", "val", "test"],
    }
    return CellLine(**{**fields, **changes})


def toy_atlas(*lines, **changes):
    lines = lines or (toy_line(),)
    return Atlas(**{"name": "toy", "kind": "real", "lines": {line.name: line for line in lines}, **changes})


# --- invariants ---

FULL = np.ones((4, 3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"perturbations": [], "delta": np.ones((0, 3)), "split": []}, "0 perturbations and 3 readout genes"),
        ({"genes": [], "delta": np.ones((4, 0))}, "4 perturbations and 0 readout genes"),
        ({"perturbations": ["A", "B", "B", "D"]}, "perturbation 'B' appears 2 times"),
        ({"genes": ["G", "G", "G"]}, "readout gene 'G' appears 3 times"),
        ({"perturbations": ["A", "", "C", "D"]}, "a perturbation has an empty name"),
        ({"genes": ["G", "H", ""]}, "a readout gene has an empty name"),
        ({"genes": ["G", "H\n", "I"]}, r"readout gene 'H\\n' holds a character that cannot be printed"),
        ({"perturbations": ["A", "B", "C", "D\ud800"]}, "cannot be printed"),
        ({"perturbations": [["A", "B", "C", "D"]]}, r"perturbations has shape \(1, 4\)"),
        ({"perturbations": ["A", "B", "C", "non-targeting"]}, "'non-targeting' is a control, not a perturbation"),
        ({"delta": np.ones((3, 4))}, r"delta has shape \(3, 4\); expected \(4, 3\)"),
        ({"control": np.ones((4, 2))}, r"control has shape \(4, 2\)"),
        ({"delta": np.where(np.eye(4, 3, -1) > 0, np.inf, 1)}, "delta is infinite for B at gene G"),
        ({"delta": FULL * 1e300}, "delta is infinite for A at gene G"),
        ({"delta": FULL * 1e38}, "delta is 1e\\+38, larger than any expression, for A at gene G"),
        ({"half_a": FULL * -np.inf, "half_b": FULL}, "half_a is infinite for A"),
        ({"delta": np.where(np.arange(4)[:, None] == 2, np.nan, FULL)}, "perturbation C has no measured gene"),
        ({"delta": [["x"] * 3] * 4}, "delta cannot be read as float32"),
        ({"split": ["train", "test"]}, "2 split labels for 4 perturbations"),
        ({"split": ["train", "train", "dev", "test"]}, "split 'dev' is none of train, val, test"),
        ({"split": ["val", "val", "test", "test"]}, "no training perturbation"),
        ({"n_cells": [5, 5, 0, 5]}, "n_cells needs one positive count for each of the 4"),
        ({"n_cells": [5, 5]}, "n_cells needs one positive count"),
        ({"half_a": FULL}, "half_a and half_b come together"),
        ({"half_b": FULL}, "half_a and half_b come together"),
    ],
)
def test_a_line_that_breaks_an_invariant_says_which(changes, message):
    with pytest.raises(InputError, match=f"^k562: .*{message}"):
        toy_line(**changes)


@pytest.mark.parametrize("name", ["", " ", "a/b", "..", ".hidden", "a\\b", "a\nb"])
def test_a_line_name_has_to_be_a_file_name(name):
    with pytest.raises(InputError, match="A cell line cannot be called"):
        toy_line(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "fake"}, "kind 'fake'; it is 'real' or 'simulated'"),
        ({"lines": {}}, "holds no cell line"),
        ({"lines": {"rpe1": toy_line()}}, "files the line 'k562' under 'rpe1'"),
        ({"lines": {"k562": toy_line(), "K562": toy_line("K562")}}, "differ in case only"),
    ],
)
def test_an_atlas_that_breaks_an_invariant_says_which(changes, message):
    with pytest.raises(InputError, match=message):
        toy_atlas(**changes)


def test_arrays_are_read_only():
    line = toy_line()
    for array in (line.delta, line.perturbations, line.genes, line.split):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[0]


def test_asking_for_what_is_not_there_names_it():
    atlas = toy_atlas(missing={"hepg2": "no file"})
    with pytest.raises(InputError, match=r"no cell line 'hepg2' \(no file\); it has k562"):
        atlas["hepg2"]
    with pytest.raises(InputError, match=r"'Z' was not perturbed in k562 \(1 unknown of 2\)"):
        atlas["k562"].rows(["A", "Z"])
    with pytest.raises(InputError, match="Unknown split 'loose'"):
        atlas.view("k562", "loose")


def test_rows_and_names_follow_the_order_asked_for():
    line = toy_line()
    assert list(line.rows(["D", "A"])) == [3, 0]
    assert line.names("train") == ["A", "B"]


# --- views ---


def poisoned(line):
    """The line with huge values in every row that is not a training row, in every layer."""
    seen = (line.split == "train")[:, None]
    layers = {k: np.where(seen, getattr(line, k), POISON) for k in ("delta", "control", "half_a", "half_b")}
    return replace(line, **layers)


def layered(name, **changes):
    return toy_line(name, control=FULL, half_a=FULL, half_b=FULL, **changes)


@pytest.mark.parametrize("split", ["per-line", "strict"])
def test_a_view_holds_nothing_of_held_out_rows(split):
    atlas = toy_atlas(poisoned(layered("k562")), poisoned(layered("rpe1", split=["test", "train", "train", "val"])))
    view = atlas.view("k562", split)
    for line in view.lines.values():
        arrays = [v for v in vars(line).values() if isinstance(v, np.ndarray)]
        arrays += [line.filled, line.mean, line.measured]
        for array in arrays:
            assert array.dtype.kind == "U" or not (np.abs(np.nan_to_num(array)) > 1e6).any()
            assert not any(np.shares_memory(array, getattr(atlas[line.name], k)) for k in ("delta", "control"))
        held_out = set(atlas[line.name].names("test")) | set(atlas[line.name].names("val"))
        assert not held_out & set(line.perturbations)
        assert line.delta.shape == (len(line.perturbations), 3)


def test_strict_hides_the_test_genes_of_the_evaluated_line_in_every_line():
    atlas = toy_atlas(toy_line("k562"), toy_line("rpe1", split=["test", "train", "train", "train"]))
    assert list(atlas.view("k562", "per-line").lines["rpe1"].perturbations) == ["B", "C", "D"]
    assert list(atlas.view("k562", "strict").lines["rpe1"].perturbations) == ["B", "C"]
    assert list(atlas.view("rpe1", "strict").lines["k562"].perturbations) == ["B"]
    assert list(atlas.view("k562", "strict").target.perturbations) == ["A", "B"]


def test_without_drops_perturbations_from_every_line_and_keeps_the_rest():
    view = toy_atlas(layered("k562"), layered("rpe1")).view("k562")
    less = view.without(p for p in ["A", "unknown"])
    for line in less.lines.values():
        assert list(line.perturbations) == ["B"]
        np.testing.assert_array_equal(line.delta, [[2, 4, 0]])
        assert line.control.shape == (1, 3)
    assert list(view.target.perturbations) == ["A", "B"]
    assert less.without(["B"]).target.mean.tolist() == [0, 0, 0]


def test_the_training_mean_is_over_measured_values_only():
    target = toy_atlas().view("k562").target
    np.testing.assert_allclose(target.mean, [1.5, 4, 0])
    np.testing.assert_array_equal(target.filled, [[1, 0, 0], [2, 4, 0]])
    assert not target.dense


# --- saving and loading ---

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=8)
VALUES = st.floats(-(2.0**49), 2.0**49, width=32)


@st.composite
def lines(draw, name="k562"):
    """Cell lines with odd names, gaps and any choice of the optional layers."""
    controls = {"control", "ctrl", "non-targeting"}
    perturbations = draw(st.lists(NAMES.filter(lambda p: p not in controls), min_size=1, max_size=6, unique=True))
    genes = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    shape = (len(perturbations), len(genes))
    matrix = hnp.arrays(np.float32, shape, elements=VALUES)
    gapped = hnp.arrays(np.float32, shape, elements=VALUES | st.just(float("nan")))
    delta = draw(gapped)
    delta[np.isnan(delta).all(axis=1), 0] = 1
    halves = draw(st.none() | st.tuples(gapped, gapped)) or (None, None)
    split = [
        "train",
        *draw(st.lists(st.sampled_from(["train", "val", "test"]), min_size=shape[0] - 1, max_size=shape[0] - 1)),
    ]
    n_cells = draw(st.none() | hnp.arrays(np.int64, shape[0], elements=st.integers(1, 2**40)))
    return CellLine(name, perturbations, genes, delta, split, draw(st.none() | matrix), *halves, n_cells)


def assert_same(one, two):
    assert (one.name, one.kind, dict(one.missing), dict(one.provenance)) == (
        two.name,
        two.kind,
        dict(two.missing),
        dict(two.provenance),
    )
    assert list(one.lines) == list(two.lines)
    for name in one.lines:
        for key, value in vars(one[name]).items():
            other = vars(two[name])[key]
            if isinstance(value, np.ndarray):
                assert value.dtype.kind == other.dtype.kind
                np.testing.assert_array_equal(value, other)
            else:
                assert value == other


@settings(deadline=None, max_examples=30)
@given(first=lines(), second=lines("rpe1 +dose_2"), note=st.text(st.characters(exclude_categories=["Cs"])))
def test_a_saved_atlas_loads_without_loss(tmp_path_factory, first, second, note):
    folder = tmp_path_factory.mktemp("atlas") / "saved"
    atlas = toy_atlas(first, second, missing={"hepg2": note}, provenance={"seed": 7, "note": note, "files": {"a": [1]}})
    assert atlas.save(folder) == folder
    assert_same(atlas, Atlas.load(folder))


def test_saving_again_replaces_every_line_and_leaves_nothing_behind(tmp_path):
    folder = tmp_path / "atlas"
    toy_atlas(toy_line(), toy_line("rpe1")).save(folder)
    (folder / "notes.h5ad").write_text("the user's own")
    for value in (2.0, 3.0):
        atlas = toy_atlas(toy_line(delta=FULL * value))
        atlas.save(folder)
        assert_same(atlas, Atlas.load(folder))
        assert len([p for p in folder.iterdir() if p.name != "notes.h5ad"]) == 2
    assert (folder / "notes.h5ad").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["atlas"]


def test_lines_whose_files_could_clash_keep_their_own(tmp_path):
    toy_atlas(toy_line("a", delta=FULL)).save(tmp_path / "atlas")
    atlas = toy_atlas(toy_line("a", delta=FULL * 2), toy_line("a-2", delta=FULL * 3))
    for _ in range(3):
        atlas.save(tmp_path / "atlas")
        assert_same(atlas, Atlas.load(tmp_path / "atlas"))


def test_an_empty_directory_takes_an_atlas_and_a_foreign_one_does_not(tmp_path):
    (tmp_path / "empty").mkdir()
    toy_atlas().save(tmp_path / "empty")
    assert_same(toy_atlas(), Atlas.load(tmp_path / "empty"))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("precious")
    with pytest.raises(InputError, match="exists and is not an atlas"):
        toy_atlas().save(tmp_path / "thesis")
    assert [p.name for p in (tmp_path / "thesis").iterdir()] == ["chapter.txt"]


KILLED = """
import os, signal, sys
import anndata, numpy as np
from kgpert_lib.screens.atlas import Atlas, CellLine

def save(name, value, folder):
    lines = {n: CellLine(n, ["A"], ["G"], np.full((1, 1), value), ["train"]) for n in ("k562", "rpe1")}
    Atlas(name, "real", lines).save(folder + "/atlas")

def kill_at(step, folder):
    steps = iter(range(step + 1))
    def watch(event, args):
        if event in ("os.rename", "os.remove") and folder in str(args[0]) and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(watch)

step = status = -1
while status:
    step += 1
    folder = f"{sys.argv[1]}/{step}"
    save("old", 1.0, folder)
    child = os.fork()
    if not child:
        kill_at(step, folder)
        save("new", 2.0, folder)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    print(status)
"""


def test_a_save_killed_at_any_rename_leaves_the_old_atlas_or_the_new_one(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    printed = subprocess.run(command, env=env, cwd=ROOT, check=True, capture_output=True, text=True, timeout=300).stdout
    statuses = [int(line) for line in printed.split()]
    assert set(statuses[:-1]) == {signal.SIGKILL}
    names = []
    for step in range(len(statuses)):
        atlas = Atlas.load(tmp_path / str(step) / "atlas")
        assert {float(line.delta[0, 0]) for line in atlas.lines.values()} == {{"old": 1.0, "new": 2.0}[atlas.name]}
        names.append(atlas.name)
    assert names == sorted(names, reverse=True)
    assert names[0] == "old"
    assert names.count("new") > 1


def test_a_save_that_fails_leaves_the_old_atlas_and_no_scratch(tmp_path):
    toy_atlas().save(tmp_path / "atlas")
    broken = toy_atlas(toy_line(), toy_line("x" * 300))
    with pytest.raises(InputError, match="the name is too long"):
        broken.save(tmp_path / "atlas")
    assert_same(toy_atlas(), Atlas.load(tmp_path / "atlas"))
    assert [p.name for p in tmp_path.iterdir()] == ["atlas"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_short_is_named(tmp_path, share):
    toy_atlas(layered("k562")).save(tmp_path / "atlas")
    path = tmp_path / "atlas" / "k562.h5ad"
    os.truncate(path, int(path.stat().st_size * share))
    with pytest.raises(InputError, match=r"k562\.h5ad is cut short or not an atlas file"):
        Atlas.load(tmp_path / "atlas")


def test_a_missing_file_is_named(tmp_path):
    toy_atlas().save(tmp_path / "atlas")
    (tmp_path / "atlas" / "k562.h5ad").unlink()
    with pytest.raises(InputError, match=r"lists 'k562', but .*k562\.h5ad is missing"):
        Atlas.load(tmp_path / "atlas")


HEAD = '{"format": 1, "name": "x", "kind": "real", "provenance": {}, "lines": {L}, "missing": {M}}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a valid atlas header"),
        ("[]", "not a valid atlas header"),
        ('{"format": 1}', "not a valid atlas header"),
        ('{"format": 9}', "has format 9; this version reads format 1"),
        (HEAD.replace("{L}", '["k562"]').replace("{M}", "{}"), "'lines' is missing or of the wrong type"),
        (HEAD.replace("{L}", "{}").replace("{M}", "3"), "'missing' is missing or of the wrong type"),
        (HEAD.replace("{L}", "{}").replace("{M}", '["hepg2"]'), "'missing' is missing or of the wrong type"),
        (HEAD.replace("{L}", '{"k562": 3}').replace("{M}", "{}"), "'lines' holds something other than text"),
        ("[" * 100_000, "nested too deeply"),
        ('{"format": 1, "name": ' + "[" * 100_000, "nested too deeply"),
    ],
)
def test_a_header_that_cannot_be_read_is_one_sentence(tmp_path, text, message):
    (tmp_path / "atlas.json").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        Atlas.load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_directory_without_a_header_is_no_atlas(tmp_path):
    with pytest.raises(InputError, match=r"holds no atlas\.json"):
        Atlas.load(tmp_path)


def test_a_header_cannot_point_outside_its_directory(tmp_path):
    toy_atlas().save(tmp_path / "one")
    toy_atlas().save(tmp_path / "two")
    path = tmp_path / "two" / "atlas.json"
    head = json.loads(path.read_text())
    head["lines"]["k562"] = "../one/elsewhere.h5ad"
    path.write_text(json.dumps(head))
    with pytest.raises(InputError, match=r"two/elsewhere\.h5ad is missing"):
        Atlas.load(tmp_path / "two")
