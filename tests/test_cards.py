"""How a notebook shows the library's objects: all text escaped, the numbers that a user looks for."""

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np

from kgpert_lib.cards import Bar, Table, card
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen
from tests import worlds


def rows(page: str) -> list[list[str]]:
    """The text of every row of a card's tables, heads among them."""
    return [["".join(cell.itertext()) for cell in row] for row in ET.fromstring(page).iter("tr")]


def test_everything_in_a_card_is_escaped():
    bad = "<script>alert('&')</script>"
    page = card(bad, [bad], [Table(bad, [bad], [[bad], [Bar(bad, [0.5])]], [bad])], [bad])
    assert "<script" not in page
    text = ["".join(element.itertext()) for element in ET.fromstring(page).iter() if element.tag != "style"]
    assert sum(bad == words.strip() for words in text) >= 6


def test_bars_are_as_long_as_their_shares():
    page = card("", [], [Table("", ["a"], [[Bar("1", [0.25, 0.125])]])])
    assert re.findall(r'style="width: ([\d.]+)%', page) == ["25.0", "12.5"]


def test_an_atlas_shows_lines_by_split_measured_share_missing_lines_and_licence():
    line = worlds.line(n=30, m=25, tests=6)
    delta = line.delta.copy()
    delta[:, :5] = np.nan
    line = replace(line, delta=delta)
    atlas = Atlas("mine", "real", {"k562": line}, {"hepg2": "no <file>"}, {"licence": "CC & BY", "files": {"a.csv": 1}})
    page = atlas._repr_html_()
    assert rows(page)[1] == ["k562", "30", "24", "0", "6", "25", "80 %"]
    for words in ("Atlas mine (real)", "hepg2 is missing: no &lt;file&gt;.", "licence: CC &amp; BY", "files: a.csv"):
        assert words in page
    assert rows(line._repr_html_())[1] == rows(page)[1]


def test_a_screen_shows_its_graphs_with_their_source():
    graph = replace(worlds.graph(), provenance="drawn at random")
    page = Screen(worlds.atlas(), (graph,))._repr_html_()
    assert ["toy", str(len(graph.symbols)), str(graph.n_edges), "drawn at random"] in rows(page)
    assert [row[0] for row in rows(page)[1:3]] == ["k562", "rpe1"]


def test_predictions_show_neighbours_fallbacks_and_the_largest_deltas():
    names, genes = np.array(["A", "B", "C"]), np.array(["X", "Y"])
    delta = np.float32([[0, 0.5], [3, -4], [0, 0]])
    page = Predictions(names, genes, delta, np.array([0, 3, 45]), np.array([True, False, False]))._repr_html_()
    table = rows(page)
    assert "1 of 3 perturbations" in page
    assert [row for row in table if row[1] == "1"] == [["0", "1"], ["2 to 4", "1"], ["40 or more", "1"]]
    assert table[-3:-1] == [["B", "3.536", "X +3.00", "Y -4.00"], ["A", "0.354", "Y +0.50", "X +0.00"]]


def test_predictions_without_neighbours_or_without_rows_have_a_card():
    plain = Predictions.plain(np.array(["A"]), np.array(["X"]), np.zeros((1, 1), np.float32))
    assert rows(plain._repr_html_())[1][0] == "A"
    assert "0 perturbations" in plain.select([], np.array(["X"]))._repr_html_()
