"""``kgpert graph``: what the knowledge graphs say, before any screen is looked at."""

from __future__ import annotations

from typing import Annotated

import typer

from kgpert_lib.cli import terminal


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

        graphs = load_graphs(graph)
        names = [known_gene(gene, graphs) for gene in genes]
        tables = {gene: graph_neighbours(graphs, gene, limit) for gene in names}
    if as_json:
        objects = [
            {
                "gene": gene,
                "graphs": [g.name for g in graphs],
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
