"""``kgpert predict``."""

import csv
import gzip
import io
import json
import re

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors import named
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.load import load_screen
from tests.cli import TOY, WIDTH, table_rows


def test_a_held_out_gene_is_predicted_explained_and_compared(kgpert, here, toy):
    gene = toy["k562"].names("test")[1]
    code, out, err = kgpert("predict", gene, "--line", "k562", *TOY, "--json")
    assert (code, err) == (0, "")
    answer = json.loads(out)
    train = set(toy["k562"].names("train"))
    graph = KnowledgeGraph.from_edges("mine", *zip(*_edges(here / "mine.csv"), strict=True))
    near = {g: w for g, w in graph.neighbours(gene).items() if g in train}
    assert {n["gene"]: n["graphs"]["mine"] for n in answer["neighbours"]} == pytest.approx(near)
    assert answer["status"] == "test"
    assert answer["kind"] == "simulated"
    values = [row["predicted"] for row in answer["up"]]
    assert values == sorted(values, reverse=True)
    assert min(values) > 0
    truth = dict(zip(toy["k562"].genes, toy["k562"].delta[toy["k562"].index[gene]], strict=True))
    for row in answer["up"] + answer["down"]:
        measured = truth[row["gene"]]
        assert row["measured"] == (None if np.isnan(measured) else pytest.approx(float(measured)))


def _edges(path):
    with open(path) as file:
        return [(r["gene1"], r["gene2"], float(r["weight"])) for r in csv.DictReader(file)]


def test_the_printed_prediction_shows_neighbours_and_both_directions(kgpert, here, toy):
    gene = toy["k562"].names("test")[1]
    code, out, _ = kgpert("predict", gene, "--line", "k562", *TOY, "--top", 3)
    assert code == 0
    text = " ".join(out.split())
    assert f"{gene} in k562, atlas toy (simulated), predictor mine; held out for test in this line." in text
    assert "Strongest, up gene predicted specific neighbours measured" in text
    assert "Strongest, down" in text
    assert re.search(r"Over its \d+ measured genes the prediction's Pearson delta is -?0\.\d{3}", text)
    assert re.search(r"Graphs: edge list mine\.csv, sha256 [0-9a-f]{12}\.$", text)
    assert max(map(len, out.splitlines())) <= WIDTH


