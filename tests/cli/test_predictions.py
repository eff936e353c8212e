"""``kgpert predictions``, and ``kgpert predict --all`` into parquet."""

import hashlib
import json
import re
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import yaml

from kgpert_lib.downloads.registry import default_registry
from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.predictors import named
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.release.tables import SHARED
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.load import load_screen
from tests import worlds
from tests.cli import TOY

WRITTEN = ["README.md", "full-k562.parquet", "full-rpe1.parquet", "genes.parquet", "strongest.parquet"]


@pytest.fixture
def folder(kgpert, here):
    """The predictions of the toy atlas in both lines."""
    code, out, err = kgpert("predictions", "-o", "out", *TOY, "--top", 3)
    assert (code, err) == (0, "")
    assert out.startswith("out: ")
    return here / "out"


def answer(kgpert, gene, line, *options):
    """What ``kgpert predict`` says of one gene."""
    code, out, _ = kgpert("predict", gene, "--line", line, *TOY, "--json", *options)
    assert code == 0
    return json.loads(out)


def expected_rows(one):
    return {(row["gene"], row["neighbours_measured"]): row["predicted"] for row in one["up"] + one["down"]}


@pytest.mark.parametrize("line", ["k562", "rpe1"])
def test_a_test_gene_has_the_values_that_predict_prints(kgpert, folder, toy, line):
    genes = pd.read_parquet(folder / "genes.parquet").set_index(["line", "perturbation"])
    known = genes.loc[line].query("status == 'test' and not fallback")
    assert len(known) > 2
    for gene in known.index[:2]:
        one = answer(kgpert, gene, line, "--top", 25)
        full = pd.read_parquet(folder / f"full-{line}.parquet").set_index("perturbation").loc[gene]
        assert {row["gene"]: row["predicted"] for row in one["up"] + one["down"]} == pytest.approx(full.to_dict())
        rows = pd.read_parquet(folder / "strongest.parquet").query("line == @line and perturbation == @gene")
        got = dict(zip(zip(rows["gene"], rows["neighbours_measured"], strict=True), rows["predicted"], strict=True))
        assert got == pytest.approx(expected_rows(answer(kgpert, gene, line, "--top", 3)))
        mean = toy.view(line).target.mean[np.searchsorted(toy[line].genes, rows["gene"].to_numpy(str))]
        assert rows["specific"].to_numpy() == pytest.approx(rows["predicted"].to_numpy() - mean, abs=1e-6)
        assert known.loc[gene, "neighbours"] == len(one["neighbours"])
        assert known.loc[gene, "pearson"] == pytest.approx(one["measured"]["pearson"], abs=1e-6)


def test_every_gene_of_the_graphs_and_of_the_screen_has_one_row_a_line(folder, toy):
    genes = pd.read_parquet(folder / "genes.parquet")
    edges = pd.read_csv(folder.parent / "mine.csv")
    every = {*edges["gene1"], *edges["gene2"], *toy.perturbations()}
    assert list(genes["line"].unique()) == ["k562", "rpe1"]
    for line, part in genes.groupby("line"):
        assert sorted(part["perturbation"]) == sorted(every)
        split = dict(zip(toy[line].perturbations, toy[line].split, strict=True))
        status = part.set_index("perturbation")["status"]
        assert status.to_dict() == {gene: split.get(gene, "not screened") for gene in every}
        assert part["pearson"].notna().equals(part["status"] == "test")


def test_genes_without_a_neighbour_share_the_row_of_the_training_mean(folder, toy, silent):
    genes = pd.read_parquet(folder / "genes.parquet").query("line == 'k562'").set_index("perturbation")
    full = pd.read_parquet(folder / "full-k562.parquet").set_index("perturbation")
    assert genes.loc[[silent, "NOBODY"], "fallback"].all()
    assert genes.loc["ONLY2", "neighbours"] > 0, "screened in the other line alone"
    assert list(full.index) == [SHARED, *genes.index[~genes["fallback"]]]
    assert full.loc[SHARED].to_numpy() == pytest.approx(toy.view("k562").target.mean)
    strongest = pd.read_parquet(folder / "strongest.parquet")
    rows = strongest.query("line == 'k562' and perturbation == @SHARED")
    assert rows["predicted"].iloc[0] == pytest.approx(toy.view("k562").target.mean.max())
    assert (rows[["specific", "neighbours_measured"]] == 0).all(axis=None)
    assert not set(strongest["perturbation"]) & {silent, "NOBODY"}


