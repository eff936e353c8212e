"""The simulated world behind the simulated atlas: hierarchy, responses of four lines, graphs.

No number here is measured: each was set so that ceilings, mean baseline and graph-neighbour scores come near
the published ones of the real screens (paper, sections 4 and 6).
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.paths import DATA
from kgpert_lib.screens.simulated.causal import RELAY, HierarchicalSCM
from kgpert_lib.screens.simulated.cells import CellModel, design
from kgpert_lib.screens.simulated.hierarchy import read_hierarchy


@dataclass(frozen=True)
class Size:
    """How large a simulation is; `cells` is (fewest, most) per perturbation, `controls` is in all."""

    perturbations: int
    genes: int
    batches: int
    cells: tuple[int, int]
    controls: int


@dataclass(frozen=True)
class Line:
    """What sets one cell line apart.

    `depth` median counts per cell, `cells` median cells per perturbation, `effect` scale of all log fold changes,
    `common` share of every organelle's response that all essential knock-downs share (growth, stress).
    """

    name: str
    depth: float
    cells: float
    effect: float
    common: float


@dataclass(frozen=True)
class GraphQuality:
    """How well a graph sees the truth.

    `visible` share of the true pairs that it has, `false_edges` false edges per true one, `weak_visible` factor on
    `visible` where either gene is buffered: such genes are studied less.
    """

    visible: float = 0.6
    false_edges: float = 0.3
    weak_visible: float = 0.3


SIZES: Mapping[str, Size] = {
    "default": Size(perturbations=600, genes=2_000, batches=8, cells=(30, 200), controls=3_000),
    "small": Size(perturbations=200, genes=300, batches=3, cells=(12, 60), controls=300),
    "tiny": Size(perturbations=60, genes=200, batches=2, cells=(12, 40), controls=120),
}
LINES: Mapping[str, Line] = {
    line.name: line
    for line in (
        Line("k562", depth=9_000, cells=56, effect=1.6, common=0.41),
        Line("rpe1", depth=8_000, cells=53, effect=1.85, common=0.6),
        Line("hepg2", depth=5_000, cells=46, effect=1.3, common=0.38),
        Line("jurkat", depth=6_500, cells=48, effect=1.45, common=0.4),
    )
}
# Responses, as log fold changes. Norm of the median loading of a gene, complex, pathway and organelle, its spread
# (log-normal), and the share of the directions' variance that all lines have in common.
SENSITIVITY = (1.4, 1.6, 1.2, 2.5)
STRENGTH_SPREAD = 0.45
SHARED_BIOLOGY = 0.6
COMMON = 0.5  # `Line.common` of the biology that the lines share
KNOCK_DOWN = 0.8  # share of the target's own transcripts that is lost
RESPONSIVENESS = 0.7  # spread (log-normal) over readout genes of how much they answer to anything
# How much of what fails above a gene a knock-down really takes out: spread (log-normal); a quarter of the genes are
# buffered (paralogues, slack) and keep most. Such genes respond mostly in their own way, which no graph can see.
PENETRANCE_SPREAD = 0.5
WEAK_SHARE, WEAK_PENETRANCE = 0.25, 0.2
TYPICAL_OWN, LONER_OWN = 0.3, 0.7  # own loading of a gene in a complex and of one outside, relative to a buffered one
# Cells: spread of log rates over genes, NB dispersion, spread of log library size, batch effects on rates and depth.
RATE_SPREAD, LINE_RATE_SPREAD = 1.2, 0.4
DISPERSION, DEPTH_SPREAD, BATCH_SHIFT, BATCH_DEPTH = 0.25, 0.35, 0.08, 0.1


@dataclass(frozen=True, eq=False)
class World:
    """Everything about a simulation that is not sampled cell by cell.

    `scm` has the biology that the lines share, `scms[line]` a line's own loadings, both as log fold changes with
    full penetrance; in `models[line]` what fails above level 0 is scaled by the penetrance of the knock-down. A
    penetrance above 1 takes a few effects past the bound of `scms[line]`, which holds for full penetrance: two such
    genes of one complex may lie further apart than their own responses allow.
    """

    perturbations: NDArray[np.str_]
    genes: NDArray[np.str_]
    scm: HierarchicalSCM
    scms: Mapping[str, HierarchicalSCM]
    penetrance: NDArray[np.float64]
    models: Mapping[str, CellModel]
    cells: Mapping[str, pd.DataFrame]
    splits: Mapping[str, NDArray[np.str_]]
    graphs: tuple[KnowledgeGraph, ...]


def build_world(
    lines: Sequence[str],
    seed: int,
    size: Size,
    quality: Mapping[str, GraphQuality],
    names: tuple[NDArray[np.str_], NDArray[np.str_]] | None = None,
) -> World:
    """Draw the world; every part has its own stream, so a line is the same whichever others are simulated.

    `names` are perturbations and readout genes, both sorted and the first among the second; by default `read_names`.
    """
    unknown = [name for name in lines if name not in LINES]
    if unknown:
        raise InputError(f"The simulation has no line {unknown[0]!r}; it has {', '.join(LINES)}.")
    perturbations, genes = names or read_names(size)
    scm = _shared_biology(perturbations, genes, seed)
    rng = stream(seed, "penetrance")
    weak = rng.random(len(perturbations)) < WEAK_SHARE
    penetrance = rng.lognormal(0, PENETRANCE_SPREAD, len(perturbations))
    penetrance = np.clip(np.where(weak, WEAK_PENETRANCE, 1.0) * penetrance, 0.05, 2.0)
    base = stream(seed, "expression").normal(0, RATE_SPREAD, len(genes))
    scms, models, cells, splits = {}, {}, {}, {}
    for name in lines:
        scms[name] = _line_biology(scm, LINES[name], weak, seed)
        models[name] = _cell_model(scms[name], LINES[name], penetrance, base, size, seed)
        cells[name] = _cells(LINES[name], perturbations, size, seed)
        splits[name] = _split(len(perturbations), stream(seed, "split", name))
    graphs = tuple(
        _graph(name, scm, level, how, weak, stream(seed, "graph", name))
        for (name, how), level in zip(quality.items(), ("complex", "pathway"), strict=True)
    )
    return World(perturbations, genes, scm, scms, penetrance, models, cells, splits, graphs)


def read_names(size: Size) -> tuple[NDArray[np.str_], NDArray[np.str_]]:
    """Perturbations and (sorted) readout genes from data/simulated/genes.tsv; every target is read out too."""
    table = pd.read_csv(DATA / "simulated" / "genes.tsv", sep="\t", keep_default_na=False)
    targets = table.symbol[table.perturbed == 1].to_numpy(str)[: size.perturbations]
    others = table.symbol[table.perturbed == 0].to_numpy(str)[: size.genes - len(targets)]
    return np.sort(targets), np.sort(np.concatenate([targets, others]))


def stream(seed: int, *keys: str) -> np.random.Generator:
    """A random stream of its own for each purpose."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(number(k) for k in keys)))


