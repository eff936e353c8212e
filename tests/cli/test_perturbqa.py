"""``kgpert vote`` and ``kgpert ask`` on the real calls, and what they say of input that cannot be used."""

import csv
import json

import pytest


@pytest.mark.needs_mirror
def test_a_vote_is_scored_beside_published_figures(kgpert, mirror):
    code, out, _ = kgpert("vote", "--line", "k562", "--task", "dir", "--rule", "weighted", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["line"], told["task"], told["split"], told["kind"]) == ("k562", "dir", "strict", "real")
    assert told["low"] < told["auroc"] < told["high"]
    assert told["questions"] == 3119
    assert told["gain_low"] > 0
    assert sum(row["questions"] for row in told["stated_and_found"]) == 3119
    assert 0.7 < told["trust"]["covered"] < 0.9
    assert {"method": "SUMMER", "auroc": 0.64, "source": "PerturbQA results notebook"} in told["published"]


@pytest.mark.needs_mirror
def test_one_question_and_a_table_of_questions(kgpert, mirror, tmp_path):
    common = ("--line", "k562", "--rule", "weighted")
    code, out, _ = kgpert("ask", *common, "--perturb", "ints9", "--readout", "DDIT3", "--json")
    told = json.loads(out)
    assert code == 0
    assert (told["perturbation"], told["status"]) == ("INTS9", "test")
    assert 0 <= told["p_right"] <= 1
    assert all(0 <= ends["low"] <= ends["expected"] <= ends["high"] <= 1 for ends in told["trust"].values())
    assert set(told["trust"]) == {"de", "dir"}
    assert sum(row["gene"].startswith("INTS") for row in told["neighbours"]) >= 6

    table = tmp_path / "pairs.csv"
    table.write_text("perturbation,readout\nINTS9,DDIT3\nNOWHERE,DDIT3\nRPL3\n")
    code, out, err = kgpert("ask", *common, "--csv", table, "-o", tmp_path / "answers.csv")
    rows = list(csv.DictReader((tmp_path / "answers.csv").open()))
    assert code == 0
    assert "1 answered, 2 broken" in " ".join(out.split())
    assert "NOWHERE" in err
    assert [row["answer"] for row in rows] == [told["answer"], "", ""]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["answers.csv", "pairs.csv"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--perturb", "INTS9"), "Give --perturb and --readout, or --csv TABLE together with -o FILE."),
        (("--csv", "t.csv"), "Give --perturb and --readout, or --csv TABLE together with -o FILE."),
        (("--perturb", "A", "--readout", "B", "--csv", "t.csv", "-o", "o.csv"), "Give --perturb and --readout"),
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
    code, _, err = kgpert("ask", "--rule", "weighted", *arguments)
    assert code == 2
    assert sentence in err
    assert err.startswith("kgpert: ")
    assert err.count("\n") == 1