def test_a_predictor_without_neighbours_leaves_the_shared_row_alone(kgpert, here):
    assert kgpert("predictions", "-o", "out", *TOY, "--predictor", "mean")[0] == 0
    assert list(pd.read_parquet(here / "out" / "full-k562.parquet")["perturbation"]) == [SHARED]
    genes = pd.read_parquet(here / "out" / "genes.parquet")
    assert genes["fallback"].all()
    assert genes["expected"].isna().all()
    assert "Graphs, with the date and licence of each:\n\n- none\n" in (here / "out" / "README.md").read_text()


def test_the_same_command_writes_the_same_bytes(kgpert, folder, here):
    assert sorted(path.name for path in folder.iterdir()) == WRITTEN
    assert kgpert("predictions", "-o", "again", *TOY, "--top", 3)[0] == 0
    for name in WRITTEN:
        assert (here / "again" / name).read_bytes() == (folder / name).read_bytes(), name


def test_the_card_is_a_data_card_with_scores_checksums_and_a_command_that_repeats_it(kgpert, folder, here, toy):
    text = (folder / "README.md").read_text(encoding="utf-8")
    _, head, body = text.split("---\n", 2)
    card = yaml.safe_load(head)
    names = {entry["config_name"]: entry["data_files"] for entry in card["configs"]}
    assert sorted(names.values()) == [name for name in WRITTEN if name != "README.md"]
    assert card["license"] == "other", "the toy atlas states none"
    for name in names.values():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() in body
    screen = load_screen(here / "toy", None, "mine.csv")
    evaluated = evaluate_lines(screen.atlas, list(screen.lines), [named.build("union", screen)])
    for row in summaries.formatted(summaries.scores(evaluated)).to_dict("records"):
        assert f"| {row['line']} | mine | {row['n']} | {row['fallback']} | {row['pearson [95 %]']} |" in body
    assert re.search(r"`mine`: edge list mine\.csv, sha256 [0-9a-f]{12}", body)
    assert "The atlas is a simulation" in body
    [command] = re.findall(r"^kgpert (predictions .*)$", body, re.MULTILINE)
    assert kgpert(*command.replace("DIR", "again").split())[0] == 0
    assert (here / "again" / "README.md").read_text(encoding="utf-8") == text


def test_the_python_of_the_card_reads_the_files(folder, monkeypatch):
    [code] = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.chdir(folder)
    names = {}
    exec(code, names)
    assert len(names["strongest"]) > 2
    assert names["delta"][names["strongest"]["gene"]].to_numpy() == pytest.approx(names["strongest"]["predicted"])


def test_expected_scores_are_those_of_predict_and_the_card_counts_how_often_they_held(kgpert, here):
    larger = Atlas("larger", "real", {"k562": worlds.line(n=90, tests=20)})
    larger.save("larger")
    edges = worlds.to_networkx(worlds.graph(n=100, edges=500)).edges(data="weight")
    (here / "edges.csv").write_text("\n".join(["gene1,gene2,weight", *(f"{a},{b},{w}" for a, b, w in edges)]))
    options = ("--atlas", "./larger", "--graph", "edges.csv")
    assert kgpert("predictions", "-o", "out", *options, "--top", 2)[0] == 0
    genes = pd.read_parquet("out/genes.parquet").set_index("perturbation")
    gene = genes.index[(genes["status"] == "test") & ~genes["fallback"]][0]
    one = json.loads(kgpert("predict", gene, *options, "--json")[1])["expected"]
    got = genes.loc[gene, ["expected", "low", "high", "level"]].tolist()
    assert got == pytest.approx([one["pearson"], one["low"], one["high"], one["level"]], abs=1e-5)
    test = genes[genes["status"] == "test"]
    share = test["pearson"].between(test["low"], test["high"]).mean()
    text = (here / "out" / "README.md").read_text(encoding="utf-8")
    assert re.search(rf"- k562: {100 * share:.0f} % \[\d+, \d+\] of 20 test genes, 80 % intended\.", text)
    assert "simulation" not in text


