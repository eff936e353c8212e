"""``kgpert graph``: what the knowledge graphs say, before any screen is looked at."""

from __future__ import annotations

from typing import Annotated

import typer

from kgpert_lib.cli import terminal


def neighbours(
    gene: Annotated[str, typer.Argument(help="Gene symbol, in any known spelling.")],
    graph: terminal.GraphOption = "string+go",
    limit: terminal.LimitOption = 20,
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """The strongest neighbours of a gene in each graph, before any screen is looked at."""
    from kgpert_lib.evaluation.explain import graph_neighbours, known_gene
    from kgpert_lib.graphs import load_graphs

    with terminal.working("Loading graphs"):
        graphs = load_graphs(graph)
        gene = known_gene(gene, graphs)
        table = graph_neighbours(graphs, gene, limit)
    if as_json:
        rows = [{k: v for k, v in row.items() if v == v} for row in table.to_dict("records")]  # no edge: no key
        terminal.print_json({"gene": gene, "graphs": [g.name for g in graphs], "neighbours": rows})
    elif as_csv:
        terminal.print_csv(table)
    else:
        terminal.print_table(table, f"{gene} in {graph}: {len(table)} neighbours and their weight in each graph")
