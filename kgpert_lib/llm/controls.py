"""What a model's choice of genes has to beat: chance, the spelling of gene names, and the graphs themselves."""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.llm.proposals import Proposal, Proposing
from kgpert_lib.predictors.neighbours import Neighbourhoods, NeighbourhoodSource, NeighbourPredictor, from_sets
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingView

Among = Literal["offered", "training"]
SHORTEST_PREFIX = 3


class _Beside(ABC):
    """A control of a model's predictor: the same average, with the same prior, over other sets."""

    of: Proposing

    @property
    @abstractmethod
    def name(self) -> str:
        """Short name, shown in tables."""

    @abstractmethod
    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The sets that are averaged."""

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line."""
        return NeighbourPredictor(self, self.of.prior).predict(view, perturbations)


@dataclass(frozen=True)
class RandomSets(_Beside):
    """As many genes as the model chose, added or removed, but drawn at random.

    Additions come from the genes that the prompt offered (``"offered"``; from all training genes where it
    offered too few) or from all training genes; neighbours are left out of them. Removals come from the
    neighbourhood. The draw for a gene depends on `seed` and gene only.
    """

    of: Proposing
    among: Among = "offered"
    seed: int = 0
    title: str = "random"

    @property
    def name(self) -> str:
        """Where it draws from, and the model whose numbers it copies."""
        return f"{self.title} {self.among} genes ({self.of.model_name})"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The random sets."""
        training = [str(p) for p in view.target.perturbations]
        told = self.of.proposals(view, perturbations)
        shown = [p.neighbours for p in told]
        drawn = [self._draw(proposal, training) for proposal in told]
        base = from_sets(perturbations, training, shown)
        return base.edited([added for added, _ in drawn], [removed for _, removed in drawn])

    def _draw(self, proposal: Proposal, training: Sequence[str]) -> tuple[list[str], list[str]]:
        rng = _generator(self.seed, proposal.gene)
        taken = {proposal.gene, *proposal.neighbours}
        offered = [gene for gene in proposal.offered if gene not in taken]
        enough = self.among == "offered" and len(offered) >= len(proposal.added)
        pool = offered if enough else [gene for gene in training if gene not in taken]
        added: Sequence[str] = (
            rng.choice(np.array(pool), len(proposal.added), replace=False).tolist() if proposal.added else []
        )
        removed: Sequence[str] = (
            rng.choice(np.array(proposal.neighbours), len(proposal.removed), replace=False).tolist()
            if proposal.removed
            else []
        )
        return list(added), list(removed)


@dataclass(frozen=True)
class FirstOffered(_Beside):
    """As many genes as the model chose, but simply the first ones that the prompt offers."""

    of: Proposing

    @property
    def name(self) -> str:
        """What it takes, and the model whose numbers it copies."""
        return f"first offered genes ({self.of.model_name})"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The heads of the lists."""
        told = self.of.proposals(view, perturbations)
        return from_sets(perturbations, view.target.perturbations, [p.offered[: len(p.added)] for p in told])


@dataclass(frozen=True)
class PrefixRule:
    """The training genes whose symbols begin like the gene's: a rule that knows names and no biology.

    MRPL27 gets every MRPL gene. With `base` they are added to its neighbourhoods, else they are the whole set.
    """

    prior: float | None = None
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

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the target line."""
        return NeighbourPredictor(self, self.prior).predict(view, perturbations)


@dataclass(frozen=True)
class Inside(_Beside):
    """LangPert with only those of its genes that the graphs join to the target (paper appendix C)."""

    of: Proposing
    graphs: Sequence[KnowledgeGraph]

    @property
    def name(self) -> str:
        """The name of what is restricted, and that it is."""
        return f"{self.of.name}, inside graphs"

    def neighbourhoods(self, view: TrainingView, perturbations: Sequence[str]) -> Neighbourhoods:
        """The chosen sets without what no edge confirms."""
        told = self.of.proposals(view, perturbations)
        sets = [[gene for gene in p.members if self.joined.has(p.gene, gene)] for p in told]
        return from_sets(perturbations, view.target.perturbations, sets)

    @cached_property
    def joined(self) -> Joined:
        """The union of the graphs."""
        return Joined(self.graphs)


class Joined:
    """Which pairs of genes any of some graphs joins, uncut: the union of the graphs."""

    def __init__(self, graphs: Sequence[KnowledgeGraph]) -> None:
        self._neighbours: dict[str, set[str]] = {}
        self._graphs = graphs

    def has(self, gene: str, other: str) -> bool:
        """True where some graph has the edge."""
        if gene not in self._neighbours:
            self._neighbours[gene] = {name for graph in self._graphs for name in graph.neighbours(gene)}
        return other in self._neighbours[gene]


def same_prefix(gene: str, training: Collection[str], shortest: int = SHORTEST_PREFIX) -> list[str]:
    """Training genes that share the longest part of the letters with which the gene's symbol begins.

    Letters are taken off the end until some training gene begins so; below `shortest` letters there is none.

    >>> same_prefix("MRPL27", ["MRPL3", "MRPS5", "MED1"])
    ['MRPL3']
    >>> same_prefix("MRPX", ["MRPL3", "MRPS5", "MED1"])
    ['MRPL3', 'MRPS5']
    """
    match = re.match("[A-Za-z]+", gene)
    stem = match[0] if match else ""
    for length in range(len(stem), shortest - 1, -1):
        found = [other for other in training if other != gene and other.startswith(stem[:length])]
        if found:
            return found
    return []


def _generator(seed: int, gene: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{seed} {gene}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "big"))
