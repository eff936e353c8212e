"""The numbers of a figure as csv: what a reader of the file gets back, and that they are those drawn."""

import io

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.studies import numbers, style


def attached(tables, atlas="toy (simulated)"):
    figure = plt.Figure()
    numbers.attach(figure, tables, atlas)
    return numbers.numbers(figure)


def read(table):
    return pd.read_csv(io.StringIO(numbers.csv(table)), keep_default_na=False, na_values=[""])


@given(st.lists(st.floats(allow_nan=True, allow_infinity=False), min_size=1))
def test_values_come_back_with_six_digits(values):
    back = read(pd.DataFrame({"name": "a", "value": values}))["value"].to_numpy(float)
    np.testing.assert_allclose(back, values, rtol=1e-5)


def test_counts_are_whole_also_beside_gaps_and_words_and_truth_values_stay():
    table = pd.DataFrame({"n": [1234567.0, np.nan], "name": ["a, b", "NA"], "clear": [True, False], "p": [0.5, 1 / 3]})
    assert numbers.csv(table) == 'n,name,clear,p\n1234567,"a, b",True,0.5\n,NA,False,0.333333\n'


def test_several_tables_stand_below_each_other_under_their_names():
    table = attached({"gain": pd.DataFrame({"line": ["k562"], "gain": [0.1]}), "ceiling": pd.DataFrame({"top": [2]})})
    assert list(table.columns) == ["drawn", "atlas", "line", "gain", "top"]
    assert table["drawn"].tolist() == ["gain", "ceiling"]
    assert set(table["atlas"]) == {"toy (simulated)"}


def test_a_table_that_names_its_atlas_keeps_it_and_is_not_changed():
    given_table = pd.DataFrame({"gain": [0.1], "line": ["k562"], "atlas": ["mine"]})
    table = attached(given_table)
    assert list(table.columns) == ["atlas", "line", "gain"]
    assert list(given_table.columns) == ["gain", "line", "atlas"]
    assert table["atlas"].item() == "mine"


@pytest.mark.parametrize("figure", [plt.Figure(), style.empty("no run is recorded")])
def test_a_figure_without_numbers_shows_none(figure):
    assert numbers.numbers(figure) is None
    assert numbers.bundle(figure) == {}
