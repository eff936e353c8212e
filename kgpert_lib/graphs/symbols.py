"""Gene symbols: old and new spellings of one gene, and what a user may have meant.

Screens, STRING and GO were written down in different years: PerturbQA says AARS and C7orf26 where the
graphs say AARS1 and INTS15. The table behind this module is NCBI's gene_info (data/README.md).
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import pandas as pd

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph


@dataclass(frozen=True)
class GeneNames:
    """Approved symbols with full names, and who owns each alias.

    `full` maps an approved symbol to its full name; `owners` maps an alias to the sorted approved symbols
    of all genes that list it (an approved symbol listed as its own alias does not appear).
    """

    full: dict[str, str]
    owners: dict[str, tuple[str, ...]]

    def candidates(self, symbol: str) -> tuple[str, ...]:
        """Approved symbols of the genes that `symbol` may mean; an approved symbol means only itself."""
        return (symbol,) if symbol in self.full else self.owners.get(symbol, ())

    def approved(self, symbol: str) -> str | None:
        """The approved symbol of the one gene that `symbol` means; None where none or several do."""
        genes = self.candidates(symbol)
        return genes[0] if len(genes) == 1 else None


@dataclass(frozen=True)
class AliasReport:
    """How the names of a screen were found in a graph.

    `exact` counts names that the graph spells alike; `resolved` maps a name to the graph's other spelling;
    `ambiguous` maps a name to the graph symbols between which no choice was made; `missing` lists the rest.
    """

    exact: int
    resolved: dict[str, str]
    ambiguous: dict[str, tuple[str, ...]]
    missing: list[str]

    def __str__(self) -> str:
        total = self.exact + len(self.resolved) + len(self.ambiguous) + len(self.missing)
        matches = self.exact + len(self.resolved)
        return (
            f"{matches} of {total} names found ({len(self.resolved)} by an alias); "
            f"ambiguous: {_few(sorted(self.ambiguous))}; missing: {_few(self.missing)}."
        )


def gene_table() -> Path:
    """The committed table of gene names, on which spellings in every graph depend."""
    return paths.DATA / "knowledge" / "genes.tsv.gz"


@lru_cache(maxsize=1)
def gene_names() -> GeneNames:
    """The committed gene table: 22,523 human genes that carry a GO annotation or are protein-coding."""
    table = pd.read_csv(gene_table(), sep="\t", usecols=["symbol", "name", "alias"], dtype=str, keep_default_na=False)
    owners: dict[str, set[str]] = {}
    for symbol, aliases in zip(table["symbol"], table["alias"], strict=True):
        for alias in set(aliases.split("|")) - {"", symbol}:
            owners.setdefault(alias, set()).add(symbol)
    return GeneNames(
        dict(zip(table["symbol"], table["name"], strict=True)),
        {a: tuple(sorted(o)) for a, o in owners.items()},
    )


def full_name(symbol: str) -> str | None:
    """Full name of the gene, also for an alias that only one gene has; None where unknown.

    Examples
    --------
    >>> from kgpert_lib.graphs.symbols import full_name
    >>> full_name("AARS")
    'alanyl-tRNA synthetase 1'
    """
    genes = gene_names()
    approved = genes.approved(symbol)
    return None if approved is None else genes.full[approved]


def match(symbols: Iterable[str], names: Iterable[str]) -> AliasReport:
    """Find each of `names` among `symbols`, which may spell the same gene differently.

    The same spelling always wins, and a symbol that is one of `names` stands for that name only. Otherwise a
    name is resolved when it and exactly one symbol mean the same gene. An alias that several genes of the gene
    table share, or that is another gene's approved symbol, is never used, whichever of them are present, nor
    is one gene given to two names; such names are reported as ambiguous.

    Examples
    --------
    >>> from kgpert_lib.graphs.symbols import match
    >>> match(["AARS1", "RPL3"], ["AARS", "RPL3", "XYZ"])
    AliasReport(exact=1, resolved={'AARS': 'AARS1'}, ambiguous={}, missing=['XYZ'])
    """
    genes = gene_names()
    symbols, names = set(symbols), set(names)
    free: dict[str, list[str]] = {}
    for unused in sorted(symbols - names):
        for meant in genes.candidates(unused):
            free.setdefault(meant, []).append(unused)
    resolved: dict[str, str] = {}
    ambiguous: dict[str, tuple[str, ...]] = {}
    missing = []
    for name in sorted(names - symbols):
        gene = genes.approved(name)
        possible = {*genes.candidates(name), *genes.owners.get(name, ())}
        spellings = sorted({s for c in possible for s in free.get(c, ())})
        plain = [s for s in spellings if genes.approved(s) == gene]
        best = [gene] if gene in plain else plain
        if gene is not None and len(best) == 1:
            resolved[name] = best[0]
        elif spellings:
            ambiguous[name] = tuple(spellings)
        else:
            missing.append(name)
    claims = Counter(resolved.values())
    for name in [n for n, symbol in resolved.items() if claims[symbol] > 1]:
        ambiguous[name] = (resolved.pop(name),)
    return AliasReport(len(names & symbols), resolved, ambiguous, missing)


def align(graph: KnowledgeGraph, names: Iterable[str]) -> tuple[KnowledgeGraph, AliasReport]:
    """The graph with its symbols renamed to the spelling of `names` (`match`), and what was done.

    The order of `names` does not matter; symbols that no name asks for keep their spelling.
    """
    report = match(map(str, graph.symbols), map(str, names))
    return graph.renamed({symbol: name for name, symbol in report.resolved.items()}), report


def resolve(symbol: str, names: Sequence[str], where: str = "here") -> str:
    """The one of `names` that a user meant by `symbol`: as spelt, in another case, by an alias,
    or by its Entrez or Ensembl identifier.

    Raises InputError with the closest names when there is none, or with the choices when there are several; `where`
    says in its message what the names are.

    Examples
    --------
    >>> from kgpert_lib.graphs.symbols import resolve
    >>> resolve("aars1", ["AARS", "RPL3"])
    'AARS'
    """
    if symbol in names:
        return symbol
    typed = symbol_of(symbol.strip())
    same = sorted({name for name in names if name.upper() == typed.upper()})
    if len(same) == 1:
        return same[0]
    if not same:
        report = match(names, [_respelt(typed)])
        if report.resolved:
            return next(iter(report.resolved.values()))
        same = sorted({s for spellings in report.ambiguous.values() for s in spellings})
    if same:
        raise InputError(f"{typed!r} may mean {' or '.join(same)}; name one of them.")
    upper = {name.upper(): name for name in sorted(names)}
    near = [upper[n] for n in difflib.get_close_matches(typed.upper(), list(upper), n=3, cutoff=0.6)]
    hint = f"did you mean {' or '.join(near)}?" if near else "no symbol here is close to it."
    meaning = full_name(_respelt(typed))
    what = (
        f"{typed!r} ({meaning}) is not among the {len(names)} genes {where}" if meaning else f"Unknown gene {typed!r}"
    )
    raise InputError(f"{what}; {hint}")


def respelt(symbols: pd.Series) -> pd.Series:
    """Symbols in the case in which the gene table writes them, as some sources write all of them in capitals."""
    unique = pd.Series(symbols.unique())
    return symbols.map(dict(zip(unique, unique.map(_respelt), strict=True)))


def symbol_of(typed: str) -> str:
    """The approved symbol of an Entrez or Ensembl identifier; anything else as it is."""
    if typed.isdecimal():
        return identifiers("entrez").get(typed, typed)
    if re.fullmatch(r"ENSG\d{11}(\.\d+)?", typed, re.IGNORECASE):
        return identifiers("ensembl").get(typed.upper().partition(".")[0], typed)
    return typed


@lru_cache(maxsize=2)
def identifiers(kind: Literal["entrez", "ensembl"]) -> dict[str, str]:
    """Symbol by Entrez identifier (approved symbols), or by Ensembl identifier (symbols of an older release)."""
    path = gene_table() if kind == "entrez" else paths.DATA / "knowledge" / "ensembl.tsv.gz"
    table = pd.read_csv(path, sep="\t", usecols=[kind, "symbol"], dtype=str, keep_default_na=False)
    return dict(zip(table[kind], table["symbol"], strict=True))


def _respelt(symbol: str) -> str:
    """`symbol` in the case in which the gene table writes it, approved symbols before aliases."""
    return _spellings().get(symbol.upper(), symbol)


@lru_cache(maxsize=1)
def _spellings() -> dict[str, str]:
    genes = gene_names()
    return {s.upper(): s for table in (sorted(genes.owners), sorted(genes.full)) for s in table}


def _few(names: Sequence[str]) -> str:
    if not names:
        return "none"
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
