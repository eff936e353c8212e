"""Which screen the explorer shows: the one that is asked for, or on a machine without its calls the simulation."""

from __future__ import annotations

from collections.abc import Sequence

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import STANDARD
from kgpert_lib.screens import perturbqa
from kgpert_lib.screens.load import SIMULATED, load_screen
from kgpert_lib.screens.screen import Screen


def screen_or_simulated(
    atlas: str | None = None, lines: Sequence[str] | None = None, graph: str = STANDARD
) -> tuple[Screen, str]:
    """A screen, and in a sentence what is not as it was asked for; empty where everything is.

    None for `atlas` is PerturbQA, and the simulated screen where none of its lines can be had. InputError as
    `load_screen`.
    """
    if atlas is None and not _at_hand(lines):
        return load_screen(SIMULATED, lines), (
            "The calls of PerturbQA are not on this machine, so these are the simulated lines, in which no real gene "
            f"was knocked down; run {perturbqa.COMMAND} and build this again."
        )
    screen = load_screen(atlas or perturbqa.NAME, lines, graph)
    absent = [line for line in screen.atlas.missing if lines is None or line in lines]
    note = f"Not on this machine: {', '.join(absent)}; run {perturbqa.COMMAND} and build this again." if absent else ""
    return screen, note if screen.name == perturbqa.NAME else ""


def _at_hand(lines: Sequence[str] | None) -> bool:
    """Whether any line of PerturbQA can be had, from the cache, a mirror or its host."""
    try:
        perturbqa.load(None if lines is None else [line.lower() for line in lines])
    except InputError:
        return False
    return True
