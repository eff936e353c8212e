"""Gene sets as graphs: genes that share annotations, complexes, pathways, modules or domains are neighbours.

A set's information content is ``-log p``, p being the share of genes in it, so that sharing a complex of twelve
counts for much and sharing a pathway of a thousand for little.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.cache import cached_arrays
from kgpert_lib.errors import InputError
from kgpert_lib.files import digest
from kgpert_lib.graphs.cache import cached
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.ranking import descending, first_of_row
from kgpert_lib.graphs.symbols import gene_table, respelt
from kgpert_lib.metrics.chunks import chunks

Measure = Literal["cosine", "jaccard", "shared"]
BLOCK = 500
COMMON = 0.05
TOLERANCE = 1e-6


def load(
    path: Path, name: str, measure: Measure = "cosine", keep: int | None = 100, by_confidence: bool = False
) -> KnowledgeGraph:
    """The graph of gene pairs that share sets of a gmt file, kept in the cache folder (`cache.cached`).

    With `by_confidence` a set weighs less the lower its stated confidence is (`confidence`).
    """

    def build() -> KnowledgeGraph:
        return similarity_graph(memberships(read_gmt(path), by_confidence), name, measure, keep)

    return cached(name, [path, gene_table()], {"measure": measure, "keep": keep, "by_confidence": by_confidence}, build)


class Vectors(NamedTuple):
    """`genes` (g,) and `rows` (g, t) CSR float32 of length 1, whose products are similarities (`unit_vectors`)."""

    genes: NDArray[np.str_]
    rows: sp.csr_matrix


def cached_vectors(name: str, files: Sequence[Path], build: Callable[[], Annotations]) -> Vectors:
    """The unit vectors of annotations, from the cache folder where an earlier call stored them."""

    def arrays() -> dict[str, NDArray]:
        annotated = build()
        rows = unit_vectors(annotated)
        parts = {"data": rows.data, "indices": rows.indices, "indptr": rows.indptr, "shape": np.array(rows.shape)}
        return {"genes": annotated.genes, **parts}

    def vectors(stored: Mapping[str, NDArray]) -> Vectors:
        parts = (stored["data"], stored["indices"], stored["indptr"])
        return Vectors(stored["genes"], sp.csr_matrix(parts, shape=tuple(stored["shape"])))

    key = digest(*files)[:16]
    return vectors(cached_arrays("vectors", f"{name}-{key}", arrays, vectors))


def load_vectors(path: Path, name: str, by_confidence: bool = False) -> Vectors:
    """The unit vectors of the genes in the sets of a gmt file."""
    return cached_vectors(name, [path, gene_table()], lambda: memberships(read_gmt(path), by_confidence))


def read_gmt(path: Path) -> pd.DataFrame:
    """Members of the sets of a gzipped gmt file: columns set, description, symbol, one row for each member.

    Lines without a member are left out. Symbols that are only spelt in other case are written as the gene table has
    them (`symbols.respelt`).
    Raises InputError for a file that is missing or damaged, or holds no set.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split("\t") for line in file]
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as a table of gene sets ({error}).") from error
    sets = [line for line in lines if len(line) > 2]
    rows = [(name, text, symbol) for name, text, *members in sets for symbol in dict.fromkeys(members) if symbol]
    if not rows:
        raise InputError(f"{path} holds no gene set.")
    table = pd.DataFrame(rows, columns=["set", "description", "symbol"])
    return table.assign(symbol=respelt(table["symbol"]))


def memberships(members: pd.DataFrame, by_confidence: bool = False) -> Annotations:
    """Which genes are in which of the sets of `read_gmt`; sets of one gene are left out."""
    weight = confidence(members["description"]) if by_confidence else pd.Series(1.0, members.index)
    terms, term = np.unique(members["set"].to_numpy(str), return_inverse=True)
    genes, gene = np.unique(members["symbol"].to_numpy(str), return_inverse=True)
    carried = sp.csr_matrix((np.ones(len(gene), bool), (gene, term)), shape=(len(genes), len(terms)))
    used = np.flatnonzero(carried.getnnz(axis=0) > 1)
    carried = carried[:, used].tocsr()
    weights = weight.groupby(term).first().to_numpy()[used]
    return Annotations(genes, terms[used], carried, -weights * np.log(carried.getnnz(axis=0) / len(genes)))


def confidence(descriptions: pd.Series) -> pd.Series:
    """hu.MAP's ``confidence=1`` (best) to ``confidence=5`` as weights 1 to .2."""
    return (6 - descriptions.str.removeprefix("confidence=").astype(float)) / 5


