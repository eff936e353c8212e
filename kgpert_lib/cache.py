"""Arrays that take seconds to compute, kept on disk under a digest of everything that they depend on."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import numpy as np

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.files import OutputError, atomic, locked

Arrays = Mapping[str, Any]  # NumPy arrays by name
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error, IndexError, TypeError)


def cached_arrays(
    folder: str, name: str, build: Callable[[], Arrays], usable: Callable[[Arrays], object] = lambda arrays: True
) -> Arrays:
    """What `build` returns, from ``<cache>/<folder>/<name>.npz`` where an earlier call stored it.

    `name` has to contain a digest of all that the arrays depend on. One process at a time builds, and the others
    wait for its file. A file that is damaged, or of which `usable` is false or raises an error of foreign bytes, is
    built and written again. A cache that cannot be written, or a user without one, costs time only.
    """
    try:
        path = paths.cache_dir() / folder / f"{name}.npz"
    except InputError:
        return build()
    arrays = _read(path, usable)
    if arrays is not None:
        return arrays
    with ExitStack() as stack:
        with suppress(OutputError):
            stack.enter_context(locked(path))
        arrays = _read(path, usable)
        if arrays is None:
            arrays = build()
            with suppress(OutputError), atomic(path) as scratch:
                np.savez(scratch, **arrays)
    return arrays


def _read(path: Path, usable: Callable[[Arrays], object]) -> Arrays | None:
    try:
        with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
        return arrays if usable(arrays) else None
    except _DAMAGED:
        return None
