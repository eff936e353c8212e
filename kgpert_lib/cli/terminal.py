"""What the commands share: options, tables that fit the terminal, JSON, CSV, and a sign that work goes on.

Nothing that is printed here is read as markup: names of files, genes and atlases, reasons and the errors of servers
come from outside and may hold brackets.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from kgpert_lib.lines import LINES

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

out = Console(markup=False, emoji=False, highlight=False)
err = Console(markup=False, emoji=False, highlight=False, stderr=True, soft_wrap=True)

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL = re.compile(
    r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)  # all but the newline

GAP = 2  # blanks between two columns of a table
NARROWEST_TEXT = 16  # a column of text is folded down to this width before the table is split
NARROWEST_NAME = 6  # the first column, on a terminal too narrow for anything else

# Written out here because importing the predictors takes a second; a test compares the names.
PREDICTORS = (
    "mean", "linear", "string", "go", "union", "weighted", "filled", "weighted-shared", "weighted-filled",
    "weighted-lines", "union-further", "similar", "similar-filled", "shuffled",
)  # fmt: skip
MODEL_PREDICTORS = (  # from recorded answers of a language model, SmolLM2 unless the name goes on with :MODEL
    "langpert",
    "langpert-inside",
    "langpert-first",
    "langpert-random",
    "langpert-random-training",
    "name-prefix",
    "edits",
    "edits-random",
    "edits-random-training",
    "union-name-prefix",
)
PREDICTOR_HELP = "A name from the list below, or graphs joined by +."
PREDICTOR_LIST = (
    f"Predictors: {', '.join(PREDICTORS)}; from recorded answers of a language model (SmolLM2, or another as in "
    f"langpert:qwen3-4b): {', '.join(MODEL_PREDICTORS)}."
)
GENE_HELP = "in any known spelling, or an Entrez or Ensembl identifier"

DEFAULT_SPLIT: Literal["strict"] = "strict"
_SPLIT_HELP = (
    "What the training rows of other cell lines may hold: strict, no test gene of this line; "
    "per-line, whatever is for training there."
)


def _starting_with(*names: str) -> Callable[[str], list[str]]:
    """For the shell's completion: those of `names` that start with what was typed."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete.lower())]


_complete_lines = _starting_with(*LINES, "all")  # an atlas of your own may have others
complete_predictor = _starting_with(*PREDICTORS, *MODEL_PREDICTORS)
PredictorOption = Annotated[str, typer.Option(help=PREDICTOR_HELP, autocompletion=complete_predictor)]

ATLASES = "perturbqa, replogle (options follow as :key=value), simulated, distances or a folder with a saved atlas."
complete_atlas = _starting_with("distances", "perturbqa", "replogle", "simulated")
AtlasOption = Annotated[str, typer.Option(help=ATLASES, autocompletion=complete_atlas)]
BestAtlasOption = Annotated[
    str | None,
    typer.Option(
        metavar="<atlas>",
        help=f"{ATLASES} Default: replogle where its files of these lines are at hand, else perturbqa.",
        autocompletion=complete_atlas,
    ),
]
LineOption = Annotated[
    str, typer.Option(help="Cell line, such as k562 (in any case).", autocompletion=_starting_with(*LINES))
]


def lines_option(default: str) -> Any:
    """The option ``--line`` of a command that takes several lines; `default` is what its help says of none given."""
    return typer.Option(
        "--line",
        metavar="<line>",
        help=f"Cell line, in any case; may be repeated; all for every line. Default: {default}.",
        autocompletion=_complete_lines,
    )


