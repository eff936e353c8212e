"""Every graph that comes with the library: what it is, how old, under which licence, and how it is loaded.

Graphs dated before the screens were published (Replogle's preprint: December 2021) cannot know their answers; the
later ones are there for comparison.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kgpert_lib import paths
from kgpert_lib.graphs import gene_sets, go, string
from kgpert_lib.graphs.graph import KnowledgeGraph

SCREENS_PUBLISHED = "2021-12"


@dataclass(frozen=True)
class Source:
    """One graph by name: `title` of its source, `date` of the snapshot (year-month), `licence`, and its loader.

    `committed` is False for a release that has to be downloaded first.
    """

    load: Callable[[], KnowledgeGraph]
    title: str
    date: str
    licence: str
    committed: bool = True

    @property
    def older_than_screens(self) -> bool:
        """Whether the snapshot is older than the publication of the screens."""
        return self.date < SCREENS_PUBLISHED

    def __str__(self) -> str:
        return f"{self.title} ({self.date}, {self.licence})"


def _links(file: str, name: str) -> KnowledgeGraph:
    table = string.pairs(file)
    return KnowledgeGraph.from_edges(name, table["gene1"], table["gene2"])


def _sets(file: str, name: str, **options: object) -> KnowledgeGraph:
    return gene_sets.load(paths.DATA / "knowledge" / "dated" / file, name, **options)  # type: ignore[arg-type]


def _fetched(first: str, second: str) -> tuple[Path, Path]:
    """Verified local copies of two release files; HTTP is imported only here."""
    from kgpert_lib.downloads.fetch import fetch

    return fetch(first), fetch(second)


CC_BY, CC0, MIT = "CC BY 4.0", "CC0", "MIT"
GRAPHS: dict[str, Source] = {
    "string": Source(string.load, "STRING v11.0, combined score from 800", "2019-03", CC_BY),
    "go": Source(go.load_dated, "Gene Ontology annotations", "2021-08", CC_BY),
    "string-coexpression": Source(
        partial(string.load, "coexpression_score", "string-coexpression"),
        "STRING v11.0, coexpression of links from 800",
        "2019-03",
        CC_BY,
    ),
    "string-experimental": Source(string.load_experimental, "STRING v10.5, experiments", "2018-06", CC_BY),
    "biogrid": Source(partial(_links, "biogrid_pathfindR_2021-08-20.tsv.gz", "biogrid"), "BioGRID", "2021-08", MIT),
    "intact": Source(partial(_links, "intact_pathfindR_2021-08-20.tsv.gz", "intact"), "IntAct", "2021-08", CC_BY),
    "reactome": Source(
        partial(_sets, "reactome_pathfindR_2021-08-20.gmt.gz", "reactome"), "Reactome pathways", "2021-08", CC0
    ),
    "humap": Source(
        partial(_sets, "humap2_complexes_2020-08-09.gmt.gz", "humap", by_confidence=True),
        "hu.MAP 2.0 complexes",
        "2020-08",
        CC0,
    ),
    "coessentiality": Source(
        partial(_sets, "coessentiality_wainberg_modules.gmt.gz", "coessentiality", measure="jaccard"),
        "Co-essential modules (Wainberg et al.)",
        "2020",
        CC_BY,
    ),
    "smart": Source(partial(_sets, "smart_domains_2019-02.gmt.gz", "smart"), "SMART domains", "2019-02", CC_BY),
    "hallmark": Source(
        partial(_sets, "msigdb_hallmark.v7.4.gmt.gz", "hallmark"), "MSigDB hallmark sets v7.4", "2021-08", CC_BY
    ),
    "wikipathways": Source(
        partial(_sets, "msigdb_wikipathways.v7.4.gmt.gz", "wikipathways"), "WikiPathways (MSigDB v7.4)", "2021-08", CC0
    ),
    "go-cc": Source(
        partial(_sets, "go_cc_no_hpa_music_2021-04.gmt.gz", "go-cc"),
        "GO cellular component without the Human Protein Atlas",
        "2021-04",
        CC_BY,
    ),
    "string-v12": Source(string.load_v12, "STRING v12.0, physical links from 900", "2023-07", CC_BY),
    "go-2022": Source(partial(go.load, name="go-2022"), "Gene Ontology annotations", "2022-09", CC_BY),
    "go-shared": Source(partial(go.load, "shared"), "Gene Ontology annotations, shared terms", "2022-09", CC_BY),
    "string-full": Source(
        lambda: string.read_release(
            *_fetched("9606.protein.links.v12.0.txt.gz", "9606.protein.info.v12.0.txt.gz"), name="string-full"
        ),
        "STRING v12.0, combined score from 700",
        "2023-07",
        CC_BY,
        committed=False,
    ),
    "go-full": Source(
        lambda: go.load(release=_fetched("go-basic.obo", "goa_human.gaf.gz"), name="go-full"),
        "Gene Ontology, the release that was fetched",
        "as fetched",
        CC_BY,
        committed=False,
    ),
}
"""Graphs by name; a user's edge list needs none."""
