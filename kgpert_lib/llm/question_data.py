"""What every question of the language-model chapter is made from: graphs, neighbourhoods, candidates, genes.

The command that asks and the page that reads the answers make their prompts from one `QuestionData`, so that both
arrive at the same text and thereby the same key in the record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import go, load_graphs, string
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import align
from kgpert_lib.llm.edits import NeighbourhoodEdits
from kgpert_lib.llm.langpert import LangPert
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.proposals import ModelSets
from kgpert_lib.llm.questions import sample_test_genes
from kgpert_lib.llm.record import Record
from kgpert_lib.predictors import neighbours
from kgpert_lib.predictors.neighbours import Cut, GraphNeighbour, WeightedNeighbour, WeightPart
from kgpert_lib.screens.atlas import Atlas

TASKS = ("langpert", "edits")


@dataclass(frozen=True)
class QuestionData:
    """A screen, the test genes that are asked about, and the knowledge that the questions are made from.

    `genes` holds the test genes of each line; `union` gives the neighbourhoods that are shown and edited, `wider`
    the candidates, closest first.
    """

    atlas: Atlas
    graphs: Sequence[KnowledgeGraph]
    union: GraphNeighbour
    wider: WeightedNeighbour
    genes: Mapping[str, Sequence[str]]

    def sets(self, task: str, model: str | ModelSpec, record: Record) -> ModelSets:
        """The neighbourhoods of a task (one of `TASKS`) from a model's recorded answers."""
        if task == "langpert":
            return LangPert(model, record, self.wider)
        if task == "edits":
            return NeighbourhoodEdits(model, record, self.wider, base=self.union)
        raise InputError(f"Unknown task {task!r}; it is {' or '.join(TASKS)}.")


def question_data(
    atlas: Atlas,
    genes: int = 100,
    graph: str = "string+go",
    limit: int | None = 20,
    cut: Cut = "before",
    seed: int = 0,
) -> QuestionData:
    """The data of an atlas, with `genes` test genes per line by `questions.sample_test_genes`.

    On a simulated atlas the graphs are the simulation's own, incomplete and partly false; `graph` is then not read.
    """
    names = atlas.perturbations()
    if atlas.name == "simulated":
        from kgpert_lib.screens.simulated.simulation import simulate

        options = atlas.provenance
        graphs = simulate(options["seed"], options["size"], list(atlas.lines)).graphs
        wider = WeightedNeighbour([WeightPart(string.two_step(graph)) for graph in graphs])
    else:
        graphs = load_graphs(graph, names)
        similarity = align(go.load(keep=None, among=names), names)[0]
        wider = neighbours.weighted(similarity, align(string.two_step(string.load()), names)[0])
    samples = {line.name: sample_test_genes(line, genes, seed) for line in atlas.lines.values()}
    return QuestionData(atlas, graphs, GraphNeighbour(graphs, limit, cut, seed=seed), wider, samples)
