"""Learnt trust, kept by content: training rows, graphs, settings and the code that learns it.

Learning takes seconds and its result is a few numbers. They are stored in the cache folder under a digest of
everything that they depend on; a predictor with a part whose content cannot be told (such as recorded answers) is
learnt anew each time.
"""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic, digest

CODE = (
    *(f"kgpert_lib.predictors.{name}" for name in ("neighbours", "average", "completion")),
    *("kgpert_lib.evaluation.trust", "kgpert_lib.metrics.deltas", "kgpert_lib.screens.atlas"),
)
PACKAGES = ("numpy", "scipy", "scikit-learn")
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)


def cached(depends_on: tuple[Any, ...], learn: Callable[[], dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The arrays that `learn` returns, from ``<cache>/trust/`` where they were learnt from the same before.

    A damaged file is replaced; a cache that cannot be written is done without.
    """
    try:
        path = paths.cache_dir() / "trust" / f"{_key(depends_on)}.npz"
    except TypeError:
        return learn()
    try:
        with np.load(path, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}
    except _DAMAGED:
        arrays = learn()
    with contextlib.suppress(InputError), atomic(path) as scratch:
        np.savez(scratch, allow_pickle=False, **arrays)
    return arrays


def _key(depends_on: tuple[Any, ...]) -> str:
    code = (Path(str(import_module(name).__file__)) for name in CODE)
    return digest(*code, *(version(name) for name in PACKAGES), *_content(depends_on))[:32]


def _content(thing: Any) -> Iterator[str | bytes]:
    """What an object consists of, in a fixed order; TypeError for an object that is not plain data."""
    yield type(thing).__name__
    if thing is None or isinstance(thing, (str, int, float, bool)):
        yield repr(thing)
    elif isinstance(thing, np.ndarray) and thing.dtype != object:
        yield f"{thing.dtype} {thing.shape}"
        yield np.ascontiguousarray(thing).tobytes()
    elif sp.issparse(thing):
        for part in (thing.data, thing.indices, thing.indptr):
            yield from _content(part)
    elif isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from _content((key, value))
    elif isinstance(thing, (list, tuple)):
        for part in thing:
            yield from _content(part)
    elif is_dataclass(thing) and not isinstance(thing, type):
        for field in fields(thing):
            yield field.name
            yield from _content(getattr(thing, field.name))
    else:
        raise TypeError(f"{type(thing).__name__} is not plain data")
