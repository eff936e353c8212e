"""A table of every graph that comes with the library, and of how much of a screen each of them knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from kgpert_lib.graphs import load_graphs, symbols
from kgpert_lib.graphs.catalogue import GRAPHS

COLUMNS = ("graph", "title", "date", "older", "licence", "fetched", "genes", "edges")


def listing(perturbations: Mapping[str, Iterable[str]] | None = None) -> pd.DataFrame:
    """One row for each graph of `catalogue.GRAPHS`.

    `perturbations` are those of each cell line. Columns: graph (its name), title, date, ``older`` (than the screens),
    licence, ``fetched`` (False where its files have to be downloaded first), genes and edges (as the source spells
    genes), and for each line the share of its perturbations that are nodes of the graph, also under an alias
    (`symbols.match`). Counts and shares are NaN for a graph that is not fetched.
    """
    lines = {line: np.asarray(list(names), dtype=str) for line, names in (perturbations or {}).items()}
    every = {str(name) for names in lines.values() for name in names}
    rows = []
    for name, source in GRAPHS.items():
        row: dict[str, object] = dict.fromkeys([*COLUMNS, *lines], np.nan)
        row |= {"graph": name, "title": source.title, "date": source.date, "older": source.older_than_screens}
        row |= {"licence": source.licence, "fetched": source.at_hand}
        if source.at_hand:
            [graph] = load_graphs(name)
            aliases = symbols.match(map(str, graph.symbols), every).resolved
            row |= {"genes": len(graph.symbols), "edges": graph.n_edges}
            row |= {
                line: float((graph.known(names) | np.isin(names, list(aliases))).mean())
                for line, names in lines.items()
            }
        rows.append(row)
    return pd.DataFrame(rows, columns=[*COLUMNS, *lines]).astype({"genes": "Int64", "edges": "Int64"})