def test_what_is_made_from_perturbqa_carries_its_licence_and_attribution(kgpert, here, toy):
    entry = default_registry()["k562-de.csv"]
    origin = {"licence": entry.licence, "attribution": entry.attribution}
    replace(toy, name="perturbqa", kind="real", provenance=origin).save("calls")
    assert kgpert("predictions", "-o", "out", "--atlas", "./calls", "--graph", "mine.csv")[0] == 0
    text = (here / "out" / "README.md").read_text(encoding="utf-8")
    card = yaml.safe_load(text.split("---\n")[1])
    assert "Genentech Non-Commercial" in (here / "out" / card["license_link"]).read_text(encoding="utf-8")
    assert "use is non-commercial" in text
    assert f"- Attribution: {entry.attribution}\n" in text
    assert f"- Licence: {entry.licence}\n" in text


def test_nothing_is_left_where_a_line_cannot_be_predicted(kgpert, here):
    before = sorted(path.name for path in here.iterdir())
    code, out, err = kgpert("predictions", "-o", "out", *TOY, "--prior", "-1")
    assert (code, out) == (2, "")
    assert "prior strength is -1" in err
    assert sorted(path.name for path in here.iterdir()) == before


def test_a_matrix_in_parquet_is_that_of_h5ad_and_is_read_back(kgpert, here):
    for ending in (".parquet", ".h5ad"):
        assert kgpert("predict", "--all", *TOY, "-o", f"all{ending}")[0] == 0
    ours, same = (Predictions.load(here / f"all{ending}") for ending in (".parquet", ".h5ad"))
    for field in ("perturbations", "genes", "delta"):
        assert np.array_equal(getattr(ours, field), getattr(same, field)), field
    assert "sha256" in pq.read_schema(here / "all.parquet").metadata[b"mine"].decode()


def test_a_parquet_table_holds_what_the_csv_holds(kgpert, here):
    for ending in (".parquet", ".csv"):
        assert kgpert("predict", "--all", "--line", "all", *TOY, "--top", 2, "-o", f"all{ending}")[0] == 0
    first = (here / "all.parquet").read_bytes()
    table = pd.read_parquet(here / "all.parquet")
    pd.testing.assert_frame_equal(table, pd.read_csv(here / "all.csv"), check_dtype=False, atol=1e-6)
    assert kgpert("predict", "--all", "--line", "all", *TOY, "--top", 2, "-o", "all.parquet")[0] == 0
    assert (here / "all.parquet").read_bytes() == first


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda path: path.write_bytes(b"PAR1 nothing"), "cannot be read as predictions"),
        (lambda path: pd.DataFrame({"gene": ["A"], "B": [1.0]}).to_parquet(path), "has no column 'perturbation'"),
        (lambda path: pd.DataFrame({"perturbation": ["A"], "B": [np.nan]}).to_parquet(path), "A at gene B is not a"),
        (lambda path: pd.DataFrame({"perturbation": ["A"], "B": ["x"]}).to_parquet(path), "cannot be read"),
    ],
)
def test_a_file_that_holds_no_predictions_is_one_sentence(tmp_path, damage, sentence):
    damage(tmp_path / "bad.parquet")
    with pytest.raises(InputError, match=sentence):
        Predictions.load(tmp_path / "bad.parquet")


@pytest.mark.parametrize(
    "arguments",
    [("predictions", "-o", "out"), ("predict", "--all", "-o", "out.parquet"), ("predict", "G0001", "-o", "o.parquet")],
)
def test_without_pyarrow_one_sentence_says_what_to_install_before_any_work(kgpert, here, monkeypatch, arguments):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for name in [name for name in sys.modules if name.startswith("pyarrow.")]:
        monkeypatch.delitem(sys.modules, name)
    code, out, err = kgpert(*arguments, "--atlas", "nowhere")
    assert (code, out) == (2, "")
    assert err == "kgpert: This command needs pyarrow, which is not installed; run: pip install 'kgpert-lib[book]'\n"
