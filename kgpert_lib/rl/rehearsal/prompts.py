"""Questions in the words of the small gene-edit model: a line of words for a question, a line for its answer (ours).

The target is described by its line, the size of its neighbourhood and its GO terms, so that a gene that was never
trained on has a description. Each neighbour and each candidate is two words: how knowledge ties it to the target, and
its symbol. No delta goes into a question. An answer is words that join to the JSON of every other model, read by the
same parser.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.graphs.go import annotate
from kgpert_lib.graphs.symbols import gene_names
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods
from kgpert_lib.rl.tasks import EditTasks, LineTasks
from kgpert_lib.types import FloatArray

NEIGHBOURS, CANDIDATES = 24, 16  # that a question shows; an answer can move no others
TERMS = 3  # GO terms of the target
TERM_SIZES = 5, 150  # perturbations of the atlas that a GO term is shared by
LEVELS = 4  # of every strength: none and three thirds
SIZES = (0, 2, 5, 10, 20)  # of a neighbourhood, each the largest of its word
MATES = (1e-6, 0.25, 0.5)  # share of the neighbourhood that a gene is joined with
NEAR, FAR, ASK = "near", "far", "ask"
OPEN, BETWEEN, CLOSE = '{"add":[', '],"remove":[', "]}"
STRUCTURE = (OPEN, BETWEEN, CLOSE)
UNKNOWN = "<unk>"


@dataclass(frozen=True)
class Words:
    """What a question is written with; fitted on the questions of the training.

    Attributes
    ----------
    thirds : for each graph, the two strengths that part its ties in three; a tie is what `LineTasks.wider` gives.
    genes : symbols that have a word, sorted. terms : GO terms that have one, sorted. lines : sorted.
    """

    thirds: Mapping[str, tuple[float, float]]
    genes: tuple[str, ...]
    terms: tuple[str, ...]
    lines: tuple[str, ...]

    @classmethod
    def of(cls, tasks: EditTasks, genes: Iterable[str]) -> Words:
        """Fitted on the questions of some tasks; `genes` are all that may ever be shown, such as those of the atlas."""
        ties: dict[str, list[NDArray[np.float32]]] = {}
        for line in tasks.lines.values():
            for graph, matrix in line.wider.neighbourhoods(line.view, list(map(str, line.genes))).by_graph.items():
                ties.setdefault(graph, []).append(matrix.data)
        thirds = {graph: _thirds(np.concatenate(parts)) for graph, parts in sorted(ties.items())}
        known = tuple(sorted(set(genes)))
        return cls(thirds, known, _shared_terms(known), tuple(sorted(tasks.lines)))

    @property
    def vocabulary(self) -> list[str]:
        """Every word but the special ones, the genes last."""
        levels = ["".join(map(str, each)) for each in product(range(LEVELS), repeat=len(self.thirds) + 1)]
        given = ["".join(map(str, each)) for each in product(range(2), repeat=len(self.thirds))]
        near = [f"n{a}-{b}" for a, b in product(given, levels)]
        sizes = [f"size{i}" for i in range(len(SIZES) + 1)]
        head = [NEAR, FAR, ASK, *STRUCTURE, *self.lines, *sizes, *self.terms, *near, *(f"c-{b}" for b in levels)]
        return [*head, *map(quoted, self.genes)]

    @cached_property
    def _terms_of(self) -> dict[str, list[str]]:
        return _terms_by_gene(self.terms)

    def prompts(self, line: LineTasks) -> dict[str, Prompt]:
        """The question about every perturbation of a line, by gene; what is closest by `wider` comes first."""
        genes, training = list(map(str, line.genes)), list(map(str, line.view.target.perturbations))
        wider = line.wider.neighbourhoods(line.view, genes)
        weight, near = wider.weights.toarray(), line.neighbourhoods.weights.toarray() > 0
        marks = [_level(_dense(wider, graph), *thirds) for graph, thirds in self.thirds.items()]
        marks.append(np.digitize(_mates(line, near), MATES).astype(np.int8))
        flags = [_dense(line.neighbourhoods, graph) > 0 for graph in self.thirds]
        out = {}
        for row, gene in enumerate(genes):
            order = np.lexsort((training, -weight[row]))
            inside = [j for j in order if near[row, j]][:NEIGHBOURS]
            outside = [j for j in order if not near[row, j] and weight[row, j] > 0 and training[j] != gene][:CANDIDATES]
            words = [*self._target(line.view.line, gene, int(near[row].sum())), NEAR]
            for j in inside:
                words += [f"n{_digits(flags, row, j)}-{_digits(marks, row, j)}", quoted(training[j])]
            words.append(FAR)
            for j in outside:
                words += [f"c-{_digits(marks, row, j)}", quoted(training[j])]
            genes_shown = (tuple(training[j] for j in members) for members in (inside, outside))
            out[gene] = Prompt(" ".join([*words, ASK]), *genes_shown)
        return out

    def _target(self, line: str, gene: str, size: int) -> list[str]:
        """What describes the gene that is asked about."""
        terms = self._terms_of.get(_approved(gene), [])[:TERMS]
        return [line if line in self.lines else UNKNOWN, f"size{np.searchsorted(SIZES, size)}", *terms]


@dataclass(frozen=True)
class Prompt:
    """A question as text, and the genes that it shows, closest first."""

    text: str
    neighbours: tuple[str, ...]
    candidates: tuple[str, ...]


def answer(added: Sequence[str], removed: Sequence[str]) -> str:
    """An answer in the model's words, each followed by a blank.

    >>> answer(["PSMB5"], [])
    '{"add":[ "PSMB5", ],"remove":[ ]}'
    """
    return " ".join([OPEN, *map(quoted, added), BETWEEN, *map(quoted, removed), CLOSE])


def quoted(gene: str) -> str:
    """The word of a gene."""
    return f'"{gene}",'


def _thirds(values: NDArray[np.float32]) -> tuple[float, float]:
    low, high = np.quantile(values, [1 / 3, 2 / 3]).tolist() if len(values) else (0.0, 0.0)
    return float(f"{low:.3g}"), float(f"{high:.3g}")


def _level(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.int8]:
    """0 where there is no tie, else 1 to 3."""
    return np.where(values > 0, 1 + (values > low) + (values > high), 0).astype(np.int8)


def _dense(neighbourhoods: Neighbourhoods, graph: str) -> FloatArray:
    """(n, t) weights of the ties that a graph gives; 0 where it gives none."""
    matrix = neighbourhoods.by_graph.get(graph)
    return np.zeros(neighbourhoods.weights.shape, np.float32) if matrix is None else matrix.toarray()


def _mates(line: LineTasks, near: NDArray[np.bool_]) -> FloatArray:
    """(n, t) share of each neighbourhood that is beside a training perturbation in the graphs."""
    training = list(map(str, line.view.target.perturbations))
    beside = line.union.neighbourhoods(line.view, training).weights.astype(bool).astype(np.float32)
    return np.asarray(near.astype(np.float32) @ beside.T) / np.maximum(near.sum(axis=1, keepdims=True), 1)


def _digits(parts: Sequence[NDArray], row: int, column: int) -> str:
    return "".join(str(int(part[row, column])) for part in parts)


def _approved(gene: str) -> str:
    return gene_names().approved(gene) or gene


def _shared_terms(genes: Sequence[str]) -> tuple[str, ...]:
    """GO terms that as many of the genes share as `TERM_SIZES` says."""
    annotated = annotate()
    rows = np.isin(annotated.genes, [_approved(gene) for gene in genes])
    size = np.asarray(annotated.carried[rows].sum(axis=0)).ravel()
    return tuple(map(str, annotated.terms[(size >= TERM_SIZES[0]) & (size <= TERM_SIZES[1])]))


def _terms_by_gene(terms: Sequence[str]) -> dict[str, list[str]]:
    """The terms of each annotated gene, rarest first."""
    annotated = annotate()
    columns = pd.Index(annotated.terms).get_indexer(pd.Index(terms))
    order = columns[np.lexsort((annotated.terms[columns], -annotated.information[columns]))]
    part = annotated.carried[:, order].tocsr()
    return {
        str(gene): list(map(str, annotated.terms[order[part.indices[part.indptr[i] : part.indptr[i + 1]]]]))
        for i, gene in enumerate(annotated.genes)
        if part.indptr[i + 1] > part.indptr[i]
    }
