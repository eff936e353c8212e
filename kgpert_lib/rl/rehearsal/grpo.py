"""GRPO by TRL, set as Prime-RL sets it, with a record of every step and checkpoints to go on from.

As in Prime-RL: the advantage is the reward minus the mean of its group, not divided by the standard deviation; the
loss is summed over the tokens of a batch and divided by their number (TRL's ``dapo``); no term holds the policy to
where it began (``beta=0``); AdamW with weight decay .01 at a constant learning rate, gradients cut at norm 1.
Unlike Prime-RL: every answer is written by the weights that it then changes, so that the importance ratio is 1 and
neither TRL's clipping (.2) nor Prime-RL's masks and its term for the mismatch of the two programs (``kl_tau``) acts;
groups whose answers all earn the same stay in the batch, and count in its number of tokens.
"""

from __future__ import annotations

import json
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from transformers import PrinterCallback, TrainerCallback
from trl import GRPOConfig, GRPOTrainer

from kgpert_lib.rl.rehearsal.model import GeneEditModel
from kgpert_lib.rl.rehearsal.policies import Policy
from kgpert_lib.rl.runs import RunConfig, RunWriter
from kgpert_lib.rl.tasks import EditTasks, Verdict

STATE = "trainer_state.json"  # the last file of a checkpoint
PARTS = ("format", "validity", "pearson", "gap", "added", "removed", "size")


def trainer(policy: Policy, config: RunConfig, tasks: EditTasks, folder: Path, save_every: int) -> GRPOTrainer:
    """A trainer of a policy on the questions of `tasks`; `verdicts` of the last step are an attribute of it."""
    questions = {name: policy.prompts(line) for name, line in tasks.lines.items()}
    rows = [{"prompt": questions[line][gene].text, "line": line, "gene": gene} for line, gene in tasks.stream]
    verdicts: list[Verdict] = []

    def reward(completions: list[str], line: list[str], gene: list[str], **_: Any) -> list[float]:
        verdicts[:] = tasks.judge_all(zip(line, gene, completions, strict=True))
        return [verdict.total for verdict in verdicts]

    answers = config.questions * config.rollouts
    at_once = math.gcd(answers, policy.compute.learnt or answers)
    arguments = GRPOConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        per_device_train_batch_size=at_once,
        gradient_accumulation_steps=answers // at_once,
        num_generations=config.rollouts,
        max_completion_length=config.max_tokens,
        temperature=config.temperature,
        beta=0.0,
        scale_rewards="none",
        loss_type="dapo",
        learning_rate=config.learning_rate,
        lr_scheduler_type="constant",
        weight_decay=0.01,
        max_grad_norm=1.0,
        max_steps=config.steps,
        seed=config.seed,
        save_strategy="steps",
        save_steps=save_every,
        save_total_limit=2,
        logging_steps=1,
        gradient_checkpointing=False,
        report_to="none",
        disable_tqdm=True,
    )
    grpo_trainer = GRPOTrainer(
        model=policy.model,
        reward_funcs=reward,
        args=arguments,
        train_dataset=Dataset.from_list(rows),
        processing_class=policy.tokenizer,
    )
    if isinstance(policy.model, GeneEditModel):
        del policy.model.forward  # TRL's replacement knows linear heads only; the model's own gives it what it asks for
    grpo_trainer.remove_callback(PrinterCallback)  # the record of a run says the same
    grpo_trainer.verdicts = verdicts
    return grpo_trainer


def train(
    policy: Policy,
    config: RunConfig,
    tasks: EditTasks,
    folder: Path,
    writer: RunWriter,
    on_step: Callable[[int], None],
    save_every: int = 10,
) -> None:
    """Train a policy from its last whole checkpoint in `folder`, or from its present weights.

    Every step is a row of `writer` before it can be part of a checkpoint, so that a run that was killed goes on as if
    it had not been. `on_step` is called after each step with its number.
    """
    last = checkpoint(folder)
    writer.resume(_step(last) if last else 0)
    own = trainer(policy, config, tasks, folder, save_every)
    own.add_callback(_Recorder(own.verdicts, config, writer, on_step))
    own.train(resume_from_checkpoint=str(last) if last else None)


def checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint in a folder; those after it, which were not written to the end, are removed."""
    for path in sorted(folder.glob("checkpoint-*"), key=_step, reverse=True):
        try:
            json.loads((path / STATE).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            shutil.rmtree(path)
        else:
            return path
    return None


def row(verdicts: Sequence[Verdict], config: RunConfig, logs: Mapping[str, float], step: int) -> dict[str, float]:
    """A row of `runs.STEP_COLUMNS` of the answers of a step and of what the trainer logs of it."""
    rewards = np.array([verdict.total for verdict in verdicts]).reshape(-1, config.rollouts)
    every = [verdict.metrics for verdict in verdicts]
    means = {part: float(np.mean([metrics[part] for metrics in every])) for part in PARTS}
    logged = {name: float(logs[name]) for name in ("loss", "grad_norm", "entropy", "learning_rate") if name in logs}
    return {
        "step": step,
        "questions": step * config.questions,
        "reward": float(rewards.mean()),
        "reward_std": float(rewards.std(axis=1).mean()),
        **means,
        "tokens": float(logs["completions/mean_length"]),
        **logged,
    }


class _Recorder(TrainerCallback):
    """Writes the row of every step when the trainer logs it, which is before it saves."""

    def __init__(
        self, verdicts: Sequence[Verdict], config: RunConfig, writer: RunWriter, on_step: Callable[[int], None]
    ) -> None:
        self.verdicts, self.config, self.writer, self.on_step = verdicts, config, writer, on_step
        self.begun = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.begun = time.perf_counter()

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, float], **kwargs: Any) -> None:
        if "loss" in logs:
            seconds = time.perf_counter() - self.begun
            self.writer.append(row(self.verdicts, self.config, logs, state.global_step) | {"seconds": seconds})
            self.on_step(state.global_step)


def _step(path: Path) -> int:
    return int(path.name.rpartition("-")[2])
