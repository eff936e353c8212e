"""Files in the format of Replogle 2022's normalised pseudobulk, drawn from the simulation.

The authors' files cannot be had everywhere. These stand in for them in tests and benchmarks: names, shapes, columns and
the oddities that `screens.replogle` has to deal with are theirs, every number is invented. Each file carries a mark in
`uns`, by which the atlas read from it is called simulated.

A row is the noise-free delta of the simulated world over the standard deviation of control cells, scaled by how far the
target was knocked down, plus noise of one over the square root of its cells. The two K562 files share the truth. Genes
that only the genome-wide file knocks down have no effect, or a tenth of them a weak one, borrowed from another gene.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.downloads.fetch import available
from kgpert_lib.downloads.registry import Registry, default_registry
from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic, digest
from kgpert_lib.graphs.symbols import gene_names
from kgpert_lib.paths import DATA
from kgpert_lib.screens import perturbqa
from kgpert_lib.screens.h5ad import write_h5ad
from kgpert_lib.screens.pseudobulk import TARGET_SUM, log_normalised
from kgpert_lib.screens.replogle import CONTROL, FILES, FIRST, MARK, SECOND
from kgpert_lib.screens.simulated.world import KNOCK_DOWN, GraphQuality, Size, build_world, stream
from kgpert_lib.types import FloatArray, NameArray

CONTROL_CELLS = 500  # drawn for the readout genes' mean and standard deviation
LEAST_DEVIATION = 0.05  # of log1p expression; a gene that is hardly ever seen would else be all noise
WEAK_SHARE, WEAK_EFFECT = 0.1, 0.3  # of the genes that only the genome-wide file knocks down
EXPRESSED = 0.85  # of the world's genes that the genome-wide file knocks down, before it takes any others
UNIDENTIFIED = 2  # targets of the genome-wide file without an Ensembl id
RESPELT = 3  # targets that are a readout gene under an alias
BLOCK = 128  # rows drawn at once


@dataclass(frozen=True)
class Shape:
    """One file: rows (controls among them), readout genes, controls, genes knocked down.

    `infinite` readout genes have one value that is +inf; `strength` scales all knock-downs.
    """

    rows: int
    readouts: int
    controls: int
    targets: int
    infinite: int = 0
    strength: float = 1.0


# By size: genes of the world, how many of them share a name with another, and the three files.
SIZES: Mapping[str, tuple[int, int, Mapping[str, Shape]]] = {
    "full": (
        9_600,
        10,
        {
            FIRST: Shape(2_285, 8_563, 220, 2_010),
            "rpe1": Shape(2_679, 8_749, 240, 2_384, infinite=1),
            SECOND: Shape(11_258, 8_248, 585, 9_823, infinite=6, strength=0.95),
        },
    ),
    "tiny": (
        220,
        2,
        {
            FIRST: Shape(80, 190, 12, 64),
            "rpe1": Shape(84, 200, 12, 68, infinite=1),
            SECOND: Shape(120, 180, 14, 100, infinite=6, strength=0.95),
        },
    ),
}


@dataclass(frozen=True, eq=False)
class _Truth:
    """What the files of one line are drawn from: z-scored responses (n, m) of `targets` over `genes`, and controls.

    `control` (cells, m) is the log1p expression of control cells, `deviation` (m,) its standard deviation, and
    `expression` (m,) the log rate by which each file picks its readout genes.
    """

    targets: NameArray
    genes: NameArray
    response: FloatArray
    control: FloatArray
    deviation: FloatArray
    expression: NDArray[np.float64]


def write_replogle(folder: str | Path, seed: int = 0, size: str = "full") -> Path:
    """Write the three files, a `registry.toml` with their checksums, and PerturbQA's tables where they are at hand.

    The new folder serves as ``KGPERT_MIRROR``, its `registry.toml` as ``KGPERT_REGISTRY``. The same seed gives the same
    bytes, given the same tables of PerturbQA in the cache or the mirror: their genes are knocked down first, so that
    ``split=perturbqa`` has test genes.

    Parameters
    ----------
    size : ``"full"`` (2,285 x 8,563, 2,679 x 8,749 and 11,258 x 8,248) or ``"tiny"``.

    Raises InputError for another size and for a folder that exists.
    """
    if size not in SIZES:
        raise InputError(f"Unknown size {size!r}; it is {' or '.join(SIZES)}.")
    universe, doubles, shapes = SIZES[size]
    registry = default_registry()
    with atomic(folder) as scratch:
        if Path(folder).exists():
            raise InputError(f"{folder} exists already; name a new folder.")
        for entry in registry.group("perturbqa"):
            if (table := available(entry.name, registry)) is not None:
                (scratch / entry.group).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(table, scratch / entry.group / entry.name)
        ids = _ensembl_ids()
        targets = {line: _targets(line, shapes[line].targets, ids, registry, seed) for line in (FIRST, "rpe1")}
        essential = np.unique(list(chain(*targets.values())))
        genes = _genes(essential, universe, ids, seed)
        targets[SECOND] = _genome_wide(targets[FIRST], shapes[SECOND].targets, genes, ids, seed)
        for world, lines in ((FIRST, (FIRST, SECOND)), ("rpe1", ("rpe1",))):
            truth = _truth(world, essential, genes, seed)
            for line in lines:
                path = scratch / registry[FILES[line]].group / FILES[line]
                path.parent.mkdir(parents=True, exist_ok=True)
                _write(path, line, truth, targets[line], shapes[line], doubles, ids, seed)
            del truth
        _registry(registry, scratch, seed, size).write(scratch / "registry.toml")
    return Path(folder)


def _registry(registry: Registry, folder: Path, seed: int, size: str) -> Registry:
    """The registry with the size and the checksum of the written files, which are nobody's data."""
    description = {
        "title": "Simulated files in the format of Replogle 2022's normalised pseudobulk",
        "licence": "made by kgpert, no data",
        "citation": f"none: simulated by kgpert in the format of Replogle et al. 2022, seed {seed}, size {size}",
        "attribution": "simulated by kgpert",
    }
    entries = dict(registry.entries)
    for name in FILES.values():
        path = folder / registry[name].group / name
        change = {**description, "bytes": path.stat().st_size, "checksum": f"sha256:{digest(path)}"}
        entries[name] = registry[name].model_copy(update=change)
    return Registry(entries=entries)


