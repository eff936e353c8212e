"""The supervised warm start: a policy is shown edits of training perturbations before it is rewarded for its own.

An edit is searched for on one half of the readout genes and shown if it helps on the other half, in both directions:
a search on the answer finds edits that fit noise, and on calls most of them do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch.utils.data import Dataset
from transformers import PreTrainedTokenizerBase, PrinterCallback, Trainer, TrainingArguments

from kgpert_lib.rl.rehearsal.policies import Policy
from kgpert_lib.rl.rehearsal.prompts import Prompt
from kgpert_lib.rl.tasks import EditTasks, Half, Settings

IGNORED = -100  # label of what no loss is taken of


class WarmStart(BaseModel):
    """Settings of the warm start.

    `moves` of the greedy search for an edit; `most` edits that are shown (None: all that help); `epochs` over them;
    `batch` of edits; `learning_rate` at its height.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    moves: int = Field(default=4, ge=1)
    most: int | None = Field(default=None, ge=1)
    epochs: int = Field(default=3, ge=1)
    batch: int = Field(default=32, ge=1)
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)


class Example(NamedTuple):
    """A question, an answer to it, and what the answer gains on readout genes that its search did not see."""

    prompt: str
    answer: str
    gap: float


def examples(policy: Policy, settings: Settings, moves: int) -> Iterator[Example]:
    """Edits of training perturbations that help on the half of the readout genes that their search did not see."""
    halves: dict[Half, EditTasks] = {
        half: EditTasks.of(settings.model_copy(update={"readouts": half})) for half in ("first", "second")
    }
    every = EditTasks.of(settings)
    questions = {name: policy.prompts(line) for name, line in every.lines.items()}
    for line, gene in every.stream:
        if all(gene in tasks.lines[line].index for tasks in halves.values()):
            for seen, unseen in (tuple(halves.values()), tuple(halves.values())[::-1]):
                edit = _edit(policy, questions[line][gene], seen, unseen, line, gene, moves)
                if edit and edit.gap > 0:
                    yield edit


def train(policy: Policy, shown: Sequence[Example], settings: WarmStart, seed: int, folder: Path) -> None:
    """Teach a policy the answers of the examples; `folder` is for the trainer's own files."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        per_device_train_batch_size=settings.batch,
        num_train_epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0.1,  # a share of all steps
        weight_decay=0.01,
        max_grad_norm=1.0,
        seed=seed,
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        remove_unused_columns=False,
    )
    collate = _Collate(policy.tokenizer)
    own = Trainer(policy.model, arguments, train_dataset=_Examples(shown), data_collator=collate)
    own.remove_callback(PrinterCallback)
    own.train()


def _edit(
    policy: Policy, prompt: Prompt, seen: EditTasks, unseen: EditTasks, line: str, gene: str, moves: int
) -> Example | None:
    """The edit that a search on `seen` gives, with its gap on `unseen`; None where no move helps."""
    added, removed = seen.lines[line].search(gene, [*prompt.neighbours, *prompt.candidates], moves)
    if not added and not removed:
        return None
    answer = policy.answer(added, removed)
    return Example(prompt.text, answer, unseen.judge(line, gene, answer).gap)


class _Examples(Dataset):
    def __init__(self, shown: Sequence[Example]) -> None:
        self.shown = shown

    def __len__(self) -> int:
        return len(self.shown)

    def __getitem__(self, index: int) -> Example:
        return self.shown[index]


class _Collate:
    """Questions padded on the left and answers on the right, so that all answers begin at one place."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def __call__(self, shown: Sequence[Example]) -> Mapping[str, Any]:
        pad, end = self.tokenizer.pad_token_id, self.tokenizer.eos_token_id
        asked = [self.tokenizer(example.prompt).input_ids for example in shown]
        given = [[*self.tokenizer(example.answer).input_ids, end] for example in shown]
        left, right = max(map(len, asked)), max(map(len, given))
        rows = [
            ([pad] * (left - len(q)) + q, a + [pad] * (right - len(a)), [0] * (left - len(q)) + [1] * (len(q) + len(a)))
            for q, a in zip(asked, given, strict=True)
        ]
        labels = [[IGNORED] * left + a + [IGNORED] * (right - len(a)) for a in given]
        return {
            "input_ids": torch.tensor([q + a for q, a, _ in rows]),
            "attention_mask": torch.tensor([m + [0] * (left + right - len(m)) for _, _, m in rows]),
            "labels": torch.tensor(labels),
        }