def number(key: str) -> int:
    """A stable number for a name."""
    return zlib.crc32(key.encode())


def _shared_biology(perturbations: NDArray[np.str_], genes: NDArray[np.str_], seed: int) -> HierarchicalSCM:
    tables = read_hierarchy(perturbations.tolist()).tables
    scm = HierarchicalSCM.from_memberships(perturbations.tolist(), tables, genes.tolist(), SENSITIVITY)
    return replace(scm, loadings=_loadings(scm, COMMON, seed, "shared"))


def _line_biology(scm: HierarchicalSCM, line: Line, weak: NDArray[np.bool_], seed: int) -> HierarchicalSCM:
    """A line's loadings: partly those of all lines, partly its own, with the target's own knock-down on top."""
    shared, own = (_loadings(scm, line.common, seed, name) for name in ("shared", line.name))
    a, b = line.effect * np.sqrt(SHARED_BIOLOGY), line.effect * np.sqrt(1 - SHARED_BIOLOGY)
    for x, y in zip(shared, own, strict=True):  # in place: a large world's tables are hundreds of megabytes
        x *= a
        y *= b
        x += y
    mixed = list(shared)
    alone = np.diff(_proper(scm, "complex").indptr) == 0
    mixed[0] *= np.where(weak, 1.0, np.where(alone, LONER_OWN, TYPICAL_OWN))[:, None]
    column = np.searchsorted(scm.genes, scm.names[0])
    mixed[0][np.arange(len(column)), column] += np.log(1 - KNOCK_DOWN)
    return replace(scm, loadings=tuple(mixed))


