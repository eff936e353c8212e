"""A screen with what is known about its genes: the atlas, its graphs, its affinity, its reproducibility."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import pandas as pd

from kgpert_lib.cards import Table, card
from kgpert_lib.errors import InputError
from kgpert_lib.graphs import DATED, GRAPHS, load_graphs
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.metrics.targets import without_own_readouts
from kgpert_lib.screens.atlas import Atlas, CellLine, TrainingLine, TrainingView
from kgpert_lib.screens.pseudobulk import Pseudobulk
from kgpert_lib.types import Split

if TYPE_CHECKING:
    from kgpert_lib.screens.simulated.simulation import Simulation

HALVES = ("line", "perturbation", "n_cells", "split", "r")
UNITS = {"replogle": "expression in standard deviations of the controls", "distances": "coordinate"}


@dataclass(frozen=True, eq=False)
class Screen:
    """An atlas with its graphs; a simulated screen has its own.

    Attributes
    ----------
    atlas : the deltas.
    graphs : what is known about its genes, in the atlas' spelling.
    simulation : what the atlas was drawn from, if it was drawn in this process.
    brings_graphs : whether the graphs came with the screen, because STRING and GO say nothing about it.

    Examples
    --------
    >>> from kgpert_lib import Atlas, CellLine, KnowledgeGraph, Screen
    >>> line = CellLine("k562", ["RPL3", "INTS9"], ["MYC"], [[0.5], [1.0]], ["train", "test"])
    >>> graph = KnowledgeGraph.from_edges("pairs", ["RPL3"], ["INTS9"])
    >>> screen = Screen(Atlas("mine", "real", {"k562": line}), (graph,))
    >>> screen.graph("pairs").neighbours("INTS9")
    {'RPL3': 1.0}
    """

    atlas: Atlas
    graphs: tuple[KnowledgeGraph, ...]
    simulation: Simulation | None = None
    brings_graphs: bool = False
    _halves: pd.DataFrame | None = None
    _second: Callable[[str], CellLine | None] | None = None
    _more: dict[str, KnowledgeGraph] = field(default_factory=dict, init=False, repr=False)
    _experiments: dict[str, CellLine | None] = field(default_factory=dict, init=False, repr=False)

    @property
    def name(self) -> str:
        """The atlas' name."""
        return self.atlas.name

    @property
    def kind(self) -> Literal["real", "simulated"]:
        """Whether anything was measured."""
        return self.atlas.kind

    @property
    def lines(self) -> Mapping[str, CellLine]:
        """Cell lines by name."""
        return self.atlas.lines

    @property
    def unit(self) -> str:
        """What a delta is, in words."""
        if self.name in UNITS:
            return UNITS[self.name]
        first = next(iter(self.lines.values()))
        if not first.expression:
            return "call: -1 the readout gene falls, 0 it does not change, +1 it rises"
        return "difference from the controls, log1p of normalised counts" if first.control is not None else "delta"

    def __getitem__(self, line: str) -> CellLine:
        return self.atlas[line]

    def further(self, line: str) -> TrainingLine | None:
        """Training rows of the second experiment for perturbations that the line's own screen lacks; None without one.

        No row of a perturbation of the line itself is among them, whatever its split.
        """
        second = self.second(line)
        return None if second is None else second.training(without=map(str, self[line].perturbations))

    def perturbations(self) -> list[str]:
        """Every perturbation of every line, sorted."""
        return self.atlas.perturbations()

    def genes(self) -> list[str]:
        """Every gene of the graphs and every perturbation, sorted."""
        return sorted({str(s) for graph in self.graphs for s in graph.symbols} | set(self.perturbations()))

    def view(self, line: str, split: Split = "strict") -> TrainingView:
        """What predictors may see when `line` is evaluated (`Atlas.view`)."""
        return self.atlas.view(line, split)

    @cached_property
    def affinity(self) -> Affinity:
        """Features of how close knowledge puts two genes: every dated table and further graphs that were named, or
        the simulated screen's own graphs.
        """
        if self.brings_graphs:
            return Affinity.load(self.graphs, (), self.graphs)
        further = [_by_name(graph) for graph in self.graphs if graph.name not in DATED]
        return Affinity.load([*DATED, *further], self.perturbations(), self.graphs)

    @cached_property
    def graph_affinity(self) -> Affinity:
        """The same of the screen's graphs alone."""
        if self.brings_graphs:
            return self.affinity
        return Affinity.load([_by_name(graph) for graph in self.graphs], self.perturbations(), self.graphs)

    def graph(self, name: str) -> KnowledgeGraph:
        """One of `graphs` by its name, else a graph that `load_graphs` knows, or an edge list by its path.

        InputError for an unknown name, and for a graph of real biology where the screen is a simulation.
        """
        known = {graph.name: graph for graph in self.graphs} | self._more
        if name not in known:
            if self.brings_graphs and "." not in name:
                raise InputError(
                    f"The simulated screen has no graph {name!r}; it has "
                    f"{' and '.join(graph.name for graph in self.graphs) or 'none'}, as its graphs are made with it."
                )
            self._more[name] = known[name] = load_graphs(name, self.perturbations())[0]
        return known[name]

    @cached_property
    def halves(self) -> pd.DataFrame:
        """Split-half correlations, one row per line, perturbation and random split.

        Columns ``line``, ``perturbation``, ``n_cells``, ``split``, ``r``, and on a simulation ``shared``, the same with
        all controls in both halves. A saved screen has one split; a line without half-sample deltas has no row.
        """
        if self._halves is not None:
            return self._halves
        tables = [stored_split(line).assign(line=line.name) for line in self.lines.values() if line.half_a is not None]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=HALVES)

    def second(self, line: str) -> CellLine | None:
        """A second experiment on a line: new cells, controls and readouts of its own; None where there was none here.

        Of a simulation it is drawn, of `replogle` it is the genome-wide screen where that file is at hand.
        """
        if line not in self._experiments:
            self._experiments[line] = None if self._second is None else self._second(line)
        return self._experiments[line]

    def _repr_html_(self) -> str:
        lines, notes = self.atlas.card_parts()
        rows = [[g.name, str(len(g.symbols)), str(g.n_edges), g.provenance] for g in self.graphs]
        graphs = Table("Graphs", ["graph", "genes", "edges", "source"], rows)
        return card(f"Screen {self.atlas.label}", [], [lines, graphs], notes)


