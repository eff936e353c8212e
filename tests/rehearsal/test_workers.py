"""Runs side by side: the same records as one by one, and no worker outlives the process that started it."""

import multiprocessing
import os
import re
import signal

import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.files import locked
from kgpert_lib.rl.rehearsal import plans, workers
from kgpert_lib.rl.runs import Run


def ignore(name, doing, step):
    pass


def train_until_both_do(configs, folder):
    """What a parent does that is killed once both of its workers train."""
    training = set()

    def report(name, doing, step):
        if doing == "training":
            training.add(name)
        if len(training) == len(configs):
            os.kill(os.getpid(), signal.SIGKILL)

    workers.train(configs, folder, len(configs), report)


def test_the_number_of_workers_changes_no_record(tiny, trained, tmp_path):
    configs = [tiny(), tiny("other", seed=1)]
    heard = []
    side_by_side = workers.train(configs, tmp_path / "two", 2, lambda *said: heard.append(said))
    [alone] = workers.train(configs[1:], tmp_path / "one", 2, ignore)
    for run, other in zip(side_by_side, (trained, alone), strict=True):
        pd.testing.assert_frame_equal(
            run.steps().drop(columns="seconds"), other.steps().drop(columns="seconds"), check_exact=True
        )
        assert run.answers("trained").answers == other.answers("trained").answers
    assert {("tiny", "training", step) for step in range(4)} <= set(heard)


def test_workers_end_with_the_process_that_started_them(tiny, tmp_path):
    configs = [tiny(steps=200), tiny("other", steps=200, seed=1)]
    parent = multiprocessing.get_context("spawn").Process(target=train_until_both_do, args=(configs, tmp_path))
    parent.start()
    parent.join()
    assert parent.exitcode == -signal.SIGKILL
    for config in configs:
        with locked(tmp_path / f"{config.name}.lock"):  # the worker holds it until it ends
            run = Run.load(tmp_path / config.name)
            assert run.config.seconds is None
            assert len(run.steps()) < config.steps


def test_a_worker_that_is_killed_is_named(tiny, tmp_path):
    def report(name, doing, step):
        if (name, doing) == ("other", "training"):
            [victim] = [child for child in multiprocessing.active_children() if child.name == "other"]
            victim.kill()

    with pytest.raises(InputError, match="The run other ended with code -9; the same command goes on"):
        workers.train([tiny(), tiny("other", seed=1)], tmp_path, 2, report)
    assert not multiprocessing.active_children()


def test_the_sentence_of_a_run_is_that_of_the_command(tiny, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no run and is not empty"):
        workers.train([tiny(), tiny("other")], tmp_path, 2, ignore)


def test_the_command_trains_and_answers_again(kgpert, tiny, atlas, tmp_path, monkeypatch):
    monkeypatch.setitem(plans.SIZES, "gene", plans.Size(1, 2, 2, 3e-4, 20, {"epochs": 1, "most": 8}))
    line = ("--line", "k562", "--line", "rpe1")
    code, out, err = kgpert("rl", "rehearse", "--atlas", atlas, *line, "--seed", 0, "-o", tmp_path / "runs")
    assert code == 0, err
    name = "atlas-s0"
    assert name in out
    assert err.splitlines()[-1] == f"{name}: training, 1 steps done"
    assert "%|" not in err
    assert "Warning" not in err
    assert Run.load(tmp_path / "runs" / name).config.steps == 1
    code, out, err = kgpert("rl", "evaluate", tmp_path / "runs" / name)
    assert code == 0, err
    assert re.search(r"^Largest difference of a reward from the recorded one: 0$", out, re.MULTILINE)
    code, out, err = kgpert("rl", "rehearse", tmp_path / "runs" / name, "-o", tmp_path / "again")
    assert code == 0, err
    first, again = (Run.load(tmp_path / folder / name) for folder in ("runs", "again"))
    assert first.answers("trained") == again.answers("trained")
