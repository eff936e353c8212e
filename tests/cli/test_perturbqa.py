"""``kgpert vote`` and ``kgpert ask`` on the real calls, and what they say of input that cannot be used."""

import csv
import io
import json
import re

import pytest

from tests.cli import table_rows


@pytest.mark.needs_mirror
def test_a_vote_is_scored_beside_published_figures(kgpert, mirror):
    code, out, _ = kgpert("vote", "--line", "k562", "--task", "dir", "--rule", "affinity", "--json")
    output = json.loads(out)
    assert code == 0
    assert (output["line"], output["task"], output["split"], output["kind"]) == ("k562", "dir", "strict", "real")
    assert output["low"] < output["auroc"] < output["high"]
    assert output["questions"] == 3119
    assert output["gain_low"] > 0
    assert sum(row["questions"] for row in output["reliability"]) == 3119
    assert 0.7 < output["trust"]["covered"] < 0.9
    assert {"name": "biogrid", "provenance": "BioGRID (2021-08, MIT)"} in output["graphs"]
    assert {"method": "SUMMER", "auroc": 0.64, "source": "PerturbQA results notebook"} in output["published"]


@pytest.mark.needs_mirror
def test_all_lines_are_scored_one_after_the_other(kgpert, mirror, cache):
    common = ("vote", "--line", "all", "--rule", "affinity", "--task", "dir")
    code, out, _ = kgpert(*common)
    lines = ["k562", "rpe1", "hepg2", "jurkat"]
    assert code == 0
    assert re.findall(r"^affinity on (\w+), task dir, strict split, atlas perturbqa \(real\)", out, re.M) == lines
    rows = list(csv.DictReader(io.StringIO(kgpert(*common, "--csv")[1])))
    assert [row["line"] for row in rows] == lines
    for row, value in zip(rows, re.findall(r"^auroc (\d\.\d+)", out, re.M), strict=True):
        assert f"{float(row['auroc']):.3f}" == value
        assert 0 < float(row["trust_covered"]) < 1
    answer = json.loads(kgpert(*common[:2], "RPE1", *common[3:], "--json")[1])
    assert (answer["line"], answer["auroc"]) == ("rpe1", pytest.approx(float(rows[1]["auroc"])))
    assert [row["line"] for row in json.loads(kgpert(*common, "--json")[1])] == lines


@pytest.mark.needs_mirror
def test_one_question_and_a_table_of_questions(kgpert, mirror, tmp_path):
    common = ("--line", "k562", "--rule", "affinity")
    code, out, _ = kgpert("ask", *common, "--perturb", "ints9", "--readout", "DDIT3", "--json")
    output = json.loads(out)
    assert code == 0
    assert (output["perturbation"], output["status"]) == ("INTS9", "test")
    assert 0 <= output["p_right"] <= 1
    assert all(0 <= ends["low"] <= ends["expected"] <= ends["high"] <= 1 for ends in output["trust"].values())
    assert set(output["trust"]) == {"de", "dir"}
    assert all(row["measured"] is not None for row in output["neighbours"])
    assert output["voting_lines"] == ["k562"]
    assert {"name": "biogrid", "provenance": "BioGRID (2021-08, MIT)"} in output["graphs"]

    table = tmp_path / "pairs.csv"
    table.write_text("perturbation,readout\nINTS9,DDIT3\nNOWHERE,DDIT3\nRPL3\n")
    code, out, err = kgpert("ask", *common, "--table", table, "-o", tmp_path / "answers.csv")
    rows = list(csv.DictReader((tmp_path / "answers.csv").open()))
    assert code == 0
    assert "1 answered, 2 broken" in " ".join(out.split())
    assert "NOWHERE" in err
    assert [row["answer"] for row in rows] == [output["answer"], "", ""]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answers.csv", "pairs.csv"]

    [row] = csv.DictReader(io.StringIO(kgpert("ask", *common, "--perturb", "INTS9", "--readout", "DDIT3", "--csv")[1]))
    assert list(row) == list(rows[0])
    assert [row[k] for k in ("perturbation", "answer", "measured")] == [
        rows[0][k] for k in ("perturbation", "answer", "measured")
    ]


@pytest.mark.needs_mirror
def test_the_answer_is_a_sentence_that_says_what_decided_and_who_voted(kgpert, mirror):
    code, out, _ = kgpert("ask", "--line", "K562", "--rule", "lines", "--perturb", "INTS9", "--readout", "DDIT3")
    text = " ".join(out.split())
    assert code == 0
    assert "Knocking down INTS9 in k562 raises DDIT3 with probability" in text
    for terms, most in re.findall(r"evidence: (.*?); most from ([a-z ]+)\.", text):
        sizes = {name: abs(float(size)) for name, size in re.findall(r"([a-z ]+) ([+-]\d\.\d+)", terms)}
        assert sizes[f" {most}" if f" {most}" in sizes else most] == max(sizes.values())
    assert text.count("most from") == 2
    assert "Voting lines: k562, " in text
    assert "No neighbour of INTS9 measured DDIT3" in text or "Neighbours that measured DDIT3" in text
    assert "Measured: not tested (test)." in text


@pytest.mark.needs_mirror
def test_the_answer_stands_beside_the_measured_call_and_readable_shares(kgpert, mirror):
    code, out, _ = kgpert("ask", "--line", "k562", "--rule", "affinity", "--perturb", "INTS9", "--readout", "PFDN5")
    assert code == 0
    assert "Measured: rises (test)." in out
    assert table_rows(out, "gene") == ["gene", "share, change", "share, rise", "call"]
    assert table_rows(out, "INTS4")[-1] == "1"


@pytest.mark.needs_mirror
def test_a_folder_cannot_take_the_answers(kgpert, mirror, tmp_path):
    table = tmp_path / "pairs.csv"
    table.write_text("perturbation,readout\nINTS9,DDIT3\n")
    code, _, err = kgpert("ask", "--rule", "affinity", "--table", table, "-o", tmp_path)
    assert (code, err.count("\n")) == (2, 1)
    assert "it is a folder" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--perturb", "INTS9"), "Give --perturb and --readout, or --table FILE together with -o FILE."),
        (("--table", "t.csv"), "Give --perturb and --readout, or --table FILE together with -o FILE."),
        (("--perturb", "A", "--readout", "B", "--table", "t.csv", "-o", "o.csv"), "Give --perturb and --readout"),
    ],
)
def test_half_a_question_is_one_sentence(kgpert, arguments, sentence):
    code, out, err = kgpert("ask", *arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.needs_mirror
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--line", "k562", "--perturb", "INTS9", "--readout", "NOTAGENE"), "NOTAGENE"),
        (("--line", "k562", "--perturb", "NOTAGENE", "--readout", "DDIT3"), "NOTAGENE"),
        (("--line", "hela", "--perturb", "INTS9", "--readout", "DDIT3"), "hela"),
    ],
)
def test_unknown_names_are_one_sentence(kgpert, mirror, arguments, sentence):
    code, _, err = kgpert("ask", "--rule", "affinity", *arguments)
    assert code == 2
    assert sentence in err
    assert err.startswith("kgpert: ")
    assert err.count("\n") == 1
