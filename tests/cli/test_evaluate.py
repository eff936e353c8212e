"""``kgpert evaluate``."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import Atlas
from tests import worlds
from tests.cli import TOY, WIDTH, table_rows


def test_evaluate_compares_graphs_and_predictions_from_outside(kgpert, here, toy):
    line = toy["k562"]
    names = line.names("test")
    none = np.zeros(len(names), int)
    truth = np.nan_to_num(line.delta[line.rows(names)])
    Predictions(np.array(names), line.genes, truth, none, none.astype(bool)).save(here / "perfect.csv")
    code, out, err = kgpert("evaluate", *TOY, "--line", "k562", "--outside", "k562=perfect.csv", "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    scores = {row["predictor"]: row for row in answer["scores"]}
    assert list(scores) == ["training mean", "linear", "mine", "perfect"]
    assert scores["perfect"]["pearson"] == pytest.approx(1)
    assert scores["mine"]["n"] == len(names)
    assert scores["mine"]["pearson_low"] <= scores["mine"]["pearson"] <= scores["mine"]["pearson_high"]
    tests = {row["method_a"]: row for row in answer["tests"]}
    assert set(tests) == {"linear", "mine", "perfect"}
    assert all(row["method_b"] == "training mean" for row in answer["tests"])
    assert tests["perfect"]["p"] == pytest.approx(2 / 2 ** len(names)), "every one of the pairs is better"


def test_the_evaluation_fits_into_80_columns_with_whole_numbers(kgpert, here):
    code, out, _ = kgpert("evaluate", *TOY)
    assert code == 0
    assert max(map(len, out.splitlines())) <= WIDTH
    assert "…" not in out
    assert re.fullmatch(r"-?\.\d{3} \[-?\.\d{3}, -?\.\d{3}\]", table_rows(out, "mine")[2])
    assert [row for row in out.splitlines() if row.endswith("test perturbations")] == [
        "k562: 6 test perturbations",
        "rpe1: 6 test perturbations",
    ]


def test_evaluate_csv_is_one_row_a_predictor_and_perturbation(kgpert, here, toy):
    code, out, _ = kgpert("evaluate", *TOY, "--line", "rpe1", "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert {(r["predictor"], r["perturbation"]) for r in rows} == {
        (p, g) for p in ("training mean", "linear", "mine") for g in toy["rpe1"].names("test")
    }


@pytest.mark.parametrize(("name", "printed"), [("toy", "toy (simulated)"), ("simulated", "simulated")])
def test_the_kind_of_an_atlas_is_printed_where_its_name_does_not_say_it(kgpert, here, toy, name, printed):
    replace(toy, name=name).save(here / "named")
    (here / "named" / "graphs").mkdir()
    (here / "mine.csv").rename(here / "named" / "graphs" / "mine.csv")
    common = ("--atlas", "./named", "--line", "k562")
    assert kgpert("evaluate", *common)[1].startswith(f"Atlas {printed}, strict split;")
    gene = toy["k562"].names("test")[1]
    assert kgpert("predict", gene, *common)[1].startswith(f"{gene} in k562, atlas {printed}, predictor mine;")


def test_predictors_of_one_line_score_the_same_under_both_splits(kgpert, here):
    common = ("evaluate", *TOY, "--predictor", "filled", "--json")
    tables = [kgpert(*common, "--split", split)[1] for split in ("strict", "per-line")]
    scores = [[{**row, "split": ""} for row in json.loads(table)["scores"]] for table in tables]
    assert scores[0] == scores[1]
    assert kgpert(*common)[1] == tables[0]


def test_a_line_with_one_test_perturbation_is_valid_json(kgpert, here):
    cells = worlds.line(tests=1)
    Atlas("single", "simulated", {"k562": cells}).save(here / "single")
    code, out, _ = kgpert("evaluate", "--atlas", "single", "--graph", "mine.csv", "--json")
    assert code == 0
    json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert json.loads(out)["scores"][0]["pearson_low"] is None


@pytest.mark.needs_mirror
def test_graphs_beat_the_training_mean_on_the_real_calls(real):
    specs = [word for spec in ("string", "go", "string+go") for word in ("--graph", spec)]
    done = real("evaluate", "--atlas", "perturbqa", *specs, "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    scores = {(row["line"], row["predictor"]): row for row in answer["scores"]}
    assert scores["k562", "training mean"]["pearson"] == pytest.approx(0.479, abs=5e-4)
    assert scores["rpe1", "training mean"]["pearson"] == pytest.approx(0.628, abs=5e-4)
    assert scores["k562", "string+go"]["pearson"] == pytest.approx(0.575, abs=5e-3)
    assert (scores["k562", "string+go"]["n"], scores["rpe1", "string+go"]["n"]) == (267, 406)
    tests = {(row["line"], row["method_a"]): row for row in answer["tests"]}
    for line in ("k562", "rpe1"):
        assert tests[line, "string+go"]["low"] > 0
        assert tests[line, "string+go"]["p_holm"] < 1e-10
