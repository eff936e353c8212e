"""``kgpert simulate``: a simulated screen as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kgpert_lib.cli import terminal


def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the atlas and the cells.")],
    line: terminal.LinesOption = None,
    size: Annotated[Literal["tiny", "default"], typer.Option(help="How much is simulated.")] = "default",
    seed: terminal.SeedOption = 0,
) -> None:
    """Simulate a screen down to single cells: a saved atlas and one h5ad file of cells per line."""
    names = terminal.selected(line)
    with terminal.working("Simulating cells"):
        from kgpert_lib.screens.simulated import simulation

        folder = simulation.write(output, names and [name.lower() for name in names], seed, size)
    terminal.out.print(f"{folder}/atlas: the atlas\n{folder}/cells: one h5ad file of cells per line", soft_wrap=True)
