"""LLM + KG: a model adds genes to a graph neighbourhood and removes others from it (paper, section 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kgpert_lib.llm import prompts
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.proposals import ModelSets
from kgpert_lib.llm.questions import Question, candidates, closest, go_terms, lengths, names_of
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods
from kgpert_lib.predictors.neighbours import NeighbourhoodSource
from kgpert_lib.screens.atlas import TrainingView


@dataclass(frozen=True)
class EditForm:
    """How a question about edits is put.

    `reasoning` asks for thoughts first, and with it come long lists; `room` are the tokens that the prompt may have,
    up to `context` where the neighbours alone need more (`prompts.edits`).
    """

    reasoning: bool
    room: int | None = None
    context: int | None = None

    @classmethod
    def of(cls, spec: ModelSpec) -> EditForm:
        """What suits a model."""
        return cls(spec.reasoning, spec.room, spec.context - spec.sampling.max_tokens)


def edit_questions(
    view: TrainingView, base: Neighbourhoods, wider: NeighbourhoodSource, form: EditForm
) -> list[Question]:
    """The question about each neighbourhood of `base`, with the candidates that `wider` puts closest.

    The neighbourhoods may be those of test or of training perturbations; no delta goes into a question.
    """
    genes, most = list(map(str, base.perturbations)), lengths(form.reasoning)
    questions = []
    for gene, near in zip(genes, closest(wider, view, genes), strict=True):
        neighbours = {n.gene: tuple(n.graphs) for n in base.of(gene)}
        prompt = prompts.edits(
            gene,
            view.line,
            neighbours,
            candidates(view, gene),
            names=names_of([gene, *neighbours]),
            knowledge=go_terms(gene),
            wider=near,
            most=most.add,
            most_removed=most.remove,
            reasoning=form.reasoning,
            room=form.room,
            context=form.context,
        )
        questions.append(Question("edits", gene, view.line, prompt, tuple(neighbours)))
    return questions


@dataclass(frozen=True)
class NeighbourhoodEdits(ModelSets):
    """``(N | A) - R``: the graphs' neighbourhood as a model edits it (paper, section 5.1).

    An invalid addition or removal is ignored and the valid rest is used; an answer that cannot be read, or
    is not in the record, leaves the neighbourhood as the graphs give it. `base` gives the neighbourhood, such as
    the union of the graphs; `wider` by default.
    """

    base: NeighbourhoodSource | None = None
    task: ClassVar[str] = "edits"
    title: ClassVar[str] = "LLM + KG"

    def questions_on(self, view: TrainingView, base: Neighbourhoods) -> list[Question]:
        """Each neighbourhood with the genes that may be added: all, or those closest in the graphs."""
        return edit_questions(view, base, self.wider, EditForm.of(self.spec))

    def base_neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The graphs' own neighbourhoods."""
        return (self.base or self.wider).neighbourhoods(view, perturbations)
