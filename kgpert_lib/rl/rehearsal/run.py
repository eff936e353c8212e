"""One rehearsal from its configuration to its record: warm start, GRPO, answers to the test questions, weights.

Checkpoints stand in ``work`` inside the run's folder until the run has ended. A run that was stopped, killed or cut
off by a power failure goes on with the same call and ends with the same record.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import set_seed

from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic, locked
from kgpert_lib.rl.rehearsal import grpo, warm_start
from kgpert_lib.rl.rehearsal.answers import answers
from kgpert_lib.rl.rehearsal.policies import GenePolicy, LanguagePolicy, Policy
from kgpert_lib.rl.rehearsal.warm_start import WarmStart
from kgpert_lib.rl.runs import BASE, DRAWN, FRESH, WEIGHTS, Run, RunConfig, RunWriter
from kgpert_lib.rl.tasks import EditTasks, Settings, perturbations
from kgpert_lib.rl.traces import ScoredAnswers

WORK, WARM = "work", "warm.safetensors"
DRAWN_GENES = 30  # of a line, whose questions get drawn answers
MOST_TOKENS = 512
THREADS = 1  # of one run: two runs side by side are faster than one on two threads


def rehearse(
    config: RunConfig,
    folder: Path,
    save_every: int = 10,
    threads: int = THREADS,
    report: Callable[[str, int], None] = lambda doing, step: None,
) -> Run:
    """Train, answer and record, or go on where an earlier call was stopped.

    `report` is called with what is being done and the steps that are done. InputError where the folder holds another
    run or something else, and as `files.locked`.
    """
    with locked(folder.with_name(f"{folder.name}.lock"), wait=False):
        torch.set_num_threads(threads)
        begun, writer = time.perf_counter(), RunWriter(folder, config)
        if writer.config.seconds is not None:
            return writer.run
        before = float(writer.run.steps()["seconds"].sum())
        work = folder / WORK
        policy = new_policy(config)
        tasks = EditTasks.of(config.settings)

        def answer(step: int, untouched: bool = False) -> None:
            for stage, at in config.answered.items():
                if step == at and untouched == (stage == BASE):
                    report("answering the test questions", step)
                    writer.write_answers(stage, answers_to_tests(policy, config))
                    if policy.compute.draws:
                        writer.write_answers(f"{stage}{DRAWN}", answers_to_tests(policy, config, policy.compute.draws))
                    if config.fresh and stage != BASE:
                        writer.write_answers(f"{stage}{FRESH}", answers_to_tests(policy, config, atlas=config.fresh))
            report("training", step)

        if not (work / WARM).is_file():
            answer(0, untouched=True)
            report("warm start", 0)
        _warm(policy, config, work)
        if not writer.run.steps()["step"].size:
            answer(0)
        set_seed(config.seed)
        grpo.train(policy, config, tasks, work, writer, answer, save_every)
        with atomic(folder / WEIGHTS) as scratch:
            save_file(policy.weights(), scratch)
        writer.finish(before + time.perf_counter() - begun)
        shutil.rmtree(work)
    return writer.run


def new_policy(config: RunConfig) -> Policy:
    """The policy of a run with the weights that it begins with; InputError for one that was trained in Prime-RL."""
    tasks = EditTasks.of(config.settings)
    if config.policy == "gene":
        return GenePolicy.of(tasks, perturbations(config.settings), config.seed)
    if config.policy == "smollm2":
        from kgpert_lib.rl.rehearsal.pretrained import smollm2

        return LanguagePolicy.of(smollm2(), config.seed)
    raise InputError(f"The run {config.name} was trained in Prime-RL; serve its weights with 'kgpert rl serve'.")


def recorded_policy(run: Run) -> Policy:
    """The policy of a run with its recorded weights; InputError where it keeps none, or they are of other words."""
    if run.weights is None:
        raise InputError(f"The run {run.name} keeps no weights; 'kgpert rl rehearse {run.name}' trains it again.")
    policy = new_policy(run.config)
    try:
        policy.model.load_state_dict({k: v.float() for k, v in load_file(run.weights).items()}, strict=False)
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"{run.weights} does not fit the questions of {run.name} as they are written here; train it again."
        ) from error
    return policy


def answers_to_tests(
    policy: Policy, config: RunConfig, draws: int | None = None, atlas: str | None = None
) -> ScoredAnswers:
    """Greedy answers to the test questions of the lines that a run is evaluated on, of its own or another `atlas`.

    With `draws` so many drawn answers each, to `DRAWN_GENES` questions of each line.
    """
    settings = test_settings(config)
    tasks = EditTasks.of(settings if atlas is None else settings.model_copy(update={"atlas": atlas}))
    name = config.model or f"{config.policy}, {config.name}"
    asked = config.asked if draws is None else min(DRAWN_GENES, config.asked or DRAWN_GENES)
    return answers(policy, tasks, config.max_tokens or MOST_TOKENS, name, asked, draws, config.seed)


def test_settings(config: RunConfig) -> Settings:
    """The settings of a run's test questions."""
    return config.settings.model_copy(update={"split": "test", "lines": config.evaluated})


def _warm(policy: Policy, config: RunConfig, work: Path) -> None:
    """The warm start of a configuration that has one, trained or read from where an earlier call left it."""
    path = work / WARM
    if path.is_file():
        policy.model.load_state_dict(load_file(path), strict=False)
    elif config.warm:
        settings = WarmStart.model_validate(config.warm)
        edits = list(islice(warm_start.examples(policy, config.settings, settings.moves), settings.most))
        warm_start.train(policy, edits, settings, config.seed, work)
        trained = {name: value for name, value in policy.model.named_parameters() if value.requires_grad}
        with atomic(path) as scratch:
            save_file(trained, scratch)
