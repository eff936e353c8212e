"""What a model is asked about a gene: symbols, names and public knowledge, never a delta.

Who is asked decides the form: a model without room for thoughts gets a short question and short lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from kgpert_lib import paths
from kgpert_lib.files import digest
from kgpert_lib.graphs.go import annotate
from kgpert_lib.graphs.symbols import full_name, gene_names
from kgpert_lib.llm.answers import resolver
from kgpert_lib.llm.prompts import Prompt
from kgpert_lib.llm.record import Request
from kgpert_lib.predictors.neighbours import NeighbourhoodSource
from kgpert_lib.screens.atlas import CellLine, TrainingView

TERMS = 2  # GO terms that a question names


class Lengths(NamedTuple):
    """How many genes an answer may hold: named in LangPert, added to and removed from a neighbourhood in edits."""

    genes: int
    add: int
    remove: int | None


LONG, SHORT = Lengths(20, 10, None), Lengths(5, 3, 3)


@dataclass(frozen=True)
class Question:
    """One rendered question; `neighbours` are those that it shows, none in LangPert."""

    task: str
    gene: str
    line: str
    prompt: Prompt
    neighbours: tuple[str, ...] = ()

    @property
    def request(self) -> Request:
        """What is sent."""
        return Request(f"{self.task}/{self.line}/{self.gene}", self.prompt.messages, schema=self.prompt.schema)


def lengths(reasoning: bool) -> Lengths:
    """Long lists for a model that may think first, short ones for another."""
    return LONG if reasoning else SHORT


def names_of(genes: Iterable[str]) -> dict[str, str]:
    """Full names of the genes that have one."""
    return {gene: name for gene in genes if (name := full_name(gene))}


def go_terms(gene: str) -> dict[str, str]:
    """What GO says about a gene: its two most specific annotated terms; empty where it says nothing."""
    by_gene, names = _direct_terms(), gene_names()
    terms = by_gene.get(gene) or by_gene.get(names.approved(gene) or "", ())
    return {"GO": "; ".join(terms[:TERMS])} if terms else {}


def closest(wider: NeighbourhoodSource, view: TrainingView, perturbations: Sequence[str]) -> list[list[str]]:
    """Training genes of the graphs' wider neighbourhood, closest first, for each perturbation."""
    neighbourhoods = wider.neighbourhoods(view, perturbations)
    return [[n.gene for n in neighbourhoods.of(str(p))] for p in neighbourhoods.perturbations]


def candidates(view: TrainingView, gene: str) -> list[str]:
    """The training perturbations of the target line other than the gene itself."""
    return [p for p in view.target.index if p != gene]


def spellings(view: TrainingView) -> dict[str, str]:
    """Every spelling of a human gene to the screen's name where it was a training perturbation, else to its symbol."""
    return _spellings(tuple(map(str, view.target.perturbations)))


def sample_genes(names: Iterable[str], count: int, seed: int = 0) -> list[str]:
    """`count` of the names by a rule that no result can bend: the smallest SHA-256 of ``"<seed> <name>"``.

    Examples
    --------
    >>> from kgpert_lib.llm.questions import sample_genes
    >>> sample_genes(["PSMB5", "MED1", "INTS1"], 2)
    ['MED1', 'PSMB5']
    """
    ranked = sorted(set(names), key=lambda name: digest(f"{seed} {name}"))
    return sorted(ranked[:count])


def sample_test_genes(line: CellLine, count: int, seed: int = 0) -> list[str]:
    """`count` test perturbations of a line (all where it has no more) by `sample_genes`, in the line's order."""
    sampled = set(sample_genes(line.names("test"), count, seed))
    return [name for name in line.names("test") if name in sampled]


@lru_cache(maxsize=1)
def _direct_terms() -> dict[str, tuple[str, ...]]:
    """Names of the terms that each gene is annotated with directly, the rarest first; not those of all genes."""
    folder = paths.DATA / "knowledge"
    direct = pd.read_csv(folder / "go_annotations.tsv.gz", sep="\t", dtype=str, keep_default_na=False)
    named = pd.read_csv(folder / "go_terms.tsv.gz", sep="\t", dtype=str, keep_default_na=False)
    closed = annotate()
    information = pd.Series(np.round(closed.information, 6), index=closed.terms)
    direct = direct[direct["evidence"] != "ND"].drop_duplicates(["symbol", "go_id"])
    direct = direct.assign(
        information=direct["go_id"].map(information), name=direct["go_id"].map(named.set_index("go_id")["name"])
    )
    direct = direct.dropna().sort_values(["information", "go_id"], ascending=[False, True])
    return {str(symbol): tuple(names) for symbol, names in direct.groupby("symbol", sort=False)["name"]}


@lru_cache(maxsize=16)
def _spellings(training: tuple[str, ...]) -> dict[str, str]:
    genes = gene_names()
    measured = set(training)
    own = {
        approved: name
        for name in training
        if (approved := genes.approved(name)) is not None and approved not in measured
    }
    aliases = {symbol: own.get(symbol, symbol) for symbol in genes.full}
    aliases |= {
        alias: own.get(owners[0], owners[0])
        for alias, owners in genes.owners.items()
        if len(owners) == 1 and alias not in aliases
    }
    return resolver(training, aliases)
