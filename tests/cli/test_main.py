"""The command line: what the issue's commands print, and one sentence with exit code 2 for what cannot be used."""

import csv
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anndata as ad
import numpy as np
import pytest

from kgpert_lib.downloads import fetch
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import Atlas
from tests import worlds

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"  # the discard port: no proxy there, so no download either
WIDTH = 80


def process(*arguments, **environment):
    """Runs the command as a process of its own, its output piped."""
    command = [sys.executable, "-m", "kgpert_lib", *map(str, arguments)]
    env = os.environ | {"HTTPS_PROXY": NOWHERE, "PYTHONPATH": str(ROOT)} | environment
    env.pop("COLUMNS", None)
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def toy():
    """Two lines; ONLY2 was screened in rpe1 alone."""
    atlas = worlds.atlas(gaps=0.3)
    cells = atlas["rpe1"]
    names = np.where(cells.perturbations == "G0003", "ONLY2", cells.perturbations)
    return replace(atlas, lines={"k562": atlas["k562"], "rpe1": replace(cells, perturbations=names)})


@pytest.fixture(scope="module")
def silent(toy):
    """A test perturbation of k562 that the edge list leaves out."""
    return toy["k562"].names("test")[0]


@pytest.fixture(scope="module")
def saved(toy, silent, tmp_path_factory):
    """A folder with the saved atlas and an edge list."""
    folder = tmp_path_factory.mktemp("saved")
    toy.save(folder / "toy")
    edges = worlds.graph().to_networkx().edges(data="weight")
    rows = [f"{a},{b},{w}" for a, b, w in edges if silent not in (a, b)]
    rows += ["ONLY2,G0001,0.5", "ONLY2,G0002,0.5", "GONE,NOBODY,1"]
    (folder / "mine.csv").write_text("\n".join(["gene1,gene2,weight", *rows]) + "\n")
    return folder


@pytest.fixture
def here(saved, tmp_path, monkeypatch):
    """A copy to work in, so that ``--atlas toy --graph mine.csv`` is short and files may be broken."""
    folder = Path(shutil.copytree(saved, tmp_path / "here"))
    monkeypatch.chdir(folder)
    return folder


TOY = ("--atlas", "./toy", "--graph", "mine.csv")


def table_rows(text, first):
    """Cells of the first printed table row that starts with `first`."""
    return next(re.split(r"\s{2,}", row.strip()) for row in text.splitlines() if row.startswith(first))


def everything(folder):
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*")}


# --- predict


