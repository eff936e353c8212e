"""Where atlases come from: a screen by its name, or a directory that an atlas was saved in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import Atlas

ATLASES = {"perturbqa": "kgpert_lib.screens.perturbqa", "simulated": "kgpert_lib.screens.simulated.simulation"}


def load_atlas(name_or_path: str | Path, lines: Sequence[str] | None = None, download: bool = True) -> Atlas:
    """An atlas by name (one of `ATLASES`) or from a directory written by `Atlas.save`.

    Parameters
    ----------
    name_or_path : a name wins over a directory of the same name; write ``./perturbqa`` for the directory.
    lines : cell lines to load, in this order; None for all.
    download : whether missing files may be downloaded.

    Raises
    ------
    InputError
        For a name that is neither, and whatever the source itself raises.
    """
    if isinstance(name_or_path, str) and name_or_path in ATLASES:
        load: Callable[..., Atlas] = import_module(ATLASES[name_or_path]).load
        return load(lines=lines, download=download)
    if Path(name_or_path).is_dir():
        atlas = Atlas.load(name_or_path)
        return atlas if lines is None else atlas.select(lines)
    raise InputError(
        f"Unknown atlas {str(name_or_path)!r}; it is {', '.join(ATLASES)} or a directory that an atlas was saved in."
    )