def test_csv_holds_every_readout_gene_with_prediction_and_measurement(kgpert, here, toy):
    gene = toy["k562"].names("train")[0]
    code, out, _ = kgpert("predict", gene, "--line", "k562", *TOY, "--csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0
    assert [row["gene"] for row in rows] == toy["k562"].genes.tolist()
    truth = toy["k562"].delta[toy["k562"].index[gene]]
    assert [row["measured"] for row in rows] == ["" if np.isnan(v) else str(float(v)) for v in truth]
    assert all(row["predicted"] for row in rows)


def test_a_gene_screened_only_in_another_line_is_predicted_from_its_neighbours(kgpert, here):
    code, out, _ = kgpert("predict", "only2", "--line", "k562", *TOY)
    assert code == 0
    assert out.startswith("ONLY2 in k562")
    assert "not screened in this line" in " ".join(out.split())
    assert "measured:" not in out


def test_a_screened_gene_in_no_graph_gets_the_training_mean_and_says_so(kgpert, here, silent):
    code, out, _ = kgpert("predict", silent, "--line", "k562", *TOY)
    assert code == 0
    assert (
        "No training perturbation is its neighbour: the mean training delta is shown." in out.partition("Strongest")[0]
    )


@pytest.mark.parametrize("ending", [".h5ad", ".npz"])
def test_all_genes_of_the_graphs_go_into_a_file_that_evaluate_reads_back(kgpert, here, toy, ending):
    code, out, _ = kgpert("predict", "--all", "--line", "k562", *TOY, "-o", f"all{ending}")
    predictions = Predictions.load(here / f"all{ending}")
    assert code == 0
    count = len(predictions.perturbations)
    assert out.startswith(f"all{ending}: {count} genes x 25 readout genes in k562 of toy (simulated)")
    genes = {g for edge in _edges(here / "mine.csv") for g in edge[:2]} | set(toy["k562"].perturbations)
    assert set(predictions.perturbations) == genes
    gene = toy["k562"].names("test")[1]
    answer = json.loads(kgpert("predict", gene, "--line", "k562", *TOY, "--json", "--top", 25)[1])
    row = predictions.delta[predictions.perturbations.tolist().index(gene)]
    got = dict(zip(predictions.genes, row.tolist(), strict=True))
    assert {r["gene"]: r["predicted"] for r in answer["up"] + answer["down"]} == pytest.approx(got, abs=1e-6)
    if ending == ".h5ad":
        [graph] = answer["graphs"]
        assert ad.read_h5ad(here / f"all{ending}").uns["graphs"]["provenance"].to_dict() == {
            "mine": graph["provenance"]
        }


def test_only_graphs_that_the_predictor_reads_are_named(kgpert, here, toy):
    gene = toy["k562"].names("test")[1]
    assert json.loads(kgpert("predict", gene, *TOY, "--predictor", "mean", "--json")[1])["graphs"] == []
    out = kgpert("predict", gene, *TOY, "--predictor", "mean")[1]
    assert out.splitlines()[-1] == "Graphs: none."


def test_several_genes_in_several_lines_are_one_prediction_each(kgpert, here, toy):
    first, second = toy["k562"].names("train")[:2]
    code, out, _ = kgpert("predict", first, second.lower(), "--line", "K562", "--line", "rpe1", *TOY, "--json")
    answer = json.loads(out)
    assert code == 0
    assert [(t["gene"], t["line"]) for t in answer] == [
        (first, "k562"), (first, "rpe1"), (second, "k562"), (second, "rpe1"),
    ]  # fmt: skip
    single = json.loads(kgpert("predict", second, "--line", "rpe1", *TOY, "--json")[1])
    assert answer[3] == single
    assert kgpert("predict", first, second, "--line", "all", *TOY, "--json")[1] == out


def test_the_case_of_a_line_does_not_matter(kgpert, here, toy):
    gene = toy["k562"].names("test")[0]
    assert kgpert("predict", gene, "--line", "K562", *TOY) == kgpert("predict", gene, "--line", "k562", *TOY)


def test_specific_ranks_by_what_exceeds_the_mean_training_delta(kgpert, here, toy):
    gene = toy["k562"].names("test")[1]
    rows = list(csv.DictReader(io.StringIO(kgpert("predict", gene, *TOY, "--csv")[1])))
    mean = toy.view("k562").target.mean
    for row, m in zip(rows, mean, strict=True):
        assert float(row["specific"]) == pytest.approx(float(row["predicted"]) - m, abs=1e-6)
    answer = json.loads(kgpert("predict", gene, *TOY, "--specific", "--top", 5, "--json")[1])
    values = {row["gene"]: float(row["specific"]) for row in rows}
    assert [row["gene"] for row in answer["up"]] == sorted(values, key=values.get, reverse=True)[:5]
    assert [row["gene"] for row in answer["down"]] == sorted(values, key=values.get)[:5]


def test_readouts_that_no_neighbour_measured_are_marked(kgpert, here, toy):
    gene = toy["k562"].names("test")[1]
    rows = list(csv.DictReader(io.StringIO(kgpert("predict", gene, *TOY, "--csv")[1])))
    blank = {row["gene"] for row in rows if row["neighbours_measured"] == "0"}
    out = kgpert("predict", gene, *TOY, "--top", 25)[1]
    assert blank
    assert all(re.search(rf"^{gene} .* 0\*( |$)", out, re.MULTILINE) for gene in blank)
    assert len(re.findall(r" 0\*( |$)", out, re.MULTILINE)) == len(blank)


@pytest.mark.parametrize("ending", [".csv", ".csv.gz"])
def test_a_table_file_holds_what_csv_prints(kgpert, here, toy, ending):
    arguments = ("predict", *toy["k562"].names("test")[:2], *TOY, "--top", 3)
    assert kgpert(*arguments, "-o", f"rows{ending}") == (0, f"rows{ending}: 2 predictions\n", "")
    first = (here / f"rows{ending}").read_bytes()
    text = gzip.decompress(first).decode() if ending.endswith("gz") else first.decode()
    assert text == kgpert(*arguments, "--csv")[1]
    kgpert(*arguments, "-o", f"rows{ending}")
    assert (here / f"rows{ending}").read_bytes() == first


def test_all_genes_of_all_lines_go_into_a_table_of_the_strongest_readouts(kgpert, here, toy):
    code, out, _ = kgpert("predict", "--all", "--line", "all", *TOY, "--top", 2, "-o", "all.csv.gz")
    table = pd.read_csv(here / "all.csv.gz")
    assert code == 0
    assert "up to 4 readout genes each, in k562, rpe1 of toy (simulated)" in out
    assert table.groupby(["line", "perturbation"]).size().max() <= 4
    gene = toy["k562"].names("test")[1]
    one = pd.read_csv(io.StringIO(kgpert("predict", gene, *TOY, "--top", 2, "--csv")[1]))
    same = table[(table["line"] == "k562") & (table["perturbation"] == gene)].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, one.drop(columns="measured"), check_exact=False, atol=1e-6)


