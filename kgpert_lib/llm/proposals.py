"""What a model proposed for a gene, what of it counts, and predictors that act on it.

A predictor of this kind reads answers from a record and never asks: a gene without a recorded answer is marked
``answered=False`` and counted by whoever shows the result. `kgpert record` asks.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

import pandas as pd

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.graphs.symbols import gene_names
from kgpert_lib.llm.answers import Dropped, parse
from kgpert_lib.llm.client import Request, request_key
from kgpert_lib.llm.models import ModelSpec, find_model
from kgpert_lib.llm.questions import Question, spellings
from kgpert_lib.llm.record import Answer, Record
from kgpert_lib.predictors.neighbours import Neighbourhoods, NeighbourhoodSource, NeighbourPredictor, from_sets
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingView


@dataclass(frozen=True)
class Proposal:
    """What a model proposed for one gene in one line.

    Attributes
    ----------
    neighbours : the graphs' neighbourhood that was shown; empty in LangPert.
    added, removed : proposals that count; in LangPert `added` is the chosen set.
    dropped : proposals that do not count, and why.
    members : the set whose mean delta is the prediction.
    answered : False where the record holds no answer. readable : whether a wanted list was found in it.
    complete : whether every wanted list was found and none was cut off.
    offered : genes that the prompt named as candidates. text : the answer as it stands; escape it on a page.
    """

    gene: str
    line: str
    neighbours: tuple[str, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    answered: bool = False
    readable: bool = False
    complete: bool = False
    offered: tuple[str, ...] = ()
    text: str = ""

    @property
    def members(self) -> tuple[str, ...]:
        """``(neighbours | added) - removed``, in that order."""
        gone = set(self.removed)
        return tuple(gene for gene in (*self.neighbours, *self.added) if gene not in gone)

    @property
    def fallback(self) -> bool:
        """Whether nothing is left to average, so that the mean training delta stands in."""
        return not self.members


def open_record(path: str | Path | None = None) -> Record:
    """The committed answers under ``data/answers/``, and those of a record of this machine if one is named."""
    committed = paths.DATA / "answers"
    return Record(path, [committed] if committed.is_dir() else [])


def judge(question: Question, answer: Answer | None, training: Collection[str], spelling: dict[str, str]) -> Proposal:
    """Read an answer and keep what counts: invalid additions and removals are ignored, the rest is used.

    `training` are the perturbations that may be averaged; `spelling` is what `parse` resolves with.
    """
    blank = Proposal(question.gene, question.line, question.neighbours, offered=question.prompt.candidates)
    if answer is None:
        return blank
    own = {name: question.gene for name in (question.gene, gene_names().approved(question.gene)) if name}
    known = ChainMap({name: gene for name, gene in own.items() if name not in training}, spelling)
    parsed = parse(answer.text, question.prompt.fields, known, target=question.gene, prompt=question.prompt.text)
    added: list[str] = []
    removed: list[str] = []
    dropped = list(parsed.dropped)
    shown = set(question.neighbours)
    for name in question.prompt.fields:
        for gene in parsed[name]:
            if name == "remove":
                if gene in shown:
                    removed.append(gene)
                else:
                    dropped.append(Dropped(name, gene, "absent"))
            elif gene in shown:
                dropped.append(Dropped(name, gene, "present"))
            elif gene not in training:
                dropped.append(Dropped(name, gene, "not measured"))
            else:
                added.append(gene)
    return replace(
        blank,
        added=tuple(added),
        removed=tuple(removed),
        dropped=tuple(dropped),
        answered=True,
        readable=bool(parsed.lists),
        complete=parsed.complete,
        text=answer.text,
    )


class Proposing(Protocol):
    """A predictor that can tell what a model proposed."""

    @property
    def name(self) -> str:
        """The predictor."""

    @property
    def model_name(self) -> str:
        """The model."""

    @property
    def prior(self) -> float | None:
        """Strength of the training mean."""

    def proposals(self, view: TrainingView, perturbations: Sequence[str]) -> list[Proposal]:
        """What the model proposed, in the order of the perturbations."""


@dataclass(frozen=True)
class Told:
    """Proposals that were read once, as a predictor: the mean over each one's members.

    `by_gene` holds them by line and gene.
    """

    name: str
    model_name: str
    prior: float | None
    by_gene: Mapping[tuple[str, str], Proposal]

    def proposals(self, view: TrainingView, perturbations: Sequence[str]) -> list[Proposal]:
        """What was read; InputError for a gene that was not."""
        unread = [str(p) for p in perturbations if (view.line, str(p)) not in self.by_gene]
        if unread:
            raise InputError(f"No proposal of {self.model_name} was read for {unread[0]} in {view.line}.")
        return [self.by_gene[view.line, str(p)] for p in perturbations]

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The proposed sets."""
        sets = [p.members for p in self.proposals(view, perturbations)]
        return from_sets(perturbations, view.target.perturbations, sets)

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line."""
        return NeighbourPredictor(self, self.prior).predict(view, perturbations)


@dataclass(frozen=True)
class ModelPredictor(ABC):
    """A predictor whose sets come from a model's recorded answers.

    Parameters
    ----------
    model : a name in `models.toml`, or a `ModelSpec`. record : where its answers are.
    wider : the graphs' wider neighbourhood, from which candidates are offered where the whole list does not fit.
    prior : strength of the training mean, as in `neighbours.average`.
    """

    model: str | ModelSpec
    record: Record
    wider: NeighbourhoodSource
    prior: float | None = None
    label: str | None = field(default=None, kw_only=True)
    task: ClassVar[str]
    title: ClassVar[str]

    @cached_property
    def spec(self) -> ModelSpec:
        """How the model is asked."""
        return find_model(self.model) if isinstance(self.model, str) else self.model

    @property
    def model_name(self) -> str:
        """The model as people call it."""
        return self.model if isinstance(self.model, str) else self.model.model

    @property
    def name(self) -> str:
        """Task and model, unless a label was given."""
        return self.label or f"{self.title} ({self.model_name})"

    @abstractmethod
    def questions(self, view: TrainingView, perturbations: Sequence[str]) -> list[Question]:
        """The question about each perturbation; no delta goes into it."""

    @abstractmethod
    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The sets that are averaged."""

    def requests(self, view: TrainingView, perturbations: Sequence[str]) -> list[Request]:
        """What would be sent to the model."""
        return [question.request for question in self.questions(view, perturbations)]

    def proposals(self, view: TrainingView, perturbations: Sequence[str]) -> list[Proposal]:
        """What the recorded answers propose, in the order of the perturbations."""
        training, spelling = {str(p) for p in view.target.perturbations}, spellings(view)
        return [
            judge(question, self.record.get(request_key(question.request, self.spec)), training, spelling)
            for question in self.questions(view, perturbations)
        ]

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line."""
        return NeighbourPredictor(self, self.prior).predict(view, perturbations)


def table(proposals: Sequence[Proposal]) -> pd.DataFrame:
    """A row a proposal: gene, line, answered, readable, complete, the sizes of its sets, and fallback.

    Besides, ``dropped`` (how many proposals do not count) and ``why`` (``kind: count`` by kind).
    """
    rows = []
    for p in proposals:
        kinds = pd.Series([d.kind for d in p.dropped], dtype=object).value_counts().sort_index()
        why = "; ".join(f"{kind}: {count}" for kind, count in kinds.items())
        sizes = len(p.neighbours), len(p.added), len(p.removed), len(p.members)
        rows.append((p.gene, p.line, p.answered, p.readable, p.complete, *sizes, p.fallback, len(p.dropped), why))
    columns = ["gene", "line", "answered", "readable", "complete", "neighbours", "added", "removed", "members"]
    return pd.DataFrame(rows, columns=[*columns, "fallback", "dropped", "why"])
