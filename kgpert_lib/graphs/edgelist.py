"""A graph from any table of gene pairs."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import scipy.sparse as sp

from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic, digest
from kgpert_lib.graphs.graph import KnowledgeGraph

SEPARATORS = "\t,;| "
GENE_HEADERS = frozenset(
    f"{word}{gap}{end}"
    for word in ("gene", "symbol", "node", "protein")
    for gap in ("", "_", " ", ".")
    for end in ("1", "2", "a", "b")
) | {"source", "target", "from", "to", "gene", "neighbour", "neighbor"}
WEIGHT_HEADERS = frozenset({"weight", "score", "combined_score", "similarity", "correlation", "confidence"})
EXAMPLES = 3


@dataclass(frozen=True)
class EdgeListReport:
    """What was read: the number of usable rows, of rows left out, and the first three of those with the reason."""

    path: str
    used: int
    rejected: int
    examples: tuple[str, ...]

    def __str__(self) -> str:
        text = f"{self.path}: {self.used} rows used, {self.rejected} left out"
        more = self.rejected - len(self.examples)
        return (
            f"{text} ({'; '.join(self.examples)}{f'; and {more} more' if more else ''})."
            if self.rejected
            else f"{text}."
        )


def read(path: str | Path, name: str | None = None) -> tuple[KnowledgeGraph, EdgeListReport]:
    """Read an undirected graph from a text table with two gene columns and an optional weight.

    Columns are found by header (gene1/gene2, source/target, ...; weight, score, ...), else the first two are
    the genes and a numeric third the weight. The separator is the first of tab, comma, semicolon, bar and
    blank that the first line holds; lines that start with ``#`` are comments. Rows without a gene, of a gene
    with itself, or whose weight is not a positive finite number are left out and counted; a pair given twice
    keeps its larger weight. The graph is named after the file unless `name` is given; its provenance is path and
    checksum of the file.

    Raises
    ------
    InputError
        When the file is missing, not text, has one column only, or no usable row.

    Examples
    --------
    >>> import tempfile
    >>> from kgpert_lib import KnowledgeGraph
    >>> from kgpert_lib.graphs.edgelist import read, write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(KnowledgeGraph.from_edges("mine", ["INTS9"], ["INTS4"], [0.9]), f"{folder}/mine.csv")
    ...     graph, report = read(f"{folder}/mine.csv")
    >>> graph.name, graph.n_edges, report.used, report.rejected
    ('mine', 1, 1, 0)
    """
    rows = list(_rows(Path(path)))
    if not rows:
        raise InputError(f"{path} is empty; an edge list needs two gene columns.")
    if len(rows[0][1]) < 2:
        raise InputError(f"{path} has one column only; an edge list needs two gene columns and may have a weight.")
    (a, b), w, header = _columns([cells for _, cells in rows])
    edges, problems = [], []
    for number, cells in rows[header:]:
        edge = _edge([cells[i] if i is not None and i < len(cells) else "" for i in (a, b, w)], w is not None)
        if isinstance(edge, str):
            problems.append(f"line {number}: {edge}")
        else:
            edges.append(edge)
    report = EdgeListReport(str(path), len(edges), len(problems), tuple(problems[:EXAMPLES]))
    if not edges:
        raise InputError(
            f"No row of the edge list can be used: {report}" if problems else f"{path} holds a header only."
        )
    source, target, weight = zip(*edges, strict=True)
    graph = KnowledgeGraph.from_edges(name or Path(path).stem, source, target, weight if w is not None else None)
    return replace(graph, provenance=f"edge list {path}, sha256 {digest(Path(path))[:12]}"), report


def write(graph: KnowledgeGraph, path: str | Path) -> None:
    """Write the edges as a csv with the columns gene1, gene2 and, if the graph has weights, weight.

    OutputError where the disk refuses.
    """
    edges = sp.triu(graph.adjacency).tocoo()
    table = pd.DataFrame({"gene1": graph.symbols[edges.row], "gene2": graph.symbols[edges.col]})
    if graph.weighted:
        table["weight"] = edges.data
    with atomic(path) as scratch:
        table.to_csv(scratch, index=False)


def _rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Line number and stripped cells of every line that is neither blank nor a comment."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = [(n, line) for n, line in enumerate(file, 1) if line.strip() and not line.startswith("#")]
    except (FileNotFoundError, IsADirectoryError) as error:
        raise InputError(f"There is no edge list {path}.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read as a text table ({error}).") from error
    separator = next((s for s in SEPARATORS if lines and s in lines[0][1].strip()), ",")
    for number, line in lines:
        text = line.strip() if separator == " " else line.strip("\r\n")
        try:
            cells = next(csv.reader([text], delimiter=separator, skipinitialspace=True))
        except csv.Error as error:  # a cell above 131,072 characters, such as a quotation mark that is never closed
            raise InputError(f"{path}, line {number}: {error}; an edge list has short cells.") from error
        yield number, [cell.strip() for cell in cells]


def _columns(rows: list[list[str]]) -> tuple[tuple[int, int], int | None, bool]:
    """The two gene columns, the weight column if there is one, and whether the first row is a header."""
    titles = [cell.lower() for cell in rows[0]]
    genes = [i for i, title in enumerate(titles) if title in GENE_HEADERS]
    weight = next((i for i, title in enumerate(titles) if title in WEIGHT_HEADERS), None)
    if len(genes) >= 2:
        return (genes[0], genes[1]), weight, True
    if weight is not None:
        others = [i for i in range(len(titles)) if i != weight]
        if len(others) >= 2:
            return (others[0], others[1]), weight, True
    numeric = [len(row) > 2 and _number(row[2]) is not None for row in rows[:100]]
    return (0, 1), 2 if any(numeric) else None, not numeric[0] and any(numeric[1:2])


def _edge(cells: list[str], weighted: bool) -> tuple[str, str, float] | str:
    """The edge of one row, or why there is none."""
    a, b, text = cells
    if not a or not b:
        return "a gene is missing"
    if a == b:
        return f"{a} is paired with itself"
    if not weighted:
        return a, b, 1.0
    weight = _number(text)
    if weight is None:
        return f"the weight {text!r} is not a number"
    if not (math.isfinite(weight) and weight > 0):
        return f"the weight {text} is not a positive finite number"
    return a, b, weight


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