def _loadings(scm: HierarchicalSCM, common: float, seed: int, name: str) -> tuple[NDArray[np.float64], ...]:
    """Random directions over the genes, more along responsive genes; relays have none."""
    m = len(scm.genes)
    scale = stream(seed, "responsiveness").lognormal(0, RESPONSIVENESS, m)
    growth = scale * stream(seed, "growth").standard_normal(m)
    growth /= np.linalg.norm(growth)
    tables = []
    for level, (names, constant) in enumerate(zip(scm.names, SENSITIVITY, strict=True)):
        rng = stream(seed, "loadings", name, str(level))
        relay = np.char.endswith(names, RELAY)
        direction = rng.standard_normal((len(names), m))
        direction *= scale
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        if level == len(scm.levels) - 1:
            direction *= np.sqrt(1 - common)
            direction += np.sqrt(common) * growth
        strength = constant * rng.lognormal(0, STRENGTH_SPREAD, len(names))
        direction *= np.where(relay, 0.0, strength)[:, None]
        tables.append(direction)
    return tuple(tables)


def _cell_model(
    scm: HierarchicalSCM, line: Line, penetrance: NDArray, base: NDArray, size: Size, seed: int
) -> CellModel:
    rng = stream(seed, "cells", line.name)
    m = len(scm.genes)
    own = scm.loadings[0]
    effect = scm.response()
    effect -= own
    effect *= penetrance[:, None]
    effect += own
    return CellModel(
        key=(seed, number(line.name)),
        log_rate=base + rng.normal(0, LINE_RATE_SPREAD, m),
        batch_shift=rng.normal(0, BATCH_SHIFT, (size.batches, m)),
        effect=effect,
        depth=line.depth * m / SIZES["default"].genes * rng.lognormal(0, BATCH_DEPTH, size.batches),
        spread=DEPTH_SPREAD,
        dispersion=DISPERSION,
    )


def _cells(line: Line, perturbations: NDArray[np.str_], size: Size, seed: int) -> pd.DataFrame:
    rng = stream(seed, "design", line.name)
    low, high = size.cells
    median = np.clip(line.cells, low, high) if high > line.cells else (low + high) / 2
    n_cells = np.clip(np.round(rng.lognormal(np.log(median), 0.45, len(perturbations))), low, high).astype(np.int64)
    return design(rng, perturbations, n_cells, size.batches, size.controls)


def _split(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """A quarter test, a tenth of the rest validation: the rule of the real screens' splits."""
    labels = np.full(n, "train", dtype="<U5")
    order = rng.permutation(n)
    test = -(-n // 4)
    val = -(-(n - test) // 10)
    labels[order[:test]] = "test"
    labels[order[test : test + val]] = "val"
    return labels


def _proper(scm: HierarchicalSCM, level: str) -> sp.csr_array:
    """(n, k) descendants of each gene at a level, without the relays."""
    return scm.descendants(level)[:, ~np.char.endswith(scm.names[scm.level(level)], RELAY)].tocsr()


def _graph(
    name: str, scm: HierarchicalSCM, level: str, how: GraphQuality, weak: NDArray[np.bool_], rng: np.random.Generator
) -> KnowledgeGraph:
    """Pairs that share a component of the level, some unseen, and false pairs; weights favour true ones."""
    failed = _proper(scm, level).astype(np.float32)
    shared = np.triu((failed @ failed.T).toarray(), 1)
    i, j = np.nonzero(shared)
    chance = how.visible * np.where(weak[i] | weak[j], how.weak_visible, 1.0)
    visible = rng.random(len(i)) < chance
    i, j = i[visible], j[visible]
    n_false = round(how.false_edges * len(i))
    a, b = rng.integers(len(weak), size=(2, n_false))
    weight = np.concatenate([rng.beta(4, 2, len(i)), rng.beta(2, 3, n_false)]).clip(0.01)
    genes = scm.names[0]
    return KnowledgeGraph.from_edges(name, genes[np.concatenate([i, a])], genes[np.concatenate([j, b])], weight)
