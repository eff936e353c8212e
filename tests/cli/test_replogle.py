"""Replogle's screen on the command line: files from the simulation, predictions from them by default, options."""

import csv
import io
import json
import shutil

import pytest

from tests.replogle_mirror import Mirror, written_without_perturbqa

QUICK = ("--graph", "string", "--predictor", "string", "--no-trust")
RULE = "replogle:split=rule:filtered=no"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return Mirror(written_without_perturbqa(tmp_path_factory.mktemp("replogle")))


@pytest.fixture
def mirror(written, monkeypatch):
    written.use(monkeypatch)
    return written


def test_the_simulation_writes_files_that_the_printed_variables_make_a_mirror(kgpert, tmp_path, monkeypatch):
    folder = tmp_path / "files"
    code, out, err = kgpert("simulate", "--format", "replogle", "--size", "tiny", "-o", folder)
    assert (code, err) == (0, "")
    settings = dict(word.split("=", 1) for word in out.split() if word.startswith("KGPERT_"))
    assert list(settings) == ["KGPERT_MIRROR", "KGPERT_REGISTRY"]
    assert f"PerturbQA's tables were not at hand: put them into {folder / 'perturbqa'}" in out
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    code, out, _ = kgpert("predict", "INTS9", "--atlas", RULE, *QUICK)
    assert code == 0
    assert out.startswith("INTS9 in k562, atlas replogle (simulated), predictor string;")


def test_the_lines_of_such_files_are_fixed(kgpert, tmp_path):
    code, _, err = kgpert("simulate", "--format", "replogle", "--line", "k562", "-o", tmp_path / "files")
    assert (code, err) == (2, "kgpert: Files in Replogle's format are of fixed lines; leave --line out.\n")
    assert not (tmp_path / "files").exists()


def test_predictions_are_made_from_replogle_where_its_file_is_at_hand(kgpert, mirror):
    mirror.put_perturbqa("k562", {"INTS9": "test", "INTS4": "train"})
    code, out, _ = kgpert("predict", "INTS9", "--line", "K562", *QUICK, "--json")
    assert code == 0
    answer = json.loads(out)
    assert (answer["atlas"], answer["kind"], answer["status"]) == ("replogle", "simulated", "test")
    code, out, _ = kgpert("predict", "CPSF3L", "--line", "k562", *QUICK, "--json")  # an alias of INTS11
    assert json.loads(out)["gene"] == "INTS11"


@pytest.mark.parametrize("line", ["hepg2", "all"])
def test_other_lines_are_predicted_from_perturbqa(kgpert, mirror, monkeypatch, line):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    code, _, err = kgpert("predict", "INTS9", "--line", line)
    assert code == 2
    assert err.startswith("kgpert: No PerturbQA line can be had")


def test_the_genome_wide_experiment_is_a_line_by_name(kgpert, mirror):
    code, out, _ = kgpert("predict", "INTS9", "--atlas", RULE, "--line", "k562_gw", *QUICK, "--json")
    assert (code, json.loads(out)["line"]) == (0, "k562_gw")


def test_evaluation_takes_options_too(kgpert, mirror):
    arguments = ("evaluate", "--line", "rpe1", "--graph", "string", "--csv")
    code, out, _ = kgpert(*arguments, "--atlas", RULE)
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert "string" in {row["predictor"] for row in rows}
    assert {(row["atlas"], row["kind"], row["line"]) for row in rows} == {("replogle", "simulated", "rpe1")}


def test_a_wrong_option_is_one_sentence(kgpert, mirror):
    code, out, err = kgpert("predict", "INTS9", "--atlas", "replogle:split=fair")
    assert (code, out) == (2, "")
    assert err == "kgpert: The option split of replogle is 'fair'; it is perturbqa, txpert, rule.\n"


def test_a_web_page_in_the_files_place_is_named(kgpert, written, tmp_path, monkeypatch):
    copy = Mirror(shutil.copytree(written.folder, tmp_path / "copy"))
    copy.use(monkeypatch)
    copy.put("K562_essential_normalized_bulk_01.h5ad", b"<html>403</html>")
    code, _, err = kgpert("predict", "INTS9", "--atlas", RULE)
    assert code == 2
    assert "is a web page (HTML) and not HDF5; delete it and fetch the file again." in err
