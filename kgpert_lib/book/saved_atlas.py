"""The book on an atlas of one's own: which chapters can show it, under which parameters, and what they cannot say.

A chapter that reads recorded answers or runs, or PerturbQA's questions, shows what was recorded and no other atlas; it
is not in such a book. Left are the chapters of expression atlases, whose cells carry the tag ``dense``, and the chapter
with the parameter ``file``, which reads a screen of one's own.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat

from kgpert_lib.book import cells
from kgpert_lib.book.chapters import Chapter
from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen

FILE = "file"  # parameter of the chapter that reads a file or a saved atlas


def read(folder: str | Path) -> Atlas:
    """A saved atlas with the lines that have test genes; InputError where none has, and as `Atlas.load`."""
    atlas = Atlas.load(folder)
    lines = [name for name, line in atlas.lines.items() if line.names("test")]
    if not lines:
        raise InputError(
            f"{folder}: no line has test genes, so nothing can be scored; make the atlas with 'kgpert screen --split'."
        )
    return atlas.select(lines)


def showing(chapters: Sequence[Chapter], atlas: Atlas, named: bool) -> list[Chapter]:
    """Those of the chapters that can show the atlas; InputError for one that was `named` and cannot."""
    dense = all(line.expression for line in atlas.lines.values())
    fitting = [chapter for chapter in chapters if _shows(chapter, dense)]
    others = [chapter.name for chapter in chapters if chapter not in fitting]
    if others and (named or not fitting):
        why = (
            "it needs a whole delta of every perturbation, and most readout genes of this atlas have gaps"
            if not dense and _shows(next(c for c in chapters if c.name == others[0]), True)
            else "it shows recorded answers, runs or calls"
        )
        raise InputError(f"{others[0]} cannot show the atlas {atlas.name}, because {why}; leave it out.")
    return fitting


def parameters(chapters: Sequence[Chapter], atlas: Atlas, folder: str | Path) -> dict[str, Any]:
    """The parameters that put the atlas into these chapters."""
    path = str(Path(folder).resolve())
    values = {"atlas": path, FILE: path, "lines": list(atlas.lines)}
    return {name: value for name, value in values.items() if any(name in c.defaults for c in chapters)}


def announcement(chapters: Sequence[Chapter], atlas: Atlas) -> str:
    """The line above every page."""
    numbers = ", ".join(chapter.number.lstrip("0") for chapter in chapters)
    return html.escape(
        f"Run on the atlas {atlas.label}, {', '.join(atlas.lines)}: chapters {numbers} show it. Chapters on recorded "
        "answers, runs and calls are left out; all other pages describe the book\N{RIGHT SINGLE QUOTATION MARK}s own "
        "screens.",
        quote=False,
    )


def with_limits(page: Any, atlas: Atlas) -> Any:
    """The page with a box below its title that says what the atlas cannot answer; `page` itself is changed."""
    from kgpert_lib.studies import own_screen

    text = own_screen.box(own_screen.limits(Screen(atlas, ())))
    if text:
        page.cells.insert(1, nbformat.v4.new_markdown_cell(text, id="limits"))
    return page


def _shows(chapter: Chapter, dense: bool) -> bool:
    return FILE in chapter.defaults or (
        dense and "atlas" in chapter.defaults and cells.of_expression_alone(chapter.notebook)
    )
