"""``kgpert explorer``: a page on which every gene's prediction can be looked up."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kgpert_lib.cli import terminal


def explorer(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write; its index.html is the page.")],
    line: terminal.LinesOption = None,
    predictor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<str>",
            help="A predictor that averages neighbours: union, string, go, weighted, or graphs joined by +; may be "
            "repeated. Default: union and weighted.",
        ),
    ] = None,
    atlas: Annotated[
        str | None,
        typer.Option(
            metavar="<atlas>",
            help=f"{terminal.ATLASES} Default: perturbqa, and simulated where its files cannot be had.",
            autocompletion=terminal.complete_atlas,
        ),
    ] = None,
    graph: terminal.GraphOption = "string+go",
    genes: Annotated[
        Literal["screened", "all"],
        typer.Option(metavar="<genes>", help="screened in any line, or all of the graphs as well."),
    ] = "screened",
    publish: Annotated[
        bool, typer.Option("--publish", help="Leave out measured deltas, for a copy that is passed on.")
    ] = False,
) -> None:
    """Write a page that shows any gene: neighbours, readout genes that move, what was measured, what to expect.

    It opens from disk, without a server and without a connection.
    """
    with terminal.working("Loading") as say:
        from kgpert_lib.explorer.shown import screen_or_simulated
        from kgpert_lib.explorer.write import PREDICTORS, Settings, write

        screen, note = screen_or_simulated(atlas, terminal.selected(line), graph)
        settings = Settings(tuple(predictor or PREDICTORS), genes == "all", not publish, note)
        page = write(output, screen, settings, say)
    if note:
        terminal.err.print(note)
    terminal.out.print(f"Open {page}", soft_wrap=True)