def _ensembl_ids() -> dict[str, str]:
    """Ensembl id by approved symbol, from the committed table; of several the first."""
    table = pd.read_csv(DATA / "knowledge" / "ensembl.tsv.gz", sep="\t", keep_default_na=False)
    table = table.sort_values("ensembl").drop_duplicates("symbol")
    return dict(zip(table["symbol"], table["ensembl"], strict=True))


def _targets(line: str, number: int, ids: Mapping[str, str], registry: Registry, seed: int) -> NameArray:
    """Genes knocked down in a line: those of the simulated atlas, PerturbQA's where they are at hand, then others."""
    table = pd.read_csv(DATA / "simulated" / "genes.tsv", sep="\t", keep_default_na=False)
    known = table["symbol"][table["perturbed"] == 1].tolist()
    de = available(perturbqa.files(line)[0], registry)
    if de is not None:
        known += sorted(perturbqa.read_split(de))
    return np.array(_distinct([*known, *_shuffled(sorted(ids), seed, "targets")], number, ids))


def _genes(targets: NameArray, number: int, ids: Mapping[str, str], seed: int) -> NameArray:
    """(m,) genes of the world, sorted: all targets, and others that code for proteins first."""
    table = pd.read_csv(DATA / "knowledge" / "genes.tsv.gz", sep="\t", keep_default_na=False)
    coding = table["symbol"][table["gene_type"] == "protein-coding"]
    return np.sort(_distinct([*targets, *_shuffled(sorted(coding), seed, "genes"), *sorted(ids)], number, ids))


def _genome_wide(essential: NameArray, number: int, genes: NameArray, ids: Mapping[str, str], seed: int) -> NameArray:
    """Genes of the genome-wide file: the essential ones, then any others, and some without an identifier."""
    expressed = _shuffled(genes, seed, "genome-wide")[: int(EXPRESSED * len(genes))]
    rest = sorted(set(ids).difference(genes))
    named = _distinct([*essential, *expressed, *_shuffled(rest, seed, "genome-wide")], number - UNIDENTIFIED, ids)
    return np.array([*named, *(f"UNIDENTIFIED{i + 1}" for i in range(UNIDENTIFIED))])


def _shuffled(names: Sequence[str] | NameArray, seed: int, what: str) -> list[str]:
    return stream(seed, "replogle", what).permutation(np.asarray(names)).tolist()


def _distinct(names: Sequence[str], number: int, ids: Mapping[str, str]) -> list[str]:
    """The first `number` of `names` that have an Ensembl id, each gene once whatever its spelling."""
    first: dict[str, str] = {}
    for name in names:
        identifier = _identifier(name, ids)
        if identifier is not None:
            first.setdefault(identifier, str(name))
        if len(first) == number:
            break
    return list(first.values())


def _identifier(name: str, ids: Mapping[str, str]) -> str | None:
    return ids.get(gene_names().approved(name) or name)


