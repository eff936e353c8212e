"""Fitted votes on disk, by content: ``<cache>/votes/<digest>.npz``.

The digest covers the training rows, the affinity's inputs, the settings and the code that fits: a file is either right
or not found. Files hold plain arrays and are never unpickled; a damaged one is computed and written again, and a cache
that cannot be written is left out.
"""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib import paths
from kgpert_lib.files import OutputError, atomic, digest
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.screens.atlas import TrainingView

Arrays = dict[str, NDArray[Any]]
_ROOM = Path(__file__).parent
_CODE = (
    *(_ROOM / name for name in ("tasks.py", "voting.py", "tuning.py", "trust.py", "store.py")),
    *(_ROOM.parent / name for name in ("predictors/completion.py", "predictors/neighbours.py", "graphs/affinity.py")),
    _ROOM.parent / "evaluation" / "trust.py",
)
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def stored(key: str, build: Callable[[], Mapping[str, NDArray[Any]]]) -> Arrays:
    """The arrays that `build` returns, from the cache where an earlier process wrote them under `key`."""
    path = paths.cache_dir() / "votes" / f"{key}.npz"
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except _DAMAGED:
        arrays = dict(build())
    with contextlib.suppress(OutputError), atomic(path) as scratch:
        np.savez(scratch, **arrays)  # type: ignore[arg-type]
    return arrays


def content(view: TrainingView, affinity: Affinity) -> str:
    """Digest of everything that votes are fitted on: training rows of every line, graphs, and the code."""
    parts: list[str | bytes] = [_code(), view.line, view.split]
    for name, line in view.lines.items():
        parts += [name, *map(_bytes, (line.perturbations, line.genes, line.delta))]
    parts += [_bytes(affinity.genes), *_sparse(affinity.annotations)]
    for graph in (*affinity.walks, *affinity.graphs):
        parts += [graph.name, _bytes(graph.symbols), *_sparse(graph.adjacency)]
    return digest(*parts)


@lru_cache(maxsize=1)
def _code() -> str:
    return digest(*_CODE)


def _bytes(values: NDArray[Any]) -> bytes:
    return f"{values.dtype} {values.shape}".encode() + np.ascontiguousarray(values).tobytes()


def _sparse(matrix: sp.csr_matrix) -> list[bytes]:
    return [_bytes(part) for part in (matrix.data, matrix.indices, matrix.indptr)]
