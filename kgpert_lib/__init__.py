"""kgpert: graph neighbours, and language models that edit them, as predictors of gene knock-downs.

What most work begins with can be imported from here; a name brings its module along when it is first used.
"""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kgpert_lib.errors import InputError
    from kgpert_lib.evaluation.evaluate import evaluate
    from kgpert_lib.evaluation.explain import explain
    from kgpert_lib.llm.named import build
    from kgpert_lib.predictors.named import Options
    from kgpert_lib.screens.load import load_screen

    __version__: str

warnings.filterwarnings("ignore", message="IProgress not found")  # a plain progress bar serves in notebooks

__all__ = ["InputError", "Options", "__version__", "build", "evaluate", "explain", "load_screen"]

_HOME = {
    "InputError": "kgpert_lib.errors",
    "Options": "kgpert_lib.predictors.named",
    "build": "kgpert_lib.llm.named",
    "evaluate": "kgpert_lib.evaluation.evaluate",
    "explain": "kgpert_lib.evaluation.explain",
    "load_screen": "kgpert_lib.screens.load",
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
