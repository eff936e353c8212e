"""The numbers of figures: taken out of an executed chapter, written as csv files, linked below the figures."""

from __future__ import annotations

import html
import re
from pathlib import Path
from typing import Any

import nbformat

from kgpert_lib.book.chapters import Chapter
from kgpert_lib.files import write_text
from kgpert_lib.studies.numbers import MIME

FOLDER = "numbers"
MEASURED = "call"  # column of measured calls: rows of a screen, whose licence may not allow to pass them on
TEXT = "Numbers of this figure"


def without_numbers(page: Any) -> Any:
    """A copy of an executed chapter whose outputs are what readers see."""
    page = nbformat.from_dict(page)
    for output in (output for cell in page.cells for output in cell.get("outputs", ())):
        output.get("data", {}).pop(MIME, None)
    return page


def with_links(page: Any, chapter: Chapter, extra: Path, publish: bool = False) -> Any:
    """`without_numbers`, with a link below each figure to a file of its numbers.

    The files go to `extra`, the top of the rendered book: ``numbers/<chapter>-<name of figure>.csv``, and further
    figures of the same cell with ``-2``, ``-3`` behind the name. With `publish`, for a book that is passed on, figures
    of measured calls have no file.
    """
    linked = without_numbers(page)
    visible, linked.cells = linked.cells, []
    for cell, copy in zip(page.cells, visible, strict=True):
        linked.cells.append(copy)
        outputs = [output.get("data", {}) for output in cell.get("outputs", ())]
        names: list[str] = []
        texts = [data[MIME] for data in outputs if MIME in data]
        for text in (text for text in texts if not (publish and MEASURED in text.partition("\n")[0].split(","))):
            names.append(_file(chapter, cell, len(names) + 1))
            write_text(extra / FOLDER / names[-1], text)
        if names:
            linked.cells.append(_links("../" * chapter.page.count("/"), names, f"numbers-{len(linked.cells)}"))
    return linked


def _file(chapter: Chapter, cell: Any, place: int) -> str:
    """The file of a figure, after its name for references or, where it has none, after its cell."""
    name = cell.metadata.get("mystnb", {}).get("figure", {}).get("name", cell.id)
    name = re.sub(r"[^\w-]+", "-", name) + (f"-{place}" if place > 1 else "")
    return f"{chapter.name}-{name}.csv"


def _links(top: str, names: list[str], key: str) -> Any:
    """A cell with a link to each file."""
    parts = [f", part {place}" for place in range(1, len(names) + 1)] if len(names) > 1 else [""]
    links = [
        f'<a href="{top}{FOLDER}/{html.escape(name)}" download>{TEXT}{part} (csv)</a>'
        for name, part in zip(names, parts, strict=True)
    ]
    return nbformat.v4.new_markdown_cell(f'<p class="figure-numbers">{"<br>".join(links)}</p>', id=key)
