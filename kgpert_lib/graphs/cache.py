"""Derived graphs on disk, so that a graph that takes seconds to build is built once."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgpert_lib.cache import Arrays, cached_arrays
from kgpert_lib.files import digest
from kgpert_lib.graphs.graph import KnowledgeGraph

FORMAT = 3


def cached(
    name: str, files: Sequence[Path], parameters: Mapping[str, Any], build: Callable[[], KnowledgeGraph]
) -> KnowledgeGraph:
    """The graph that `build` returns, from ``<cache>/graphs/`` where an earlier call stored it (`cached_arrays`).

    The file is named after a digest of the contents of `files`, of `parameters` and of the version of the format.
    """
    key = digest(json.dumps([FORMAT, name, parameters], sort_keys=True), *files)
    return _graph(cached_arrays("graphs", f"{name}-{key[:16]}", lambda: _arrays(build()), _graph))


def _graph(arrays: Arrays) -> KnowledgeGraph:
    symbols = arrays["symbols"]
    parts = (arrays["data"], arrays["indices"], arrays["indptr"])
    adjacency = sp.csr_matrix(parts, shape=(len(symbols), len(symbols)))
    adjacency.check_format()
    return KnowledgeGraph(str(arrays["name"]), symbols, adjacency, bool(arrays["weighted"]))


def _arrays(graph: KnowledgeGraph) -> Arrays:
    return {
        "name": np.array(graph.name),
        "weighted": np.array(graph.weighted),
        "symbols": graph.symbols,
        "data": graph.adjacency.data,
        "indices": graph.adjacency.indices,
        "indptr": graph.adjacency.indptr,
    }
