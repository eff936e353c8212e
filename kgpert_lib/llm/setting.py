"""What stands behind every question of the language-model chapter: graphs, neighbourhoods and candidates.

The command that asks and the page that reads the answers make their prompts from one `Setting`, so that both
arrive at the same text and thereby the same key in the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.llm.edits import NeighbourhoodEdits
from kgpert_lib.llm.langpert import LangPert
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.proposals import ModelPredictor
from kgpert_lib.llm.questions import with_test_genes
from kgpert_lib.llm.record import Record
from kgpert_lib.predictors.neighbours import AffinityNeighbourhood, Cut, GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen

TASKS = ("langpert", "edits")


@dataclass(frozen=True)
class Setting:
    """An atlas with its asked-for test genes, and the knowledge that the questions are made from.

    `union` gives the neighbourhoods that are shown and edited, `wider` the candidates, closest first.
    """

    atlas: Atlas
    graphs: Sequence[KnowledgeGraph]
    union: NeighbourPredictor
    wider: AffinityNeighbourhood

    def predictor(self, task: str, model: str | ModelSpec, record: Record) -> ModelPredictor:
        """The predictor of a task (one of `TASKS`) that reads a model's recorded answers."""
        if task == "langpert":
            return LangPert(model, record, self.wider, self.union.prior)
        if task == "edits":
            return NeighbourhoodEdits(model, record, self.wider, self.union.prior, base=self.union)
        raise InputError(f"Unknown task {task!r}; it is {' or '.join(TASKS)}.")


def setting(
    screen: Screen,
    genes: int = 100,
    limit: int | None = 20,
    cut: Cut = "before",
    prior: float | None = None,
    seed: int = 0,
) -> Setting:
    """The setting of a screen, with `genes` test genes a line chosen by `questions.chosen_genes`."""
    union = NeighbourPredictor(GraphNeighbourhood(screen.graphs, limit, cut, seed), prior)
    atlas = with_test_genes(screen.atlas, genes, seed)
    return Setting(atlas, screen.graphs, union, AffinityNeighbourhood(screen.affinity))