def test_a_held_out_gene_is_predicted_explained_and_compared(kgpert, here, toy):
    gene = toy["k562"].names("test")[1]
    code, out, err = kgpert("predict", gene, "--line", "k562", *TOY, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    train = set(toy["k562"].names("train"))
    graph = KnowledgeGraph.from_edges("mine", *zip(*_edges(here / "mine.csv"), strict=True))
    near = {g: w for g, w in graph.neighbours(gene).items() if g in train}
    assert {n["gene"]: n["graphs"]["mine"] for n in told["neighbours"]} == pytest.approx(near)
    assert told["status"] == "test"
    assert told["kind"] == "simulated"
    values = [row["predicted"] for row in told["up"]]
    assert values == sorted(values, reverse=True)
    assert min(values) > 0
    truth = dict(zip(toy["k562"].genes, toy["k562"].delta[toy["k562"].index[gene]], strict=True))
    for row in told["up"] + told["down"]:
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
    assert f"{gene} in k562, atlas toy (simulated), graph mine; held out for test in this line." in text
    assert "Strongest up gene predicted neighbours measured" in text
    assert "Strongest down" in text
    assert re.search(r"Over its \d+ measured genes the prediction's Pearson delta is -?0\.\d{3}", text)
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
    assert "No training perturbation stands beside it: the mean training delta is shown." in out


@pytest.mark.parametrize("ending", [".h5ad", ".npz", ".csv"])
def test_all_genes_of_the_graphs_go_into_a_file_that_evaluate_reads_back(kgpert, here, toy, ending):
    code, out, _ = kgpert("predict", "--all", "--line", "k562", *TOY, "-o", f"all{ending}")
    made = Predictions.load(here / f"all{ending}")
    assert code == 0
    assert out.startswith(f"all{ending}: {len(made.perturbations)} genes x 25 readout genes in k562 of toy (simulated)")
    assert set(made.perturbations) == {g for edge in _edges(here / "mine.csv") for g in edge[:2]}
    gene = toy["k562"].names("test")[1]
    told = json.loads(kgpert("predict", gene, "--line", "k562", *TOY, "--json", "--top", 25)[1])
    row = made.delta[made.perturbations.tolist().index(gene)]
    got = dict(zip(made.genes, row.tolist(), strict=True))
    assert {r["gene"]: r["predicted"] for r in told["up"] + told["down"]} == pytest.approx(got, abs=1e-6)


# --- evaluate


def test_evaluate_compares_graphs_and_predictions_from_outside(kgpert, here, toy):
    line = toy["k562"]
    names = line.names("test")
    none = np.zeros(len(names), int)
    truth = np.nan_to_num(line.delta[line.rows(names)])
    Predictions(np.array(names), line.genes, truth, none, none.astype(bool)).save(here / "perfect.csv")
    code, out, err = kgpert("evaluate", *TOY, "--line", "k562", "--outside", "k562=perfect.csv", "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    scores = {row["predictor"]: row for row in told["scores"]}
    assert list(scores) == ["training mean", "linear", "mine", "perfect"]
    assert scores["perfect"]["pearson"] == pytest.approx(1)
    assert scores["mine"]["n"] == len(names)
    assert scores["mine"]["pearson_low"] <= scores["mine"]["pearson"] <= scores["mine"]["pearson_high"]
    tests = {row["method_a"]: row for row in told["tests"]}
    assert set(tests) == {"linear", "mine", "perfect"}
    assert all(row["method_b"] == "training mean" for row in told["tests"])
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


def test_a_line_with_one_test_perturbation_is_valid_json(kgpert, here):
    cells = worlds.line(tests=1)
    Atlas("single", "simulated", {"k562": cells}).save(here / "single")
    code, out, _ = kgpert("evaluate", "--atlas", "single", "--graph", "mine.csv", "--json")
    assert code == 0
    json.loads(out, parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))
    assert json.loads(out)["scores"][0]["pearson_low"] is None


# --- graphs and downloads


def test_neighbours_of_a_gene_in_a_users_edge_list(kgpert, here):
    code, out, _ = kgpert("graph", "neighbours", "only2", "--graph", "mine.csv", "--json")
    assert code == 0
    assert json.loads(out)["neighbours"] == [
        {"gene": "G0001", "name": "", "mine": 0.5},
        {"gene": "G0002", "name": "", "mine": 0.5},
    ]


def test_rows_of_an_edge_list_that_were_left_out_are_told(kgpert, here):
    with (here / "mine.csv").open("a") as file:
        file.write("G0001,,0.5\n")
    code, _, err = kgpert("graph", "neighbours", "ONLY2", "--graph", "mine.csv")
    assert code == 0
    assert re.fullmatch(r"Note: mine\.csv: \d+ rows used, 1 left out \(line \d+: a gene is missing\)\.\n", err)


@pytest.fixture
def lab(tmp_path, monkeypatch, make_registry):
    """A registry with one file, and a mirror that holds it."""
    copy = tmp_path / "mirror" / "lab" / "table.csv"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"pert,gene\n")
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    registry = make_registry({copy.name: {"urls": [f"{NOWHERE}/{copy.name}"], "checksum": f"sha256:{digest}"}})
    monkeypatch.setattr(fetch, "default_registry", lambda: registry)
    monkeypatch.setenv("KGPERT_MIRROR", str(copy.parents[1]))
    return copy


