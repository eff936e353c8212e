"""LangPert: a model names the related training genes, and the mean of their deltas is the prediction (SPEC 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kgpert_lib.llm import prompts
from kgpert_lib.llm.proposals import ModelPredictor
from kgpert_lib.llm.questions import Question, candidates, chosen_genes, closest, knowledge_of, lengths, names_of
from kgpert_lib.predictors.neighbours import Neighbourhoods, from_sets
from kgpert_lib.screens.atlas import TrainingView

UNKNOWN_OFFERED = 40  # candidates for a gene outside the graphs, picked by `chosen_genes`


@dataclass(frozen=True)
class LangPert(ModelPredictor):
    """Mean training delta over the genes that a model calls related (paper section 4.2, appendix D.1).

    One answer a question. An answer that names no training gene, or cannot be read, gives the mean training
    delta; so does a gene without a recorded answer, which `proposals` tells apart.
    """

    task: ClassVar[str] = "langpert"
    title: ClassVar[str] = "LangPert"

    def questions(self, view: TrainingView, perturbations: Sequence[str]) -> list[Question]:
        """The whole list of training genes where it fits, else the part of it closest in the graphs."""
        spec, near = self.spec, closest(self.wider, view, perturbations)
        return [
            Question(
                self.task,
                gene,
                view.line,
                prompts.langpert(
                    gene,
                    view.line,
                    candidates(view, gene),
                    names=names_of([gene]),
                    knowledge=knowledge_of(gene),
                    wider=wider or chosen_genes(candidates(view, gene), UNKNOWN_OFFERED),
                    most=lengths(spec).genes,
                    reasoning=spec.reasoning,
                    room=spec.room,
                ),
            )
            for gene, wider in zip(map(str, perturbations), near, strict=True)
        ]

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The chosen sets."""
        sets = [p.members for p in self.proposals(view, perturbations)]
        return from_sets(perturbations, view.target.perturbations, sets)
