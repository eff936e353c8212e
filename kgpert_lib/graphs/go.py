"""Gene Ontology: genes that are annotated with the same specific terms.

A gene's annotations are carried up to all more general terms along is_a and part_of. A term's information
content is ``-log p``, p being the share of annotated genes that carry it, so sharing "Integrator complex"
counts for much and sharing "protein binding" for little. The paper does not say how its GO graph was made:
the similarity below is reconstructed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.graphs.cache import cached
from kgpert_lib.graphs.go_release import read_gaf, read_obo
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.ranking import descending, first_of_row
from kgpert_lib.metrics.chunks import chunks

Measure = Literal["cosine", "jaccard", "shared"]
ONTOLOGIES = ("BP", "CC", "MF")
CLOSURE = ("is_a", "part_of")
BLOCK = 500
COMMON = 0.05
TOLERANCE = 1e-6


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


def load(
    measure: Measure = "cosine",
    keep: int | None = 100,
    max_size: int = 100,
    ontologies: Collection[str] = ONTOLOGIES,
    without_evidence: Collection[str] = ("ND",),
    release: tuple[str | Path, str | Path] | None = None,
    name: str | None = None,
) -> KnowledgeGraph:
    """The graph of gene pairs with similar annotations.

    Parameters
    ----------
    measure : ``"cosine"`` and ``"jaccard"`` compare the genes' term sets with each term weighing its
        information content; ``"shared"`` is the number of shared terms that at most `max_size` genes carry.
    keep : strongest edges kept for each gene (ties by symbol); an edge stays if either end keeps it. None
        keeps every positive similarity.
    ontologies, without_evidence : which direct annotations count.
    release : paths of ``go-basic.obo`` and ``goa_human.gaf.gz`` to use instead of the committed tables.

    The graph over all genes takes 10 to 35 s to build; it is kept in the cache folder (`cache.cached`).
    Raises InputError for an unknown measure or ontology, an unusable release, and when no pair is similar.
    """
    if measure not in get_args(Measure):
        raise InputError(f"Unknown GO measure {measure!r}; choose from {', '.join(get_args(Measure))}.")
    foreign = sorted(set(ontologies) - set(ONTOLOGIES))
    if foreign or not ontologies:
        raise InputError(f"Unknown ontology {''.join(foreign[:1])!r}; choose from {', '.join(ONTOLOGIES)}.")
    label = name or ("go" if measure == "cosine" else f"go-{measure}")

    def build() -> KnowledgeGraph:
        return similarity_graph(annotate(ontologies, without_evidence, release), label, measure, keep, max_size)

    files = [Path(p) for p in release or _committed()]
    absent = [file for file in files if not file.is_file()]
    if absent:
        raise InputError(f"There is no file {absent[0]}; 'kgpert fetch go' downloads GO's release.")
    parameters = {
        "measure": measure,
        "keep": keep,
        "max_size": max_size if measure == "shared" else None,
        "ontologies": sorted(ontologies),
        "without_evidence": sorted(without_evidence),
    }
    return cached(label, files, parameters, build)


def annotate(
    ontologies: Collection[str] = ONTOLOGIES,
    without_evidence: Collection[str] = ("ND",),
    release: tuple[str | Path, str | Path] | None = None,
) -> Annotations:
    """Read the tables and carry every annotation up to its ancestors along is_a and part_of.

    The committed tables are read once per process and choice of annotations. InputError where no annotation is left.
    """
    choice = tuple(sorted(ontologies)), tuple(sorted(without_evidence))
    if release is None:
        return _annotate_committed(*choice, *_committed())
    return _annotate(*choice, read_gaf(release[1]), read_obo(release[0]))


@lru_cache(maxsize=4)
def _annotate_committed(
    ontologies: tuple[str, ...], without_evidence: tuple[str, ...], annotations: Path, edges: Path
) -> Annotations:
    tables = (pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False) for path in (annotations, edges))
    return _annotate(ontologies, without_evidence, *tables)


def _annotate(
    ontologies: tuple[str, ...], without_evidence: tuple[str, ...], direct: pd.DataFrame, edges: pd.DataFrame
) -> Annotations:
    direct = direct[direct["ontology"].isin(ontologies) & ~direct["evidence"].isin(without_evidence)]
    if direct.empty:
        raise InputError("No GO annotation is left of the chosen ontologies and evidence codes.")
    return closed(direct, edges)


def closed(direct: pd.DataFrame, edges: pd.DataFrame) -> Annotations:
    """Close `direct` (columns symbol, go_id) over the is_a and part_of rows of `edges` (child, parent, relation)."""
    edges = edges[edges["relation"].isin(CLOSURE)]
    terms = np.unique(np.concatenate([direct["go_id"], edges["child"], edges["parent"]]).astype(str))
    genes, gene = np.unique(direct["symbol"].to_numpy(str), return_inverse=True)
    child, parent, term = (
        np.searchsorted(terms, column.to_numpy(str)) for column in (edges["child"], edges["parent"], direct["go_id"])
    )
    up = sp.csr_matrix((np.ones(len(child), bool), (child, parent)), shape=(len(terms), len(terms)))
    carried = sp.csr_matrix((np.ones(len(gene), bool), (gene, term)), shape=(len(genes), len(terms)))
    reached, before = carried, -1
    while carried.nnz > before:
        before = carried.nnz
        reached = reached @ up
        carried = carried + reached
    used = np.flatnonzero(carried.getnnz(axis=0))
    carried = carried[:, used].tocsr()
    return Annotations(genes, terms[used], carried, -np.log(carried.getnnz(axis=0) / len(genes)))


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


def _committed() -> tuple[Path, Path]:
    folder = paths.DATA / "knowledge"
    return folder / "go_annotations.tsv.gz", folder / "go_edges.tsv.gz"
