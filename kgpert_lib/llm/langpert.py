"""LangPert: the mean delta of the training genes that a model calls related (paper, section 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from kgpert_lib.llm import prompts
from kgpert_lib.llm.proposals import ModelSets
from kgpert_lib.llm.questions import Question, candidates, closest, go_terms, lengths, names_of, sample_genes
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods, from_sets
from kgpert_lib.screens.atlas import TrainingView

UNKNOWN_OFFERED = 40  # candidates for a gene outside the graphs, picked by `sample_genes`


@dataclass(frozen=True)
class LangPert(ModelSets):
    """The genes that a model calls related (paper, section 4.2 and appendix D.1).

    One answer per question. The set is empty, and the mean training delta stands in, where an answer names no
    training gene or cannot be read, and where none is recorded; `proposals` tells these cases apart.
    """

    task: ClassVar[str] = "langpert"
    title: ClassVar[str] = "LangPert"

    def questions_on(self, view: TrainingView, base: Neighbourhoods) -> list[Question]:
        """The whole list of training genes where it fits, else the part of it closest in the graphs."""
        genes, spec = list(map(str, base.perturbations)), self.spec
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
                    knowledge=go_terms(gene),
                    wider=wider or sample_genes(candidates(view, gene), UNKNOWN_OFFERED),
                    most=lengths(spec.reasoning).genes,
                    reasoning=spec.reasoning,
                    room=spec.room,
                ),
            )
            for gene, wider in zip(genes, closest(self.wider, view, genes), strict=True)
        ]

    def base_neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Empty sets: the model names all of the genes."""
        return from_sets(perturbations, view.target.perturbations, [()] * len(perturbations))
