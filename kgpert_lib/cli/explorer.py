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
            "--predictor",
            help="A predictor that averages neighbours: union, string, go, weighted, or graphs joined by +; may be "
            "repeated. Default: union.",
        ),
    ] = None,
    atlas: terminal.AtlasOption = "perturbqa",
    graph: terminal.GraphOption = "string+go",
    genes: Annotated[
        Literal["screened", "all"],
        typer.Option(metavar="<genes>", help="screened in any line, or all of the graphs as well."),
    ] = "screened",
    measured: Annotated[
        bool,
        typer.Option(
            "--with-measured/--without-measured", help="Show measured deltas; without them for a copy to pass on."
        ),
    ] = True,
) -> None:
    """Write a page that shows any gene: neighbours, readout genes that move, what was measured, what to expect.

    It opens from disk, without a server and without a connection.
    """
    with terminal.working("Loading") as say:
        from kgpert_lib.explorer.write import PREDICTORS, Settings, write
        from kgpert_lib.screens.load import load_screen

        screen = load_screen(atlas, terminal.selected(line), graph)
        page = write(output, screen, Settings(predictor or PREDICTORS, genes == "all", measured), say)
    terminal.out.print(f"Open {page}", soft_wrap=True)
