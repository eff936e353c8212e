"""What a model's choice of genes has to beat: chance, the spelling of gene names, and the graphs themselves."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kgpert_lib.files import digest
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.llm.proposals import Proposal, ProposalSource
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods, from_sets
from kgpert_lib.predictors.neighbours import NeighbourhoodSource
from kgpert_lib.screens.atlas import TrainingView

Pool = Literal["offered", "training"]
SHORTEST_PREFIX = 3  # letters; below that, most symbols that begin alike have nothing else in common


@dataclass(frozen=True)
class RandomSets:
    """As many genes as the model named, added or removed, but drawn at random.

    Additions come from the genes that the prompt offered (``"offered"``; from all training genes where it
    offered too few) or from all training genes; neighbours are left out of them. Removals come from the
    neighbourhood. The draw for a gene depends on `seed` and gene only.
    """

    model: ProposalSource
    pool: Pool = "offered"
    seed: int = 0
    title: str = "random"

    @property
    def name(self) -> str:
        """Where it draws from, and the model whose numbers it copies."""
        return f"{self.title} {self.pool} genes ({self.model.model_name})"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The random sets."""
        training = [str(p) for p in view.target.perturbations]
        proposals = self.model.proposals(view, perturbations)
        draws = [self._draw(proposal, training) for proposal in proposals]
        base = from_sets(perturbations, training, [p.neighbours for p in proposals])
        return base.edited([added for added, _ in draws], [removed for _, removed in draws])

    def _draw(self, proposal: Proposal, training: Sequence[str]) -> tuple[list[str], list[str]]:
        rng = _generator(self.seed, proposal.gene)
        excluded = {proposal.gene, *proposal.neighbours}
        offered = [gene for gene in proposal.offered if gene not in excluded]
        enough = self.pool == "offered" and len(offered) >= len(proposal.added)
        pool = offered if enough else [gene for gene in training if gene not in excluded]
        return _sample(rng, pool, len(proposal.added)), _sample(rng, proposal.neighbours, len(proposal.removed))


@dataclass(frozen=True)
class FirstOffered:
    """As many genes as the model named, but simply the first ones that the prompt offers."""

    model: ProposalSource

    @property
    def name(self) -> str:
        """What it takes, and the model whose numbers it copies."""
        return f"first offered genes ({self.model.model_name})"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The heads of the lists."""
        proposals = self.model.proposals(view, perturbations)
        return from_sets(perturbations, view.target.perturbations, [p.offered[: len(p.added)] for p in proposals])


@dataclass(frozen=True)
class NamePrefix:
    """The training genes whose symbols begin like the gene's: a rule that knows names and no biology.

    MRPL27 gets every MRPL gene. With `base` they are added to its neighbourhoods, else they are the whole set.
    """

    base: NeighbourhoodSource | None = None

    @property
    def name(self) -> str:
        """``name prefix``, or ``KG + name prefix`` with a base."""
        return "name prefix" if self.base is None else "KG + name prefix"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """Genes of the same prefix."""
        training = [str(p) for p in view.target.perturbations]
        sets = [same_prefix(str(p), training) for p in perturbations]
        if self.base is None:
            return from_sets(perturbations, training, sets)
        return self.base.neighbourhoods(view, perturbations).edited(sets)


@dataclass(frozen=True)
class InsideGraphs:
    """LangPert with only those of its genes that the graphs join to the target (paper, appendix C)."""

    model: ProposalSource
    graphs: Sequence[KnowledgeGraph]

    @property
    def name(self) -> str:
        """The name of what is restricted, and that it is."""
        return f"{self.model.name}, inside graphs"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The model's sets without the genes that no edge confirms."""
        proposals = self.model.proposals(view, perturbations)
        sets = [union_edges(self.graphs, p.gene) & set(p.added) for p in proposals]
        return from_sets(perturbations, view.target.perturbations, sets)


def union_edges(graphs: Sequence[KnowledgeGraph], gene: str) -> set[str]:
    """Every gene that an edge of any of the graphs joins to `gene`, uncut."""
    return {name for graph in graphs for name in graph.neighbours(gene)}


def same_prefix(gene: str, training: Collection[str]) -> list[str]:
    """Training genes that share the longest part of the letters with which the gene's symbol begins.

    Letters are taken off the end until some training gene begins so; below three letters there is none.

    Examples
    --------
    >>> from kgpert_lib.llm.controls import same_prefix
    >>> same_prefix("MRPL27", ["MRPL3", "MRPS5", "MED1"])
    ['MRPL3']
    >>> same_prefix("MRPX", ["MRPL3", "MRPS5", "MED1"])
    ['MRPL3', 'MRPS5']
    """
    match = re.match("[A-Za-z]+", gene)
    stem = match[0] if match else ""
    for length in range(len(stem), SHORTEST_PREFIX - 1, -1):
        relatives = [other for other in training if other != gene and other.startswith(stem[:length])]
        if relatives:
            return relatives
    return []


def _sample(rng: np.random.Generator, pool: Sequence[str], count: int) -> list[str]:
    return [str(gene) for gene in rng.choice(np.array(pool), count, replace=False)] if count else []


def _generator(seed: int, gene: str) -> np.random.Generator:
    return np.random.default_rng(int(digest(f"{seed} {gene}")[:16], 16))
