"""Screens whose deltas are expression and complete: what ceilings, magnitudes and controls can be read from.

>>> expression_names("simulated,perturbqa")
['simulated']
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.ceiling import SPLITS, compare, split_half, stored_split
from kgpert_lib.graphs import load_graphs
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.load import load_atlas
from kgpert_lib.screens.simulated.simulation import Simulation, simulate

CALLS = "perturbqa"
SIMULATED = "simulated"


@dataclass(frozen=True, eq=False)
class DenseScreen:
    """A screen with complete deltas, controls and replicates.

    Attributes
    ----------
    atlas : deltas without gaps, controls and half-sample deltas.
    graphs : what is known about its genes.
    halves : split-half correlations, a row a line, perturbation and random split: ``line``, ``perturbation``,
        ``n_cells``, ``split``, ``r``, and on a simulation ``shared``, the same with all controls in both halves.
    simulation : what the atlas was drawn from, where it was.
    """

    atlas: Atlas
    graphs: Sequence[KnowledgeGraph]
    halves: pd.DataFrame
    simulation: Simulation | None = None


def expression_names(atlas: str) -> list[str]:
    """The expression atlases that a chapter's parameter `atlas` names; ``["simulated"]`` where it names none."""
    names = [name.strip() for name in atlas.split(",") if name.strip()]
    return [name for name in names if name != CALLS] or [SIMULATED]


def load(
    atlas: str, lines: Sequence[str], graph: str = "string+go", seed: int = 0, size: str = "default"
) -> list[DenseScreen]:
    """Every expression atlas that a chapter's parameter `atlas` names (see `expression_names`).

    Parameters
    ----------
    atlas : comma list of ``simulated`` and directories that an atlas was saved in; ``perturbqa`` is passed over.
    lines : cell lines.
    graph : graphs of a saved atlas, as in `load_graphs`; a simulation brings its own.
    seed, size : of the simulation.

    Raises
    ------
    InputError
        For an atlas with gaps, without controls or without half-sample deltas.
    """
    return [
        _simulated(lines, seed, size) if name == SIMULATED else _saved(name, lines, graph)
        for name in expression_names(atlas)
    ]


def measured(screens: Sequence[DenseScreen]) -> pd.DataFrame:
    """What the simulations among `screens` know of each perturbation's reproducibility (`reproducibility.compare`)."""
    tables = [
        compare(screen.simulation, line.name, part, line.delta)
        for screen in screens
        if screen.simulation is not None
        for line, part in _with_halves(screen)
    ]
    if not tables:
        raise InputError("The truth is known of a simulation only; name `simulated` among the atlases.")
    return pd.concat(tables, ignore_index=True)


def _simulated(lines: Sequence[str], seed: int, size: str) -> DenseScreen:
    """One pass over the cells of each line gives its deltas and all of its random halves."""
    simulation = simulate(seed, size, lines)
    found: dict[str, CellLine] = {}
    halves = []
    for name in simulation.lines:
        bulk = simulation.bulk(name, splits=SPLITS)
        found[name] = bulk.cell_line(name, simulation.world.splits[name])
        shared = split_half(bulk, "shared")["r"]
        halves.append(split_half(bulk).assign(line=name, shared=shared))
    return DenseScreen(simulation.as_atlas(found), simulation.graphs, pd.concat(halves, ignore_index=True), simulation)


def _saved(name: str, lines: Sequence[str], graph: str) -> DenseScreen:
    atlas = load_atlas(name, lines)
    for line in atlas.lines.values():
        if not line.dense or line.control is None:
            raise InputError(
                f"{name}: {line.name} has gaps or no controls; this part of the chapter needs expression deltas."
            )
    halves = [stored_split(line).assign(line=line.name) for line in atlas.lines.values()]
    return DenseScreen(atlas, load_graphs(graph, atlas.perturbations()), pd.concat(halves, ignore_index=True))


def _with_halves(screen: DenseScreen) -> list[tuple[CellLine, pd.DataFrame]]:
    return [(line, screen.halves[screen.halves["line"] == line.name]) for line in screen.atlas.lines.values()]
