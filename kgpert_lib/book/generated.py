"""Parts of the book that are written when it is built, into the staged copy of its sources.

A part belongs to a page and is written only where that page is in the book's table of contents. Files that a page
needs beside the rendered pages, such as data and scripts, go into `Staging.extra`, whose content is copied to the
top of the rendered book.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpert_lib.book import api, command_line, downloads
from kgpert_lib.book.chapters import Chapter
from kgpert_lib.book.explorer import write_explorer

EXTRA = "_extra"


@dataclass(frozen=True)
class Staging:
    """What a part is written from and into.

    Attributes
    ----------
    root : folder of the book's own sources.
    folder : the staged copy, with ``book/`` and the executed chapters under their own paths.
    chapters : the executed notebook of each chapter.
    parameters : values that replace the stored ones in every chapter that has them.
    say : receives one line for each step.
    publish : whether the book is to be passed on, so that it holds no row of a screen whose licence asks for care.
    """

    root: Path
    folder: Path
    chapters: Mapping[Chapter, Path]
    parameters: Mapping[str, Any]
    say: Callable[[str], None]
    publish: bool = False

    @property
    def extra(self) -> Path:
        """Folder whose content is copied to the top of the rendered book; made when first asked for."""
        folder = self.folder / EXTRA
        folder.mkdir(exist_ok=True)
        return folder


# The page that a part belongs to, as the table of contents names it, and the function that writes the part.
PARTS: Mapping[str, Callable[[Staging], None]] = {
    "book/api": api.write,
    "book/cli": command_line.write,
    "book/downloads": downloads.write,
    "book/explorer": write_explorer,
}


def generate(staging: Staging, pages: Collection[str]) -> None:
    """Write the parts of these pages."""
    for page, write in PARTS.items():
        if page in pages:
            write(staging)
