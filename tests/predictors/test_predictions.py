"""Predictions from outside are read in three formats, scored alike, and refused with one sentence."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.predictors.baselines import Outside
from kgpert_lib.predictors.predictions import Predictions
from tests import worlds

ROOT = Path(__file__).parents[2]


def some(n: int = 3, m: int = 4, seed: int = 0) -> Predictions:
    delta = np.random.default_rng(seed).normal(size=(n, m)).astype(np.float32)
    return Predictions(worlds.symbols(n), worlds.symbols(m, "R"), delta, np.zeros(n, int), np.zeros(n, bool))


@pytest.mark.parametrize("ending", [".h5ad", ".npz", ".csv"])
@given(n=st.integers(1, 5), m=st.integers(1, 6), seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_every_format_gives_back_what_was_saved(tmp_path_factory, ending, n, m, seed):
    path = tmp_path_factory.mktemp("p") / f"mine{ending}"
    predictions = some(n, m, seed)
    back = Predictions.load(predictions.save(path))
    np.testing.assert_array_equal(back.delta, predictions.delta)
    assert back.perturbations.tolist() == predictions.perturbations.tolist()
    assert back.genes.tolist() == predictions.genes.tolist()
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_rows_and_columns_are_matched_by_name(tmp_path):
    view = worlds.atlas().view("k562")
    genes = view.target.genes[::-1]
    delta = np.arange(2 * len(genes), dtype=np.float32).reshape(2, -1)
    none = np.zeros(2, int)
    path = Predictions(np.array(["B", "A"]), genes, delta, none, none.astype(bool)).save(tmp_path / "mine.npz")
    got = Outside(path).predict(view, ["A", "B"])
    np.testing.assert_array_equal(got.delta, delta[::-1, ::-1])
    assert Outside(path).name == "mine"


def test_what_is_missing_is_counted(tmp_path):
    path = some().save(tmp_path / "mine.csv")
    loaded = Predictions.load(path)
    with pytest.raises(InputError, match="lack 1 of 2 perturbations, the first being X"):
        loaded.select(["G0000", "X"], loaded.genes)
    with pytest.raises(InputError, match="lack 1 of 1 readout genes, the first being Y"):
        loaded.select(["G0000"], np.array(["Y"]))


CSVS = {
    "gene,R1\nA,1\n": "has no column 'perturbation'",
    "perturbation,R1\nA,inf\n": "value for A at gene R1 is not a finite number",
    "perturbation,R1\nA,high\n": "value for A at gene R1 is not a finite number",
    "perturbation,R1\nA,1\nA,2\n": "perturbation A appears more than once",
    "perturbation,R1\n": "holds no prediction",
    "": "cannot be read as predictions",
}


@pytest.mark.parametrize("text", CSVS)
def test_a_broken_csv_is_refused_in_one_sentence(tmp_path, text):
    path = tmp_path / "broken.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=CSVS[text]) as caught:
        Predictions.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".h5ad", ".npz"])
def test_a_file_cut_short_is_refused(tmp_path, ending):
    path = some(20, 30).save(tmp_path / f"mine{ending}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="cannot be read as predictions") as caught:
        Predictions.load(path)
    assert "\n" not in str(caught.value)


def test_a_pickle_inside_an_npz_is_not_opened(tmp_path):
    path = tmp_path / "evil.npz"
    np.savez(path, perturbations=np.array([{"a": 1}], dtype=object), genes=np.array(["R"]), delta=np.zeros((1, 1)))
    with pytest.raises(InputError, match="cannot be read as predictions"):
        Predictions.load(path)


def an_npz(path, **changes):
    np.savez(path, **{"perturbations": ["A", "B"], "genes": ["R"], "delta": np.zeros((2, 1)), **changes})


def a_plain_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros((2, 3)))


def without_arrays(path):
    np.savez(path)


def names_without_a_length(path):
    an_npz(path, perturbations=np.array("A"))


def names_in_a_table(path):
    an_npz(path, genes=np.array([["R"]]))


def numbers_that_are_words(path):
    an_npz(path, delta=np.array([["high"], ["low"]]))


def numbers_too_large_for_float32(path):
    an_npz(path, delta=np.full((2, 1), 1e300))


def a_header_that_claims_four_terabytes(path):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (500000000000, 1), }"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("perturbations", "genes", "delta"):
            archive.writestr(f"{name}.npy", array)


def not_even_a_file_format(path):
    path.write_bytes(b"\x00" * 100)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (a_plain_array, "cannot be read as predictions"),
        (without_arrays, "has no array 'perturbations'"),
        (names_without_a_length, r"perturbations has shape \(\)"),
        (names_in_a_table, r"genes has shape \(1, 1\)"),
        (numbers_that_are_words, "cannot be read as predictions"),
        (numbers_too_large_for_float32, "value for A at gene R is not a finite number"),
        (a_header_that_claims_four_terabytes, "cannot be read as predictions"),
        (not_even_a_file_format, "cannot be read as predictions"),
    ],
)
def test_an_npz_from_elsewhere_is_refused_in_one_sentence(tmp_path, spoil, message):
    spoil(tmp_path / "mine.npz")
    with pytest.raises(InputError, match=message) as caught:
        Predictions.load(tmp_path / "mine.npz")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("group", ["/", "X", "obs"])
def test_an_h5ad_of_an_unknown_encoding_is_refused_in_one_sentence(tmp_path, group):
    path = some().save(tmp_path / "mine.h5ad")
    with h5py.File(path, "a") as file:
        file[group].attrs["encoding-type"] = "from the future"
    with pytest.raises(InputError, match="cannot be read as predictions") as caught:
        Predictions.load(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("ending", [".h5ad", ".npz", ".csv"])
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, ending):
    (tmp_path / f"folder{ending}").mkdir()
    with pytest.raises(InputError, match="it is a folder"):
        some().save(tmp_path / f"folder{ending}")
    assert [p.name for p in tmp_path.iterdir()] == [f"folder{ending}"]


FULL_DISK = """
import resource, signal, sys
import anndata, numpy as np
from kgpert_lib.errors import InputError
from kgpert_lib.predictors.predictions import Predictions
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
names, values = np.arange(300).astype(str), np.random.default_rng(0).normal(size=(300, 300)).astype("f4")
predictions = Predictions(names, names, values, np.zeros(300, int), np.zeros(300, bool))
for room in range(0, 300_000, 30_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
    try:
        predictions.save(sys.argv[1])
    except InputError as error:
        print(error)
"""


@pytest.mark.parametrize("ending", [".h5ad", ".npz", ".csv"])
def test_a_disk_that_fills_up_at_any_point_is_one_sentence_and_no_crash(tmp_path, ending):
    """HDF5 used to end the process with signal 11."""
    path = some().save(tmp_path / f"mine{ending}")
    before = path.read_bytes()
    command = [sys.executable, "-c", FULL_DISK, str(path)]
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    sentence = f"{path} cannot be written (the file would be larger than this system allows); choose another path."
    assert run.stdout.splitlines() == [sentence] * 10
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["mine.pkl", "mine.txt"])
def test_other_formats_are_named(tmp_path, name):
    with pytest.raises(InputError, match=r"are read from \.h5ad, \.npz, \.csv"):
        Predictions.load(tmp_path / name)
    with pytest.raises(InputError, match="are saved as"):
        some().save(tmp_path / name)
