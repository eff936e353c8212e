"""Files of a STRING release (``kgpert fetch string``): weighted graphs at any threshold.

The committed tables of STRING are read by `links.load`.
"""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph

CHUNK = 1_000_000


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
