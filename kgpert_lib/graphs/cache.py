"""Derived graphs on disk, so that a graph that takes seconds to build is built once."""

from __future__ import annotations

import contextlib
import json
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgpert_lib import paths
from kgpert_lib.files import OutputError, atomic, digest
from kgpert_lib.graphs.graph import KnowledgeGraph

FORMAT = 1
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, IndexError, TypeError)


def cached(
    name: str, files: Sequence[Path], parameters: Mapping[str, Any], build: Callable[[], KnowledgeGraph]
) -> KnowledgeGraph:
    """The graph that `build` makes, from ``<cache>/graphs/`` when it was made before.

    The file is named after a hash of the contents of `files` and of `parameters`, of the version of
    the format. A damaged file is built and written again; a cache that cannot be written is left out.
    """
    key = digest(json.dumps([FORMAT, name, parameters], sort_keys=True), *files)
    path = paths.cache_dir() / "graphs" / f"{name}-{key[:16]}.npz"
    try:
        return _read(path)
    except _DAMAGED:
        graph = build()
    with contextlib.suppress(OutputError):
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
    with atomic(path) as scratch:
        np.savez(
            scratch,
            name=np.array(graph.name),
            weighted=np.array(graph.weighted),
            symbols=graph.symbols,
            data=graph.adjacency.data,
            indices=graph.adjacency.indices,
            indptr=graph.adjacency.indptr,
        )
