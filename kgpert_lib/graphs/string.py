"""STRING v12: which human proteins bind or work together.

The committed table holds the physical links with a score of at least 900, without their scores. The full
release (``kgpert fetch string``) gives weighted graphs at any threshold.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import respelt

CHUNK = 1_000_000


def load(column: str = "combined_score", name: str = "string") -> KnowledgeGraph:
    """STRING v11.0 of 2019: links with a combined score of at least 800, weighing score / 1000.

    `column` ``"coexpression_score"`` weighs the same links by their coexpression channel alone, where it says anything.
    """
    table = pairs("string_v11.0_ge800_scores_2019-03.tsv.gz")
    table = table[table[column] > 0]
    return KnowledgeGraph.from_edges(name, table["gene1"], table["gene2"], table[column] / 1000)


def load_experimental(name: str = "string-experimental") -> KnowledgeGraph:
    """STRING v10.5, the channel of experiments alone: an edge weighs the confidence, .15 to 1."""
    table = pairs("string_v10.5_experimental_confidence.tsv.gz")
    return KnowledgeGraph.from_edges(name, table["gene1"], table["gene2"], table["confidence"])


def load_v12(name: str = "string-v12") -> KnowledgeGraph:
    """STRING v12 of 2023: 36,710 physical links with a score of at least 900, unweighted."""
    table = pairs("string_physical_v12_min900.tsv.gz", folder="")
    return KnowledgeGraph.from_edges(name, table["gene1"], table["gene2"])


def pairs(file: str, folder: str = "dated") -> pd.DataFrame:
    """A committed table of gene pairs: columns gene1, gene2 and scores, symbols as the gene table writes them."""
    path = paths.DATA / "knowledge" / folder / file
    table = pd.read_csv(path, sep="\t", keep_default_na=False, dtype={"gene1": str, "gene2": str})
    both = respelt(pd.concat([table["gene1"], table["gene2"]]))
    return table.assign(gene1=both[: len(table)], gene2=both[len(table) :])


def read_release(links: str | Path, info: str | Path, min_score: int = 700, name: str = "string") -> KnowledgeGraph:
    """A weighted graph from STRING's own files; an edge weighs its combined score / 1000.

    Parameters
    ----------
    links : ``9606.protein.links.v12.0.txt.gz`` or its ``physical`` variant (columns protein1, protein2,
        combined_score, separated by blanks), read in chunks.
    info : ``9606.protein.info.v12.0.txt.gz``, which names each protein's gene.
    min_score : lowest combined score kept, 0 to 1000; STRING calls 400 medium, 700 high, 900 highest confidence.

    Raises
    ------
    InputError
        When a file is missing, damaged or of another layout, or when no link reaches `min_score`.
    """
    proteins = pd.concat(_read(info, ["#string_protein_id", "preferred_name"], "\t"))
    symbols, place = np.unique(proteins["preferred_name"].to_numpy(str), return_inverse=True)
    row = dict(zip(proteins["#string_protein_id"], place, strict=True))
    chunks = []
    for chunk in _read(links, ["protein1", "protein2", "combined_score"], " "):
        strong = chunk[chunk["combined_score"] >= min_score]
        pairs = pd.DataFrame({end: strong[end].map(row) for end in ("protein1", "protein2")})
        chunks.append(pairs.assign(weight=strong["combined_score"] / 1000).dropna())
    edges = pd.concat(chunks).sort_values("weight").drop_duplicates(["protein1", "protein2"], keep="last")
    if edges.empty:
        raise InputError(f"{links} has no link of score {min_score} or more between proteins that {info} names.")
    cells = edges["protein1"].to_numpy(int), edges["protein2"].to_numpy(int)
    matrix = sp.csr_matrix((edges["weight"], cells), shape=(len(symbols), len(symbols)))
    return KnowledgeGraph.from_matrix(name, symbols, matrix)


def two_step(graph: KnowledgeGraph) -> KnowledgeGraph:
    """Genes one or two steps apart, weighted by ``B + B @ B`` with ``B = D^-1/2 A D^-1/2`` (reconstructed).

    B divides an edge by the geometric mean of both genes' degrees, so hubs do not dominate, and ``B @ B``
    adds the common neighbours of two genes; unlike a random walk's matrix it is symmetric.
    """
    degree = np.asarray(graph.adjacency.sum(axis=1)).ravel()
    scale = sp.diags(1 / np.sqrt(np.where(degree > 0, degree, 1)))
    once = (scale @ graph.adjacency @ scale).tocsr()
    return KnowledgeGraph.from_matrix(f"{graph.name}-two-step", graph.symbols, once + once @ once)


def _read(path: str | Path, columns: list[str], sep: str) -> Iterator[pd.DataFrame]:
    """Chunks of a release file; InputError when it cannot be read or lacks a column."""
    try:
        yield from pd.read_csv(path, sep=sep, usecols=columns, quoting=csv.QUOTE_NONE, chunksize=CHUNK)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; 'kgpert fetch string' downloads STRING's release.") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path} is not a whole STRING file with the columns {', '.join(columns)} ({error}); fetch it again."
        ) from error
