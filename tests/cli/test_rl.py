"""`kgpert rl`: files checked, a job launched with stand-ins for uv, nvidia-smi and Prime-RL, watched, and served."""

import io
import json
import os
import signal
import stat
import subprocess
import sys

import pytest
from rich.console import Console

from kgpert_lib.cli import terminal
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job import watch
from kgpert_lib.rl.job.watch import Progress
from kgpert_lib.rl.tasks import Settings
from tests.cli import ROOT, table_rows
from tests.rl import traces
from tests.rl.job import runs

ONE_GPU = ("--overlay", "one_gpu")
H100 = "0, NVIDIA H100 80GB HBM3, 81559, 81000\n"

# Small enough for any disk: an adapter, and no checkpoints to make room for.
FILE = """
max_steps = 300
seq_len = 3072
model.name = "Qwen/Qwen3-4B-Instruct-2507"
weight_broadcast.type = "filesystem"

[trainer]
[inference.vllm]
[orchestrator]
group_size = 8
[orchestrator.train.sampling]
max_completion_tokens = 64
[[orchestrator.train.source]]
name = "toy"
[orchestrator.train.source.env.taskset]
id = "kgpert"
atlas = "./toy"
graphs = "mine.csv"
[orchestrator.train.source.env.agent]
harness.id = "null"
runtime.type = "subprocess"
"""

# In place of `uv run rl`: the first start writes a whole checkpoint and one that is cut off, and waits for a signal;
# one that resumes ends well at its last step. What it was started with goes into started.jsonl beside the run.
UV = """
import json, os, pathlib, signal, sys
from tests.rl.job import runs

def value(option):
    return sys.argv[sys.argv.index(option) + 1] if option in sys.argv else None

run = pathlib.Path(value("--output-dir"), value("--run.name"))
with run.with_name("started.jsonl").open("a") as file:
    entry = {"words": sys.argv[1:], "in": os.getcwd(), "cards": os.environ.get("CUDA_VISIBLE_DEVICES")}
    file.write(json.dumps(entry) + "\\n")

def end(signum, frame):
    print("tidied up", flush=True)
    sys.exit(1)

signal.signal(signal.SIGTERM, end)
if value("--resume.step"):
    runs.checkpoint(run, 300)
    runs.broadcast(run, 300)
    print("finished", flush=True)
else:
    runs.checkpoint(run, 100)
    runs.checkpoint(run, 200, whole=False)
    print("\\x1b[32mat work\\x1b[0m [red]as\\x07", os.getpid(), flush=True)
    signal.pause()
"""
# In place of the Python of Prime-RL's environment: it is 3.12, has the environment, and refuses nothing.
PYTHON = """#!/bin/sh
case "$2" in *version_info*) echo 3.12;; *"import kgpert"*) ;; *) echo "[]";; esac
"""


