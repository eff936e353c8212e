"""``kgpert predict``: what knocking down a gene would do, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError


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


def _print_explanation(told: Any, graph: str, top: int) -> None:
    n = len(told.neighbours)
    terminal.out.print(
        f"{told.gene} in {told.line}, atlas {told.atlas} ({told.kind}), graph {graph}; {told.described_status}."
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
