"""The command line as a whole: help, versions, and one sentence with exit code 2 for what cannot be used."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pytest
import typer
from rich.console import Console

import kgpert_lib
from kgpert_lib.cli import terminal
from kgpert_lib.cli.commands import app
from kgpert_lib.downloads import fetch
from kgpert_lib.llm.named import SOURCES
from kgpert_lib.predictors import named
from kgpert_lib.predictors.predictions import Predictions
from tests import worlds
from tests.cli import NOWHERE, ROOT, TOY, WIDTH, everything, process

# --- what cannot be used


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no device that is always full")
@pytest.mark.parametrize("option", [(), ("--csv",), ("--json",)])
def test_a_full_disk_behind_standard_output_is_one_sentence(option):
    command = [sys.executable, "-m", "kgpert_lib", "graph", "neighbours", "INTS9", "--graph", "string", *option]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
        )
    assert done.returncode == 2
    assert "could not be written (No space left on device)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


COMMANDS = [command.callback.__name__ for command in app.registered_commands]
SEVERAL_LINES = ("predict", "predictions", "evaluate", "vote", "record", "simulate")


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
    "unknown graph": (no_change, (*PREDICT, "--graph", "corum"), "Unknown graph 'corum'; choose from string"),
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
    "unknown predictor": (no_change, (*PREDICT, "--predictor", "oracle"), "'oracle'"),
    "a name that looks like markup": (no_change, (*PREDICT, "--atlas", "[/x]"), r"Unknown atlas '\[/x\]'"),
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
    "seed above 32 bits": (no_change, (*EVALUATE, "--seed", "5000000000"), "Invalid value for '--seed'"),
    "unknown cut": (no_change, (*PREDICT, "--cut", "middle"), "'middle' is not one of"),
    "unknown split": (no_change, (*EVALUATE, "--split", "loose"), "'loose' is not one of"),
    "all without a file": (no_change, ALL, "--all together with -o FILE"),
    "a matrix of one gene": (no_change, (*PREDICT, "-o", "p.h5ad"), r"p\.h5ad: predictions are saved as \.csv"),
    "a table of everything": (no_change, (*ALL, "-o", "p.csv"), "needs --top N"),
    "a matrix of two lines": (no_change, (*ALL, "--line", "rpe1", "-o", "p.h5ad"), "a matrix holds one cell line"),
    "unknown ending": (no_change, (*ALL, "-o", "p.feather"), r"p\.feather: all predictions are saved as \.csv"),
    "a matrix of some readout genes": (no_change, (*ALL, "--top", "2", "-o", "p.h5ad"), "holds every readout gene"),
    "a parquet matrix of two lines": (no_change, (*ALL, "--line", "rpe1", "-o", "p.parquet"), "with --top N"),
    "a folder that is a file": (no_change, (*ALL, "-o", "mine.csv/p.h5ad"), "p.h5ad cannot be written"),
    "a file that is a folder": (
        lambda folder: (folder / "p.h5ad").mkdir(),
        (*ALL, "-o", "p.h5ad"),
        "p.h5ad cannot be written",
    ),
    "predictions into a folder that holds something": (
        no_change,
        ("predictions", *TOY, "-o", "toy"),
        "toy exists and is not an empty folder",
    ),
    "predictions into a file": (no_change, ("predictions", *TOY, "-o", "mine.csv"), "is not an empty folder"),
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
    assert (done.stdout, done.stderr) == (
        "line,perturbation,gene,predicted,specific,neighbours_measured,measured\n",
        "",
    )


@pytest.mark.parametrize(
    "command",
    [(), *((name,) for name in COMMANDS), ("graph",), ("graph", "neighbours"), ("graph", "neighbors")],
)
@pytest.mark.parametrize(("width", "flag"), [(60, "-h"), (WIDTH, "--help")])
def test_help_explains_every_option_with_an_example(kgpert, command, width, flag, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = kgpert(*command, flag)
    assert code == 0
    assert max(map(len, out.splitlines())) <= width
    assert not command or f"kgpert {' '.join(command)}" in out.partition("Example")[2]
    assert not command or "…" not in out, "a word was cut"
    assert " ".join(["Usage: kgpert", *command]) in out


def test_every_option_of_every_command_has_a_help_text():
    groups = [typer.main.get_group(app)]
    for group in groups:
        groups += [c for c in group.commands.values() if hasattr(c, "commands")]
    options = [(c.name, p) for g in groups for c in g.commands.values() for p in c.params]
    assert len(options) > 60
    assert [(name, p.name) for name, p in options if not p.help] == []


def test_the_version_is_that_of_the_package(kgpert):
    assert kgpert("--version") == (0, f"kgpert {kgpert_lib.__version__}\n", "")


def test_the_shell_completes_commands_and_cell_lines():
    done = process(COMP_WORDS="kgpert predict --line h", COMP_CWORD="3", _KGPERT_COMPLETE="complete_bash")
    assert (done.returncode, done.stdout.split()) == (0, ["hepg2"])


@pytest.mark.parametrize(("command", "offered"), [("ask", []), *((name, ["all"]) for name in SEVERAL_LINES)])
def test_the_shell_offers_all_lines_where_a_command_takes_them(command, offered):
    done = process(COMP_WORDS=f"kgpert {command} --line a", COMP_CWORD="3", _KGPERT_COMPLETE="complete_bash")
    assert (done.returncode, done.stdout.split()) == (0, offered)


def test_every_command_has_the_same_default_split():
    splits = {
        command.name: option.default
        for command in typer.main.get_group(app).commands.values()
        for option in command.params
        if option.name == "split" and command.name != "screen"  # there it is what a file's split is read from
    }
    assert splits == dict.fromkeys(("predict", "predictions", "evaluate", "vote", "ask"), "strict")


@pytest.mark.parametrize("command", ["predict", "predictions", "evaluate"])
def test_the_help_names_every_predictor_whole_on_a_narrow_terminal(kgpert, command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    words = re.split(r"[\s,.;:]+", kgpert(command, "--help")[1])
    assert {*terminal.PREDICTORS, *terminal.MODEL_PREDICTORS} <= set(words)


@pytest.mark.parametrize(
    ("arguments", "sign"),
    [
        (("predict", "G0001", *TOY), "Predicting"),
        (("evaluate", *TOY), "Scoring"),
        (("graph", "neighbours", "G0001", "--graph", "mine.csv"), "Loading graphs"),
        (("simulate", "-o", "screen", "--size", "tiny", "--line", "k562"), "Simulating cells"),
        (("record", "--atlas", "./toy", "--graph", "mine.csv", "-o", "out", "--base-url", f"{NOWHERE}/v1"), "Loading"),
        (("serve", "--context", "0"), "Starting the server"),
        (("book", "--root", "nowhere"), "Loading"),
    ],
)
def test_a_terminal_shows_that_work_goes_on(kgpert, here, arguments, sign, monkeypatch):
    monkeypatch.setattr(terminal, "err", Console(stderr=True, force_terminal=True, force_interactive=True))
    assert sign in kgpert(*arguments)[2]


def test_the_names_of_predictors_in_the_help_are_those_that_can_be_built():
    assert tuple(named.PREDICTORS) == terminal.PREDICTORS
    assert tuple(SOURCES) == terminal.MODEL_PREDICTORS


def test_help_imports_no_table_and_no_array():
    code = "import sys; from kgpert_lib.cli import commands; print({'numpy', 'pandas', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(("package", "extra"), [("papermill", "book"), ("pyarrow", "book"), ("xllamacpp", "llm")])
def test_a_package_of_an_extra_that_is_not_installed_is_named_with_its_command(kgpert, package, extra, monkeypatch):
    def lacks(group):
        raise ModuleNotFoundError(f"No module named {package!r}", name=f"{package}.core")

    monkeypatch.setattr(fetch, "fetch_group", lacks)
    code, out, err = kgpert("fetch", "perturbqa")
    assert (code, out) == (2, "")
    assert err == (
        f"kgpert: This command needs {package}, which is not installed; run: pip install 'kgpert-lib[{extra}]'\n"
    )
