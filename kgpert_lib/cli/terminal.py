"""What the commands share: options, and printing tables, JSON and CSV."""

from __future__ import annotations

import json
import re
import sys
from typing import Annotated, Any, Literal

import pandas as pd
import typer
from rich import box
from rich.console import Console
from rich.table import Table

out, err = Console(), Console(stderr=True, soft_wrap=True)

AtlasOption = Annotated[str, typer.Option(help="perturbqa, simulated or a folder with a saved atlas.")]
LineOption = Annotated[str, typer.Option(help="Cell line, such as k562.")]
GraphOption = Annotated[str, typer.Option(help="Names or csv edge lists joined by +.")]
LimitOption = Annotated[int, typer.Option(help="Largest neighbourhood of one graph.")]
CutOption = Annotated[Literal["before", "after"], typer.Option(help="Cut it before or after keeping training genes.")]
PriorOption = Annotated[
    float | None, typer.Option(help="Weight of the training mean, in neighbours. Default: 1 with gaps, else 0.")
]
SplitOption = Annotated[Literal["per-line", "strict"], typer.Option(help="What other lines may show.")]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of random cuts and of the bootstrap.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


def print_table(frame: pd.DataFrame, title: str) -> None:
    """A table under its title, within the width of the terminal."""
    out.print(f"\n[bold]{title}[/bold]", highlight=False)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for position, column in enumerate(frame.columns):
        name = position == 0 or column == "name"
        table.add_column(str(column), justify="left" if name else "right", no_wrap=not name, overflow="fold")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    out.print(table, highlight=False)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}"
    return re.sub(r"(?<![\d.])0(?=\.\d+[ ,\]])", "", str(value))


def print_json(value: Any) -> None:
    """JSON on standard output; null stands for NaN."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """The value for JSON, which has no NaN: null stands in its place."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and pd.isna(value) else value


def print_csv(frame: pd.DataFrame) -> None:
    """CSV on standard output."""
    frame.to_csv(sys.stdout, index=False)
