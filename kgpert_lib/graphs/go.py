"""Gene Ontology: genes that are annotated with the same specific terms.

A gene's annotations are carried up to all more general terms along is_a and part_of. A term's information
content is ``-log p``, p being the share of annotated genes that carry it, so sharing "Integrator complex"
counts for much and sharing "protein binding" for little. The paper does not say how its GO graph was made:
the similarity below is reconstructed.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.graphs.cache import cached
from kgpert_lib.graphs.gene_sets import Annotations, Measure, Vectors, cached_vectors, read_gmt, similarity_graph
from kgpert_lib.graphs.go_release import read_gaf, read_obo
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import gene_table

ONTOLOGIES = ("BP", "CC", "MF")
CLOSURE = ("is_a", "part_of")
PROTEIN_BINDING = "GO:0005515"  # in the dated table a term of thousands of genes that says nothing


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


def load_dated(name: str = "go", keep: int | None = 100) -> KnowledgeGraph:
    """The graph of `load` from the annotations of August 2021, which are older than the screens (`annotate_dated`)."""
    return cached(name, _dated(), {"keep": keep}, lambda: similarity_graph(annotate_dated(), name, keep=keep))


@lru_cache(maxsize=2)
def annotate_dated() -> Annotations:
    """The annotations of August 2021 carried up along the terms of July 2022.

    Direct annotations with "protein binding" do not count; a gene with a more specific kind of binding still carries
    it. The table has no evidence codes.
    """
    direct = read_gmt(dated_file()).rename(columns={"set": "go_id"})
    edges = pd.read_csv(_committed()[1], sep="\t", dtype=str, keep_default_na=False)
    return closed(direct[direct["go_id"] != PROTEIN_BINDING], edges)


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


def vectors() -> Vectors:
    """Unit vectors of the annotations of August 2021 (`gene_sets.unit_vectors`)."""
    return cached_vectors("go", _dated(), annotate_dated)


def vectors_2022() -> Vectors:
    """The same of September 2022."""
    return cached_vectors("go-2022", _committed(), annotate)


def dated_file() -> Path:
    """The table of August 2021."""
    return paths.DATA / "knowledge" / "dated" / "go_all_pathfindR_2021-08-20.gmt.gz"


def _dated() -> list[Path]:
    """All that the annotations of August 2021 depend on."""
    return [dated_file(), _committed()[1], gene_table()]


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


def _committed() -> tuple[Path, Path]:
    folder = paths.DATA / "knowledge"
    return folder / "go_annotations.tsv.gz", folder / "go_edges.tsv.gz"
