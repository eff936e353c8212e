"""``kgpert fetch``: download and verify the files of a source."""

from __future__ import annotations

from typing import Annotated

import typer

from kgpert_lib.cli import terminal


def fetch(
    group: Annotated[str, typer.Argument(help="perturbqa, string, go or another group of the registry.")],
) -> None:
    """Download the files of one source, resume what was cut off, and verify every checksum.

    Files whose hosts cannot be reached are named; the exit code is 2 when no file could be had or a copy was wrong.
    """
    from kgpert_lib.downloads.fetch import fetch_group

    files = fetch_group(group)
    for name, path in files.items():
        terminal.out.print(f"{name}: {path}", soft_wrap=True)
    for reason in files.failed.values():
        terminal.err.print(f"kgpert: {reason}")
    if not files or set(files.failed) - files.unreachable:
        raise typer.Exit(2)
