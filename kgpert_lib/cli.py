"""The ``kgpert`` command: a thin layer that parses, calls the library and prints."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import typer
from rich.console import Console
from rich.table import Table

from kgpert_lib import cli_models
from kgpert_lib.errors import InputError

app = typer.Typer(
    help="What would knocking down a gene do, and how far may I trust it?",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
graph_app = typer.Typer(help="Look at the knowledge graphs.", no_args_is_help=True)
app.add_typer(graph_app, name="graph")
cli_models.register(app)
out, err = Console(), Console(stderr=True, soft_wrap=True)

AtlasOption = Annotated[str, typer.Option(help="perturbqa, or the folder of a saved atlas.")]
LineOption = Annotated[str, typer.Option(help="Cell line, such as k562.")]
GraphOption = Annotated[str, typer.Option(help="Graphs joined by +, or a csv edge list.")]
LimitOption = Annotated[int, typer.Option(help="Largest neighbourhood of one graph.")]
CutOption = Annotated[Literal["before", "after"], typer.Option(help="Cut before or after keeping training genes.")]
PriorOption = Annotated[float | None, typer.Option(help="Weight of the training mean, in neighbours.")]
SplitOption = Annotated[Literal["per-line", "strict"], typer.Option(help="What other lines may show.")]
SeedOption = Annotated[int, typer.Option(help="Seed of random cuts and of the bootstrap.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
CsvOption = Annotated[bool, typer.Option("--csv", help="Print CSV.")]


@app.command()
def fetch(
    group: Annotated[str, typer.Argument(help="perturbqa, string, go or another group of the registry.")],
) -> None:
    """Download the files of one source, resume what was cut off, and verify every checksum."""
    from kgpert_lib.downloads.fetch import fetch_group

    got = fetch_group(group)
    for name, path in got.items():
        out.print(f"{name}: {path}", soft_wrap=True)
    for name, reason in got.failed.items():
        err.print(f"{name}: {reason}")
    if not got:
        raise InputError(f"No file of {group} could be had.")


@graph_app.command()
def neighbours(
    gene: str,
    graph: GraphOption = "string+go",
    limit: LimitOption = 20,
    as_json: JsonOption = False,
) -> None:
    """The strongest neighbours of a gene in each graph, before any screen is looked at."""
    from kgpert_lib.explain import graph_neighbours, known_gene
    from kgpert_lib.graphs import load_graphs

    graphs = load_graphs(graph)
    gene = known_gene(gene, (), graphs)
    table = graph_neighbours(graphs, gene, limit)
    if as_json:
        rows = [{k: v for k, v in row.items() if not pd.isna(v)} for row in table.to_dict("records")]
        _json({"gene": gene, "graphs": [g.name for g in graphs], "neighbours": rows})
    else:
        _table(table, f"{gene} in {graph}: {len(table)} neighbours and their weight in each graph")


@app.command()
def predict(
    gene: Annotated[str | None, typer.Argument(help="Gene to knock down; left out with --all.")] = None,
    line: LineOption = "k562",
    atlas: AtlasOption = "perturbqa",
    graph: GraphOption = "string+go",
    limit: LimitOption = 20,
    cut: CutOption = "before",
    prior: PriorOption = None,
    split: SplitOption = "per-line",
    seed: SeedOption = 0,
    top: Annotated[int, typer.Option(help="Readout genes shown in each direction.")] = 10,
    every: Annotated[bool, typer.Option("--all", help="Every gene in the graphs.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File for --all: .h5ad, .npz or .csv.")] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """What knocking down a gene would do: the neighbours, the readout genes that move, what was measured."""
    from kgpert_lib import explain
    from kgpert_lib.graphs import load_graphs
    from kgpert_lib.neighbours import GraphNeighbour
    from kgpert_lib.sources import load_atlas

    if every == (gene is not None) or every != (output is not None):
        raise InputError("Give one gene, or --all together with -o FILE.")
    screen = load_atlas(atlas, [line])
    graphs = load_graphs(graph, screen.perturbations())
    predictor = GraphNeighbour(graphs, limit, cut, prior, seed)
    if gene is None:
        assert output is not None
        names = sorted({str(s) for g in graphs for s in g.symbols})
        made = predictor.predict(screen.view(line, split), names)
        out.print(
            f"{made.save(output)}: {len(names)} genes x {len(made.genes)} readout genes in {line} of {screen.name} "
            f"({screen.kind}); {int(made.fallback.sum())} had no neighbour and got the training mean.",
            soft_wrap=True,
        )
        return
    told = explain.explain(screen, line, explain.known_gene(gene, screen.perturbations(), graphs), predictor, split)
    if as_json:
        _json(told.to_dict(top) | {"split": split, "graph": predictor.name})
    elif as_csv:
        _csv(told.readout)
    else:
        _print_explanation(told, predictor.name, top)


@app.command()
def evaluate(
    atlas: AtlasOption = "perturbqa",
    line: Annotated[list[str] | None, typer.Option(help="Cell line; may be repeated. Default: all.")] = None,
    graph: Annotated[list[str] | None, typer.Option(help="Graphs joined by +; may be repeated.")] = None,
    limit: LimitOption = 20,
    cut: CutOption = "before",
    prior: PriorOption = None,
    split: SplitOption = "per-line",
    seed: SeedOption = 0,
    outside: Annotated[list[str] | None, typer.Option(help="LINE=FILE with predictions made elsewhere.")] = None,
    as_json: JsonOption = False,
    as_csv: CsvOption = False,
) -> None:
    """Score predictors on test perturbations: means with intervals, and paired tests."""
    from kgpert_lib import tables
    from kgpert_lib.evaluation import evaluate_lines, standard_predictors
    from kgpert_lib.sources import load_atlas

    screen = load_atlas(atlas, line)
    specs = graph or ["string", "go", "string+go"]
    predictors = standard_predictors(specs, screen.perturbations(), limit=limit, cut=cut, prior=prior, seed=seed)
    scores = evaluate_lines(screen, list(screen.lines), predictors, split, _by_line(outside or []))
    summary = tables.scores(scores, seed=seed)
    tests = tables.paired_tests(scores, reference="training mean", seed=seed)
    if as_json:
        _json({"scores": summary.to_dict("records"), "tests": tests.to_dict("records")})
    elif as_csv:
        _csv(scores)
    else:
        what = f"{screen.name} ({screen.kind}), {split} split, test perturbations"
        _table(summary, f"{what}: mean [95 % bootstrap interval]")
        _table(tests, f"{what}: Pearson delta against the training mean, paired Wilcoxon, Holm")
    for name, why in screen.missing.items():
        err.print(f"{name} is missing: {why}")


@app.command()
def book(
    chapters: Annotated[str | None, typer.Option(help="Chapter numbers, such as '02 07'. Default: all.")] = None,
    set_: Annotated[str | None, typer.Option("--set", help="Chapter parameters, such as 'limit=10 cut=after'.")] = None,
    workers: Annotated[int, typer.Option(help="Chapters executed at once.")] = 1,
    root: Annotated[Path, typer.Option(help="Folder of the book.")] = Path(),
) -> None:
    """Execute the chapters and render the book; only what changed runs again."""
    from kgpert_lib.book import build
    from kgpert_lib.chapters import parse_settings

    built = build(root, (chapters or "").split() or None, parse_settings(set_ or ""), workers=workers)
    out.print(f"Open {built.html / 'index.html'}", soft_wrap=True)


def main() -> None:
    """Run the command; input that cannot be used ends in one sentence and exit code 2."""
    warnings.showwarning = lambda message, *_: err.print(f"Note: {message}", markup=False)
    try:
        app()
    except InputError as error:
        err.print(f"kgpert: {error}", markup=False, highlight=False)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("kgpert: stopped.")
        sys.exit(130)
    except BrokenPipeError:
        sys.exit(0)


def _by_line(pairs: list[str]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for pair in pairs:
        line, found, path = pair.partition("=")
        if not found:
            raise InputError(f"--outside {pair!r} is not LINE=FILE, such as k562=mine.h5ad.")
        files.setdefault(line, []).append(path)
    return files


def _print_explanation(told: Any, graph: str, top: int) -> None:
    n = len(told.neighbours)
    out.print(
        f"[bold]{told.gene}[/bold] in {told.line}, atlas {told.atlas} ({told.kind}), graph {graph}; "
        f"{told.described_status}."
    )
    if told.fallback:
        out.print("No training perturbation stands beside it: the mean training delta is shown.")
    else:
        _table(told.neighbour_table(), f"{n} neighbours")
    for title, sign in (("up", 1), ("down", -1)):
        _table(told.strongest(top, sign), f"Strongest {title} (predicted delta; neighbours that measured the gene)")
    if told.score is not None:
        out.print(
            f"Measured in {told.line} on {told.score['n_genes']} genes: Pearson delta {told.score['pearson']:.3f}, "
            f"centred {told.score['centred_pearson']:.3f}."
        )


def _table(frame: pd.DataFrame, title: str) -> None:
    table = Table(title=title, title_justify="left")
    for column in frame.columns:
        table.add_column(str(column), justify="right" if pd.api.types.is_numeric_dtype(frame[column]) else "left")
    for row in frame.itertuples(index=False):
        table.add_row(*(_cell(value) for value in row))
    out.print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return "" if pd.isna(value) else f"{value:.3g}"
    return str(value)


def _json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, indent=2, default=float) + "\n")


def _csv(frame: pd.DataFrame) -> None:
    frame.to_csv(sys.stdout, index=False)
