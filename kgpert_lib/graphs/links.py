"""Links as graphs: committed tables of gene pairs, with or without a score (STRING, BioGRID, IntAct)."""

from __future__ import annotations

import zlib
from pathlib import Path

import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.cache import cached
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import gene_table, respelt

ENDS = ["gene1", "gene2"]


def load(path: Path, name: str, score: str | None = None, most: float = 1.0) -> KnowledgeGraph:
    """The graph of a table of links, kept in the cache folder (`cache.cached`).

    An edge weighs the column `score` divided by `most`, the highest score that there can be; pairs of score 0 are no
    edges. Without `score` the graph has no weights.
    """

    def build() -> KnowledgeGraph:
        pairs = read_pairs(path, score)
        weight = None
        if score is not None:
            pairs = pairs[pairs[score] > 0]
            weight = pairs[score].to_numpy() / most
        return KnowledgeGraph.from_edges(name, pairs["gene1"].to_numpy(str), pairs["gene2"].to_numpy(str), weight)

    return cached(name, [path, gene_table()], {"score": score, "most": most}, build)


def read_pairs(path: Path, score: str | None = None) -> pd.DataFrame:
    """The pairs of a gzipped table: columns gene1, gene2 and `score`, symbols as the gene table writes them.

    Raises InputError for a file that is missing or damaged, or lacks one of these columns.
    """
    columns = ENDS if score is None else [*ENDS, score]
    try:
        table = pd.read_csv(
            path,
            sep="\t",
            usecols=columns,
            dtype={"gene1": str, "gene2": str},
            keep_default_na=False,
            compression="gzip",
        )
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"{path} cannot be read as a table of links with the columns {', '.join(columns)} ({error})."
        ) from error
    both = respelt(pd.concat([table[end] for end in ENDS], ignore_index=True))
    return table.assign(gene1=both[: len(table)].to_numpy(), gene2=both[len(table) :].to_numpy())
