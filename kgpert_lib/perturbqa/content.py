"""The digest under which fitted votes are kept: training rows, the affinity's inputs and the code that fits.

With the settings in the name of the file as well, a stored fit is either right or not there (`cache.cached_arrays`).
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from kgpert_lib.files import digest
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.predictors.learning import array_bytes, line_digest, sparse_bytes, tables_digest
from kgpert_lib.screens.atlas import TrainingView

FOLDER = "votes"
_LIBRARY = Path(__file__).parents[1]
_CODE = (
    *(f"perturbqa/{name}.py" for name in ("tasks", "voting", "tuning", "trust", "content")),
    *(f"predictors/{name}.py" for name in ("average", "completion", "learning", "neighbourhoods", "neighbours")),
    "graphs/affinity.py",
    "graphs/ranking.py",
    "evaluation/trust.py",
    "metrics/deltas.py",
)


def content_digest(view: TrainingView, affinity: Affinity) -> str:
    """Digest of everything that votes are fitted on: training rows of every line, graphs, and the code."""
    parts: list[str | bytes] = [_code(), view.line, view.split]
    for name, line in view.lines.items():
        parts += [name, line_digest(line)]
    parts.append(tables_digest(affinity.tables))
    for graph in affinity.graphs:
        parts += [graph.name, array_bytes(graph.symbols), *sparse_bytes(graph.adjacency)]
    return digest(*parts)


@lru_cache(maxsize=1)
def _code() -> str:
    return digest(*(_LIBRARY / name for name in _CODE))
