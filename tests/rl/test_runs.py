"""Recorded runs: what is written is read back, whenever the writing stopped."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib import __version__, paths
from kgpert_lib.errors import InputError
from kgpert_lib.rl import runs
from kgpert_lib.rl.runs import Run, RunConfig, RunWriter
from kgpert_lib.rl.tasks import Settings
from kgpert_lib.rl.traces import ScoredAnswer, ScoredAnswers

SETTINGS = Settings(atlas="simulated", lines=("k562",))
ANSWERS = ScoredAnswers(SETTINGS, (ScoredAnswer("k562", "INTS9", "{}", {"format": 0.25}, "gene", 3),))


def config(name="mine-s0", **changes):
    given = {
        "name": name, "policy": "gene", "settings": SETTINGS, "evaluated": ("k562",), "seed": 0, "steps": 4,
        "questions": 8, "rollouts": 8, "learning_rate": 1e-4, "temperature": 1.0, "max_tokens": 6, "code": "abc",
        "versions": {"torch": "2.13"}, "warm": {"epochs": 3},
    }  # fmt: skip
    return RunConfig(**given | changes)


def row(step, **values):
    return {"step": step, "questions": 8 * step, "reward": step / 10} | values


def written(folder, steps=4, **changes):
    """The writer of a run of some steps in a folder of its name."""
    writer = RunWriter(folder, config(folder.name, **changes))
    for step in range(1, steps + 1):
        writer.append(row(step, entropy=1 / step))
    return writer


def read(folder):
    run = Run.load(folder)
    return run.steps(), run.answers("warm")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """An empty folder in place of ``data/runs``."""
    monkeypatch.setattr(runs, "RUNS", tmp_path / "runs")
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def test_a_run_is_read_back_as_it_was_written_by_name_and_by_folder(store):
    writer = written(store / "mine-s0")
    for stage in ("after-2", "trained", "warm"):
        writer.write_answers(stage, ANSWERS)
    writer.finish(12.5)
    for where in ("mine-s0", store / "mine-s0", str(store / "mine-s0")):
        run = Run.load(where)
        assert run.config == config(seconds=12.5)
        assert run.stages == ("warm", "trained", "after-2")
        assert run.answers("trained") == ANSWERS
        assert run.weights is None
        table = run.steps()
        assert tuple(table.columns) == runs.STEP_COLUMNS
        assert table["questions"].tolist() == [8, 16, 24, 32]
        assert table["entropy"].tolist() == [1, 1 / 2, 1 / 3, 1 / 4]
        assert table["loss"].isna().all()
    (store / "mine-s0" / "weights.safetensors").touch()
    assert Run.load("mine-s0").weights == store / "mine-s0" / "weights.safetensors"


@settings(deadline=None)
@given(st.lists(st.floats(), min_size=1, max_size=5))
def test_numbers_of_a_step_are_exact_and_what_is_not_finite_is_a_gap(tmp_path_factory, values):
    writer = written(tmp_path_factory.mktemp("run") / "run", steps=0)
    for step, value in enumerate(values, 1):
        writer.append({"step": step, "questions": step, "loss": value, "gap": np.float32(0.25)})
    expected = [value if np.isfinite(value) else np.nan for value in values]
    np.testing.assert_array_equal(writer.run.steps()["loss"], expected)
    assert writer.run.steps()["gap"].eq(0.25).all()
    json.loads((writer.folder / "steps.jsonl").read_text().splitlines()[0], parse_constant=pytest.fail)


def test_a_run_that_went_on_from_a_checkpoint_is_the_one_that_was_never_stopped(tmp_path):
    whole = written(tmp_path / "whole" / "run")
    stopped = written(tmp_path / "stopped" / "run", steps=3)
    with (stopped.folder / "steps.jsonl").open("a") as file:
        file.write('{"step": 4, "ques')  # what a kill may leave
    assert stopped.run.steps()["step"].tolist() == [1, 2, 3]
    again = RunWriter(stopped.folder, config("run"))
    again.resume(2)
    for step in (3, 4):
        again.append(row(step, entropy=1 / step))
    assert (again.folder / "steps.jsonl").read_bytes() == (whole.folder / "steps.jsonl").read_bytes()


def test_a_finished_run_that_goes_on_is_not_finished(tmp_path):
    writer = written(tmp_path / "run")
    writer.finish(9.0)
    assert RunWriter(writer.folder, config("run")).run.config.seconds == 9
    writer.resume(4)
    assert Run.load(writer.folder).config.seconds is None


APPENDING = """
from itertools import count
from pathlib import Path
from tests.rl.test_runs import row, written

writer = written(Path("run"), steps=0)
for step in count(1):
    writer.append(row(step))
    print(step, flush=True)
