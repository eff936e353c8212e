"""kgpert: graph neighbours, and language models that edit them, as predictors of gene knock-downs.

The names that most work needs can be imported from here. A screen and what it consists of: `load_screen`, `Screen`,
`Atlas`, `CellLine`. Knowledge of genes: `load_graphs`, `KnowledgeGraph`. A predictor by name: `build` with its
`Options`; what any predictor returns: `Predictions`. One gene: `explain`; how far to trust its prediction, and that of
every other gene: `Trust`. All test genes: `evaluate`; the scores themselves, for deltas from anywhere: `score`. What
is raised for input that cannot be used: `InputError`. Whoever adds a part to one of these, such as a predictor or a
metric, imports the rest from the rooms.

A name brings its module along when it is first used.

Examples
--------
>>> from kgpert_lib import build, evaluate, load_screen
>>> screen = load_screen("simulated", ["k562"], size="tiny")
>>> scores = evaluate(screen.atlas, "k562", [build("mean", screen), build("union", screen)])
>>> scores.groupby("predictor")["pearson"].mean().idxmax()
'complexes+pathways'
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgpert_lib.errors import InputError
    from kgpert_lib.evaluation.evaluate import evaluate
    from kgpert_lib.evaluation.explain import explain
    from kgpert_lib.evaluation.trust import Trust
    from kgpert_lib.graphs import load_graphs
    from kgpert_lib.graphs.graph import KnowledgeGraph
    from kgpert_lib.llm.named import build
    from kgpert_lib.metrics.deltas import score
    from kgpert_lib.predictors.named import Options
    from kgpert_lib.predictors.predictions import Predictions
    from kgpert_lib.screens.atlas import Atlas, CellLine
    from kgpert_lib.screens.load import load_screen
    from kgpert_lib.screens.screen import Screen

    __version__: str

warnings.filterwarnings("ignore", message="IProgress not found")  # a plain progress bar serves in notebooks

__all__ = [
    "Atlas",
    "CellLine",
    "InputError",
    "KnowledgeGraph",
    "Options",
    "Predictions",
    "Screen",
    "Trust",
    "__version__",
    "build",
    "evaluate",
    "explain",
    "load_graphs",
    "load_screen",
    "score",
]

_HOME = {
    "Atlas": "kgpert_lib.screens.atlas",
    "CellLine": "kgpert_lib.screens.atlas",
    "InputError": "kgpert_lib.errors",
    "KnowledgeGraph": "kgpert_lib.graphs.graph",
    "Options": "kgpert_lib.predictors.named",
    "Predictions": "kgpert_lib.predictors.predictions",
    "Screen": "kgpert_lib.screens.screen",
    "Trust": "kgpert_lib.evaluation.trust",
    "build": "kgpert_lib.llm.named",
    "evaluate": "kgpert_lib.evaluation.evaluate",
    "explain": "kgpert_lib.evaluation.explain",
    "load_graphs": "kgpert_lib.graphs",
    "load_screen": "kgpert_lib.screens.load",
    "score": "kgpert_lib.metrics.deltas",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        value: Any = _version()
    elif name in _HOME:
        value = getattr(import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def _version() -> str:
    """The installed version, which the build took from git's tags; "unknown" in a source tree that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("kgpert-lib")
    except PackageNotFoundError:
        return "unknown"


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
