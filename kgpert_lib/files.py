"""Make a finished folder visible in one step, over an older one if need be.

The folder has a head file that names its other files: whoever reads the head sees the old state or the new
one, never a mixture.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import count
from pathlib import Path

from kgpert_lib import interrupts


def is_empty(folder: Path) -> bool:
    """True for a directory without entries."""
    return folder.is_dir() and not any(folder.iterdir())


def free_names(stems: Iterable[str], suffix: str, folder: Path) -> dict[str, str]:
    """``<stem><suffix>`` for each stem, or ``<stem>-2<suffix>`` and so on where `folder` holds that name."""
    names: dict[str, str] = {}
    for stem in stems:
        candidates = (f"{stem}{suffix}" if k == 1 else f"{stem}-{k}{suffix}" for k in count(1))
        names[stem] = next(c for c in candidates if c not in names.values() and not (folder / c).exists())
    return names


def commit(scratch: Path, target: Path, head: str, names: dict[str, str], retired: Iterable[str] = ()) -> None:
    """Make `scratch` (the file `head` and the files `names`, by stem) the content of `target`.

    A missing or empty target is replaced by one rename. Otherwise the files, whose names are free in the
    target, are added, the rename of the head decides, and the earlier generations of these stems go, as do
    the files `retired`, which only the old head named.
    """
    for name in (*names.values(), head):
        _flush(scratch / name)
    interrupts.check()
    if not target.exists() or is_empty(target):
        os.replace(scratch, target)
        _flush(target.parent)
        return
    for name in names.values():
        os.replace(scratch / name, target / name)
    _flush(target)
    os.replace(scratch / head, target / head)
    _flush(target)
    for stem, name in names.items():
        _drop_generations(target, stem, Path(name).suffix, keep=list(names.values()))
    for name in set(retired) - set(names.values()):
        (target / name).unlink(missing_ok=True)


def _drop_generations(folder: Path, stem: str, suffix: str, keep: Sequence[str]) -> None:
    generation = re.compile(re.escape(stem) + r"(-\d+)?" + re.escape(suffix))
    for path in folder.iterdir():
        if generation.fullmatch(path.name) and path.name not in keep:
            path.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