def test_fetch_prints_the_path_of_every_file(kgpert, lab):
    assert kgpert("fetch", "lab") == (0, f"table.csv: {lab}\n", "")


def test_a_wrong_checksum_in_the_mirror_is_one_sentence_and_nothing_is_kept(kgpert, lab, cache):
    lab.write_bytes(b"pert,gone\n")
    code, out, err = kgpert("fetch", "lab")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert re.match(r"kgpert: The mirror's .*table\.csv has sha256 \w+ instead of \w+; replace the copy", err)
    assert everything(cache) == {}


# --- what cannot be used


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rewritten(path, change):
    """An atlas file with `change` made to its AnnData."""
    data = ad.read_h5ad(path)
    change(data)
    data.write_h5ad(path)


def doubled(data):
    names = list(data.obs_names)
    data.obs_names = [names[0], *names[:-1]]


def infinite(data):
    data.X[2, 3] = np.inf


def outside(text):
    return lambda folder: (folder / "out.csv").write_text(text)


def short_predictions(folder):
    path = folder / "out.h5ad"
    none = np.zeros(20, int)
    Predictions(worlds.symbols(20), worlds.symbols(25), np.ones((20, 25)), none, none.astype(bool)).save(path)
    cut(path)


PREDICT = ("predict", "G0001", "--line", "k562", *TOY)
EVALUATE = ("evaluate", *TOY)
SCORE = (*EVALUATE, "--outside", "k562=out.csv")
ALL = ("predict", "--all", "--line", "k562", *TOY)


def edges(text):
    return lambda folder: (folder / "mine.csv").write_text(text)


def no_change(folder):
    return None