def program(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def job_file(here):
    (here / "job.toml").write_text(FILE)
    return here / "job.toml"


@pytest.fixture
def prime(tmp_path):
    """A checkout, as far as launching looks at it."""
    folder = tmp_path / "prime-rl"
    (folder / "packages" / "prime-rl-configs").mkdir(parents=True)
    program(folder / ".venv" / "bin" / "python", PYTHON)
    return folder


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A PATH with uv and one H100; returns the folder, from which a program may be removed."""
    folder = tmp_path / "bin"
    (tmp_path / "uv.py").write_text(UV)
    program(folder / "uv", f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} {tmp_path / "uv.py"} "$@"\n')
    program(folder / "nvidia-smi", f"#!/bin/sh\nprintf '{H100}'\n")
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return folder


@pytest.fixture
def start(here, job_file, prime, machine):
    """Starts the launch as a process in the folder of the job; its output comes line by line."""
    command = [sys.executable, "-m", "kgpert_lib", "rl", "launch", job_file, *ONE_GPU, "--prime-rl", prime]
    started = []

    def run(*more):
        env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen([*command, *more], cwd=here, env=env, text=True, **pipes))
        return started[-1]

    yield run
    for process in started:
        process.terminate()  # which the stand-in hears too
        process.communicate()


def read_until(process, words):
    """The lines up to the first with `words`; fails where the output ends before."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines) + process.stderr.read())


def starts(here):
    return [json.loads(line) for line in (here / "outputs" / "started.jsonl").read_text().splitlines()]


def test_sigterm_is_passed_on_and_the_same_command_goes_on_from_the_last_whole_checkpoint(start, here, prime):
    first = start()
    lines = read_until(first, "at work")
    assert lines[-1].startswith("at work [red]as\N{REPLACEMENT CHARACTER}")  # no colours, no markup, no bell
    first.send_signal(signal.SIGTERM)
    rest, errors = first.communicate()
    assert "tidied up" in rest
    assert errors == "kgpert: stopped; the same command goes on from step 100.\n"
    assert first.returncode == 128 + signal.SIGTERM
    out, errors = (second := start()).communicate()
    assert second.returncode == 0, errors
    assert "finished" in out
    assert out.splitlines()[-1] == f"Done. Next: kgpert rl serve {here / 'outputs' / 'kgpert'} --step 300 -o DIR"
    began, resumed = starts(here)
    assert "--resume.step" not in began["words"]
    assert resumed["words"] == [*began["words"], "--resume.step", "100"]
    assert began["words"][:3] == ["run", "--no-sync", "rl"]
    assert began["in"] == str(prime)
    assert began["cards"] == "0,0"  # one card for both
    layers = [word for sign, word in zip(began["words"], began["words"][1:], strict=False) if sign == "@"]
    assert layers == [str(here / "job.toml"), str(job.job_folder() / "one_gpu.toml")]


def test_ctrl_c_ends_the_job_before_the_command(start):
    process = start()
    read_until(process, "at work")
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate()
    assert "tidied up" in out
    assert errors == "kgpert: stopped.\n"
    assert process.returncode == 130


def test_a_finished_run_is_not_started_again(start, here):
    runs.checkpoint(here / "outputs" / "kgpert", 300)
    process = start()
    assert "has reached its last step, 300" in process.communicate()[1]
    assert process.returncode == 2
    assert not (here / "outputs" / "started.jsonl").exists()


def test_a_killed_job_ends_in_a_sentence_and_goes_on_later(start, here):
    process = start()
    os.kill(int(read_until(process, "at work")[-1].split()[-1]), signal.SIGKILL)
    errors = process.communicate()[1]
    assert process.returncode == 2
    assert "ended with code -9" in errors
    assert "goes on from step 100" in errors
    assert start().communicate()[0].rstrip().splitlines()[-2] == "finished"


def test_two_launches_do_not_share_a_folder(start):
    first = start()
    read_until(first, "at work")
    second = start()
    assert "Another process is using" in second.communicate()[1]
    assert second.returncode == 2
    assert first.poll() is None


def test_a_run_that_was_stopped_before_its_first_checkpoint_is_set_aside(start, here):
    (here / "outputs" / "kgpert" / "logs").mkdir(parents=True)
    process = start()
    assert any("kgpert-stopped-1" in line for line in read_until(process, "at work"))
    assert (here / "outputs" / "kgpert-stopped-1" / "logs").is_dir()


def test_without_gpus_every_missing_thing_is_a_line_and_nothing_starts(kgpert, here, job_file, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("KGPERT_PRIME_RL", raising=False)
    code, out, err = kgpert("rl", "launch", job_file, *ONE_GPU)
    lines = out.splitlines()
    assert code == 2
    assert [line[8:].partition(":")[0] for line in lines if line.startswith("missing")] == ["GPUs", "uv", "Prime-RL"]
    assert "nvidia-smi is not installed; the layout needs 1" in out
    assert "kgpert serve" in lines[-1]
    assert err == "kgpert: 3 things are missing; nothing was started.\n"
    assert not (here / "outputs").exists()


@pytest.mark.parametrize(
    ("rows", "what"),
    [
        ("0, NVIDIA A10, 23028, 22000\n", "smaller than the 80 GB"),
        ("0, NVIDIA H100 80GB HBM3, 81559, 30000\n", "in use by another program"),
    ],
)
def test_a_card_that_is_too_small_or_taken_is_said(kgpert, job_file, machine, rows, what):
    program(machine / "nvidia-smi", f"#!/bin/sh\nprintf '{rows}'\n")
    _, out, _ = kgpert("rl", "launch", job_file, *ONE_GPU, "--dry-run")
    [line] = [line for line in out.splitlines() if "memory of GPUs" in line]
    assert line.startswith("missing")
    assert what in line


def test_a_dry_run_shows_command_and_settings_and_starts_nothing(kgpert, here, job_file, prime, machine):
    more = ("--prime-rl", prime, "--dry-run", "--run-dir", "elsewhere/mine")
    code, out, _ = kgpert("rl", "launch", job_file, *ONE_GPU, *more)
    assert code == 0
    assert "missing" not in out
    assert f"--output-dir {here / 'elsewhere'} --run.name mine" in out
    assert "answers to a question" in out
    assert not (here / "elsewhere").exists()


def test_check_has_a_line_for_each_trap_and_the_code_says_whether_one_is_an_error(kgpert, here, job_file):
    code, out, _ = kgpert("rl", "check", job_file)
    assert code == 0
    assert "toy: " in out
    assert "tokens, with an answer" in out
    (here / "over.toml").write_text("max_step = 3\n[orchestrator]\ngroup_size = 7\n")
    code, out, err = kgpert("rl", "check", job_file, "over.toml")
    assert code == 2
    assert [line for line in out.splitlines() if line.startswith("error")] == [
        "error: max_step: Prime-RL knows no such key; did you mean max_steps.",
        "error: orchestrator.batch_size: 128 answers cannot be divided into groups of 7.",
    ]
    assert err.startswith("kgpert: 2 errors in ")


def test_check_asks_the_classes_of_a_checkout(kgpert, job_file, prime):
    refuse = 'echo \'[["orchestrator.train", "no \\u001b[31mred"]]\''
    program(prime / ".venv" / "bin" / "python", f"#!/bin/sh\n{refuse}\n")
    code, out, _ = kgpert("rl", "check", job_file, "--prime-rl", prime)
    assert code == 2
    assert out.splitlines()[-1] == "error: orchestrator.train: Prime-RL says: no red"
    (prime / ".venv" / "bin" / "python").unlink()
    code, _, err = kgpert("rl", "check", job_file, "--prime-rl", prime)
    assert (code, "cannot be asked" in err) == (2, True)
    assert "is no checkout" in kgpert("rl", "check", job_file, "--prime-rl", job_file.parent)[2]


def test_watch_prints_once_where_nobody_watches(kgpert, tmp_path):
    run = tmp_path / "run"
    for step in range(1, 31):
        runs.write(run, runs.step_rows(step, 0.5 + step / 100, step / 1000, 500 - step))
    code, out, _ = kgpert("rl", "watch", run, "--once", "--last", 3)
    assert code == 0
    steps = [line.split()[0] for line in out.splitlines() if line[:2].isdigit()]
    assert set(steps) == {"28", "29", "30"}
    assert "0.800" in out
    header, *rows = kgpert("rl", "watch", run, "--csv")[1].splitlines()
    assert header.startswith("step,reward,format,validity,pearson,gap,size,tokens")
    assert len(rows) == 30


def test_watch_on_a_terminal_shows_new_steps_until_ctrl_c(kgpert, tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    screen = Console(file=io.StringIO(), force_terminal=True, width=200, height=40)
    monkeypatch.setattr(terminal, "out", screen)
    looks = iter([0.25, 0.75])

    class Growing(Progress):
        def update(self):
            if self.rows or "no step yet" in screen.file.getvalue():
                reward = next(looks, None)
                if reward is None:
                    os.kill(os.getpid(), signal.SIGINT)
                runs.write(run, runs.step_rows(len(self.rows) + 1, reward, 0.1, 100))
            return super().update()

    monkeypatch.setattr(watch, "Progress", Growing)
    code, _, err = kgpert("rl", "watch", run, "--every", "0.1")
    assert (code, err) == (130, "kgpert: stopped.\n")
    shown = screen.file.getvalue()
    assert shown.index("no step yet") < shown.index("0.250") < shown.index("0.750")


def test_watch_says_what_is_not_there(kgpert, tmp_path):
    assert "is no folder" in kgpert("rl", "watch", tmp_path / "none")[2]
    code, _, err = kgpert("rl", "watch", tmp_path, "--once")
    assert (code, "no metrics of a step yet" in err) == (2, True)


def test_serve_makes_a_folder_and_prints_how_to_serve_it(kgpert, tmp_path):
    runs.resolved(tmp_path / "run", runs.base_model(tmp_path / "base"))
    runs.broadcast(tmp_path / "run", 100)
    code, out, _ = kgpert("rl", "serve", tmp_path / "run", "--step", 100, "-o", tmp_path / "served")
    assert code == 0
    assert f"vllm serve {tmp_path / 'served'} --served-model-name kgpert" in out
    code, _, err = kgpert("rl", "serve", tmp_path / "run", "--step", 7, "-o", tmp_path / "again")
    assert (code, "those of the steps 100 are" in err) == (2, True)


def test_a_recorded_run_is_listed(kgpert, tmp_path):
    settings = Settings(atlas="simulated", lines=("k562",))
    folder, answered = tmp_path / "run", traces.write(tmp_path / "evaluated", settings)
    runs.trained(folder, settings)
    runs.write(folder, [*runs.step_rows(1, 0.25, 0.01, 400), *runs.step_rows(2, 0.75, 0.02, 300)])
    command = ("rl", "record", folder, "-o", tmp_path / "runs" / "qwen3")
    code, out, _ = kgpert(*command, "--answers", f"trained={answered}")
    assert code == 0
    assert table_rows(out, "qwen3")[1:] == ["prime", "simulated", "k562", "2", "0.250", "0.750", "trained"]
    assert table_rows(kgpert("rl", "runs", "--folder", tmp_path / "runs")[1], "qwen3")[-1] == "trained"
    _, out, _ = kgpert("rl", "runs", "--folder", tmp_path / "runs", "--csv")
    assert out.splitlines()[1] == "qwen3,prime,simulated,k562,2,0.25,0.75,trained"
    code, _, err = kgpert(*command)
    assert (code, "is there already" in err) == (2, True)


def test_what_cannot_be_recorded_or_listed_is_one_sentence(kgpert, tmp_path):
    code, _, err = kgpert("rl", "record", tmp_path / "run", "-o", tmp_path / "out", "--answers", "trained")
    assert (code, "has to be a stage and a folder" in err) == (2, True)
    code, _, err = kgpert("rl", "record", tmp_path / "run", "-o", tmp_path / "out")
    assert (code, "holds no resolved orchestrator.json" in err) == (2, True)
    code, _, err = kgpert("rl", "runs", "--folder", tmp_path)
    assert (code, "holds no recorded run" in err) == (2, True)


def test_text_of_other_programs_cannot_drive_the_terminal():
    assert terminal.plain("\x1b[1;31mred\x1b[0m \x1b]0;title\x07 \u202eback\r") == "red �]0;title� �back�"
