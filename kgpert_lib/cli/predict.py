"""``kgpert predict``: what knocking down genes would do, which neighbours say so, and what was measured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgpert_lib import parquet
from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from kgpert_lib.evaluation.explain import Explanation
    from kgpert_lib.predictors.predictions import Predictor
    from kgpert_lib.screens.screen import Screen
    from kgpert_lib.types import Split

MATRICES = (".h5ad", ".npz", parquet.ENDING)
TABLES = (".csv", ".csv.gz", parquet.ENDING)  # with --all, parquet is a matrix unless --top N asks for a table


def predict(
    genes: Annotated[
        list[str] | None,
        typer.Argument(metavar="GENE", help=f"Genes, {terminal.GENE_HELP}; left out with --all."),
    ] = None,
    line: terminal.K562Option = None,
    predictor: terminal.PredictorOption = "union",
    atlas: terminal.BestAtlasOption = None,
    graph: terminal.GraphOption = "string+go",
    limit: terminal.LimitOption = 20,
    cut: terminal.CutOption = "before",
    prior: terminal.PriorOption = None,
    split: terminal.SplitOption = terminal.DEFAULT_SPLIT,
    seed: terminal.SeedOption = 0,
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="<int>",
            help="Readout genes in each direction. Default: 10 printed, all in csv; no default for a table of --all.",
        ),
    ] = None,
    specific: Annotated[bool, typer.Option("--specific", help="Rank by prediction minus mean training delta.")] = False,
    trust: Annotated[bool, typer.Option(help="Say how good such predictions are (takes seconds).")] = True,
    every: Annotated[
        bool,
        typer.Option(
            "--all",
            help="Predict every gene of the graphs and of the screen, into -o FILE: a matrix, or with --top N a table "
            "of the N readout genes that rise and the N that fall most. A gene's own measurement is then in the "
            "training mean and in a completion of gaps, not among its neighbours.",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            help="A table (.csv, .csv.gz, .parquet), or with --all also a matrix (.h5ad, .npz, .parquet).",
        ),
    ] = None,
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """What knocking down genes would do: the neighbours, the readout genes that move, what was measured.

    A measured gene that is named is predicted without its own measurement.
    """
    _check_request(genes or [], line or [], every, output, top)
    with terminal.working("Loading") as say:
        from kgpert_lib.cli.predictors import build
        from kgpert_lib.evaluation.explain import PRINTED, explain, known_gene
        from kgpert_lib.graphs.provenance import in_words, provenance, records
        from kgpert_lib.screens.load import default_atlas, default_line, load_screen

        lines = terminal.selected(line or [default_line(atlas)])
        screen = load_screen(atlas or default_atlas(lines), lines, graph, seed)
        model = build(predictor, screen, limit, cut, prior, seed)
        graphs = provenance(model)
        say("Predicting")
        if output is not None and every:
            summary = _write_all(output, screen, model, split, top, specific)
        else:
            explanations = [
                explain(screen.atlas, name, known_gene(gene, screen.graphs, screen[name]), model, split, trust)
                for gene in genes or []
                for name in screen.lines
            ]
    if every:
        terminal.out.print(summary, soft_wrap=True)
    elif output is not None:
        terminal.write_table(output, _readout_rows(explanations, top, specific))
        terminal.out.print(f"{output}: {_count(len(explanations), 'prediction')}", soft_wrap=True)
    elif as_json:
        objects = [
            e.to_dict(top or PRINTED, specific) | {"split": split, "predictor": model.name, "graphs": records(graphs)}
            for e in explanations
        ]
        terminal.print_json(objects[0] if len(objects) == 1 else objects)
    elif as_csv:
        terminal.print_csv(_readout_rows(explanations, top, specific))
    else:
        for number, explanation in enumerate(explanations):
            if number:
                terminal.out.print()
            terminal.out.print(explanation.opening(model.name))
            for title, table in explanation.tables(top or PRINTED, specific).items():
                terminal.print_table(table, title)
            terminal.out.print("\n" + "\n".join(explanation.notes()))
        terminal.out.print(in_words(graphs))


def _check_request(genes: list[str], lines: list[str], every: bool, output: Path | None, top: int | None) -> None:
    """Whether the arguments fit together, before anything is loaded."""
    if every == bool(genes) or (every and output is None):
        raise InputError("Give one gene or more, or --all together with -o FILE.")
    if output is None:
        return
    if output.suffix == parquet.ENDING:
        parquet.require()
    matrix, table = output.name.endswith(MATRICES), output.name.endswith(TABLES)
    if not table and not (every and matrix):
        endings = ", ".join(dict.fromkeys((*TABLES, *MATRICES)) if every else TABLES)
        raise InputError(f"{output}: {'all predictions' if every else 'predictions'} are saved as {endings}.")
    if not every:
        return
    if top is not None and not table:
        raise InputError(
            f"{output}: a matrix holds every readout gene; leave --top out, or write a table ({', '.join(TABLES)})."
        )
    if top is None and not matrix:
        raise InputError(f"{output}: a table of all genes needs --top N, the readout genes kept in each direction.")
    if top is None and (len(lines) > 1 or terminal.selected(lines or ["k562"]) is None):
        raise InputError(f"{output}: a matrix holds one cell line; name one, or write a table with --top N.")


def _write_all(output: Path, screen: Screen, model: Predictor, split: Split, top: int | None, specific: bool) -> str:
    """Predict every gene of the graphs and of the screen, write the file, and say in a sentence what it holds."""
    import pandas as pd

    from kgpert_lib.evaluation.readouts import in_batches, strongest_readouts
    from kgpert_lib.graphs.provenance import provenance

    genes = screen.genes()
    where = f"in {', '.join(screen.lines)} of {screen.atlas.label}"
    if top is None:
        [line] = screen.lines
        predictions = model.predict(screen.view(line, split), genes)
        path = predictions.save(output, provenance(model))
        return (
            f"{path}: {len(genes)} genes x {len(predictions.genes)} readout genes {where}; "
            f"{int(predictions.fallback.sum())} had no neighbour and got the training mean."
        )
    tables = []
    for line in screen.lines:
        view = screen.view(line, split)
        tables += [
            strongest_readouts(predictions, view, top, specific).assign(line=line)
            for predictions in in_batches(model, view, genes)
        ]
    table = pd.concat(tables, ignore_index=True)
    terminal.write_table(output, table[["line", *table.columns.drop("line")]])
    return f"{output}: {len(genes)} genes, up to {2 * top} readout genes each, {where}."


def _readout_rows(explanations: list[Explanation], top: int | None, specific: bool) -> pd.DataFrame:
    """One row per readout gene: all of them, or the `top` in each direction."""
    import pandas as pd

    tables = []
    for e in explanations:
        rows = e.readout if top is None else pd.concat([e.strongest(top, sign, specific) for sign in (1, -1)])
        tables.append(rows.assign(line=e.line, perturbation=e.gene))
    table = pd.concat(tables, ignore_index=True)
    return table[["line", "perturbation", *table.columns.drop(["line", "perturbation"])]]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
