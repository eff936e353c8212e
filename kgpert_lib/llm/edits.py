"""LLM + KG: a model adds genes to a graph neighbourhood and removes others from it (paper, section 5.1)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kgpert_lib.llm import prompts
from kgpert_lib.llm.proposals import ModelSets
from kgpert_lib.llm.questions import Question, candidates, closest, go_terms, lengths, names_of
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods
from kgpert_lib.predictors.neighbours import NeighbourhoodSource
from kgpert_lib.screens.atlas import TrainingView


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
        genes, spec, questions = list(map(str, base.perturbations)), self.spec, []
        for gene, wider in zip(genes, closest(self.wider, view, genes), strict=True):
            neighbours = {n.gene: tuple(n.graphs) for n in base.of(gene)}
            prompt = prompts.edits(
                gene,
                view.line,
                neighbours,
                candidates(view, gene),
                names=names_of([gene, *neighbours]),
                knowledge=go_terms(gene),
                wider=wider,
                most=lengths(spec).add,
                most_removed=lengths(spec).remove,
                reasoning=spec.reasoning,
                room=spec.room,
                context=spec.context - spec.sampling.max_tokens,
            )
            questions.append(Question(self.task, gene, view.line, prompt, tuple(neighbours)))
        return questions

    def base_neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The graphs' own neighbourhoods."""
        return (self.base or self.wider).neighbourhoods(view, perturbations)
