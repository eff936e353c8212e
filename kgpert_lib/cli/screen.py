"""``kgpert screen``: an atlas of one's own from AnnData files and edge lists."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kgpert_lib.cli import terminal


def screen(
    files: Annotated[list[Path], typer.Argument(metavar="FILE", help="AnnData files (.h5ad): deltas or single cells.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="New folder for the atlas.")],
    line: Annotated[
        str | None,
        typer.Option(help="Name of the cell line. Default: the column cell_line of obs, else the file's name."),
    ] = None,
    perturbed: Annotated[
        str | None,
        typer.Option(help="Column of obs with the gene. Default: perturbation, gene, target_gene, condition, index."),
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="Label of control cells, besides control, ctrl and non-targeting.")
    ] = None,
    batch: Annotated[
        str | None, typer.Option(help="Column of obs with the batch, or none for one batch. Default: batch, if there.")
    ] = None,
    symbols: Annotated[
        str | None, typer.Option(help="Column of var with symbols. Default: the index, or the usual names.")
    ] = None,
    layer: Annotated[str | None, typer.Option(help="Layer that holds the numbers in the place of X.")] = None,
    min_cells: Annotated[int, typer.Option(min=2, help="Fewest cells of a perturbation.")] = 10,
    split: Annotated[
        str | None,
        typer.Option(
            help="Column of obs with train, val, test, or the share of genes to draw. Default: split, or .25."
        ),
    ] = None,
    graph: Annotated[list[Path] | None, typer.Option(help="Edge list (.csv) kept beside it; may be repeated.")] = None,
    seed: terminal.SeedOption = 0,
) -> None:
    """Make an atlas of your own screen: deltas, or single cells that become deltas.

    Every command and the book then take the folder: --atlas DIR.
    """
    with terminal.working("Reading") as say:
        from kgpert_lib.screens import annotated

        graphs = annotated.read_edges(graph or [])
        settings = annotated.Settings(
            line=line,
            perturbation=perturbed,
            control=control,
            batch=batch,
            genes=symbols,
            layer=layer,
            min_cells=min_cells,
            split=annotated.share_or_column(split),
            seed=seed,
        )
        atlas = annotated.read_screen(files, output.resolve().name, settings, graphs)
        say("Writing")
        annotated.save_screen(atlas, output, graphs)
    for cells in atlas.lines.values():
        size = (
            f"{len(cells.perturbations)} perturbations ({len(cells.names('test'))} test), {len(cells.genes)} readouts"
        )
        terminal.out.print(f"{output}: {cells.name}, {size}", soft_wrap=True)
    for sentence in annotated.left_out(atlas):
        terminal.out.print(sentence, soft_wrap=True)
    gene = next(iter(atlas.lines.values())).names("test")[:1]
    terminal.out.print(
        f"Next: kgpert evaluate --atlas {output}; kgpert predict {''.join(gene) or 'GENE'} --atlas {output}; "
        f"kgpert book --atlas {output}",
        soft_wrap=True,
    )
