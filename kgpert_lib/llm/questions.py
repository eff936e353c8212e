"""What a model is asked about a gene: symbols, names and public knowledge, never a delta.

Who is asked decides the form: a model without room for thoughts gets a short question and short lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from kgpert_lib import paths
from kgpert_lib.graphs.go import annotate
from kgpert_lib.graphs.symbols import full_name, gene_names
from kgpert_lib.llm.answers import resolver
from kgpert_lib.llm.client import Request
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.prompts import Prompt
from kgpert_lib.predictors.neighbours import NeighbourhoodSource
from kgpert_lib.screens.atlas import Atlas, TrainingView

TERMS = 2


class Lengths(NamedTuple):
    """How many genes an answer may hold: chosen by LangPert, added to and removed from a neighbourhood."""

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


def lengths(spec: ModelSpec) -> Lengths:
    """Long lists for a model that may think first, short ones for another."""
    return LONG if spec.reasoning else SHORT


def names_of(genes: Iterable[str]) -> dict[str, str]:
    """Full names of the genes that have one."""
    return {gene: name for gene in genes if (name := full_name(gene))}


def knowledge_of(gene: str, most: int = TERMS) -> dict[str, str]:
    """What GO says about a gene: its `most` most specific annotated terms; empty where it says nothing."""
    terms, names = _direct_terms(), gene_names()
    found = terms.get(gene) or terms.get(names.approved(gene) or "", ())
    return {"GO": "; ".join(found[:most])} if found else {}


def closest(wider: NeighbourhoodSource, view: TrainingView, perturbations: Sequence[str]) -> list[list[str]]:
    """Training genes of the graphs' wider neighbourhood, closest first, for each perturbation."""
    found = wider.neighbourhoods(view, perturbations)
    return [[n.gene for n in found.of(str(p))] for p in found.perturbations]


def candidates(view: TrainingView, gene: str) -> list[str]:
    """The training perturbations of the target line other than the gene itself."""
    return [str(p) for p in view.target.perturbations if p != gene]


def spellings(view: TrainingView) -> dict[str, str]:
    """Every spelling of a human gene to the screen's name where it was a training perturbation, else to its symbol."""
    return _spellings(tuple(map(str, view.target.perturbations)))


def chosen_genes(names: Iterable[str], count: int, seed: int = 0) -> list[str]:
    """`count` of the names by a rule that no result can bend: the smallest SHA-256 of ``"<seed> <name>"``.

    >>> chosen_genes(["PSMB5", "MED1", "INTS1"], 2)
    ['MED1', 'PSMB5']
    """
    ranked = sorted(set(names), key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).hexdigest())
    return sorted(ranked[:count])


def with_test_genes(atlas: Atlas, count: int, seed: int = 0) -> Atlas:
    """The atlas with only `count` of each line's test perturbations (`chosen_genes`); the others become ``val``.

    Training rows stay as they are.
    """
    lines = {}
    for line in atlas.lines.values():
        kept = chosen_genes(line.names("test"), count, seed)
        left_out = (line.split == "test") & ~np.isin(line.perturbations, kept)
        lines[line.name] = replace(line, split=np.where(left_out, "val", line.split))
    return replace(atlas, lines=lines)


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