LinesOption = Annotated[list[str] | None, lines_option("all")]
K562Option = Annotated[list[str] | None, lines_option("k562")]
GraphOption = Annotated[
    str,
    typer.Option(
        help="Names (kgpert graph list) or csv edge lists, joined by +; a simulated screen has graphs of its own."
    ),
]
LimitOption = Annotated[int, typer.Option(help="Most neighbours that one graph gives.")]
CutOption = Annotated[
    Literal["before", "after"],
    typer.Option(metavar="<cut>", help="Apply the limit before or after keeping training genes."),
]
PriorOption = Annotated[
    float | None, typer.Option(help="Weight of the training mean, in neighbours. Default: 1 with gaps, else 0.")
]
SplitOption = Annotated[Literal["per-line", "strict"], typer.Option(metavar="<split>", help=_SPLIT_HELP)]
SeedOption = Annotated[
    int, typer.Option(min=0, max=2**32 - 1, metavar="<int>", help="Seed of whatever is drawn at random.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


def spelt_in(lines: Mapping[str, Any], line: str) -> str:
    """The name in `lines` that equals `line` but for case; `line` itself where none does (the atlas then says so)."""
    return next((name for name in lines if name.casefold() == line.casefold()), line)


def selected(names: Sequence[str] | None) -> list[str] | None:
    """The cell lines to load, each once; None, which loads all, for none given and for ``all``."""
    each = {name.casefold(): name for name in names or ()}
    return None if not each or "all" in each else list(each.values())


def selected_in(lines: Mapping[str, Any], names: Sequence[str] | None) -> list[str]:
    """`selected` among `lines`, as these spell them; a name that is none of them stays as it is."""
    return [spelt_in(lines, name) for name in selected(names) or lines]


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show on standard error that work goes on, where that is a terminal; for work that takes above two seconds.

    Yields a function that replaces the text: ``with working("Loading") as say: ...; say("Scoring")``.
    """
    from rich.text import Text

    if not err.is_terminal:
        yield lambda text: None
        return
    with err.status(Text(what)) as status:
        yield lambda text: status.update(Text(text))


def print_table(frame: pd.DataFrame, title: str) -> None:
    """`rendered` on standard output, after an empty line."""
    out.print()
    out.print(rendered(frame, title))


def rendered(frame: pd.DataFrame, title: str) -> Any:
    """A table under its title, within the width of the terminal.

    Text folds first. Where that is not enough, the table comes in parts, one below the other, each of which
    starts with the first column again: no column is lost and no number is cut.
    """
    from rich.console import Group
    from rich.text import Text

    cells = {str(name): _cells(frame.iloc[:, k].tolist()) for k, name in enumerate(frame.columns)}
    texts = {name for k, (name, column) in enumerate(cells.items()) if k == 0 or _is_text(column)}
    parts: list[Any] = [Text(title, style="bold")]
    for k, widths in enumerate(_parts(cells, texts, out.width)):
        if k:
            parts.append(Text())
        parts.append(_table({name: cells[name] for name in widths}, texts, widths))
    return Group(*parts)


def plain(text: str) -> str:
    """Text of another program or of a file, for the terminal: without colours, control characters as a box.

    Such characters would move the cursor, rename the window or hide what is printed.
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _COLOUR.sub("", text).expandtabs())


def _parts(cells: dict[str, list[str]], texts: set[str], width: int) -> Iterator[dict[str, int]]:
    """The widths of the columns that stand side by side within `width`; every part has the first column."""
    natural = {name: max(map(len, [name, *column])) for name, column in cells.items()}
    least = {
        # Text folds; a number does not, and its header does at the blanks.
        name: min(natural[name], NARROWEST_TEXT) if name in texts else max(map(len, [*column, *name.split()]))
        for name, column in cells.items()
    }
    parts = _side_by_side(least, width)
    # As many parts as the width asks for, but of similar widths.
    for narrower in range(max(least.values()), width):
        if len(even := _side_by_side(least, narrower)) == len(parts):
            parts = even
            break
    first = next(iter(cells))
    for names in parts:
        widths = {name: natural[name] for name in names}
        over = sum(widths.values()) + GAP * (len(names) - 1) - width
        # The widest text gives way first; the names of the rows once more where a number would not fit else.
        order = [(name, least[name]) for name in sorted(names, key=lambda n: least[n] - natural[n])]
        for name, narrowest in [*order, (first, min(least[first], NARROWEST_NAME))]:
            narrower = min(max(over, 0), widths[name] - narrowest)
            widths[name] -= narrower
            over -= narrower
        yield widths


def _side_by_side(least: dict[str, int], width: int) -> list[list[str]]:
    """The names of the columns that fit beside the first one, part by part; at least one in each."""
    first, *others = least
    parts = [[first]]
    for name in others:
        if len(parts[-1]) > 1 and sum(least[n] + GAP for n in [*parts[-1], name]) - GAP > width:
            parts.append([first])
        parts[-1].append(name)
    return parts


def _table(columns: dict[str, list[str]], texts: set[str], widths: dict[str, int]) -> Any:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for name in columns:
        table.add_column(name, justify="left" if name in texts else "right", width=widths[name], overflow="fold")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    return table


def _is_text(column: Sequence[str]) -> bool:
    return any(cell[:1].isalpha() for cell in column)


def _cells(values: Sequence[Any]) -> list[str]:
    """The values of one column as text; floats with the same number of digits, nothing for NaN."""
    numbers = [abs(value) for value in values if isinstance(value, float) and value == value]
    if all(number < 1e6 and number == int(number) for number in numbers):
        form = ".0f"
    else:
        form = ".3f" if all(number == 0 or 5e-4 <= number < 1e4 for number in numbers) else ".3g"
    return [_cell(value, form) for value in values]


def _cell(value: Any, form: str) -> str:
    if isinstance(value, float):
        return "" if value != value else f"{value:{form}}"
    # In "0.575 [0.533, 0.613]" the zeros before the points take room and tell nothing.
    return re.sub(r"(?<![\d.])0(?=\.\d+[ ,\]])", "", str(value))


def print_json(value: Any) -> None:
    """JSON on standard output; null stands for NaN."""
    sys.stdout.write(json.dumps(_plain(value), indent=2, allow_nan=False) + "\n")


def _plain(value: Any) -> Any:
    """The value for JSON, which has no NaN: null stands in its place."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and value != value else value


def write_table(path: Path, frame: pd.DataFrame) -> None:
    """A parquet or a csv file, the latter compressed where its name ends in .gz; whole or not at all."""
    from kgpert_lib import parquet
    from kgpert_lib.files import atomic

    # Without a time stamp the same rows are the same bytes.
    how: Any = {"method": "gzip", "mtime": 0} if path.suffix == ".gz" else None
    with atomic(path) as scratch:
        if path.suffix == parquet.ENDING:
            parquet.write_frame(scratch, frame)
        else:
            frame.to_csv(scratch, index=False, compression=how)


def print_csv(frame: pd.DataFrame) -> None:
    """CSV on standard output."""
    frame.to_csv(sys.stdout, index=False)
