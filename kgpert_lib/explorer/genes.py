"""Gene names for the explorer: which spelling means which gene, full names, identifiers and GO terms."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from kgpert_lib import paths
from kgpert_lib.graphs import go
from kgpert_lib.graphs.gene_sets import read_gmt
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import gene_names, identifiers, match
from kgpert_lib.predictors.neighbourhoods import neighbourhoods

TERMS = 8
TELLING = 3.0  # information content of a term that tells genes apart: one gene in twenty carries it


def spellings(recorded: Iterable[str]) -> dict[str, str]:
    """How the explorer writes each approved symbol: as the genes with records are spelt, else as approved."""
    names, full = set(recorded), gene_names().full
    other = {approved: name for name, approved in match(full, names).resolved.items()}
    return {symbol: other.get(symbol, symbol) for symbol in full}


def search(recorded: Iterable[str]) -> dict[str, list[str]]:
    """The genes that each symbol, alias or identifier, lower-cased, may mean, as the explorer spells them.

    A gene's own spelling means that gene only, an alias every gene that has it.
    """
    table, shown = gene_names(), spellings(recorded)
    meant: dict[str, set[str]] = {}
    for alias, owners in table.owners.items():
        meant.setdefault(alias.lower(), set()).update(shown[gene] for gene in owners)
    meant |= {symbol.lower(): {name} for symbol, name in shown.items()}
    meant |= {str(name).lower(): {str(name)} for name in recorded}
    for kind in ("entrez", "ensembl"):
        for identifier, symbol in identifiers(kind).items():
            if symbol.lower() in meant:
                meant[identifier.lower()] = meant[symbol.lower()]
    return {spelling: sorted(genes) for spelling, genes in sorted(meant.items())}


def shard(spelling: str) -> str:
    """The file that holds a lower-cased spelling: its first character; for an Ensembl identifier the last digit."""
    if spelling.startswith("ensg") and spelling[4:].isdecimal():
        return f"ensg{spelling[-1]}"
    first = spelling[:1]
    return first if first.isascii() and first.isalnum() else "_"


def bucket(symbol: str, buckets: int) -> int:
    """The shard of a gene: the sum of its bytes in UTF-8 modulo the number of shards."""
    return sum(symbol.encode()) % buckets


def facts(recorded: Iterable[str], graphs: Sequence[KnowledgeGraph]) -> dict[str, dict[str, Any]]:
    """Full name, identifiers and telling GO terms of every gene, by the symbol that the explorer shows."""
    names = sorted(set(map(str, recorded)))
    table, shown = gene_names(), spellings(names)
    approved = {name: symbol for symbol, name in shown.items()}
    entrez = {symbol: int(identifier) for identifier, symbol in identifiers("entrez").items()}
    ensembl: dict[str, str] = {}
    for identifier, symbol in sorted(identifiers("ensembl").items()):
        gene = table.approved(symbol)
        if gene is not None and (gene not in ensembl or symbol == gene):
            ensembl[gene] = identifier
    every = sorted({*shown.values(), *names})
    terms = go_terms(every, graphs)
    return {
        name: {
            "name": table.full.get(approved.get(name, name), ""),
            "entrez": entrez.get(approved.get(name, name)),
            "ensembl": ensembl.get(approved.get(name, name)),
            "go": terms[name],
        }
        for name in every
    }


def go_terms(genes: Sequence[str], graphs: Sequence[KnowledgeGraph]) -> dict[str, list[list[Any]]]:
    """The GO terms of August 2021 that each gene is annotated with, and how many of its neighbours carry each.

    Neighbours are those that the graphs give among all genes, screened or not (`neighbourhoods`). Terms of less
    information than `TELLING` are left out. Terms of most information times genes that carry them, the gene itself
    counted, come first.
    """
    annotated, titles = go.annotate_dated(), _titles()
    spelt = {v: k for k, v in match(map(str, annotated.genes), genes).resolved.items()}
    symbols = [spelt.get(str(symbol), str(symbol)) for symbol in annotated.genes]
    shared = (neighbourhoods(graphs, genes, symbols).weights @ annotated.carried.astype(np.float32)).tolil()
    column = {str(term): k for k, term in enumerate(annotated.terms) if annotated.information[k] >= TELLING}
    direct = read_gmt(go.dated_file())
    own = {spelt.get(str(symbol), str(symbol)): terms for symbol, terms in direct.groupby("symbol")["set"]}
    out: dict[str, list[list[Any]]] = {}
    for row, gene in enumerate(genes):
        count = dict(zip(shared.rows[row], shared.data[row], strict=True))
        terms = [(term, column[term]) for term in own.get(gene, ()) if term in column and term in titles]
        rated = [(-annotated.information[k] * (1 + count.get(k, 0)), term, int(count.get(k, 0))) for term, k in terms]
        out[gene] = [[term, titles[term], n] for _, term, n in sorted(rated)[:TERMS]]
    return out


def _titles() -> dict[str, str]:
    table = pd.read_csv(paths.DATA / "knowledge" / "go_terms.tsv.gz", sep="\t", dtype=str, keep_default_na=False)
    return dict(zip(table["go_id"], table["name"], strict=True))