@dataclass(frozen=True, eq=False)
class Annotations:
    """Which terms each gene carries, directly or through a more specific term.

    `genes` (g,) sorted symbols; `terms` (t,) sorted GO ids that at least one gene carries; `carried` (g, t)
    boolean CSR; `information` (t,) -log share of the genes that carry the term, in nats.
    """

    genes: NDArray[np.str_]
    terms: NDArray[np.str_]
    carried: sp.csr_matrix
    information: NDArray[np.float64]


def similarity_graph(
    annotated: Annotations,
    name: str = "go",
    measure: Measure = "cosine",
    keep: int | None = 100,
    max_size: int = 100,
) -> KnowledgeGraph:
    """The graph of `load` from closed annotations."""
    weights, rescale = _vectors(annotated, measure, max_size)
    size = len(annotated.genes)
    common = weights.getnnz(axis=0) > COMMON * size
    dense, thin = weights[:, np.flatnonzero(common)].toarray(), weights[:, np.flatnonzero(~common)].tocsr()
    # In float64: a float32 product depends on the number of BLAS threads in its 7th digit, which is enough to turn
    # around two similarities that are equal to 6 digits, and with them a neighbourhood.
    dense = dense.astype(np.float64)
    dense_other, thin_other = np.ascontiguousarray(dense.T), thin.T.tocsr()
    norm = np.asarray(weights.multiply(weights).sum(axis=1)).ravel()
    blocks = []
    for here in chunks(size, BLOCK):
        shared = (thin[here] @ thin_other).tocoo()
        if common.any():
            block = (dense[here] @ dense_other).astype(np.float32)
            block[shared.row, shared.col] += shared.data
            block = rescale(block, norm[here, None], norm)
            row, col = np.nonzero(block >= _limit(block, keep))
            value = block[row, col]
        else:
            row, col = shared.row, shared.col
            value = rescale(shared.data, norm[row + here.start], norm[col])
        other = (col != row + here.start) & (value > TOLERANCE)
        blocks.append(_strongest(row[other], col[other], value[other], keep, (here.stop - here.start, size)))
    if not sum(block.nnz for block in blocks):
        raise InputError("No two of the chosen genes share a GO term that tells them from others.")
    return KnowledgeGraph.from_matrix(name, annotated.genes, sp.vstack(blocks, format="csr"))


def unit_vectors(annotated: Annotations) -> sp.csr_matrix:
    """(g, t) CSR float32 rows of length 1, a term weighing the root of its information content.

    Products of rows are cosine similarities in which a shared term counts with its information content.
    """
    vectors = _informative(annotated)
    length = np.sqrt(np.asarray(vectors.multiply(vectors).sum(axis=1)).ravel())
    return (sp.diags((1 / np.maximum(length, TOLERANCE)).astype(np.float32)) @ vectors).tocsr()


def _informative(annotated: Annotations) -> sp.csr_matrix:
    """(g, t) CSR float32: the root of the information content of each carried term that not every gene carries."""
    carried = annotated.carried.astype(np.float32)
    specific = np.flatnonzero(annotated.information > 0)
    return (carried[:, specific] @ sp.diags(np.sqrt(annotated.information[specific]).astype(np.float32))).tocsr()


def _vectors(annotated: Annotations, measure: Measure, max_size: int) -> tuple[sp.csr_matrix, Callable]:
    """(g, t) float32 vectors, and what turns their inner products and squared lengths into the measure."""
    if measure == "shared":
        carried = annotated.carried.astype(np.float32)
        return carried[:, np.flatnonzero(carried.getnnz(axis=0) <= max_size)].tocsr(), lambda dot, a, b: dot
    if measure == "jaccard":
        return _informative(annotated), lambda dot, a, b: dot / np.maximum(a + b - dot, TOLERANCE)
    return unit_vectors(annotated), lambda dot, a, b: dot


def _limit(block: NDArray[np.float32], keep: int | None) -> NDArray[np.float32] | float:
    """What a value has to reach to be among its row's `keep` largest beside the gene itself."""
    if keep is None or keep + 1 >= block.shape[1]:
        return TOLERANCE
    return np.maximum(np.partition(block, -keep - 1, axis=1)[:, [-keep - 1]] - TOLERANCE, TOLERANCE)


def _strongest(
    row: NDArray[np.intp], col: NDArray[np.intp], value: NDArray[np.float32], keep: int | None, shape: tuple[int, int]
) -> sp.csr_matrix:
    """CSR of each row's `keep` largest values."""
    if keep is not None:
        first = first_of_row(row, descending(value), col, keep)
        row, col, value = row[first], col[first], value[first]
    return sp.csr_matrix((value, (row, col)), shape=shape)
