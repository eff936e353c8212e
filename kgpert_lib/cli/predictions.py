"""``kgpert predictions``: predictions of every gene in every line as a folder with a data card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kgpert_lib.cli import terminal

FOLDER = "DIR"  # stands for the folder in the command that the card prints


def predictions(
    output: Annotated[Path, typer.Option("-o", "--output", help="New folder for the files.")],
    atlas: terminal.AtlasOption = "perturbqa",
    line: terminal.LinesOption = None,
    predictor: terminal.PredictorOption = "union",
    top: Annotated[int, typer.Option(min=1, metavar="<int>", help="Readout genes in each direction.")] = 50,
    graph: terminal.GraphOption = "string+go",
    limit: terminal.LimitOption = 20,
    cut: terminal.CutOption = "before",
    prior: terminal.PriorOption = None,
    split: terminal.SplitOption = terminal.DEFAULT_SPLIT,
    seed: terminal.SeedOption = 0,
) -> None:
    """Predict every gene in every line and write a folder to pass on: parquet tables and a data card.

    The tables are the strongest readout genes of each knock-down, every prediction of each line, and each gene with
    its expected score. The same command writes the same bytes.
    """
    with terminal.working("Loading") as say:
        from kgpert_lib import __version__, parquet
        from kgpert_lib.cli.predictors import build
        from kgpert_lib.release.card import Request
        from kgpert_lib.release.write import check_folder, write_predictions
        from kgpert_lib.screens.load import load_screen

        parquet.require()
        check_folder(output)
        screen = load_screen(atlas, terminal.selected(line), graph, seed)
        model = build(predictor, screen, limit, cut, prior, seed)
        settings = {"predictor": predictor, "graph": graph, "limit": limit, "cut": cut, "prior": prior, "seed": seed}
        command = _command(atlas, list(screen.lines), {**settings, "top": top, "split": split})
        words = {name: "default" if value is None else str(value) for name, value in settings.items()}
        request = Request(words, command, __version__)
        written = write_predictions(
            output, screen, model, split, top, request, lambda name: say(f"Predicting every gene in {name}")
        )
    genes = sum(len(tables.genes) for tables in written.values())
    terminal.out.print(
        f"{output}: {genes} predictions in {', '.join(written)} of {screen.atlas.label}; README.md describes them.",
        soft_wrap=True,
    )


def _command(atlas: str, lines: list[str], options: dict[str, Any]) -> str:
    """The command with everything that decides its result written out."""
    import shlex

    named = [f"--{name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None]
    each = [f"--line {shlex.quote(line)}" for line in lines]
    return " ".join([f"kgpert predictions -o {FOLDER} --atlas {shlex.quote(atlas)}", *each, *named])