"""


def test_every_step_that_was_recorded_outlives_a_kill(tmp_path):
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", APPENDING]
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, text=True) as process:
        last = [int(process.stdout.readline()) for _ in range(20)][-1]
        process.send_signal(signal.SIGKILL)
        last = max([last, *(int(line) for line in process.stdout if line.endswith("\n"))])
    steps = Run.load(tmp_path / "run").steps()["step"].tolist()
    assert steps == list(range(1, len(steps) + 1))
    assert last <= len(steps) <= last + 1
    RunWriter(tmp_path / "run", config("run")).resume(15)
    assert len(Run.load(tmp_path / "run").steps()) == 15


def test_a_folder_holds_one_run(tmp_path):
    folder = written(tmp_path / "run").folder
    before = (folder / "config.json").read_bytes()
    with pytest.raises(InputError, match=r"another configuration \(seed, learning_rate\)"):
        RunWriter(folder, config("run", seed=1, learning_rate=1.0))
    assert (folder / "config.json").read_bytes() == before
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").touch()
    with pytest.raises(InputError, match="holds no run and is not empty"):
        RunWriter(tmp_path / "taken", config("taken"))
    with pytest.raises(InputError, match="is there already"):
        runs.save(folder, config("run"), [], {})


def test_code_and_versions_of_every_start_are_kept(tmp_path):
    folder = written(tmp_path / "run").folder
    for code in ("abc", "def+", "def+"):
        last = RunWriter(folder, config("run", code=code, versions={"torch": "2.14", "trl": "1"})).run.config
    assert last.code == "abc, def+"
    assert last.versions == {"torch": "2.13, 2.14", "trl": "1"}


def test_steps_follow_each_other_and_a_checkpoint_has_all_before_it(tmp_path):
    writer = written(tmp_path / "run")
    with pytest.raises(ValueError, match="step 4 follows step 4"):
        writer.append(row(4))
    with pytest.raises(ValueError, match="unknown column losses"):
        writer.append(row(5, losses=1.0))
    with pytest.raises(InputError, match="has 4 of the 6 steps before the checkpoint"):
        writer.resume(6)
    assert writer.run.steps()["step"].tolist() == [1, 2, 3, 4]


def test_what_is_not_there_is_named_with_what_is(store):
    with pytest.raises(InputError, match=r"There is no run mine; .* \(none\)"):
        Run.load("mine")
    writer = written(store / "mine-s0")
    writer.write_answers("warm", ANSWERS)
    with pytest.raises(InputError, match=r"There is no run mine; .* \(mine-s0\)"):
        Run.load("mine")
    with pytest.raises(InputError, match="no answers of the stage 'trained'; it has warm"):
        writer.run.answers("trained")
    with pytest.raises(InputError, match="cannot name a stage"):
        writer.write_answers("../warm", ANSWERS)


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("config.json", "{", "is no configuration of a run"),
        ("config.json", "[]", "is no configuration of a run"),
        ("config.json", '{"name": "run", "speed": 3}', "is no configuration of a run"),
        ("steps.jsonl", "nonsense\n", "line 1 is no step"),
        ("steps.jsonl", "[1]\n", r"line 1 is no step \(no JSON object\)"),
        ("steps.jsonl", '{"step": 1}\n', r"line 1 is no step \(questions has to be a whole number\)"),
        ("steps.jsonl", '{"step": 1, "questions": 8, "reward": "x"}\n', "reward is no number"),
        ("steps.jsonl", '{"step": 2, "questions": 8}\n{"step": 2, "questions": 9}\n', "line 2 has step 2 after step 2"),
        ("answers/warm.jsonl", '{"settings": {}}\n{"gene": "INTS9"}\n', "line 2 is no scored answer"),
        ("answers/warm.jsonl", "", "line 1 is no scored answer"),
    ],
)
def test_a_damaged_file_is_named_with_the_place(tmp_path, file, text, problem):
    writer = written(tmp_path / "run")
    writer.write_answers("warm", ANSWERS)
    (writer.folder / file).write_text(text)
    with pytest.raises(InputError, match=problem) as raised:
        read(writer.folder)
    assert str(writer.folder / file) in str(raised.value)


def test_runs_are_listed_by_atlas_policy_and_prefix(store):
    written(store / "simulated-s1", steps=1)
    written(store / "simulated-s0").write_answers("warm", ANSWERS)
    written(store / "perturbqa-s0", steps=0, settings=Settings(lines=("k562", "rpe1")), policy="smollm2")
    (store / "README.md").touch()
    assert [run.name for run in runs.runs()] == ["perturbqa-s0", "simulated-s0", "simulated-s1"]
    assert [run.name for run in runs.runs(atlas="perturbqa")] == ["perturbqa-s0"]
    assert [run.name for run in runs.runs(policy="gene", prefix="simulated-s1")] == ["simulated-s1"]
    table = runs.listing(runs.runs()).set_index("run")
    assert table.loc["simulated-s0", ["steps", "first reward", "last reward", "stages"]].tolist() == [
        4,
        0.1,
        0.4,
        "warm",
    ]
    assert table.loc["perturbqa-s0", "lines"] == "k562, rpe1"
    assert np.isnan(table.loc["perturbqa-s0", "last reward"])
    assert runs.listing([]).empty


def test_the_code_is_a_commit_with_a_sign_where_it_was_changed(tmp_path, monkeypatch):
    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        return subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True).stdout

    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    (tmp_path / "data" / "runs").mkdir(parents=True)
    assert runs.code_version() == __version__
    git("init")
    assert runs.code_version() == __version__  # no commit yet
    (tmp_path / "kgpert_lib").mkdir()
    (tmp_path / "kgpert_lib" / "a.py").touch()
    git("add", ".")
    git("commit", "-m", "first")
    commit = git("rev-parse", "HEAD")[:12]
    (tmp_path / "data" / "runs" / "config.json").touch()
    assert runs.code_version() == commit
    (tmp_path / "kgpert_lib" / "b.py").touch()
    assert runs.code_version() == f"{commit}+"
