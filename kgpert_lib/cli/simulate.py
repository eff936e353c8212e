"""``kgpert simulate``: a simulated screen as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError


def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="New folder for the files.")],
    form: Annotated[
        Literal["atlas", "replogle"],
        typer.Option(
            "--format", help="A saved atlas with its cells, or stand-ins for Replogle's files of pseudobulk (1 GB)."
        ),
    ] = "atlas",
    line: terminal.LinesOption = None,
    size: Annotated[Literal["tiny", "default"], typer.Option(help="How much is simulated.")] = "default",
    seed: terminal.SeedOption = 0,
) -> None:
    """Simulate a screen down to single cells: a saved atlas and one h5ad file of cells per line.

    Files in Replogle's format serve where the authors' cannot be had: KGPERT_MIRROR and KGPERT_REGISTRY name them.
    """
    names = terminal.selected(line)
    if form == "replogle":
        _write_replogle(output, names, seed, size)
        return
    with terminal.working("Simulating cells"):
        from kgpert_lib.screens.simulated import simulation

        folder = simulation.write(output, names and [name.lower() for name in names], seed, size)
    terminal.out.print(f"{folder}/atlas: the atlas\n{folder}/cells: one h5ad file of cells per line", soft_wrap=True)


def _write_replogle(output: Path, names: list[str] | None, seed: int, size: str) -> None:
    if names is not None:
        raise InputError("Files in Replogle's format are of fixed lines; leave --line out.")
    with terminal.working("Simulating pseudobulk"):
        from kgpert_lib.screens.simulated.replogle_files import write_replogle

        folder = write_replogle(output, seed, "full" if size == "default" else size)
    terminal.out.print(
        f"{folder}: simulated files in Replogle's format; to use them, "
        f"set KGPERT_MIRROR={folder} and KGPERT_REGISTRY={folder / 'registry.toml'}",
        soft_wrap=True,
    )
    if not (folder / "perturbqa").is_dir():
        terminal.out.print(
            f"PerturbQA's tables were not at hand: put them into {folder / 'perturbqa'}, "
            "or write --atlas replogle:split=rule",
            soft_wrap=True,
        )
