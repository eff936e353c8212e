"""LLM + KG: a model adds genes to a graph neighbourhood and removes others from it (SPEC section 8)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kgpert_lib.llm import prompts
from kgpert_lib.llm.proposals import ModelPredictor
from kgpert_lib.llm.questions import Question, candidates, closest, knowledge_of, lengths, names_of
from kgpert_lib.predictors.neighbours import Neighbourhoods, NeighbourhoodSource
from kgpert_lib.screens.atlas import TrainingView


@dataclass(frozen=True)
class NeighbourhoodEdits(ModelPredictor):
    """Mean training delta over ``(N | A) - R``: the graphs' neighbourhood as a model edits it (paper section 5.1).

    An invalid addition or removal is ignored and the valid rest is used; an answer that cannot be read, or
    is not in the record, leaves the neighbourhood as the graphs give it. An empty set: mean training delta.
    `base` gives the neighbourhood, such as a `GraphNeighbourhood` over the union of the graphs.
    """

    base: NeighbourhoodSource | None = None
    task: ClassVar[str] = "edits"
    title: ClassVar[str] = "LLM + KG"

    def questions(self, view: TrainingView, perturbations: Sequence[str]) -> list[Question]:
        """Each neighbourhood with the genes that may be added: all, or those closest in the graphs."""
        spec, near = self.spec, closest(self.wider, view, perturbations)
        base = self._base.neighbourhoods(view, perturbations)
        asked = []
        for gene, wider in zip(map(str, perturbations), near, strict=True):
            shown = [prompts.Neighbour(n.gene, tuple(n.graphs)) for n in base.of(gene)]
            prompt = prompts.edits(
                gene,
                view.line,
                shown,
                candidates(view, gene),
                names=names_of([gene, *(n.gene for n in shown)]),
                knowledge=knowledge_of(gene),
                wider=wider,
                most=lengths(spec).add,
                most_removed=lengths(spec).remove,
                reasoning=spec.reasoning,
                room=spec.room,
                context=spec.context - spec.sampling.max_tokens,
            )
            asked.append(Question(self.task, gene, view.line, prompt, tuple(n.gene for n in shown)))
        return asked

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The edited sets."""
        told = self.proposals(view, perturbations)
        base = self._base.neighbourhoods(view, perturbations)
        return base.edited([p.added for p in told], [p.removed for p in told])

    @property
    def _base(self) -> NeighbourhoodSource:
        return self.base or self.wider
