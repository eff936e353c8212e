"""Parts of a launch: where a run stands, its command and variables, the machine's cards, the signals of a job."""

import itertools
import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job import launch
from tests.rl.job import runs

RUN = launch.Run.of({}, Path("nowhere"))
H100 = "NVIDIA H100 80GB HBM3, 81559, 81000"


def job_config(*overlays):
    return job.read(job.job_files(overlays))


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts a stand-in on the PATH that prints some text, or fails with it."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def write(text, code=0):
        path = tmp_path / "nvidia-smi"
        path.write_text(f"#!/bin/sh\nprintf '{text}'\nexit {code}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return write


def test_a_run_stands_where_its_last_whole_checkpoint_is(tmp_path):
    config = job_config("h100x4")
    run = launch.Run.of(config, tmp_path / "run")
    assert (run.last_step, run.used) == (None, False)
    (run.folder / "configs").mkdir(parents=True)
    assert not run.used  # what a dry run of Prime-RL leaves
    for step in (100, 1000, 900):
        runs.checkpoint(run.folder, step)
    runs.checkpoint(run.folder, 1100, whole=False)
    (run.folder / "checkpoints" / "step_x").mkdir()
    assert (run.last_step, run.used) == (1000, True)
    assert launch.start_step(config, run) == 1000


def test_the_folder_of_a_run_is_given_or_in_the_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert launch.Run.of({}).folder == tmp_path / "outputs" / "kgpert"
    assert launch.Run.of({"output_dir": "/big", "run": {"name": "a"}}).folder.as_posix() == "/big/a"
    with pytest.raises(InputError, match=r"leave that out, or --run-dir"):
        launch.Run.of({"run": {"dir": "a"}}, tmp_path / "b")
    elsewhere = launch.Run.of({"ckpt": {"output_dir": "/other"}}, tmp_path / "b")
    assert elsewhere.checkpoints.as_posix() == "/other/checkpoints"


def test_a_run_under_slurm_without_a_checkpoint_is_left_alone(tmp_path):
    run = launch.Run.of(job_config("multi_node_slurm"), tmp_path / "run")
    assert launch.start_step(job_config("multi_node_slurm"), run) is None
    (run.folder / "logs").mkdir(parents=True)
    with pytest.raises(InputError, match="which may be running"):
        launch.start_step(job_config("multi_node_slurm"), run)


def test_the_command_lays_the_files_over_each_other_and_resumes():
    files = job.job_files(["h100x4"])
    run = launch.Run.of({}, job.job_folder() / "run")
    words = launch.command(files, run, 300)
    head, base, _, layout = words[:4], words[5], words[6], words[7]
    assert head == ["uv", "run", "--no-sync", "rl"]
    assert (base, layout) == tuple(map(str, files))
    assert words[-6:] == ["--output-dir", str(job.job_folder()), "--run.name", "run", "--resume.step", "300"]


def test_the_job_gets_this_librarys_cache_and_nothing_of_its_python(monkeypatch, cache):
    monkeypatch.setenv("PYTHONPATH", "/mine")
    monkeypatch.setenv("VIRTUAL_ENV", "/mine")
    card = launch.Card("3", "NVIDIA H100 80GB HBM3", 81559, 81000)
    env = launch.environment(job_config("one_gpu"), [card])
    assert env["KGPERT_CACHE"] == str(cache)
    assert not {"PYTHONPATH", "VIRTUAL_ENV"} & set(env)
    assert env["CUDA_VISIBLE_DEVICES"] == "3,3"
    assert "CUDA_VISIBLE_DEVICES" not in launch.environment(job_config("one_gpu"), [card, card])
    assert "CUDA_VISIBLE_DEVICES" not in launch.environment(job_config("h100x4"), [card])


def test_cards_are_those_that_may_be_used(nvidia_smi, monkeypatch):
    nvidia_smi(f"0, {H100}\n1, {H100}\n")
    assert [card.index for card in launch.list_cards()] == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert launch.list_cards() == [launch.Card("1", "NVIDIA H100 80GB HBM3", 81559, 81000)]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    assert launch.list_cards() == "nvidia-smi lists none of CUDA_VISIBLE_DEVICES=7"


@pytest.mark.parametrize("text", ["", "No devices were found\n", "0, N/A, [N/A], [N/A]\n"])
def test_a_machine_whose_driver_lists_no_card_has_none(nvidia_smi, text):
    nvidia_smi(text)
    assert launch.list_cards() == "nvidia-smi lists none"


def test_why_the_driver_fails_is_said(nvidia_smi):
    nvidia_smi("NVIDIA-SMI has failed\nsecond line\n", code=9)
    assert launch.list_cards() == "nvidia-smi says: NVIDIA-SMI has failed"


def test_too_few_cards_are_missing(nvidia_smi):
    nvidia_smi(f"0, {H100}\n1, {H100}\n")
    configuration, cards, *_ = itertools.islice(launch.preflight(job_config("h100x4"), RUN, None), 2)
    assert configuration.passed
    assert not cards.passed
    assert "2 (NVIDIA H100 80GB HBM3); the layout needs 4" in cards.text


def test_what_is_wrong_in_the_files_is_found_before_the_questions_are_read(nvidia_smi):
    config = job.overlaid(job_config("h100x4"), {"max_stesp": 1})
    checks = {check.name: check for check in launch.preflight(config, RUN, None)}
    assert "max_stesp" in checks["configuration"].text
    assert not checks["questions"].passed


def program(text):
    """A command that runs some Python, unbuffered."""
    return [sys.executable, "-u", "-c", "import os, signal, sys\n" + text]


def follow(text, say, folder):
    return launch.follow(program(text), folder, dict(os.environ), say)


def test_the_output_comes_line_by_line_with_the_code_of_the_end(tmp_path):
    heard = []
    text = "print('one'); print('two', file=sys.stderr); print('three', end=''); sys.exit(3)"
    end = follow(text, heard.append, tmp_path)
    assert heard == ["one", "two", "three"]
    assert end == launch.End(3)


STUBBORN = """
def hear(signum, frame):
    print("heard")
signal.signal(signal.SIGTERM, hear)
print("at work")
while True:
    signal.pause()
"""


def test_a_second_signal_ends_a_job_that_does_not_end(tmp_path):
    heard = []

    def say(line):
        heard.append(line)
        os.kill(os.getpid(), signal.SIGTERM)  # at work: passed on; heard: at once

    before = signal.getsignal(signal.SIGTERM)
    assert follow(STUBBORN, say, tmp_path) == launch.End(-signal.SIGKILL, signal.SIGTERM)
    assert heard == ["at work", "heard"]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_reader_that_went_away_does_not_end_the_job(tmp_path):
    def say(line):
        raise BrokenPipeError

    end = follow("for k in range(3): print(k)\nopen('done', 'w').close()", say, tmp_path)
    assert end == launch.End(0)
    assert (tmp_path / "done").exists()


def test_a_process_that_the_job_leaves_behind_does_not_hold_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(launch, "_LAST_WORDS", 0.2)
    text = "pid = os.fork()\nif not pid: signal.pause()\nprint(pid)"
    heard = []
    assert follow(text, heard.append, tmp_path) == launch.End(0)
    os.kill(int(heard[0]), signal.SIGKILL)


def test_a_run_is_set_aside_under_a_free_name(tmp_path):
    run = launch.Run.of({}, tmp_path / "run")
    for k in (1, 2):
        (run.folder / "logs").mkdir(parents=True)
        assert launch.set_aside(run) == tmp_path / f"run-stopped-{k}"
        assert not run.folder.exists()
