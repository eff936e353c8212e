"""What every question of the language-model chapter is made from: neighbourhoods, candidates and test genes.

The command that asks and the page that reads the answers make their prompts from one `QuestionData`, so that both
arrive at the same text and thereby the same key in the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.affinity import fixed_weights
from kgpert_lib.llm.edits import NeighbourhoodEdits
from kgpert_lib.llm.langpert import LangPert
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.proposals import ModelSets
from kgpert_lib.llm.questions import sample_test_genes
from kgpert_lib.llm.record import Record
from kgpert_lib.predictors.neighbourhoods import Cut
from kgpert_lib.predictors.neighbours import AffinityNeighbourhood, GraphNeighbourhood, NeighbourhoodSource
from kgpert_lib.screens.screen import Screen

TASKS = ("langpert", "edits")
CLOSEST = 50  # most similar genes whose similarity counts for the order of candidates


@dataclass(frozen=True)
class QuestionData:
    """A screen, the neighbourhoods that its questions show, and the test genes that are asked about, by line.

    `union` gives the neighbourhoods that are shown and edited, `wider` the candidates, closest first.
    """

    screen: Screen
    union: NeighbourhoodSource
    wider: NeighbourhoodSource
    genes: Mapping[str, Sequence[str]]

    def sets(self, task: str, model: str | ModelSpec, record: Record) -> ModelSets:
        """The neighbourhoods of a task (one of `TASKS`) from a model's recorded answers."""
        if task == "langpert":
            return LangPert(model, record, self.wider)
        if task == "edits":
            return NeighbourhoodEdits(model, record, self.wider, base=self.union)
        raise InputError(f"Unknown task {task!r}; it is {' or '.join(TASKS)}.")


def question_data(
    screen: Screen, genes: int = 100, limit: int | None = 20, cut: Cut = "before", seed: int = 0
) -> QuestionData:
    """The data of a screen, with `genes` test genes per line by `questions.sample_test_genes`.

    `limit`, `cut` and `seed` are those of the graphs' union (`GraphNeighbourhood`).
    """
    samples = {name: sample_test_genes(line, genes, seed) for name, line in screen.lines.items()}
    union = GraphNeighbourhood(screen.graphs, limit, cut, seed)
    known = screen.graph_affinity
    return QuestionData(screen, union, AffinityNeighbourhood(known, fixed_weights(known), limit=CLOSEST), samples)
