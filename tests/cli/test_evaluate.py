"""``kgpert evaluate``."""

import csv
import io
import json
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import Atlas
from tests import worlds
from tests.cli import TOY, WIDTH, table_rows


def test_evaluate_compares_graphs_and_predictions_from_outside(kgpert, here, toy):
    line = toy["k562"]
    names = line.names("test")
    truth = np.nan_to_num(line.delta[line.rows(names)])
    Predictions.plain(np.array(names), line.genes, truth).save(here / "perfect.csv")
    options = ("--line", "k562", "--outside", "k562=perfect.csv", "--changed", "1", "--json")
    code, out, err = kgpert("evaluate", *TOY, *options)
    assert (code, err) == (0, "")
    answer = json.loads(out)
    scores = {row["predictor"]: row for row in answer["scores"]}
    assert list(scores) == ["training mean", "linear", "mine", "perfect"]
    assert scores["perfect"]["pearson"] == pytest.approx(1)
    assert scores["mine"]["n"] == len(names)
    assert scores["mine"]["pearson_low"] <= scores["mine"]["pearson"] <= scores["mine"]["pearson_high"]
    further = {row["predictor"]: row for row in answer["further"]}
    assert list(further) == list(scores)
    for name in ("direction_fidelity", "direction_reach", "jaccard"):
        assert further["perfect"][name] == pytest.approx(1)
    assert further["perfect"]["vendi"] == pytest.approx(further["mine"]["vendi_measured"])
    assert set(answer) == {"graphs", "scores", "further", "tests"}, "no line has halves"
    assert [graph["name"] for graph in answer["graphs"]] == ["mine"]
    assert answer["graphs"][0]["provenance"].startswith("edge list mine.csv, sha256 ")
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
    assert {"pds_cosine", "direction_fidelity", "direction_reach", "jaccard", "nmae", "vendi", "n_changed"} < set(
        rows[0]
    )


def test_the_size_of_a_change_is_an_option(kgpert, here):
    common = ("evaluate", *TOY, "--line", "k562", "--csv", "--changed")
    small, large = (list(csv.DictReader(io.StringIO(kgpert(*common, size)[1]))) for size in ("1e-9", "1e9"))
    assert {r["n_changed"] for r in large} == {"0"}
    assert {r["direction_reach"] for r in large} == {""}
    assert {r["n_changed"] for r in small} == {r["n_genes"] for r in small} != {"0"}
    code, _, err = kgpert("evaluate", *TOY, "--changed", "0")
    assert (code, err.count("\n")) == (2, 1)
    assert "The threshold of a change is 0.0; it is a number above 0" in err


def test_a_submission_counts_for_the_test_genes_of_the_line_alone(kgpert, here, toy):
    """Rows and columns in any order; controls, other genes and what it says of own readouts change nothing."""
    line = toy["k562"]
    names = line.names("test")
    rng = np.random.default_rng(0)
    delta = rng.normal(size=(len(names), len(line.genes))).astype(np.float32)
    Predictions.plain(np.array(names), line.genes, delta).save(here / "ours.h5ad")
    rows, columns = rng.permutation(len(names) + 2), rng.permutation(len(line.genes) + 1)
    own = np.array(names)[:, None] == line.genes
    more = np.pad(np.where(own, np.float32(99), delta), ((0, 2), (0, 1)), constant_values=7)
    shuffled = Predictions.plain(
        np.array([*names, "non-targeting", "OTHER"])[rows],
        np.append(line.genes, "ELSEWHERE")[columns],
        more[rows][:, columns],
    )
    for ending in ("h5ad", "npz", "csv"):
        shuffled.save(here / f"shuffled.{ending}")
        files = ("--outside", "k562=ours.h5ad", "--outside", f"k562=shuffled.{ending}")
        code, out, err = kgpert("evaluate", *TOY, "--line", "k562", *files, "--csv", "--changed", "1")
        assert (code, err) == (0, "")
        parts = {}
        for row in csv.DictReader(io.StringIO(out)):
            parts.setdefault(row.pop("predictor"), []).append(row)
        assert parts["ours"] == parts["shuffled"]


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        (lambda table: table.drop(table.index[0]), "lack 1 of 6 perturbations"),
        (lambda table: table.drop(columns=table.columns[3]), "lack 1 of 25 readout genes"),
        (lambda table: table.astype(str).replace(str(table.iloc[2, 4]), "high"), "is not a finite number"),
        (lambda table: table.iloc[[0, 0, *range(1, len(table))]], "appears more than once"),
        (lambda table: table.rename(columns={"perturbation": "gene"}), "has no column 'perturbation'"),
    ],
)
def test_each_kind_of_broken_submission_is_one_sentence(kgpert, here, toy, spoil, sentence):
    line = toy["k562"]
    names = line.names("test")
    values = np.random.default_rng(0).normal(size=(len(names), len(line.genes)))
    table = pd.DataFrame(values, columns=line.genes)
    table.insert(0, "perturbation", names)
    spoil(table).to_csv(here / "broken.csv", index=False)
    code, out, err = kgpert("evaluate", *TOY, "--line", "k562", "--outside", "k562=broken.csv")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_lines_with_two_halves_show_scores_between_training_mean_and_replicate(kgpert, here):
    line = worlds.line(n=60, m=80, tests=20)
    rng = np.random.default_rng(0)
    halves = [(line.delta + rng.normal(scale=0.3, size=line.delta.shape)).astype(np.float32) for _ in range(2)]
    Atlas("repeated", "simulated", {"k562": replace(line, half_a=halves[0], half_b=halves[1])}).save(here / "repeated")
    common = ("evaluate", "--atlas", "./repeated", "--graph", "mine.csv")
    code, out, _ = kgpert(*common)
    assert code == 0
    assert max(map(len, out.splitlines())) <= WIDTH
    assert "k562: scaled scores" in out
    assert table_rows(out, "pearson")[1] == "20"
    answer = json.loads(kgpert(*common, "--json")[1])
    assert {row["predictor"] for row in answer["scaled"]} == {"linear", "mine", "interpolated duplicate"}
    assert {"pearson", "retrieval", "pds_cosine", "mse"} < {row["score"] for row in answer["ranges"]}


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
    assert scores["k562", "string+go"]["pearson"] == pytest.approx(0.590, abs=5e-3)
    assert (scores["k562", "string+go"]["n"], scores["rpe1", "string+go"]["n"]) == (267, 406)
    tests = {(row["line"], row["method_a"]): row for row in answer["tests"]}
    for line in ("k562", "rpe1"):
        assert tests[line, "string+go"]["low"] > 0
        assert tests[line, "string+go"]["p_holm"] < 1e-10
