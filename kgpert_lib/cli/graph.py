"""``kgpert graph``: what the knowledge graphs say, before any screen is looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def neighbours(
    genes: Annotated[list[str], typer.Argument(metavar="GENE", help=f"Genes, {terminal.GENE_HELP}.")],
    graph: terminal.GraphOption = "string+go",
    limit: terminal.LimitOption = 20,
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """The strongest neighbours of genes in each graph, before any screen is looked at."""
    with terminal.working("Loading graphs"):
        from kgpert_lib.evaluation.explain import graph_neighbours, known_gene
        from kgpert_lib.graphs import load_graphs
        from kgpert_lib.graphs.provenance import in_words, provenance, records

        graphs = load_graphs(graph)
        names = [known_gene(gene, graphs) for gene in genes]
        tables = {gene: graph_neighbours(graphs, gene, limit) for gene in names}
    if as_json:
        objects = [
            {
                "gene": gene,
                "graphs": records(provenance(graphs)),
                # no edge: no key
                "neighbours": [{k: v for k, v in row.items() if v == v} for row in table.to_dict("records")],
            }
            for gene, table in tables.items()
        ]
        terminal.print_json(objects[0] if len(objects) == 1 else objects)
    elif as_csv:
        import pandas as pd

        terminal.print_csv(pd.concat(tables, names=["neighbour_of"]).reset_index("neighbour_of"))
    else:
        for gene, table in tables.items():
            terminal.print_table(table, f"{gene} in {graph}: {len(table)} neighbours and their weight in each graph")
        terminal.out.print(f"\n{in_words(provenance(graphs))}")


def listed(
    atlas: Annotated[
        str | None,
        typer.Option(
            metavar="<atlas>",
            help="Screen whose perturbations are looked for in each graph. Default: perturbqa where its files are at "
            "hand, else none.",
        ),
    ] = None,
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """Every graph by name: source, date, licence, size, and the share of a screen's perturbations in it.

    The first time takes about half a minute, as graphs are built and kept in the cache.
    """
    with terminal.working("Loading graphs"):
        from kgpert_lib.graphs.listing import COLUMNS, listing

        lines, why = _perturbations(atlas)
        table = listing(lines)
    if as_json:
        terminal.print_json(_objects(table, list(lines)))
    elif as_csv:
        terminal.print_csv(table)
    else:
        names = [name for name in COLUMNS if name != "fetched"]
        sizes = {size: table[size].astype(object).where(table["fetched"], "not fetched") for size in ("genes", "edges")}
        shown = table.assign(older=table["older"].map({True: "yes", False: "no"}), **sizes)[[*names, *lines]]
        terminal.print_table(shown, "Graphs that come with kgpert, for --graph")
        terminal.out.print("\nolder: the snapshot is older than the screens, so that it cannot know their answers.")
        if lines:
            terminal.out.print(f"{', '.join(lines)}: share of the line's perturbations that are in the graph.")
    if why:
        terminal.err.print(why)


def _perturbations(atlas: str | None) -> tuple[dict[str, list[str]], str]:
    """The perturbations of each cell line, and in a sentence why there is none.

    Nothing is downloaded unless `atlas` is named. InputError for a simulated screen, which has graphs of its own.
    """
    from kgpert_lib.screens.load import load_atlas

    try:
        screen = load_atlas(atlas or "perturbqa", download=atlas is not None)
    except InputError as error:
        if atlas is not None:
            raise
        return {}, f"The share of perturbations in each graph is left out: {error}"
    if screen.kind == "simulated":
        raise InputError(f"{atlas} is a simulation, about which these graphs say nothing; name a measured screen.")
    return {line: cells.perturbations.tolist() for line, cells in screen.lines.items()}, ""


def _objects(table: pd.DataFrame, lines: list[str]) -> list[dict[str, Any]]:
    """The rows for JSON, coverage by line; without counts where the graph is not fetched."""
    return [
        {
            **{key: row[key] for key in table.columns if key not in lines},
            **({"coverage": {line: row[line] for line in lines}} if row["fetched"] and lines else {}),
        }
        for row in table.to_dict("records")
    ]
