"""Knowledge graphs by name.

To add a source, write a function that returns a `KnowledgeGraph` and enter it in `catalogue.GRAPHS`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.graphs import edgelist
from kgpert_lib.graphs.catalogue import GRAPHS
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import align

STANDARD = "string+go"
DATED = tuple(name for name, source in GRAPHS.items() if source.committed and source.older_than_screens)


def load_graphs(spec: str, names: Iterable[str] | None = None) -> list[KnowledgeGraph]:
    """One graph for each name in `spec`, joined by ``+``, such as ``"string+go"`` or ``"string+mine.csv"``.

    Parameters
    ----------
    spec : names of `GRAPHS`, and paths of csv or tsv edge lists (`edgelist.read`; a warning counts the rows that were
        left out).
    names : genes such as an atlas' perturbations, whose spelling aliases take (`align`); None: as the graphs spell.

    Raises
    ------
    InputError
        For an unknown name, for a graph named twice, and for an edge list that cannot be read.

    Examples
    --------
    >>> from kgpert_lib import load_graphs
    >>> [string] = load_graphs("string")
    >>> string.provenance
    'STRING v11.0, combined score from 800 (2019-03, CC BY 4.0)'
    >>> list(string.neighbours("INTS9"))[:3]
    ['INTS1', 'INTS11', 'INTS3']
    """
    parts = graph_names(spec)
    repeated = sorted({part for part in parts if parts.count(part) > 1})
    if repeated:
        raise InputError(f"The graph {repeated[0]!r} is named more than once in {spec!r}; name it once.")
    for name in parts:
        if name not in GRAPHS and not _is_edge_list(name):
            raise InputError(
                f"Unknown graph {name!r}; choose from {', '.join(GRAPHS)} or give the path of a .csv or .tsv edge list."
            )
    spelling = None if names is None else tuple(sorted(set(map(str, names))))
    graphs = [_load(name, spelling) for name in parts]
    labels = [graph.name for graph in graphs]
    if len(set(labels)) < len(labels):
        raise InputError(f"Two graphs of {spec!r} are both called {max(labels, key=labels.count)!r}; rename a file.")
    return graphs


def graph_names(spec: str) -> list[str]:
    """The names in a specification such as ``"string + go"``, without the blanks around them."""
    return [part.strip() for part in spec.split("+")]


def _is_edge_list(name: str) -> bool:
    return Path(name).suffix.lower() in (".csv", ".tsv")


def _load(name: str, spelling: tuple[str, ...] | None) -> KnowledgeGraph:
    """A graph by its name or path; the committed tables are read and renamed once per process and screen."""
    if name in GRAPHS and GRAPHS[name].committed:
        return _committed(name, spelling, paths.DATA)
    return _renamed(_edge_list(name) if _is_edge_list(name) else _described(name), spelling)


@lru_cache(maxsize=2 * len(GRAPHS))
def _committed(name: str, spelling: tuple[str, ...] | None, data: Path) -> KnowledgeGraph:
    return _renamed(_described(name), spelling)


def _described(name: str) -> KnowledgeGraph:
    """The graph of a name in `GRAPHS` with its provenance."""
    return replace(GRAPHS[name].load(), provenance=str(GRAPHS[name]))


def _renamed(graph: KnowledgeGraph, spelling: tuple[str, ...] | None) -> KnowledgeGraph:
    return graph if spelling is None else align(graph, spelling)[0]


def _edge_list(name: str) -> KnowledgeGraph:
    graph, report = edgelist.read(name)
    if report.rejected:
        warnings.warn(str(report), stacklevel=4)
    return graph
