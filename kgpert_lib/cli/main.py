"""The ``kgpert`` command: a thin layer that parses, calls the library and prints."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path
from typing import Annotated, Any, Literal

import pandas as pd
import typer

from kgpert_lib.cli import models, perturbqa, terminal
from kgpert_lib.errors import InputError

app = typer.Typer(
    help="What would knocking down a gene do, and how far may I trust it?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
graph_app = typer.Typer(help="Look at the knowledge graphs.", no_args_is_help=True)
app.add_typer(graph_app, name="graph")
for command in (perturbqa.vote, perturbqa.ask, models.serve, models.record):
    app.command()(command)
USAGE_ERROR: Any = typer.BadParameter.__base__


@app.command()
def fetch(
    group: Annotated[str, typer.Argument(help="perturbqa, string, go or another group of the registry.")],
) -> None:
    """Download the files of one source, resume what was cut off, and verify every checksum.

    Files whose hosts cannot be reached are named; the exit code is 2 when none was had or a copy was wrong.
    """
    from kgpert_lib.downloads.fetch import fetch_group

    got = fetch_group(group)
    for name, path in got.items():
        terminal.out.print(f"{name}: {path}", soft_wrap=True)
    for reason in got.failed.values():
        terminal.err.print(f"kgpert: {reason}", markup=False, highlight=False)
    if not got or set(got.failed) - got.unreachable:
        raise typer.Exit(2)


@graph_app.command()
def neighbours(
    gene: Annotated[str, typer.Argument(help="Gene symbol, in any known spelling.")],
    graph: terminal.GraphOption = "string+go",
    limit: terminal.LimitOption = 20,
    as_json: terminal.JsonOption = False,
) -> None:
    """The strongest neighbours of a gene in each graph, before any screen is looked at."""
    from kgpert_lib.evaluation.explain import graph_neighbours, known_gene
    from kgpert_lib.graphs import load_graphs

    graphs = load_graphs(graph)
    gene = known_gene(gene, graphs)
    table = graph_neighbours(graphs, gene, limit)
    if as_json:
        rows = [{k: v for k, v in row.items() if not pd.isna(v)} for row in table.to_dict("records")]
        terminal.print_json({"gene": gene, "graphs": [g.name for g in graphs], "neighbours": rows})
    else:
        terminal.print_table(table, f"{gene} in {graph}: {len(table)} neighbours and their weight in each graph")


@app.command()
def predict(
    gene: Annotated[str | None, typer.Argument(help="Gene to knock down; left out with --all.")] = None,
    line: terminal.LineOption = "k562",
    atlas: terminal.AtlasOption = "perturbqa",
    graph: terminal.GraphOption = "string+go",
    limit: terminal.LimitOption = 20,
    cut: terminal.CutOption = "before",
    prior: terminal.PriorOption = None,
    split: terminal.SplitOption = "per-line",
    seed: terminal.SeedOption = 0,
    top: Annotated[int, typer.Option(min=1, help="Readout genes shown in each direction.")] = 10,
    trust: Annotated[bool, typer.Option(help="Say how good such predictions are (takes seconds).")] = True,
    every: Annotated[bool, typer.Option("--all", help="Predict every gene in the graphs.")] = False,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="File for --all: .h5ad, .npz or .csv.")] = None,
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """What knocking down a gene would do: the neighbours, the readout genes that move, what was measured."""
    from kgpert_lib.evaluation import explain
    from kgpert_lib.predictors.named import Options, build
    from kgpert_lib.predictors.predictions import check_ending
    from kgpert_lib.screens.load import load_screen

    if every == (gene is not None) or every != (output is not None):
        raise InputError("Give one gene, or --all together with -o FILE.")
    if output is not None:
        check_ending(output)
    screen = load_screen(atlas, [line], graph, seed)
    predictor = build("union", screen, Options(limit, cut, prior, seed))
    if gene is None:
        assert output is not None
        names = sorted({str(s) for g in screen.graphs for s in g.symbols})
        made = predictor.predict(screen.view(line, split), names)
        terminal.out.print(
            f"{made.save(output)}: {len(names)} genes x {len(made.genes)} readout genes in {line} of {screen.name} "
            f"({screen.kind}); {int(made.fallback.sum())} had no neighbour and got the training mean.",
            soft_wrap=True,
        )
        return
    gene = explain.known_gene(gene, screen.graphs, screen[line])
    told = explain.explain(screen.atlas, line, gene, predictor, split, trust)
    if as_json:
        terminal.print_json(told.to_dict(top) | {"split": split, "graph": predictor.name})
    elif as_csv:
        terminal.print_csv(told.readout)
    else:
        _print_explanation(told, predictor.name, top)


@app.command()
def evaluate(
    atlas: terminal.AtlasOption = "perturbqa",
    line: Annotated[list[str] | None, typer.Option(help="Cell line; may be repeated. Default: all.")] = None,
    graph: Annotated[
        list[str] | None, typer.Option(help="Names joined by +; may be repeated. Default: string, go and string+go.")
    ] = None,
    limit: terminal.LimitOption = 20,
    cut: terminal.CutOption = "before",
    prior: terminal.PriorOption = None,
    split: terminal.SplitOption = "per-line",
    seed: terminal.SeedOption = 0,
    fill: Annotated[Literal["none", "lowrank"], typer.Option(help="Also fill the gaps of training deltas.")] = "none",
    reference: Annotated[Literal["test", "all"], typer.Option(help="Perturbations that retrieval ranks.")] = "test",
    outside: Annotated[list[str] | None, typer.Option(help="LINE=FILE with predictions made elsewhere.")] = None,
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """Score predictors on test perturbations: means with intervals, and paired tests."""
    from kgpert_lib.evaluation import summaries
    from kgpert_lib.evaluation.evaluate import evaluate_lines
    from kgpert_lib.predictors.named import Options, build
    from kgpert_lib.screens.load import load_screen

    screen = load_screen(atlas, line, seed=seed)
    specs = graph or [*(g.name for g in screen.graphs), "union"]
    options = [Options(limit, cut, prior, seed)]
    if fill != "none":
        options.append(Options(limit, cut, prior, seed, fill))
    predictors = [build(name, screen) for name in ("mean", "linear")]
    predictors += [build(name, screen, choice) for choice in options for name in specs]
    scores = evaluate_lines(screen.atlas, list(screen.lines), predictors, split, _by_line(outside or []), reference)
    summary = summaries.scores(scores, seed=seed)
    tests = summaries.paired_tests(scores, reference="training mean", seed=seed)
    if as_json:
        terminal.print_json({"scores": summary.to_dict("records"), "tests": tests.to_dict("records")})
    elif as_csv:
        terminal.print_csv(scores)
    else:
        terminal.out.print(f"Atlas {screen.name} ({screen.kind}), {split} split; means with 95 % bootstrap intervals.")
        for name, part in summary.groupby("line", sort=False):
            terminal.print_table(_score_rows(part), f"{name}: {part['n'].iloc[0]} test perturbations")
        terminal.out.print(
            "\nfallback: perturbations that got the training mean for want of anything better.\n\n"
            "Pearson delta against the training mean; paired Wilcoxon test, p corrected by Holm."
        )
        for name, part in tests.groupby("line", sort=False):
            terminal.print_table(_test_rows(part), str(name))
    for name, why in screen.atlas.missing.items():
        terminal.err.print(f"{name} is missing: {why}")


@app.command()
def simulate(
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the atlas and the cells.")],
    line: Annotated[list[str] | None, typer.Option(help="Cell line; may be repeated. Default: all four.")] = None,
    size: Annotated[Literal["tiny", "default"], typer.Option(help="How much is simulated.")] = "default",
    seed: terminal.SeedOption = 0,
) -> None:
    """Simulate a screen down to single cells: a saved atlas and one h5ad of cells a line."""
    from kgpert_lib.screens.simulated import simulation

    folder = simulation.write(output, line, seed, size)
    terminal.out.print(f"{folder}/atlas: the atlas\n{folder}/cells: one h5ad of single cells a line", soft_wrap=True)


@app.command()
def book(
    chapters: Annotated[str | None, typer.Option(help="Chapter numbers, such as '02 07'. Default: all.")] = None,
    set_: Annotated[str | None, typer.Option("--set", help="Chapter parameters, such as 'limit=10 cut=after'.")] = None,
    workers: Annotated[int, typer.Option(help="Chapters executed at once.")] = 1,
    root: Annotated[Path, typer.Option(help="Folder of the book.")] = Path(),
) -> None:
    """Execute the chapters and render the book; only what changed runs again."""
    from kgpert_lib.book.build import build
    from kgpert_lib.book.chapters import parse_settings

    built = build(root, (chapters or "").split() or None, parse_settings(set_ or ""), workers=workers)
    terminal.out.print(f"Open {built.html / 'index.html'}", soft_wrap=True)


def main() -> None:
    """Run the command; input that cannot be used ends in one sentence and exit code 2."""
    warnings.filterwarnings("ignore", module="anndata")
    warnings.showwarning = lambda message, *_: terminal.err.print(f"Note: {message}", markup=False, highlight=False)
    try:
        code = app(prog_name="kgpert", standalone_mode=False) or 0
        sys.stdout.flush()
    except (InputError, USAGE_ERROR) as error:
        message = error.format_message() if isinstance(error, USAGE_ERROR) else str(error)
        if message:
            terminal.err.print(f"kgpert: {message}", markup=False, highlight=False)
        code = 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    if code == 130:
        terminal.err.print("kgpert: stopped.")
    sys.exit(code)


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
    terminal.out.print(
        f"[bold]{told.gene}[/bold] in {told.line}, atlas {told.atlas} ({told.kind}), graph {graph}; "
        f"{told.described_status}."
    )
    if told.fallback:
        terminal.out.print("No training perturbation stands beside it: the mean training delta is shown.")
    else:
        terminal.print_table(
            told.neighbour_table(), f"{n} neighbour{'s' * (n != 1)}: share of the mean, and edge weight in each graph"
        )
    for title, sign in (("up", 1), ("down", -1)):
        table = told.strongest(top, sign).rename(columns={"neighbours_measured": "neighbours"})
        terminal.print_table(table if told.score is not None else table.drop(columns="measured"), f"Strongest {title}")
    terminal.out.print("\nneighbours: how many of them measured that readout gene.")
    if told.expected is not None:
        terminal.out.print(
            f"Expected Pearson delta {told.expected['pearson']:.2f}; for {told.expected['level']:.0%} of genes with "
            f"such a neighbourhood it lies between {told.expected['low']:.2f} and {told.expected['high']:.2f}.",
            highlight=False,
        )
    if told.score is not None:
        terminal.out.print(
            f"measured: delta of the knock-down itself (blank: not measured). Over its {told.score['n_genes']} "
            f"measured genes the prediction's Pearson delta is {told.score['pearson']:.3f}, "
            f"centred {told.score['centred_pearson']:.3f}."
        )


def _score_rows(summary: pd.DataFrame) -> pd.DataFrame:
    """The columns of `summaries.scores` that fit into 80 characters."""
    from kgpert_lib.evaluation import summaries

    rows = summaries.formatted(summary.drop(columns=["atlas", "kind", "line", "split", "n"]))
    return rows.rename(columns=lambda c: c.removesuffix(" [95 %]").replace("_", " "))


def _test_rows(tests: pd.DataFrame) -> pd.DataFrame:
    """The columns of `summaries.paired_tests` that fit into 80 characters."""
    from kgpert_lib.evaluation import summaries

    rows = summaries.formatted(tests.drop(columns=["line", "method_b"]))
    names = {"method_a": "predictor", "n_pairs": "pairs", "n_nonzero": "differ", "p_holm": "p (Holm)"}
    return rows.rename(columns={**names, "mean_difference [95 %]": "mean difference"})
