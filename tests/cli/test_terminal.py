"""What every command shares: tables for any width, text from outside, and the names of cell lines."""

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.cli import terminal

SCORES = pd.DataFrame(
    {
        "predictor": ["training mean", "string+go"],
        "n": [267, 267],
        "pearson": ["0.479 [0.439, 0.517]", "0.575 [0.533, 0.613]"],
        "centred pearson": ["0.000 [0.000, 0.000]", "0.368 [0.324, 0.408]"],
        "retrieval": ["0.500 [0.465, 0.534]", "0.635 [0.595, 0.672]"],
    }
)


@pytest.fixture
def printed(capsys, monkeypatch):
    """Prints a table on a terminal of that many columns."""

    def run(frame, width, title="Title"):
        monkeypatch.setattr(terminal.out, "width", width)
        terminal.print_table(frame, title)
        return capsys.readouterr().out

    return run


@pytest.mark.parametrize(("width", "parts"), [(120, 1), (80, 1), (60, 2), (40, 3)])
def test_a_wide_table_is_printed_in_parts_and_every_part_names_its_rows(printed, width, parts):
    text = printed(SCORES, width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("predictor") == text.count("training mean") == text.count("string+go") == parts
    for value in (".479 [.439, .517]", ".368 [.324, .408]", ".635 [.595, .672]"):
        assert value in text


def test_long_text_folds_before_a_table_is_split(printed):
    frame = pd.DataFrame({"gene": ["RPL4"], "name": ["a very long name of a ribosomal protein"], "string": [0.5]})
    lines = printed(frame, 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert [line for line in lines if line.startswith("gene")] == ["gene  name                        string"]


@given(
    st.lists(st.text("abcß-[/]:", min_size=1, max_size=30), min_size=1, max_size=4),
    st.integers(20, 100),
    st.integers(1, 8),
)
def test_no_width_loses_a_number_or_passes_the_edge(names, width, columns):
    values = {f"column {k}": np.linspace(-1, 1, len(names)) * 1.2345 for k in range(columns)}
    frame = pd.DataFrame({"gene": names, **values})
    old = terminal.out.width
    terminal.out.width = width
    try:
        with terminal.out.capture() as text:
            terminal.print_table(frame, "t")
    finally:
        terminal.out.width = old
    lines = text.get().splitlines()
    assert max(map(len, lines)) <= width
    assert len(re.findall(r"\d\.\d{3}", text.get())) == columns * len(names)


@pytest.mark.parametrize("name", ["[/x]", "[bold]", ":dna:", "[link=x]a[/link]", "[red]"])
def test_text_from_outside_is_printed_as_it_is(printed, name):
    frame = pd.DataFrame({name: [name], "x": [1.0]})
    assert printed(frame, 80, title=name).count(name) == 3


def test_a_column_has_one_number_of_digits(printed):
    text = printed(pd.DataFrame({"gene": ["A", "B", "C"], "x": [1.0, 0.5, np.nan], "n": [1.0, 2.0, np.nan]}), 80)
    rows = [line.split() for line in text.splitlines()[-3:]]
    assert rows == [["A", "1.000", "1"], ["B", "0.500", "2"], ["C"]]


def test_cell_lines_are_named_in_any_case():
    lines = {"k562": 0, "HeLa": 1}
    assert [terminal.spelt_in(lines, name) for name in ("K562", "hela", "nowhere")] == ["k562", "HeLa", "nowhere"]


@pytest.mark.parametrize(
    ("given", "loaded"),
    [
        (None, None),
        ([], None),
        (["all"], None),
        (["k562", "ALL"], None),
        (["K562", "rpe1"], ["K562", "rpe1"]),
        (["k562", "rpe1", "K562"], ["K562", "rpe1"]),
    ],
)
def test_all_lines_are_loaded_when_none_is_named(given, loaded):
    assert terminal.selected(given) == loaded
    known = {"k562": 0, "rpe1": 1, "HeLa": 2}
    assert terminal.selected_in(known, given) == (["k562", "rpe1"] if loaded else list(known))
