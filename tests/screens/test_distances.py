"""Tables of distances: inner products equal those of the vectors behind them, and a damaged table is named."""

import gzip
import hashlib
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.screens.distances import SCREENS, Distances, load

LABELS = ["Gal4-4(mod)_pBA582", "AARS_pDS381", "HLA-A_pX1", "*", "AARS_pDS382", "63(mod)_pBA580", "MARS_pDS394"]


def from_vectors(means, genes, controls=("a", "b"), corrected=False):
    """Distances between the rows of `means`, the controls last."""
    values = 2 * cdist(means, means, "sqeuclidean")
    guides = np.array([f"{gene}_{k}" for k, gene in enumerate(genes)])
    return Distances("toy", "cells", "method", guides, np.array(genes), controls, values, (), corrected)


def written(path, labels, values):
    pd.DataFrame(values, index=labels, columns=labels).to_csv(path)
    return path


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(-100, 100))
@settings(max_examples=30, deadline=None)
def test_inner_products_are_those_of_the_vectors_wherever_the_origin_is(seed, shift):
    means = np.random.default_rng(seed).normal(size=(9, 12))
    a, b = means[:7] - means[7], means[:7] - means[8]
    distances = from_vectors(means + shift, list("ABCDEFG"))
    np.testing.assert_allclose(distances.gram("a"), a @ a.T, atol=1e-8)
    np.testing.assert_allclose(distances.gram("b"), b @ b.T, atol=1e-8)
    np.testing.assert_allclose(distances.products("a", "b"), a @ b.T, atol=1e-8)
    np.testing.assert_allclose(distances.to_control("a"), 2 * (a**2).sum(axis=1), atol=1e-8)


def test_an_exact_table_is_used_as_it_stands():
    distances = from_vectors(np.random.default_rng(0).normal(size=(6, 3)), list("ABCD"))
    np.testing.assert_array_equal(distances.gram("a"), distances.products("a", "a"))


def test_negative_eigenvalues_are_set_to_zero_and_the_others_stay():
    rng = np.random.default_rng(1)
    values = 2 * cdist(*[rng.normal(size=(7, 4))] * 2, "sqeuclidean")
    noise = rng.normal(size=(7, 7))
    values += 4 * (noise + noise.T) * (1 - np.eye(7))
    genes = np.array(list("ABCDEF"))
    distances = Distances("toy", "", "", genes, genes, ("control",), values, (), True)
    before = np.linalg.eigvalsh(distances.products("control", "control"))
    gram = distances.gram("control")
    assert before[0] < -0.1
    np.testing.assert_allclose(np.linalg.eigvalsh(gram), np.maximum(before, 0), atol=1e-9)
    np.testing.assert_allclose(distances.eigenvalues("control"), before[::-1])
    assert distances.noise == -values.min()
    nearer = from_vectors(rng.normal(size=(7, 4)), list("ABCDEF"), ("control",)).gram("control")
    raw = distances.products("control", "control")
    assert np.linalg.norm(gram - raw) <= np.linalg.norm(nearer - raw)


def test_guides_controls_and_stray_rows_are_read_from_the_labels(tmp_path):
    values = 2 * cdist(*[np.random.default_rng(2).normal(size=(7, 5))] * 2, "sqeuclidean")
    distances = load("adamson2016", written(tmp_path / "t.csv", LABELS, values))
    assert list(distances.guides) == ["AARS_pDS381", "HLA-A_pX1", "AARS_pDS382", "MARS_pDS394"]
    assert list(distances.genes) == ["AARS", "HLA-A", "AARS", "MARS"]
    assert list(distances.perturbations) == ["AARS", "HLA-A", "MARS"]
    assert distances.controls == ("Gal4-4", "63")
    assert distances.left_out == ("*",)
    np.testing.assert_array_equal(distances.values, values[np.ix_([1, 2, 4, 6, 0, 5], [1, 2, 4, 6, 0, 5])])
    np.testing.assert_array_equal(distances.averaging, [[0.5, 0, 0.5, 0], [0, 1, 0, 0], [0, 0, 0, 1]])
    assert distances.noise == values[0, 5]