@pytest.mark.parametrize(
    "name",
    [
        *("mean", "linear", "union", "weighted", "filled", "shuffled"),
        *("weighted-shared", "weighted-filled", "weighted-lines"),
    ],
)
def test_every_predictor_of_the_book_predicts_one_gene_as_the_library_does(kgpert, here, toy, name):
    gene = toy["k562"].names("test")[1]
    code, out, err = kgpert("predict", gene, *TOY, "--predictor", name, "--csv")
    assert (code, err) == (0, "")
    screen = load_screen(here / "toy", ["k562"], "mine.csv")
    expected = named.build(name, screen).predict(screen.view("k562").without([gene]), [gene])
    values = [float(row["predicted"]) for row in csv.DictReader(io.StringIO(out))]
    assert values == pytest.approx(expected.delta[0].tolist(), abs=1e-6)
    assert kgpert("predict", gene, *TOY, "--predictor", name)[0] == 0


def test_a_gene_that_looks_like_markup_is_printed_as_it_is(kgpert, here):
    with (here / "mine.csv").open("a") as file:
        file.write("[/x],G0001,0.5\n")
    code, out, err = kgpert("predict", "[/x]", *TOY)
    assert (code, err) == (0, "")
    assert out.startswith("[/x] in k562, atlas toy")


def test_a_saved_simulation_is_predicted_from_its_own_graphs(kgpert, tmp_path):
    assert kgpert("simulate", "-o", tmp_path / "s", "--size", "tiny", "--line", "K562")[0] == 0
    common = ("predict", "INTS9", "--atlas", tmp_path / "s" / "atlas", "--no-trust", "--json")
    for options, names in (((), {"complexes", "pathways"}), (("--graph", "pathways"), {"pathways"})):
        code, out, _ = kgpert(*common, *options)
        assert code == 0
        assert set().union(*(n["graphs"] for n in json.loads(out)["neighbours"])) == names
        expected = [{"name": name, "provenance": "made with the simulation, seed 0"} for name in sorted(names)]
        assert json.loads(out)["graphs"] == expected
    for option in ("--graph", "--predictor"):
        code, out, err = kgpert(*common, option, "string")
        assert (code, out) == (2, "")
        assert "has no graph 'string'; it has complexes and pathways" in " ".join(err.split())


@pytest.mark.needs_mirror
def test_ints9_is_predicted_from_the_integrator(real):
    done = real("predict", "INTS9", "--line", "k562", "--json")
    answer = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert answer["status"] == "test"
    graphs = {n["gene"]: set(n["graphs"]) for n in answer["neighbours"]}
    assert [n["share"] for n in answer["neighbours"]] == pytest.approx([1 / 18] * 18)
    assert sum(gene.startswith("INTS") for gene in graphs) >= 8
    assert set().union(*graphs.values()) == {"string", "go"}
    assert answer["measured"]["n_genes"] == 93
    assert answer["measured"]["pearson"] > 0.7
    assert sum(row["measured"] is not None for row in answer["up"]) >= 2
    text = real("predict", "INTS9", "--line", "k562").stdout
    assert "held out for test in this line" in " ".join(text.split())
    assert table_rows(text, "INTS4")[1:] == ["0.056", "0.999", "0.950"]
    assert real("predict", "ints9", "--line", "K562").stdout == text


@pytest.mark.needs_mirror
def test_every_gene_in_the_graphs_is_predicted(real, tmp_path):
    done = real("predict", "--all", "--line", "k562", "-o", tmp_path / "predictions.h5ad")
    assert done.returncode == 0, done.stderr
    data = ad.read_h5ad(tmp_path / "predictions.h5ad", backed="r")
    assert data.n_obs > 17_000
    assert list(data.uns["graphs"].index) == ["string", "go"]
    assert done.stdout.startswith(f"{tmp_path}/predictions.h5ad: {data.n_obs} genes x {data.n_vars} readout genes")
    assert data.obs["n_neighbours"]["INTS9"] == 18


@pytest.mark.needs_mirror
def test_the_genes_most_similar_in_go_predict_by_name(real):
    options = ("predict", "INTS9", "--line", "K562", "--limit", "5", "--json", "--predictor")
    plain, filled = (json.loads(real(*options, name).stdout) for name in ("similar", "similar-filled"))
    assert len(plain["neighbours"]) == 5
    assert [n["gene"] for n in plain["neighbours"]] == [n["gene"] for n in filled["neighbours"]]


@pytest.mark.needs_mirror
def test_the_weighted_predictor_is_that_of_the_book(real):
    answer = json.loads(real("evaluate", "--line", "K562", "--predictor", "weighted", "--json").stdout)
    scores = {row["predictor"]: row["pearson"] for row in answer["scores"]}
    assert scores["weighted"] == pytest.approx(0.630, abs=5e-4), "chapter 2, K562"
