"""Predictions from outside are read in three formats, scored alike, and refused with one sentence."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.predictors.baselines import Outside
from kgpert_lib.predictors.predictions import Predictions
from tests import worlds


def some(n: int = 3, m: int = 4, seed: int = 0) -> Predictions:
    delta = np.random.default_rng(seed).normal(size=(n, m)).astype(np.float32)
    return Predictions(worlds.symbols(n), worlds.symbols(m, "R"), delta, np.zeros(n, int), np.zeros(n, bool))


@pytest.mark.parametrize("ending", [".h5ad", ".npz", ".csv"])
@given(n=st.integers(1, 5), m=st.integers(1, 6), seed=st.integers(0, 99))
@settings(max_examples=8, deadline=None)
def test_every_format_gives_back_what_was_saved(tmp_path_factory, ending, n, m, seed):
    path = tmp_path_factory.mktemp("p") / f"mine{ending}"
    made = some(n, m, seed)
    back = Predictions.load(made.save(path))
    np.testing.assert_array_equal(back.delta, made.delta)
    assert back.perturbations.tolist() == made.perturbations.tolist()
    assert back.genes.tolist() == made.genes.tolist()
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


@pytest.mark.parametrize("name", ["mine.pkl", "mine.txt"])
def test_other_formats_are_named(tmp_path, name):
    with pytest.raises(InputError, match=r"are read from \.h5ad, \.npz, \.csv"):
        Predictions.load(tmp_path / name)
    with pytest.raises(InputError, match="are saved as"):
        some().save(tmp_path / name)
