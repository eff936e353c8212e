"""What the explorer says of a gene in a cell line by a predictor, as plain data (`evaluation.explain`)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from kgpert_lib.evaluation.explain import LISTED, Explanations
from kgpert_lib.evaluation.readouts import strongest_places, symbol_order
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.ranking import descending
from kgpert_lib.predictors.neighbourhoods import Neighbour
from kgpert_lib.screens.atlas import NOT_SCREENED
from kgpert_lib.types import FloatArray, NameArray

READOUTS = 15  # readout genes in each direction
SMALLEST = 0.02  # share of the mean from which on a neighbour is listed, beside the first `FIRST`
FIRST = 5
DRAWN = 3  # links to other neighbours that are drawn for each
DIGITS = 3
STATUS = {NOT_SCREENED: "none"}


def plain(value: float | None) -> float | int | None:
    """A number of `DIGITS` digits after the point, whole where it is; None for NaN."""
    if value is None or math.isnan(value):
        return None
    rounded = round(float(value), DIGITS)
    return int(rounded) if rounded == int(rounded) else rounded


@dataclass(frozen=True, eq=False)
class Links:
    """Which genes are linked in one of several graphs, to draw the edges between neighbours."""

    graphs: Sequence[KnowledgeGraph]
    genes: NameArray

    @cached_property
    def weight(self) -> FloatArray:
        """(g, g) float32 largest weight that a graph gives two of the genes; 0 for no edge."""
        weight = np.zeros((len(self.genes), len(self.genes)), np.float32)
        for graph in self.graphs:
            place = pd.Index(graph.symbols).get_indexer(pd.Index(self.genes))
            known = np.flatnonzero(place >= 0)
            part = np.ix_(known, known)
            weight[part] = np.maximum(weight[part], graph.adjacency[place[known]][:, place[known]].toarray())
        return weight

    @cached_property
    def place(self) -> dict[str, int]:
        """Row of each gene."""
        return {str(gene): row for row, gene in enumerate(self.genes)}

    def among(self, genes: Sequence[str]) -> list[list[int]]:
        """Pairs of places in `genes`: the `DRAWN` strongest links of each to others, each pair once."""
        if len(genes) < 2:
            return []
        rows = [self.place[gene] for gene in genes]
        weight = self.weight[np.ix_(rows, rows)]
        order = np.argsort(descending(weight), axis=1, kind="stable")[:, :DRAWN]
        drawn = np.zeros(weight.shape, bool)
        np.put_along_axis(drawn, order, True, axis=1)
        drawn &= weight > 0
        return np.argwhere(np.triu(drawn | drawn.T, 1)).tolist()


def records(
    batch: Explanations, links: Links, graphs: Sequence[str], unweighted: frozenset[str], measured: bool = True
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The record of each gene of a batch; none for a gene without a neighbour that was not screened in the line.

    Parameters
    ----------
    links : edges between training perturbations.
    graphs : names, in the order in which the records number them.
    unweighted : graphs whose edges have no weight.
    measured : whether measured deltas are included.
    """
    number = {name: str(k) for k, name in enumerate(graphs)}
    directions = {name: _readouts(batch, sign, measured) for name, sign in (("up", 1), ("down", -1))}
    for i, gene in enumerate(map(str, batch.predictions.perturbations)):
        neighbours = batch.neighbours(i)
        status = batch.status[i]
        if not neighbours and status == NOT_SCREENED:
            continue
        listed = [n for k, n in enumerate(neighbours[:LISTED]) if k < FIRST or n.share >= SMALLEST]
        score = batch.score.get(i)
        yield (
            gene,
            {
                "status": STATUS.get(status, status),
                "count": len(neighbours),
                "neighbours": [_neighbour(n, number, unweighted) for n in listed],
                "edges": links.among([n.gene for n in listed]),
                **{name: rows[i] for name, rows in directions.items()},
                "expected": expected(batch, i),
                "score": None
                if score is None
                else [plain(score["pearson"]), plain(score["centred_pearson"]), score["n_genes"]],
            },
        )


def expected(batch: Explanations, i: int) -> list[Any] | None:
    """Expected score, low and high end of its interval and the share of genes that it holds; None without trust."""
    values = batch.expectation(i)
    return None if values is None else [plain(values[key]) for key in ("pearson", "low", "high", "level")]


def _neighbour(neighbour: Neighbour, number: Mapping[str, str], unweighted: frozenset[str]) -> list[Any]:
    weights = {number[name]: None if name in unweighted else plain(weight) for name, weight in neighbour.graphs.items()}
    return [neighbour.gene, plain(neighbour.share), weights]


def _readouts(batch: Explanations, sign: int, measured: bool) -> list[list[list[Any]]]:
    """For each gene the readout genes that move most in one direction, as `Explanation.strongest` orders them."""
    delta = batch.predictions.delta
    row, column = strongest_places(delta, READOUTS, sign, symbol_order(batch.cells.genes))
    specific = delta[row, column] - batch.mean[row, column]
    truth = np.full(len(row), np.nan)
    if measured:
        own = np.array([batch.cells.index.get(str(p), -1) for p in batch.predictions.perturbations])[row]
        truth[own >= 0] = batch.cells.delta[own[own >= 0], column[own >= 0]]
    rows = [
        [c, plain(d), plain(s), n, plain(t)]
        for c, d, s, n, t in zip(
            column.tolist(),
            delta[row, column].tolist(),
            specific.tolist(),
            batch.counts[row, column].tolist(),
            truth.tolist(),
            strict=True,
        )
    ]
    ends = np.searchsorted(row, np.arange(len(delta) + 1))
    return [rows[start:stop] for start, stop in pairwise(ends)]