def _truth(line: str, targets: NameArray, genes: NameArray, seed: int) -> _Truth:
    """The simulated world of a line over these genes, in standard deviations of its control cells."""
    size = Size(len(targets), len(genes), batches=1, cells=(30, 200), controls=2)
    quality = {"complexes": GraphQuality(), "pathways": GraphQuality()}
    model = build_world([line], seed, size, quality, (targets, genes)).models[line]
    control = log_normalised(model.draw(-1, 0, CONTROL_CELLS), TARGET_SUM)
    deviation = np.maximum(control.std(axis=0), LEAST_DEVIATION)
    response = model.true_deltas(TARGET_SUM)
    response /= deviation
    return _Truth(targets, genes, response, control, deviation, model.log_rate)


def _write(
    path: Path,
    line: str,
    truth: _Truth,
    targets: NameArray,
    shape: Shape,
    doubles: int,
    ids: Mapping[str, str],
    seed: int,
) -> None:
    """One file, in the order of the rows' names."""
    import anndata as ad

    rng = stream(seed, "replogle", line)
    columns = np.sort(np.argsort(-truth.expression, kind="stable")[: shape.readouts])
    genes = truth.genes[columns]
    obs = _design(rng, targets, shape, ids)
    column = pd.Index(genes).get_indexer(pd.Index(obs["symbol"]))
    fold = np.where(obs["symbol"] == CONTROL, np.nan, _left(rng, obs, shape.strength))
    x = np.empty((len(obs), len(genes)), np.float32)
    row, strength = _effects(rng, obs, truth, fold)
    for start in range(0, len(obs), BLOCK):
        part = slice(start, start + BLOCK)
        x[part] = _values(truth, columns, column[part], fold[part], row[part], strength[part])
        noise = rng.standard_normal(x[part].shape, dtype=np.float32)
        x[part] += noise / np.sqrt(obs["num_cells_filtered"].to_numpy(np.float32)[part])[:, None]
    _measure(rng, obs, x, np.where(column >= 0, fold, np.nan))
    usable = np.flatnonzero((obs["num_cells_filtered"] > 100) & (column >= 0) & (fold < 0.5))
    for i, j in zip(
        rng.choice(usable, shape.infinite, False), rng.choice(len(genes), shape.infinite, False), strict=True
    ):
        x[i, j] = np.inf
    var = _var(rng, genes, truth.control[:, columns], set(targets), doubles, ids)
    data = ad.AnnData(x, obs=obs.drop(columns="symbol"), var=var, uns={MARK: "simulated"})
    data.strings_to_categoricals()
    write_h5ad(data, path, compression={})


