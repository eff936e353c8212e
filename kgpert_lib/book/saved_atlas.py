"""The book on an atlas of one's own: which chapters can show it, and under which parameters.

A chapter that reads recorded answers or runs, or PerturbQA's questions, shows what was recorded and no other atlas; it is
not in such a book. Left are the chapters of expression atlases, whose cells carry the tag ``dense``, and the chapter with
the parameter ``file``, which reads a screen of one's own.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from kgpert_lib.book import cells
from kgpert_lib.book.chapters import Chapter
from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import Atlas

FILE = "file"  # parameter of the chapter that reads a file or a saved atlas


def shows_it(chapter: Chapter) -> bool:
    """Whether a chapter can show any expression atlas."""
    return FILE in chapter.defaults or ("atlas" in chapter.defaults and cells.of_expression_alone(chapter.notebook))


def showing(chapters: Sequence[Chapter], named: bool) -> list[Chapter]:
    """Those of the chapters that can show it; InputError for one that was `named` and cannot, and where none can."""
    fitting = [chapter for chapter in chapters if shows_it(chapter)]
    others = [chapter.name for chapter in chapters if chapter not in fitting]
    if others and (named or not fitting):
        raise InputError(
            f"{others[0]} shows recorded answers, runs or calls and no atlas of your own; "
            f"leave it out of --chapters{'' if fitting else ' and --atlas'}."
        )
    return fitting


def parameters(chapters: Sequence[Chapter], folder: str | Path) -> dict[str, Any]:
    """The parameters that put a saved atlas into these chapters; InputError as `Atlas.load`."""
    path = str(Path(folder).resolve())
    values = {"atlas": path, FILE: path, "lines": list(Atlas.load(path).lines)}
    return {name: value for name, value in values.items() if any(name in c.defaults for c in chapters)}


def announcement(chapters: Sequence[Chapter], folder: str | Path) -> str:
    """The line above every page."""
    atlas = Atlas.load(folder)
    numbers = ", ".join(chapter.number.lstrip("0") for chapter in chapters)
    return html.escape(
        f"Run on the atlas {atlas.label}, {', '.join(atlas.lines)}: chapters {numbers} show it. Chapters on recorded "
        "answers, runs and calls are left out; all other pages describe the book\N{RIGHT SINGLE QUOTATION MARK}s own "
        "screens.",
        quote=False,
    )
