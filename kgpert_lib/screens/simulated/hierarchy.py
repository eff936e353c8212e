"""Real complexes, pathways and organelles for the simulated atlas, read from the committed GO tables.

The simulation needs a hierarchy that a biologist recognises, not all of GO: a few overlapping groups
on each level. Plain rules say which terms count (size, overlap), named as constants here.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import networkx as nx
import numpy as np
import pandas as pd

from kgpert_lib.cache import Arrays, cached_arrays
from kgpert_lib.files import digest
from kgpert_lib.graphs import go
from kgpert_lib.paths import DATA

COMPLEX_ROOT = "GO:0032991"
PATHWAY_ROOTS = ("GO:0044237", "GO:0071840", "GO:0022402", "GO:0051641")
# Genes of a term, fewest and most; largest Jaccard overlap with a term that is in already; terms per gene.
COMPLEX_SIZE = (3, 30)
PATHWAY_SIZE = (8, 45)
COMPLEX_OVERLAP, PATHWAY_OVERLAP = 0.7, 0.35
COMPLEXES_PER_GENE, PATHWAYS_PER_GENE = 2, 2
NEST_SHARE = 0.6  # of a complex's genes that a pathway has to hold to contain the complex
ORGANELLES = {
    "GO:0005739": "mitochondrion",
    "GO:0005783": "endoplasmic reticulum",
    "GO:0005794": "Golgi apparatus",
    "GO:0005730": "nucleolus",
    "GO:0005840": "ribosome",
    "GO:0005815": "microtubule organizing center",
    "GO:0005681": "spliceosomal complex",
    "GO:0005694": "chromosome",
    "GO:0005654": "nucleoplasm",
    "GO:0005634": "nucleus",
    "GO:0005829": "cytosol",
}


@dataclass(frozen=True)
class Hierarchy:
    """Membership tables of the levels above genes, names to parts on any lower level."""

    complexes: Mapping[str, tuple[str, ...]]
    pathways: Mapping[str, tuple[str, ...]]
    organelles: Mapping[str, tuple[str, ...]]

    @property
    def tables(self) -> tuple[Mapping[str, tuple[str, ...]], ...]:
        """The three tables from the lowest level up, as `HierarchicalSCM.from_memberships` takes them."""
        return self.complexes, self.pathways, self.organelles


def read_hierarchy(genes: Sequence[str]) -> Hierarchy:
    """Complexes, pathways and organelles among `genes`, from GO and the committed list of submodules.

    A complex belongs to the pathway that holds most of its genes (at least 60 % of them), a pathway to the
    organelle that holds most of its genes; a gene in no such part belongs to the larger whole directly. The tables
    are kept in the cache, under a digest of the genes, of GO's tables, of this module and of `go`.
    """
    screened = sorted(set(genes))
    sources = [
        Path(__file__),
        Path(go.__file__),
        *sorted((DATA / "knowledge").glob("go_*")),
        DATA / "simulated" / "modules.tsv",
    ]
    key = digest(json.dumps(screened), *sources)

    def build() -> Arrays:
        return {"tables": np.array(json.dumps(asdict(_build(screened))))}

    arrays = cached_arrays(
        "simulated", f"hierarchy-{key[:16]}", build, lambda arrays: json.loads(str(arrays["tables"]))
    )
    tables = json.loads(str(arrays["tables"]))
    return Hierarchy(**{level: {name: tuple(p) for name, p in table.items()} for level, table in tables.items()})


def _build(genes: Sequence[str]) -> Hierarchy:
    screened = set(genes)
    members = _members(screened)
    names = pd.read_csv(DATA / "knowledge" / "go_terms.tsv.gz", sep="\t").set_index("go_id")["name"].to_dict()
    complex_terms = _below(COMPLEX_ROOT) - {COMPLEX_ROOT}
    # complexes: Integrator's submodules, which GO lacks, and GO's complexes of fitting size
    complexes = dict(_modules(screened))
    for term in _select(
        {t: g for t, g in members.items() if t in complex_terms},
        COMPLEX_SIZE, COMPLEX_OVERLAP, COMPLEXES_PER_GENE,
    ):  # fmt: skip
        complexes[names[term]] = tuple(members[term])
    complexes = _first(complexes, COMPLEXES_PER_GENE)
    # pathways: GO's processes, regulation left out
    inner = set().union(*(_below(root) for root in PATHWAY_ROOTS))
    processes = {t: g for t, g in members.items() if t in inner and "regulation" not in names[t]}
    terms = _select(processes, PATHWAY_SIZE, PATHWAY_OVERLAP, PATHWAYS_PER_GENE, large_first=True)
    pathways = _home({names[t]: members[t] for t in terms}, complexes, sorted(screened), NEST_SHARE)
    # organelles: homes of the pathways, of the complexes outside all pathways, and of the genes left over
    places = _organelles({title: set(members[t]) for t, title in ORGANELLES.items()}, sorted(screened))
    reach = {name: set().union(*(complexes.get(part, (part,)) for part in parts)) for name, parts in pathways.items()}
    outside = {name: set(group) for name, group in complexes.items() if not any(name in p for p in pathways.values())}
    organelles = _home(places, reach | outside, sorted(screened), 0.0)
    return Hierarchy(complexes, pathways, organelles)


def _first(groups: Mapping[str, Iterable[str]], limit: int) -> dict[str, tuple[str, ...]]:
    """Each gene in no more than its first `limit` groups; groups left with one gene go."""
    load: dict[str, int] = defaultdict(int)
    limited: dict[str, tuple[str, ...]] = {}
    for name, group in groups.items():
        members = tuple(gene for gene in group if load[gene] < limit)
        if len(members) > 1:
            limited[name] = members
            for gene in members:
                load[gene] += 1
    return limited


def _home(
    wholes: Mapping[str, Iterable[str]], parts: Mapping[str, Iterable[str]], genes: Sequence[str], share: float
) -> dict[str, tuple[str, ...]]:
    """Put each part into the whole that holds most of its genes, if that is at least `share` of them.

    A gene that no placed part holds goes directly into the smallest whole that has it.
    """
    groups = {name: set(group) for name, group in wholes.items()}
    contents: dict[str, list[str]] = {name: [] for name in groups}
    covered: set[str] = set()
    for name, group in parts.items():
        inside = {w: len(groups[w].intersection(group)) for w in groups}
        best = max(groups, key=lambda w: (inside[w], -len(groups[w]), w))
        if inside[best] and inside[best] >= share * len(set(group)):
            contents[best].append(name)
            covered.update(group)
    for gene in genes:
        homes = [w for w in groups if gene in groups[w]]
        if gene not in covered and homes:
            contents[min(homes, key=lambda w: (len(groups[w]), w))].append(gene)
    return {name: tuple(parts) for name, parts in contents.items() if parts}


def _select(
    groups: Mapping[str, list[str]], size: tuple[int, int], overlap: float, per_gene: int, large_first: bool = False
) -> list[str]:
    """Terms of fitting size, by size, that overlap no earlier one much and have room in most of their genes."""
    earlier: list[set[str]] = []
    terms: list[str] = []
    load: dict[str, int] = defaultdict(int)
    fitting = {t: g for t, g in groups.items() if size[0] <= len(g) <= size[1]}
    sign = -1 if large_first else 1
    for term in sorted(fitting, key=lambda t: (sign * len(fitting[t]), t)):
        group = set(fitting[term])
        if any(len(group & other) / len(group | other) > overlap for other in earlier):
            continue
        if 2 * sum(load[g] < per_gene for g in group) < len(group):
            continue
        earlier.append(group)
        terms.append(term)
        for gene in group:
            load[gene] += 1
    return terms


def _organelles(groups: Mapping[str, set[str]], genes: Sequence[str]) -> dict[str, set[str]]:
    """Each gene in the first organelle, in the order of `ORGANELLES`, that GO puts it in; the rest in the cytosol."""
    places: dict[str, set[str]] = {title: set() for title in groups}
    for gene in genes:
        places[next((t for t, g in groups.items() if gene in g), "cytosol")].add(gene)
    return places


def _modules(genes: set[str]) -> dict[str, tuple[str, ...]]:
    """Submodules that GO does not list: Integrator's, from data/simulated/modules.tsv."""
    table = pd.read_csv(DATA / "simulated" / "modules.tsv", sep="\t", comment="#")
    groups = table[table.gene.isin(genes)].groupby("module", sort=True).gene
    return {str(name): tuple(sorted(group)) for name, group in groups if len(group) > 1}


def _members(screened: set[str]) -> dict[str, list[str]]:
    """The screened genes, sorted, of every GO term that some gene carries (`go.annotate`)."""
    annotated = go.annotate()
    rows = np.flatnonzero(np.isin(annotated.genes, sorted(screened)))
    by_term = annotated.carried[rows].tocsc()
    genes = annotated.genes[rows]
    return {
        str(term): genes[by_term.indices[start:stop]].tolist()
        for term, (start, stop) in zip(annotated.terms, pairwise(by_term.indptr), strict=True)
    }


def _below(root: str) -> set[str]:
    """The term and all more specific ones."""
    return {root, *nx.ancestors(_terms(), root)}


@cache
def _terms() -> nx.DiGraph:
    """GO's terms, each with an edge to its parents along the relations that carry annotations up."""
    edges = pd.read_csv(DATA / "knowledge" / "go_edges.tsv.gz", sep="\t")
    edges = edges[edges["relation"].isin(go.CLOSURE)]
    return nx.DiGraph(zip(edges["child"], edges["parent"], strict=True))