BROKEN = {
    "edge list with one column": (edges("gene\nA\n"), PREDICT, "has one column only"),
    "empty edge list": (edges(""), PREDICT, "mine.csv is empty"),
    "edge list without a row": (edges("gene1,gene2\n"), PREDICT, "holds a header only"),
    "edge list of self-loops": (edges("gene1,gene2\nA,A\n"), PREDICT, "A is paired with itself"),
    "no such edge list": (no_change, (*PREDICT, "--graph", "none.csv"), "There is no edge list none.csv"),
    "unknown graph": (no_change, (*PREDICT, "--graph", "biogrid"), "Unknown graph 'biogrid'; choose from string"),
    "a graph named twice": (no_change, (*PREDICT, "--graph", "mine.csv+mine.csv"), "named more than once"),
    "predictions without the column": (outside("gene,G0001\nA,1\n"), SCORE, "has no column 'perturbation'"),
    "predictions given twice": (outside("perturbation,G1\nA,1\nA,2\n"), SCORE, "A appears more than once"),
    "infinite predictions": (outside("perturbation,G1\nA,inf\n"), SCORE, "A at gene G1 is not a finite number"),
    "predictions of other genes": (outside("perturbation,G1\nA,1\n"), SCORE, "predictions lack 6 of 6 perturbations"),
    "h5ad predictions cut short": (short_predictions, (*EVALUATE, "--outside", "k562=out.h5ad"), "cannot be read"),
    "no file of predictions": (no_change, SCORE, "out.csv does not exist"),
    "outside without a line": (no_change, (*EVALUATE, "--outside", "out.csv"), "is not LINE=FILE"),
    "outside for another line": (no_change, (*EVALUATE, "--outside", "hela=out.csv"), "has no cell line 'hela'"),
    "two predictors of one name": (
        lambda folder: shutil.copy(folder / "mine.csv", folder / "linear.csv"),
        (*EVALUATE, "--graph", "linear.csv"),
        "Two predictors are called 'linear'",
    ),
    "a graph evaluated twice": (no_change, (*EVALUATE, "--graph", "mine.csv"), "Two predictors are called 'mine'"),
    "atlas cut short": (lambda folder: cut(folder / "toy" / "k562.h5ad"), PREDICT, "is cut short"),
    "atlas with a perturbation twice": (
        lambda folder: rewritten(folder / "toy" / "k562.h5ad", doubled),
        PREDICT,
        "k562: perturbation 'G0000' appears 2 times",
    ),
    "atlas with infinite values": (
        lambda folder: rewritten(folder / "toy" / "k562.h5ad", infinite),
        PREDICT,
        "k562: delta is infinite for G0002 at gene G0003",
    ),
    "atlas without its line": (
        lambda folder: (folder / "toy" / "rpe1.h5ad").unlink(),
        EVALUATE,
        r"rpe1\.h5ad is missing",
    ),
    "unknown atlas": (no_change, ("predict", "G0001", "--atlas", "nowhere"), "Unknown atlas 'nowhere'"),
    "unknown line": (no_change, (*PREDICT, "--line", "hela"), "has no cell line 'hela'; it has k562, rpe1"),
    "unknown gene": (no_change, ("predict", "G00O1", *TOY), r"Unknown gene 'G00O1'; did you mean G\d{4}"),
    "gene in no graph": (
        no_change,
        ("predict", "TP53", *TOY),
        r"'TP53' \(tumor protein p53\) is not among the \d+ genes of the graph mine and the screen of k562",
    ),
    "gene without neighbours to show": (no_change, ("graph", "neighbours", "TP53", "--graph", "mine.csv"), "TP53"),
    "negative prior": (no_change, (*PREDICT, "--prior", "-1"), "prior strength is -1"),
    "prior that is no number": (no_change, (*PREDICT, "--prior", "nan"), "prior strength is nan"),
    "empty neighbourhoods": (no_change, (*PREDICT, "--limit", "0"), "limit is 0; a neighbourhood keeps at least"),
    "limit that is no number": (no_change, (*PREDICT, "--limit", "x"), "Invalid value for '--limit'"),
    "negative seed": (no_change, (*EVALUATE, "--seed", "-1"), "Invalid value for '--seed'"),
    "unknown cut": (no_change, (*PREDICT, "--cut", "middle"), "'middle' is not one of"),
    "unknown split": (no_change, (*EVALUATE, "--split", "loose"), "'loose' is not one of"),
    "all without a file": (no_change, ALL, "--all together with -o FILE"),
    "a file without all": (no_change, (*PREDICT, "-o", "p.h5ad"), "--all together with -o FILE"),
    "unknown ending": (no_change, (*ALL, "-o", "p.parquet"), r"p\.parquet: predictions are saved as \.h5ad"),
    "a folder that is a file": (no_change, (*ALL, "-o", "mine.csv/p.h5ad"), "p.h5ad cannot be written"),
    "a file that is a folder": (
        lambda folder: (folder / "p.h5ad").mkdir(),
        (*ALL, "-o", "p.h5ad"),
        "p.h5ad cannot be written",
    ),
    "unknown source": (no_change, ("fetch", "encode"), "No group 'encode' in the registry; the groups are perturbqa"),
    "unknown command": (no_change, ("guess", "G0001"), "No such command 'guess'"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_cannot_be_used_is_one_sentence_with_exit_code_2_and_nothing_written(kgpert, here, kind):
    damage, arguments, sentence = BROKEN[kind]
    damage(here)
    before = everything(here)
    code, out, err = kgpert(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("kgpert: ")
    assert err.count("\n") == 1, err
    assert re.search(sentence, err), err
    assert everything(here) == before


# --- as a process


def test_the_process_exits_with_2_one_sentence_and_no_traceback(here):
    done = process("predict", "TP53", "--atlas", here / "toy", "--graph", here / "mine.csv")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("kgpert: 'TP53' (tumor protein p53) is not among")


def test_a_reader_that_stops_early_gets_no_complaint(here):
    command = f"{sys.executable} -m kgpert_lib predict G0001 --atlas {here}/toy --graph {here}/mine.csv --csv | head -1"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("gene,predicted,neighbours_measured,measured\n", "")


@pytest.mark.parametrize("command", [(), ("predict",), ("evaluate",), ("fetch",), ("graph", "neighbours"), ("book",)])
def test_help_explains_every_option_within_80_columns(kgpert, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    code, out, _ = kgpert(*command, "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= WIDTH
    assert " ".join(["Usage: kgpert", *command]) in out
    options = [row for row in out.splitlines() if re.match(r"│ +--", row)]
    assert options
    assert all(" " in re.split(r"\s{2,}", row.strip("│ "))[-1] for row in options)


# --- on the real calls


@pytest.fixture(scope="module")
def real_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("real")


@pytest.fixture
def real(mirror, real_cache, monkeypatch):
    """The command on PerturbQA's real calls, with the similarity of GO computed once."""
    return lambda *arguments: process(*arguments, KGPERT_CACHE=str(real_cache), KGPERT_MIRROR=str(mirror))


def test_the_neighbours_of_a_ribosomal_gene_are_ribosomal(real_cache):
    done = process("graph", "neighbours", "RPL3", "--graph", "string+go", KGPERT_CACHE=str(real_cache))
    assert done.returncode == 0
    genes = [row.split()[0] for row in done.stdout.splitlines()[4:]]
    assert sum(g.startswith(("RPL", "RPS")) for g in genes) >= 0.8 * len(genes) >= 16
    assert "ribosomal protein L4" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= WIDTH


@pytest.mark.needs_mirror
def test_fetch_finds_perturbqa_in_the_mirror(real, mirror):
    done = real("fetch", "perturbqa")
    assert f"k562-de.csv: {mirror}/perturbqa/k562-de.csv\n" in done.stdout
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.needs_mirror
def test_ints9_is_predicted_from_the_integrator(real):
    done = real("predict", "INTS9", "--line", "k562", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, done.stderr) == (0, "")
    assert told["status"] == "test"
    graphs = {n["gene"]: set(n["graphs"]) for n in told["neighbours"]}
    assert sum(gene.startswith("INTS") for gene in graphs) >= 8
    assert set().union(*graphs.values()) == {"string", "go"}
    assert told["measured"]["n_genes"] == 93
    assert told["measured"]["pearson"] > 0.7
    assert sum(row["measured"] is not None for row in told["up"]) >= 2
    text = real("predict", "INTS9", "--line", "k562").stdout
    assert "held out for test in this line" in " ".join(text.split())
    assert table_rows(text, "INTS4")[2:] == ["1", "0.913"]


@pytest.mark.needs_mirror
def test_every_gene_in_the_graphs_is_predicted(real, tmp_path):
    done = real("predict", "--all", "--line", "k562", "-o", tmp_path / "predictions.h5ad")
    assert done.returncode == 0, done.stderr
    data = ad.read_h5ad(tmp_path / "predictions.h5ad", backed="r")
    assert data.n_obs > 20_000
    assert done.stdout.startswith(f"{tmp_path}/predictions.h5ad: {data.n_obs} genes x {data.n_vars} readout genes")
    assert data.obs["n_neighbours"]["INTS9"] == 11


@pytest.mark.needs_mirror
def test_graphs_beat_the_training_mean_on_the_real_calls(real):
    specs = [word for spec in ("string", "go", "string+go") for word in ("--graph", spec)]
    done = real("evaluate", "--atlas", "perturbqa", *specs, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    scores = {(row["line"], row["predictor"]): row for row in told["scores"]}
    assert scores["k562", "training mean"]["pearson"] == pytest.approx(0.479, abs=5e-4)
    assert scores["rpe1", "training mean"]["pearson"] == pytest.approx(0.628, abs=5e-4)
    assert scores["k562", "string+go"]["pearson"] == pytest.approx(0.575, abs=5e-3)
    assert (scores["k562", "string+go"]["n"], scores["rpe1", "string+go"]["n"]) == (267, 406)
    tests = {(row["line"], row["method_a"]): row for row in told["tests"]}
    for line in ("k562", "rpe1"):
        assert tests[line, "string+go"]["low"] > 0
        assert tests[line, "string+go"]["p_holm"] < 1e-10
