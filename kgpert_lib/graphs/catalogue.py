"""Every graph that comes with the library: what it is, how old, under which licence, and how it is loaded.

Graphs dated before the screens were published (Replogle's preprint: December 2021) cannot know their answers; the
later ones are there for comparison. ``data/knowledge/README.md`` says where each file is from.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kgpert_lib import paths
from kgpert_lib.graphs import gene_sets, go, links, string
from kgpert_lib.graphs.cache import cached
from kgpert_lib.graphs.graph import KnowledgeGraph

SCREENS_PUBLISHED = "2021-12"
CC_BY, CC0, MIT = "CC BY 4.0", "CC0", "MIT"


@dataclass(frozen=True)
class Source:
    """One graph that comes with the library.

    Attributes
    ----------
    title, date, licence : of the source; `date` is the snapshot's (year-month, or year) and not the download's.
    load : builds the graph, or takes it from the cache.
    vectors : of a graph from gene sets, the unit vectors of its genes; None for links.
    file : the committed table below ``data/knowledge``; empty where the graph is built from several.
    releases : files that have to be fetched first (``kgpert fetch``); none where the table is committed.
    """

    title: str
    date: str
    licence: str
    load: Callable[[], KnowledgeGraph]
    vectors: Callable[[], gene_sets.Vectors] | None = None
    file: str = ""
    releases: tuple[str, ...] = ()

    @property
    def committed(self) -> bool:
        """Whether the graph needs no download."""
        return not self.releases

    @property
    def at_hand(self) -> bool:
        """Whether the graph can be loaded without a download: its files are committed, cached or in the mirror."""
        if self.committed:
            return True
        from kgpert_lib.downloads.fetch import available  # HTTP is imported only here

        return all(available(name) for name in self.releases)

    @property
    def older_than_screens(self) -> bool:
        """Whether the snapshot is older than the publication of the screens."""
        return self.date < SCREENS_PUBLISHED

    @property
    def path(self) -> Path:
        """The committed table."""
        return _path(self.file)

    def __str__(self) -> str:
        return f"{self.title} ({self.date}, {self.licence})"


def _path(file: str) -> Path:
    return paths.DATA / "knowledge" / file


def _links(
    name: str, file: str, title: str, date: str, licence: str, score: str | None = None, most: float = 1.0
) -> tuple[str, Source]:
    """A graph from a table of links (`links.load`)."""
    return name, Source(title, date, licence, lambda: links.load(_path(file), name, score, most), file=file)


def _sets(
    name: str,
    file: str,
    title: str,
    date: str,
    licence: str,
    measure: gene_sets.Measure = "cosine",
    by_confidence: bool = False,
) -> tuple[str, Source]:
    """A graph from gene sets (`gene_sets.load`)."""

    def load() -> KnowledgeGraph:
        return gene_sets.load(_path(file), name, measure, by_confidence=by_confidence)

    def vectors() -> gene_sets.Vectors:
        return gene_sets.load_vectors(_path(file), name, by_confidence)

    return name, Source(title, date, licence, load, vectors, file)


def _release(name: str, title: str, date: str, build: Callable[..., KnowledgeGraph], *files: str) -> tuple[str, Source]:
    """A graph from files of a release, which are fetched where they are not at hand."""

    def load() -> KnowledgeGraph:
        from kgpert_lib.downloads.fetch import fetch  # HTTP is imported only here

        return build(*(fetch(file) for file in files))

    return name, Source(title, date, CC_BY, load, releases=files)


def _string_release(pairs: Path, proteins: Path) -> KnowledgeGraph:
    """The graph of STRING's own files, which take half a minute to read."""
    name = "string-full"
    return cached(name, [pairs, proteins], {}, lambda: string.read_release(pairs, proteins, name=name))


STRING_11, STRING_10 = (
    "dated/string_v11.0_ge800_scores_2019-03.tsv.gz",
    "dated/string_v10.5_experimental_confidence.tsv.gz",
)
STRING_12, GO = "string_physical_v12_min900.tsv.gz", "Gene Ontology annotations"

GRAPHS: dict[str, Source] = dict(
    [
        _links("string", STRING_11, "STRING v11.0, combined score from 800", "2019-03", CC_BY, "combined_score", 1000),
        ("go", Source(GO, "2021-08", CC_BY, go.load_dated, go.vectors)),
        _links(
            "string-coexpression",
            STRING_11,
            "STRING v11.0, coexpression of links from 800",
            "2019-03",
            CC_BY,
            "coexpression_score",
            1000,
        ),
        _links("string-experimental", STRING_10, "STRING v10.5, experiments", "2018-06", CC_BY, "confidence"),
        _links("biogrid", "dated/biogrid_pathfindR_2021-08-20.tsv.gz", "BioGRID", "2021-08", MIT),
        _links("intact", "dated/intact_pathfindR_2021-08-20.tsv.gz", "IntAct", "2021-08", CC_BY),
        _sets("reactome", "dated/reactome_pathfindR_2021-08-20.gmt.gz", "Reactome pathways", "2021-08", CC0),
        _sets(
            "humap",
            "dated/humap2_complexes_2020-08-09.gmt.gz",
            "hu.MAP 2.0 complexes",
            "2020-08",
            CC0,
            by_confidence=True,
        ),
        _sets(
            "coessentiality",
            "dated/coessentiality_wainberg_modules.gmt.gz",
            "co-essential modules (Wainberg et al.)",
            "2020",
            CC_BY,
            "jaccard",
        ),
        _sets("smart", "dated/smart_domains_2019-02.gmt.gz", "SMART domains", "2019-02", CC_BY),
        _sets("hallmark", "dated/msigdb_hallmark.v7.4.gmt.gz", "MSigDB hallmark sets v7.4", "2021-08", CC_BY),
        _sets("wikipathways", "dated/msigdb_wikipathways.v7.4.gmt.gz", "WikiPathways (MSigDB v7.4)", "2021-08", CC0),
        _sets(
            "go-cc",
            "dated/go_cc_no_hpa_music_2021-04.gmt.gz",
            "GO cellular component without the Human Protein Atlas",
            "2021-04",
            CC_BY,
        ),
        _links("string-v12", STRING_12, "STRING v12.0, physical links from 900", "2023-07", CC_BY),
        ("go-2022", Source(GO, "2022-09", CC_BY, partial(go.load, name="go-2022"), go.vectors_2022)),
        ("go-shared", Source(f"{GO}, number of shared terms", "2022-09", CC_BY, partial(go.load, "shared"))),
        _release(
            "string-full",
            "STRING v12.0, combined score from 700",
            "2023-07",
            _string_release,
            "9606.protein.links.v12.0.txt.gz",
            "9606.protein.info.v12.0.txt.gz",
        ),
        _release(
            "go-full",
            f"{GO}, full release",
            "2024-01",
            lambda *files: go.load(release=files, name="go-full"),
            "go-basic.obo",
            "goa_human.gaf.gz",
        ),
    ]
)
"""Graphs by name; a user's edge list needs none."""

SETS: dict[str, Callable[[], gene_sets.Vectors]] = {
    name: source.vectors for name, source in GRAPHS.items() if source.vectors is not None
}
"""Unit vectors of the graphs that come from gene sets."""
