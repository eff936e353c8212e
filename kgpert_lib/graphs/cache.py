"""Derived graphs on disk, so that a graph that takes seconds to build is built once."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgpert_lib import paths
from kgpert_lib.graphs.graph import KnowledgeGraph

FORMAT = 1
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, IndexError, TypeError)


def cached(
    name: str, files: Sequence[Path], parameters: Mapping[str, Any], build: Callable[[], KnowledgeGraph]
) -> KnowledgeGraph:
    """The graph that `build` makes, from ``<cache>/graphs/`` when it was made before.

    The file is named after a hash of the contents of `files` and of `parameters`, written under a temporary
    name and renamed. A damaged file is built and written again; a cache that cannot be written is done without.
    """
    digest = hashlib.sha256(json.dumps([FORMAT, name, parameters], sort_keys=True).encode())
    for file in files:
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    path = paths.cache_dir() / "graphs" / f"{name}-{digest.hexdigest()[:16]}.npz"
    try:
        return _read(path)
    except _DAMAGED:
        graph = build()
    with contextlib.suppress(OSError):
        _write(graph, path)
    return graph


def _read(path: Path) -> KnowledgeGraph:
    with np.load(path, allow_pickle=False) as stored:
        symbols = stored["symbols"]
        parts = (stored["data"], stored["indices"], stored["indptr"])
        adjacency = sp.csr_matrix(parts, shape=(len(symbols), len(symbols)))
        adjacency.check_format()
        return KnowledgeGraph(str(stored["name"]), symbols, adjacency, bool(stored["weighted"]))


def _write(graph: KnowledgeGraph, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=".graph-", suffix=".npz", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(
                file,
                name=np.array(graph.name),
                weighted=np.array(graph.weighted),
                symbols=graph.symbols,
                data=graph.adjacency.data,
                indices=graph.adjacency.indices,
                indptr=graph.adjacency.indptr,
            )
        Path(scratch).replace(path)
    finally:
        Path(scratch).unlink(missing_ok=True)
