"""``kgpert book``: execute the chapters and render the pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgpert_lib.cli import terminal


def book(
    chapters: Annotated[str | None, typer.Option(help="Chapter numbers, such as '02 07'. Default: all.")] = None,
    set_: Annotated[str | None, typer.Option("--set", help="Chapter parameters, such as 'limit=10 cut=after'.")] = None,
    atlas: Annotated[
        Path | None, typer.Option(help="Folder of a saved atlas (kgpert screen); the chapters that can show it do.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Chapters executed at once. Default: all cores.")] = None,
    publish: Annotated[
        bool, typer.Option("--publish", help="Leave out measured calls, for a book that is passed on.")
    ] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="Print the book as a PDF as well; needs Chromium.")] = False,
    root: Annotated[Path, typer.Option(help="Folder of the book.")] = Path(),
) -> None:
    """Execute the chapters and render the book; only what changed runs again."""
    with terminal.working("Loading"):
        from kgpert_lib.book.build import build
        from kgpert_lib.book.chapters import parse_settings

    settings = parse_settings(set_ or "")
    built = build(root, (chapters or "").split() or None, settings, workers, atlas=atlas, publish=publish)
    terminal.out.print(f"Open {built.html / 'index.html'}", soft_wrap=True)
    if pdf:
        with terminal.working("Printing"):
            from kgpert_lib.book.pdf import print_book

            path = print_book(root, built.html)
        terminal.out.print(f"Open {path}", soft_wrap=True)
