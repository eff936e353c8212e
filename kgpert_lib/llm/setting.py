"""What stands behind every question of the language-model chapter: graphs, neighbourhoods and candidates.

The command that asks and the page that reads the answers make their prompts from one `Setting`, so that both
arrive at the same text and thereby the same key in the record.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import go, load_graphs, string
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import align
from kgpert_lib.llm.edits import NeighbourhoodEdits
from kgpert_lib.llm.langpert import LangPert
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.proposals import ModelPredictor
from kgpert_lib.llm.questions import with_test_genes
from kgpert_lib.llm.record import Record
from kgpert_lib.predictors import neighbours
from kgpert_lib.predictors.neighbours import Cut, GraphNeighbour, WeightedNeighbour, WeightPart
from kgpert_lib.screens.atlas import Atlas

TASKS = ("langpert", "edits")


@dataclass(frozen=True)
class Setting:
    """An atlas with its asked-for test genes, and the knowledge that the questions are made from.

    `union` gives the neighbourhoods that are shown and edited, `wider` the candidates, closest first.
    """

    atlas: Atlas
    graphs: Sequence[KnowledgeGraph]
    union: GraphNeighbour
    wider: WeightedNeighbour

    def predictor(self, task: str, model: str | ModelSpec, record: Record) -> ModelPredictor:
        """The predictor of a task (one of `TASKS`) that reads a model's recorded answers."""
        if task == "langpert":
            return LangPert(model, record, self.wider, self.union.prior)
        if task == "edits":
            return NeighbourhoodEdits(model, record, self.wider, self.union.prior, base=self.union)
        raise InputError(f"Unknown task {task!r}; it is {' or '.join(TASKS)}.")


def setting(
    atlas: Atlas,
    genes: int = 100,
    graph: str = "string+go",
    limit: int | None = 20,
    cut: Cut = "before",
    prior: float | None = None,
    seed: int = 0,
) -> Setting:
    """The setting of an atlas, with `genes` test genes a line chosen by `questions.chosen_genes`.

    On a simulated atlas the graphs are the simulation's own, incomplete and partly false; `graph` then says nothing.
    """
    names = atlas.perturbations()
    if atlas.name == "simulated":
        from kgpert_lib.screens.simulated.simulation import simulate

        made = atlas.provenance
        graphs = simulate(made["seed"], made["size"], list(atlas.lines)).graphs
        wider = WeightedNeighbour([WeightPart(string.two_step(graph)) for graph in graphs], prior)
    else:
        graphs = load_graphs(graph, names)
        similarity = align(go.load(keep=None, among=names), names)[0]
        wider = neighbours.weighted(similarity, align(string.two_step(string.load()), names)[0], prior=prior)
    return Setting(with_test_genes(atlas, genes, seed), graphs, GraphNeighbour(graphs, limit, cut, prior, seed), wider)
