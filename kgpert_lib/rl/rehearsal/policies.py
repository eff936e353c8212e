"""What is trained: a model with its tokenizer, and how questions and answers are written for it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from kgpert_lib.rl.rehearsal import prompts
from kgpert_lib.rl.rehearsal.model import GeneEditConfig, GeneEditModel, tokenizer_of
from kgpert_lib.rl.rehearsal.prompts import Prompt, Words
from kgpert_lib.rl.tasks import EditTasks, LineTasks

RANK = 16  # of the adapters of a pretrained model


@dataclass(frozen=True)
class Compute:
    """How finely and how much at once a policy computes, so that its size fits time and memory of two cores.

    `precision` : of answers to test questions. asked : such questions at once. learnt : answers of a step that it
    learns from at once; None: all. draws : drawn answers to a test question beside the greedy one; None: none.
    """

    precision: torch.dtype
    asked: int
    learnt: int | None
    draws: int | None


class Policy(Protocol):
    """A model with its tokenizer, and the texts of its questions and answers."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    compute: ClassVar[Compute]

    def prompts(self, line: LineTasks) -> dict[str, Prompt]:
        """The question about every perturbation of a line, by gene."""

    def answer(self, added: Sequence[str], removed: Sequence[str]) -> str:
        """An answer as the model is taught to write it."""

    def weights(self) -> dict[str, torch.Tensor]:
        """Weights that a run records, in float16."""


@dataclass(eq=False)
class GenePolicy:
    """The small gene-edit model (policy a)."""

    words: Words
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    compute: ClassVar[Compute] = Compute(torch.float64, asked=64, learnt=None, draws=16)

    @classmethod
    def of(cls, tasks: EditTasks, genes: Iterable[str], seed: int = 0) -> GenePolicy:
        """With random weights; its words are fitted on training tasks, `genes` are those that it can ever name."""
        words = Words.of(tasks, genes)
        tokenizer = tokenizer_of(words)
        torch.manual_seed(seed)
        return cls(words, GeneEditModel(GeneEditConfig.of(words, tokenizer)), tokenizer)

    def prompts(self, line: LineTasks) -> dict[str, Prompt]:
        """Lines of words (`Words.prompts`)."""
        return self.words.prompts(line)

    def answer(self, added: Sequence[str], removed: Sequence[str]) -> str:
        """Words that join to JSON (`prompts.answer`)."""
        return prompts.answer(added, removed)

    def weights(self) -> dict[str, torch.Tensor]:
        """All of them."""
        return {name: value.half() for name, value in self.model.state_dict().items()}


@dataclass(eq=False)
class LanguagePolicy:
    """A pretrained language model with adapters of low rank, asked in the words of chapter 3 (policy b)."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    compute: ClassVar[Compute] = Compute(torch.float32, asked=16, learnt=4, draws=None)

    @classmethod
    def of(cls, folder: Path, seed: int = 0, rank: int = RANK) -> LanguagePolicy:
        """The model in a folder, frozen, with new adapters on all linear layers."""
        from peft import LoraConfig, get_peft_model
        from transformers import AutoModelForCausalLM, AutoTokenizer

        torch.manual_seed(seed)
        tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        adapters = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
        return cls(get_peft_model(base, adapters), tokenizer)

    def prompts(self, line: LineTasks) -> dict[str, Prompt]:
        """The questions of the settings' form, through the model's chat template."""
        return {question.gene: self._prompt(question) for question in line.questions}

    def answer(self, added: Sequence[str], removed: Sequence[str]) -> str:
        """One line of JSON."""
        return json.dumps({"add": list(added), "remove": list(removed)})

    def weights(self) -> dict[str, torch.Tensor]:
        """Those of the adapters."""
        return {name: value.half() for name, value in self.model.state_dict().items() if "lora_" in name}

    def _prompt(self, question: Any) -> Prompt:
        text = self.tokenizer.apply_chat_template(
            list(question.prompt.messages), tokenize=False, add_generation_prompt=True
        )
        return Prompt(text, question.neighbours, question.prompt.candidates)
