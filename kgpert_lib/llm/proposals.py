"""What a model proposed for a gene, what of it counts, and neighbourhoods that act on it.

Neighbourhoods of this kind come from answers in a record; nothing is asked here. A gene without a recorded answer
is marked ``answered=False`` and counted by whoever shows the result. `kgpert record` asks.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Protocol

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.symbols import gene_names
from kgpert_lib.llm.answers import Dropped, parse
from kgpert_lib.llm.models import ModelSpec, find_model
from kgpert_lib.llm.questions import Question, spellings
from kgpert_lib.llm.record import Answer, Record, Request, request_key
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods, from_sets
from kgpert_lib.predictors.neighbours import NeighbourhoodSource
from kgpert_lib.screens.atlas import TrainingView

ASKED_WITH = "string-v12+go-2022"  # graphs of the questions whose answers are committed, on PerturbQA


@dataclass(frozen=True)
class Proposal:
    """What a model proposed for one gene in one line.

    Attributes
    ----------
    neighbours : the graphs' neighbourhood that was shown; empty in LangPert.
    added, removed : proposals that count: no addition is a neighbour, every removal is one. In LangPert `added`
        is the whole set.
    dropped : proposals that do not count, and why.
    answered : False where the record holds no answer.
    readable : whether a wanted list was found in it.
    complete : whether every wanted list was found and none was cut off or endless.
    offered : genes that the prompt named as candidates.
    text : the answer as it stands; escape it on a page.
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
    def size(self) -> int:
        """Genes in ``(neighbours | added) - removed``; where there is none, the mean training delta stands in."""
        return len(self.neighbours) + len(self.added) - len(self.removed)


def read_answer(
    question: Question, answer: Answer | None, training: Collection[str], spelling: dict[str, str]
) -> Proposal:
    """What a recorded answer proposes (`read_text`); a blank proposal where there is none."""
    return _blank(question) if answer is None else read_text(question, answer.text, training, spelling)


def read_text(question: Question, text: str, training: Collection[str], spelling: dict[str, str]) -> Proposal:
    """Read an answer's text and keep what counts: invalid additions and removals are ignored, the rest is used.

    `training` are the perturbations that may be averaged; `spelling` is what `parse` resolves with.
    """
    own = {name: question.gene for name in (question.gene, gene_names().approved(question.gene)) if name}
    known = ChainMap({name: gene for name, gene in own.items() if name not in training}, spelling)
    parsed = parse(text, question.prompt.fields, known, target=question.gene, prompt=question.prompt.text)
    added: list[str] = []
    removed: list[str] = []
    dropped = list(parsed.dropped)
    neighbours = set(question.neighbours)
    for name in question.prompt.fields:
        for gene in parsed[name]:
            if name == "remove":
                if gene in neighbours:
                    removed.append(gene)
                else:
                    dropped.append(Dropped(name, gene, "absent"))
            elif gene in neighbours:
                dropped.append(Dropped(name, gene, "present"))
            elif gene not in training:
                dropped.append(Dropped(name, gene, "not measured"))
            else:
                added.append(gene)
    return replace(
        _blank(question),
        added=tuple(added),
        removed=tuple(removed),
        dropped=tuple(dropped),
        answered=True,
        readable=bool(parsed.lists),
        complete=parsed.complete and not parsed.overlong,
        text=text,
    )


def _blank(question: Question) -> Proposal:
    return Proposal(question.gene, question.line, question.neighbours, offered=question.prompt.candidates)


class ProposalSource(Protocol):
    """Neighbourhoods that can say what a model proposed for them."""

    @property
    def name(self) -> str:
        """The neighbourhoods."""

    @property
    def model_name(self) -> str:
        """The model."""

    def proposals(self, view: TrainingView, perturbations: Sequence[str]) -> list[Proposal]:
        """What the model proposed, in the order of the perturbations."""


@dataclass(frozen=True)
class RecordedSets:
    """Neighbourhoods from proposals that were read once, by line and gene: controls need not read them again."""

    name: str
    model_name: str
    by_gene: Mapping[tuple[str, str], Proposal]

    def in_line(self, line: str) -> list[Proposal]:
        """What was read for one line, in the order of its genes."""
        return [proposal for (name, _), proposal in self.by_gene.items() if name == line]

    def proposals(self, view: TrainingView, perturbations: Sequence[str]) -> list[Proposal]:
        """What was read; InputError for a gene that was not."""
        unread = [str(p) for p in perturbations if (view.line, str(p)) not in self.by_gene]
        if unread:
            raise InputError(f"No proposal of {self.model_name} was read for {unread[0]} in {view.line}.")
        return [self.by_gene[view.line, str(p)] for p in perturbations]

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The proposed sets."""
        proposals = self.proposals(view, perturbations)
        base = from_sets(perturbations, view.target.perturbations, [p.neighbours for p in proposals])
        return base.edited([p.added for p in proposals], [p.removed for p in proposals])


@dataclass(frozen=True)
class ModelSets(ABC):
    """Neighbourhoods from a model's recorded answers.

    Parameters
    ----------
    model : a name in `models.toml`, or a `ModelSpec`.
    record : where its answers are.
    wider : the graphs' wider neighbourhood, from which candidates are offered where the whole list does not fit.
    """

    model: str | ModelSpec
    record: Record
    wider: NeighbourhoodSource
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
        """Task and model."""
        return f"{self.title} ({self.model_name})"

    def questions(self, view: TrainingView, perturbations: Sequence[str]) -> list[Question]:
        """The question about each perturbation; no delta goes into it."""
        return self.questions_on(view, self.base_neighbourhoods(view, perturbations))

    @abstractmethod
    def questions_on(self, view: TrainingView, base: Neighbourhoods) -> list[Question]:
        """The question about each perturbation of its `base_neighbourhoods`."""

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The model's sets; a warning counts the genes without a recorded answer."""
        base = self.base_neighbourhoods(view, perturbations)
        proposals = self._read(view, base)
        unanswered = sum(not p.answered for p in proposals)
        if unanswered:
            warnings.warn(
                f"{self.model_name} has no recorded answer ({self.task}) about {unanswered} of {len(proposals)} genes "
                f"in {view.line}; 'kgpert record' asks. PerturbQA's committed answers are to questions over the graphs "
                f"{ASKED_WITH}: name them with --graph.",
                stacklevel=2,
            )
        return base.edited([p.added for p in proposals], [p.removed for p in proposals])

    @abstractmethod
    def base_neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """What additions and removals start from, and what a gene without a readable answer keeps."""

    def requests(self, view: TrainingView, perturbations: Sequence[str]) -> list[Request]:
        """What would be sent to the model."""
        return [question.request for question in self.questions(view, perturbations)]

    def proposals(self, view: TrainingView, perturbations: Sequence[str]) -> list[Proposal]:
        """What the recorded answers propose, in the order of the perturbations."""
        return self._read(view, self.base_neighbourhoods(view, perturbations))

    def _read(self, view: TrainingView, base: Neighbourhoods) -> list[Proposal]:
        training, spelling = {str(p) for p in view.target.perturbations}, spellings(view)
        return [
            read_answer(question, self.record.get(request_key(question.request, self.spec)), training, spelling)
            for question in self.questions_on(view, base)
        ]