def _by_name(graph: KnowledgeGraph) -> str | KnowledgeGraph:
    """The name of a graph that comes with the library, else the graph."""
    return graph.name if graph.name in GRAPHS and graph.provenance == str(GRAPHS[graph.name]) else graph


def split_half(bulk: Pseudobulk, controls: Literal["split", "shared"] = "split") -> pd.DataFrame:
    """Split-half correlation of every perturbation, without its own readout, in every split that `bulk` accumulated.

    Columns ``perturbation``, ``n_cells``, ``split`` and ``r``, one row for each perturbation and split.
    """
    frames = []
    for split in range(bulk.splits):
        first, second = bulk.halves(split, controls)
        r = pearson_delta(first, without_own_readouts(second, bulk.perturbations, bulk.genes))
        names = {"perturbation": bulk.perturbations, "n_cells": bulk.n_cells, "split": split, "r": r}
        frames.append(pd.DataFrame(names))
    if not frames:
        raise InputError("Reproducibility needs at least one random split; accumulate the cells with splits=10.")
    return pd.concat(frames, ignore_index=True)


def stored_split(line: CellLine) -> pd.DataFrame:
    """The same table from the one pair of half-sample deltas that an atlas stores."""
    if line.half_a is None or line.half_b is None:
        raise InputError(f"{line.name} has no half-sample deltas, so its reproducibility is unknown.")
    r = pearson_delta(line.half_a, without_own_readouts(line.half_b, line.perturbations, line.genes))
    return pd.DataFrame({"perturbation": line.perturbations, "n_cells": line.n_cells, "split": 0, "r": r})