@pytest.mark.parametrize(
    ("name", "genes", "guides", "left_out", "examples"),
    [
        ("adamson2016", 84, 94, 1, ["HSPA5", "EIF2AK3", "ATF4"]),
        ("norman2019", 105, 105, 131, ["CEBPA", "C19orf26"]),
        ("tian2021", 183, 183, 0, ["MAPT"]),
        ("frangieh2021", 239, 239, 0, ["HLA-A", "LEF1-AS1"]),
    ],
)
def test_the_committed_tables_hold_what_their_readme_says(name, genes, guides, left_out, examples):
    distances = load(name)
    assert len(distances.perturbations) == genes
    assert len(distances.guides) == guides
    assert len(distances.left_out) == left_out
    assert set(examples) <= set(distances.genes)
    lowest = distances.eigenvalues(distances.controls[0])[-1]
    assert lowest < -0.1 if distances.corrected else lowest > -1e-9
    readme = (paths.DATA / "edistance" / "README.md").read_text(encoding="utf-8")
    file = paths.DATA / "edistance" / SCREENS[name].file
    sums = dict(re.findall(r"^([0-9a-f]{64})  (\S+)$", readme, re.MULTILINE))
    assert sums[hashlib.sha256(file.read_bytes()).hexdigest()] == file.name
    assert sums[hashlib.sha256(gzip.decompress(file.read_bytes())).hexdigest()] == file.stem


def test_ten_genes_of_adamson_have_two_guides_and_two_controls_stand_for_none():
    distances = load("adamson2016")
    guides = pd.Series(distances.genes).value_counts()
    assert sorted(guides[guides > 1].index) == sorted(
        ["ASCC3", "DNAJC19", "GBF1", "HSPA5", "IARS2", "IER3IP1", "SCYL1", "SEC61A1", "SEC61B", "YIPF5"]
    )
    assert guides.max() == 2
    assert distances.controls == ("Gal4-4", "63")


def damaged(tmp_path, change, labels=LABELS):
    values = 2 * cdist(*[np.random.default_rng(3).normal(size=(len(labels), 5))] * 2, "sqeuclidean")
    frame = pd.DataFrame(values, index=labels, columns=labels).astype(object)
    frame = change(frame)
    frame.to_csv(tmp_path / "t.csv")
    return tmp_path / "t.csv"


def cell(row, column, value):
    def change(frame):
        frame.iloc[row, column] = value
        return frame

    return change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (cell(1, 2, "much"), "no number"),
        (cell(1, 2, np.nan), "no number"),
        (cell(1, 2, np.inf), "no finite number somewhere in the row 'AARS_pDS381'"),
        (cell(1, 2, 99.0), "not symmetric"),
        (cell(2, 2, 1.0), "'HLA-A_pX1' at a distance from itself"),
        (lambda f: f.iloc[:-1], "other perturbations in its rows"),
        (lambda f: f.rename(index={"HLA-A_pX1": "MARS_pDS394"}), "two rows 'MARS_pDS394'"),
        (lambda f: f.drop(index=LABELS[5], columns=LABELS[5]), r"no row for the control '63\(mod\)_pBA580'"),
        (lambda f: f.iloc[[0, 1, 5], [0, 1, 5]], "fewer than two perturbed genes"),
        (lambda f: f.iloc[:0, :0], "no row for the control"),
    ],
)
def test_a_damaged_table_is_named_in_one_sentence(tmp_path, change, words):
    with pytest.raises(InputError, match=words) as caught:
        load("adamson2016", damaged(tmp_path, change))
    assert str(caught.value).startswith(str(tmp_path / "t.csv"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b"\xff\xfe\x00"])
def test_a_file_that_is_no_table_is_named(tmp_path, content):
    file = tmp_path / "t.csv.gz"
    file.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(file))):
        load("adamson2016", file)
    with pytest.raises(InputError, match=r"absent\.csv"):
        load("adamson2016", tmp_path / "absent.csv")


def test_a_table_that_was_cut_short_is_named(tmp_path):
    whole = (paths.DATA / "edistance" / SCREENS["adamson2016"].file).read_bytes()
    file = tmp_path / "t.csv.gz"
    file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="cannot be read"):
        load("adamson2016", file)


def test_unknown_names_are_answered_with_those_that_exist():
    with pytest.raises(InputError, match="no table of distances 'x'; there are adamson2016, norman2019"):
        load("x")
    with pytest.raises(InputError, match="Norman 2019 has no control 'Gal4-4'; it has control"):
        load("norman2019").gram("Gal4-4")
    with pytest.raises(InputError, match="one control"):
        _ = from_vectors(np.eye(3), ["A", "B"], ("a",)).noise
