"""Runs on a tiny atlas: they learn, go on after a kill, are reproduced by their weights, and see no test delta."""

import multiprocessing
import os
import shutil
import signal
from dataclasses import replace

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from transformers import set_seed

from kgpert_lib.errors import InputError
from kgpert_lib.rl.rehearsal import grpo, warm_start
from kgpert_lib.rl.rehearsal.evaluate import evaluated_again
from kgpert_lib.rl.rehearsal.prompts import quoted
from kgpert_lib.rl.rehearsal.run import WORK, new_policy, rehearse
from kgpert_lib.rl.runs import RUNS, Run, RunWriter
from kgpert_lib.rl.tasks import EditTasks
from kgpert_lib.screens.atlas import Atlas
from tests import worlds

RECORDED = [name for name in ("simulated-s0",) if (RUNS / name / "weights.safetensors").is_file()]


def steps(run):
    return run.steps().drop(columns="seconds")


def answers(run):
    return {stage: run.answers(stage).answers for stage in run.stages}


def weights(run):
    return load_file(run.weights)


def same_run(one, other):
    pd.testing.assert_frame_equal(steps(one), steps(other), check_exact=True)
    assert answers(one) == answers(other)
    assert all(torch.equal(value, weights(other)[name]) for name, value in weights(one).items())


def rehearse_until(config, folder, last):
    """What a process does that is killed while it works on the step after `last`."""

    def report(doing, step):
        if (doing, step) == ("training", last):
            os.kill(os.getpid(), signal.SIGKILL)

    rehearse(config, folder, save_every=2, report=report)


def test_twenty_steps_on_four_questions_raise_the_reward(tiny, tmp_path):
    config = tiny(steps=20, rollouts=16, learning_rate=3e-4, warm={})
    tasks = EditTasks.of(config.settings)
    four = replace(tasks, stream=tasks.stream[:4])
    writer = RunWriter(tmp_path / "run", config)
    set_seed(0)
    grpo.train(new_policy(config), config, four, tmp_path / "work", writer, lambda step: None, save_every=100)
    reward = writer.run.steps()["reward"]
    assert reward[-5:].mean() > reward[:2].mean() + 0.08


@pytest.mark.parametrize("last", [1, 3])  # before the first checkpoint, and after one
def test_a_killed_run_goes_on_as_if_it_had_not_been(tiny, trained, tmp_path, last):
    config, folder = tiny(), tmp_path / "tiny"
    process = multiprocessing.get_context("spawn").Process(target=rehearse_until, args=(config, folder, last))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    assert len(Run.load(folder).steps()) == last
    again = rehearse(config, folder, save_every=2)
    same_run(again, trained)
    assert not (folder / WORK).exists()


def test_a_checkpoint_that_was_cut_off_does_not_count(tmp_path):
    for step, text in ((2, "{}"), (4, '{"global_'), (10, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if text is not None:
            (tmp_path / f"checkpoint-{step}" / grpo.STATE).write_text(text)
    assert grpo.checkpoint(tmp_path) == tmp_path / "checkpoint-2"


@pytest.mark.parametrize("name", ["trained", *RECORDED])
def test_recorded_weights_give_the_recorded_evaluation(trained, name):
    compared = evaluated_again(trained if name == "trained" else Run.load(name))
    assert compared.largest <= 1e-6
    assert (compared.table["reward"] - compared.table["reward recorded"]).abs().max() <= 1e-6
    assert compared.table["same"].equals(compared.table["n"])


def test_weights_of_other_words_are_refused(trained, tiny, tmp_path):
    folder = shutil.copytree(trained.folder, tmp_path / "other")
    run = Run.load(folder)
    other = run.config.model_copy(update={"settings": run.config.settings.model_copy(update={"lines": ("k562",)})})
    with pytest.raises(InputError, match="does not fit the questions"):
        evaluated_again(Run(folder, other))


def test_no_test_delta_reaches_prompts_warm_start_or_training(tiny, atlas, trained, tmp_path):
    poisoned = worlds.poisoned(Atlas.load(atlas)).save(tmp_path / "poisoned" / atlas.name)
    shutil.copytree(atlas / "graphs", poisoned / "graphs", dirs_exist_ok=True)
    config = tiny(folder=poisoned)
    clean, spoilt = (EditTasks.of(c.settings) for c in (tiny(), config))
    policies = new_policy(tiny()), new_policy(config)
    for name, line in clean.lines.items():
        assert policies[0].prompts(line) == policies[1].prompts(spoilt.lines[name])
    edits = [list(warm_start.examples(p, c.settings, 2)) for p, c in zip(policies, (tiny(), config), strict=True)]
    assert edits[0] == edits[1] != []
    run = rehearse(config, tmp_path / "tiny", save_every=2)
    pd.testing.assert_frame_equal(steps(run), steps(trained), check_exact=True)
    assert all(torch.equal(value, weights(trained)[name]) for name, value in weights(run).items())


def test_prompts_of_test_questions_name_training_genes_only(tiny):
    config = tiny()
    policy = new_policy(config)
    test = EditTasks.of(config.settings.model_copy(update={"split": "test"}))
    for line in test.lines.values():
        training = set(map(str, line.view.target.perturbations))
        for gene, prompt in policy.prompts(line).items():
            assert {*prompt.neighbours, *prompt.candidates} <= training - {gene}
            assert quoted(gene) not in prompt.text.split()
