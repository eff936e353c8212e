"""Figures in a notebook: SVG with the same bytes in every run, and dense clouds as pictures inside it."""

import pandas as pd
import pytest
from matplotlib import pyplot as plt
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

from kgpert_lib.studies import style

CELL = """
import matplotlib.pyplot as plt
import pandas as pd
from kgpert_lib.studies import style
style.style()
figure, axes = plt.subplots()
axes.plot([1, 2], [3, 4])
axes.scatter(range({points}), range({points}))
style.finished(figure, pd.DataFrame({{"atlas": ["a"]}}))
"""


def shown(points, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    notebook = new_notebook(cells=[new_code_cell(CELL.format(points=points))])
    NotebookClient(notebook, kernel_name="python3").execute()
    return notebook.cells[0].outputs[-1].data


@pytest.mark.parametrize(("points", "picture"), [(30, False), (3000, True)])
def test_a_notebook_shows_svg_and_a_dense_cloud_as_a_picture_in_it(points, picture, monkeypatch):
    first = shown(points, monkeypatch)
    assert ("<image" in first["image/svg+xml"]) is picture
    assert len(first["image/svg+xml"]) < 200_000
    assert first["text/csv"] == "atlas\na\n"
    assert shown(points, monkeypatch)["image/svg+xml"] == first["image/svg+xml"]


@pytest.mark.parametrize(("kind", "text"), [("real", "atlas: a (real)"), ("a", "atlas: a")])
def test_the_atlas_and_its_kind_are_named_once(kind, text):
    figure = style.finished(plt.subplots()[0], pd.DataFrame({"atlas": ["a"], "kind": [kind]}))
    assert [entry.get_text() for entry in figure.texts] == [text]


def test_numbers_have_the_minus_of_the_ticks_and_no_negative_zero():
    assert [style.signed(gain) for gain in (0.0612, -0.0049, -0.0001)] == ["+0.061", "−0.005", "+0.000"]
    assert style.typographic("centred -0.44, per-line, 30-44") == "centred −0.44, per-line, 30-44"
    assert style.percent(0.534) == "53 %"
