"""Tables for readers: heads, numbers, captions, groups, and HTML that is the same in every run."""

import xml.etree.ElementTree as ET

import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.studies import tables

SCORES = pd.DataFrame(
    {
        "atlas": "perturbqa",
        "kind": "real",
        "line": ["k562", "k562", "rpe1", "rpe1"],
        "split": "per-line",
        "predictor": ["training mean", "string+go"] * 2,
        "n": [267, 267, 12345, 12345],
        "pearson": [0.4789, 0.575, 0.628, float("nan")],
        "pearson_low": [0.439, -0.533, 0.6, float("nan")],
        "pearson_high": [0.517, 0.613, 0.65, float("nan")],
        "p_holm": [float("nan"), 3.94e-7, 0.0874, 0.0012],
        "retrieval": [0.5, -0.0001, -0.25, 0.6],
    }
)


def parts(html, tag):
    root = ET.fromstring(html[html.index("<table") :])
    return ["".join(element.itertext()).strip() for element in root.iter(tag)]


def test_heads_cells_and_caption_are_written_for_people():
    table = tables.shown(SCORES, "Mean scores, per-line split, `n` test genes.")
    assert list(table.body) == ["cell line", "predictor", "n", "Pearson delta [95 %]", "p (Holm)", "retrieval"]
    assert table.body.values.tolist() == [
        ["K562", "training mean", "267", "0.479 [0.439,\u00a00.517]", "", "0.500"],
        ["", "string+go", "267", "0.575 [−0.533,\u00a00.613]", "3.9e−7", "0.000"],
        ["RPE1", "training mean", "12,345", "0.628 [0.600,\u00a00.650]", "0.087", "−0.250"],
        ["", "string+go", "12,345", "", "0.0012", "0.600"],
    ]
    assert table.caption == "Mean scores, per-line split, `n` test genes. Atlas: PerturbQA; kind: real."
    assert repr(table).startswith(table.caption + "\n")
    html = table._repr_html_()
    assert parts(html, "caption") == ["Mean scores, per-line split, n test genes. Atlas: PerturbQA; kind: real."]
    assert parts(html, "th") == list(table.body)
    assert parts(html, "td") == table.body.to_numpy().ravel().tolist()


def test_numbers_are_aligned_and_a_rule_begins_each_line():
    table = tables.shown(SCORES)
    assert table.numbers == (False, False, True, True, True, True)
    assert table.rules == (False, False, True, False)
    root = ET.fromstring(table._repr_html_().partition("</style>")[2])
    rows = [[set(cell.get("class", "").split()) for cell in row] for row in root.find("tbody")]
    assert ["rule" in row[0] for row in rows] == [False, False, True, False]
    assert ["number" in cell for cell in rows[0]] == [False, False, True, True, True, True]


def test_the_html_is_the_same_again_and_differs_between_tables():
    first = tables.shown(SCORES, "One.")._repr_html_()
    assert tables.shown(SCORES.copy(), "One.")._repr_html_() == first
    assert tables.shown(SCORES, "Two.").styler.uuid != tables.shown(SCORES, "One.").styler.uuid


def test_markup_in_cells_heads_and_captions_is_text():
    evil = "<script>alert(1)</script>"
    html = tables.shown(pd.DataFrame({evil: [evil]}), evil)._repr_html_()
    assert "<script" not in html
    assert parts(html, "caption") == parts(html, "th") == parts(html, "td") == [evil]


def test_a_gain_takes_its_bounds_and_names_the_common_reference():
    tests = pd.DataFrame(
        {"method_a": ["go", "string"], "method_b": "training mean", "mean_difference": [0.1, -0.2]}
    ).assign(low=[0.05, -0.3], high=[0.15, -0.1], p=[0.0, 0.5])
    table = tables.shown(tests, "Gain.", digits=2)
    assert table.body.to_numpy().tolist() == [
        ["go", "0.10 [0.05,\u00a00.15]", "0"],
        ["string", "−0.20 [−0.30,\u00a0−0.10]", "0.5"],
    ]
    assert table.caption == "Gain. Compared with: training mean."


def test_whole_numbers_have_no_decimals_and_means_of_counts_one():
    frame = pd.DataFrame(
        {"cells": [54.0, 3119.0], "n_neighbours": [10.078, 3.0], "share": [1.0, 0.0], "ok": [True, False]}
    )
    assert tables.shown(frame).body.to_numpy().tolist() == [
        ["54", "10.1", "1.000", "yes"],
        ["3,119", "3.0", "0.000", "no"],
    ]


def test_text_that_is_a_number_gets_the_same_minus_and_names_keep_their_hyphens():
    frame = pd.DataFrame({"sqrt": ["-0.122 [-0.127, -0.118]"], "correction": ["spearman-brown"], "rank": ["-"]})
    assert tables.shown(frame).body.to_numpy().tolist() == [["−0.122 [−0.127,\u00a0−0.118]", "spearman-brown", "-"]]


def test_a_named_index_becomes_columns_and_pivoted_heads_are_joined():
    pivot = SCORES.pivot(index=["line"], columns=["predictor"], values=["n"])
    table = tables.shown(pivot)
    assert list(table.body) == ["cell line", "n, string+go", "n, training mean"]
    assert table.body["cell line"].tolist() == ["K562", "RPE1"]


def test_lines_and_tasks_in_heads_are_written_out_and_labels_of_one_table_win():
    frame = pd.DataFrame({"de k562": [0.5], "n_neighbours": [1.0], "top_missed": [0.3]})
    table = tables.shown(frame, labels={"n_neighbours": "genes"})
    assert list(table.body) == ["DE K562", "genes", "top missed"]


def test_two_columns_with_one_head_are_named():
    with pytest.raises(InputError, match="the head 'neighbours'; name one of them"):
        tables.shown(pd.DataFrame({"n_neighbours": [1], "neighbours": [0.5]}))


def test_groups_are_blanked_from_the_left_and_a_task_draws_no_rule():
    frame = pd.DataFrame(
        {"line": ["k562"] * 3 + ["rpe1"], "task": ["de", "de", "dir", "dir"], "rule": ["a", "b", "a", "a"]}
    )
    table = tables.shown(frame)
    assert table.body["cell line"].tolist() == ["K562", "", "", "RPE1"]
    assert table.body["task"].tolist() == ["differential expression", "", "direction", "direction"]
    assert table.rules == (False, False, False, True)