def _design(rng: np.random.Generator, targets: NameArray, shape: Shape, ids: Mapping[str, str]) -> pd.DataFrame:
    """Names of the rows, cells, and which controls are core ones; some genes have two or three rows."""
    further = shape.rows - shape.controls - shape.targets
    thrice = max(1, further // 11)
    several = rng.choice(targets, further - thrice, replace=False)
    promoters: dict[str, tuple[str, ...]] = dict.fromkeys(map(str, targets), ("P1P2",))
    promoters |= dict.fromkeys(map(str, several), ("P1", "P2"))
    promoters |= dict.fromkeys(map(str, several[:thrice]), ("P1", "P2", "P1P2"))
    names = [(gene, p, _identifier(gene, ids) or "nan") for gene in sorted(promoters) for p in promoters[gene]]
    names += [(CONTROL,) * 3] * shape.controls
    cells = np.clip(np.rint(rng.lognormal(np.log(110), 0.6, len(names))), 6, 1_500)
    control = np.array([name[0] == CONTROL for name in names])
    core = control & (rng.random(len(names)) < 0.88)
    core[-1] = False
    index = pd.Index([f"{i}_{'_'.join(name)}" for i, name in enumerate(names)], name="gene_transcript")
    return pd.DataFrame(
        {"symbol": [name[0] for name in names], "num_cells_filtered": cells.astype(np.int64), "core_control": core},
        index=index,
    )


def _left(rng: np.random.Generator, obs: pd.DataFrame, strength: float) -> NDArray[np.float64]:
    """(rows,) share of the target's expression that is left; in one row of twelve the knock-down failed."""
    left = 1 - strength * (1 - np.clip(rng.lognormal(np.log(0.18), 0.5, len(obs)), 0.01, 0.69))
    return np.where(rng.random(len(obs)) < 1 / 12, rng.uniform(0.7, 1.1, len(obs)), left)


def _effects(
    rng: np.random.Generator, obs: pd.DataFrame, truth: _Truth, fold: NDArray[np.float64]
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """(rows,) row of the truth that each row follows, and how strongly; rows of one gene follow the same."""
    symbols = obs["symbol"].to_numpy(str)
    row = pd.Index(truth.targets).get_indexer(pd.Index(symbols))
    genes, code = np.unique(symbols, return_inverse=True)
    borrowed = rng.integers(len(truth.targets), size=len(genes))[code]
    weak = (rng.random(len(genes)) < WEAK_SHARE)[code]
    strength = np.where(row >= 0, 1.0, np.where(weak, WEAK_EFFECT, 0.0)) * np.clip(1 - fold, 0, 1) / KNOCK_DOWN
    return np.where(row >= 0, row, borrowed), np.nan_to_num(strength)


def _values(
    truth: _Truth,
    columns: NDArray[np.intp],
    column: NDArray[np.intp],
    fold: NDArray[np.float64],
    row: NDArray[np.intp],
    strength: NDArray[np.float64],
) -> FloatArray:
    """(rows, m) noise-free z-scores; the target's own is what control cells lose when `fold` of it is left."""
    values = truth.response[row][:, columns] * strength[:, None].astype(np.float32)
    for i in np.flatnonzero(column >= 0):
        j = columns[column[i]]
        own = truth.control[:, j]
        values[i, column[i]] = (np.log1p(fold[i] * np.expm1(own)) - own).mean() / truth.deviation[j]
    return values


def _measure(rng: np.random.Generator, obs: pd.DataFrame, x: FloatArray, fold: NDArray[np.float64]) -> None:
    """Add the authors' other columns: counts of changed genes from the values, the rest drawn to look alike."""
    n = len(obs)
    z = np.sqrt(obs["num_cells_filtered"].to_numpy(np.float32))
    scale = SIZES["full"][2][FIRST].readouts / x.shape[1]  # a small file counts as if it were of full size
    changed = {name: scale * _beyond(x, bound / z) for name, bound in (("anderson", 3.3), ("mann", 3.5))}
    obs["num_cells_unfiltered"] = obs["num_cells_filtered"] + rng.poisson(8, n)
    obs["UMI_count_filtered"], obs["UMI_count_unfiltered"] = rng.normal(11_000, 1_500, (2, n))
    obs["fold_expr"], obs["pct_expr"] = fold, fold - 1
    obs["control_expr"] = np.where(np.isnan(fold), np.nan, rng.lognormal(-1, 1, n))
    obs["mean_leverage_score"], obs["std_leverage_score"] = rng.normal(0, 0.5, n), rng.normal(1, 0.1, n)
    obs["TE_ratio"] = rng.beta(10, 990, n)
    obs["energy_test_p_value"] = np.where(changed["anderson"] > 30, 1e-4, rng.random(n))
    obs["anderson_darling_counts"] = np.rint(changed["anderson"]).astype(np.int64)
    obs["mann_whitney_counts"] = np.rint(changed["mann"]).astype(np.int64)
    obs["z_gemgroup_UMI"], obs["cnv_score_z"] = rng.normal(0, 0.3, (2, n))
    obs["mitopercent"] = rng.beta(60, 540, n)


def _beyond(x: FloatArray, bound: FloatArray) -> NDArray[np.int64]:
    """(rows,) values above a row's bound in size."""
    return np.array([int((np.abs(row) > b).sum()) for row, b in zip(x, bound, strict=True)])


def _var(
    rng: np.random.Generator,
    genes: NameArray,
    control: FloatArray,
    targets: set[str],
    doubles: int,
    ids: Mapping[str, str],
) -> pd.DataFrame:
    """Readout genes by Ensembl id: approved symbols, some of them aliases, and some names that two genes share."""
    names = [gene_names().approved(gene) or str(gene) for gene in genes]
    aliases: dict[str, str] = {}
    for alias, owners in sorted(gene_names().owners.items()):
        if len(owners) == 1 and alias not in targets and alias not in names:
            aliases.setdefault(owners[0], alias)
    respelt = [i for i, gene in enumerate(genes) if gene in targets and gene in aliases]
    for i in rng.choice(respelt, RESPELT, replace=False):
        names[i] = aliases[str(genes[i])]
    others = [i for i, gene in enumerate(genes) if gene not in targets]
    for i, j in rng.choice(others, (doubles, 2), replace=False):
        names[j] = names[i]
    index = pd.Index([_identifier(gene, ids) for gene in genes], name="gene_id")
    counts = np.expm1(control)
    mean, std = counts.mean(axis=0), counts.std(axis=0)
    some = np.maximum(mean, 1e-6)
    return pd.DataFrame(
        {"gene_name": names, "mean": mean, "std": std, "cv": std / some, "fano": std**2 / some}, index=index
    )
