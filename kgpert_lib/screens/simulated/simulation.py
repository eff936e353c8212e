"""The simulated atlas: the hierarchical model over real genes, down to single cells, on any machine."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import scipy
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.cache import Arrays, cached_arrays
from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic, digest
from kgpert_lib.graphs import edgelist
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.paths import DATA
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.h5ad import write_h5ad
from kgpert_lib.screens.pseudobulk import RANDOM_HALVES, TARGET_SUM, Pseudobulk, assign_halves
from kgpert_lib.screens.seed_option import parse_seed
from kgpert_lib.screens.simulated.causal import HierarchicalSCM
from kgpert_lib.screens.simulated.world import LINES, SIZES, GraphQuality, World, build_world, number, stream

if TYPE_CHECKING:
    import anndata as ad

BLOCK = 25  # perturbations whose cells are in memory together
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated screen with its truth.

    Attributes
    ----------
    seed, lines : what was simulated. workers : threads that draw cells; the result does not depend on it.
    world : hierarchy, responses, cell models, splits and graphs.
    """

    seed: int
    size: str
    lines: tuple[str, ...]
    workers: int
    world: World

    @property
    def scm(self) -> HierarchicalSCM:
        """The hierarchy with the loadings that all lines share (log fold changes)."""
        return self.world.scm

    @property
    def scms(self) -> Mapping[str, HierarchicalSCM]:
        """The hierarchy with each line's own loadings."""
        return self.world.scms

    @property
    def graphs(self) -> list[KnowledgeGraph]:
        """What is known of the hierarchy: incomplete and partly false."""
        return list(self.world.graphs)

    @property
    def perturbations(self) -> NDArray[np.str_]:
        """(n,) genes knocked down, sorted."""
        return self.world.perturbations

    @property
    def genes(self) -> NDArray[np.str_]:
        """(m,) readout genes, sorted."""
        return self.world.genes

    @cached_property
    def truth(self) -> dict[str, NDArray[np.float32]]:
        """(n, m) noise-free delta of each line: its expected value."""
        return {name: self._truth(name) for name in self.lines}

    @cached_property
    def atlas(self) -> Atlas:
        """The atlas: deltas, matched controls and half-sample deltas of the simulated cells."""
        return self.as_atlas({name: self.bulk(name).cell_line(name, self.world.splits[name]) for name in self.lines})

    def as_atlas(self, lines: Mapping[str, CellLine]) -> Atlas:
        """The atlas of cell lines that were summed up from this simulation's cells."""
        missing = {name: "not asked for" for name in LINES if name not in lines}
        source = "hierarchical model over GO complexes and pathways"
        provenance = {"seed": self.seed, "size": self.size, "source": source}
        return Atlas("simulated", "simulated", lines, missing, provenance)

    def second_experiment(self, line: str) -> CellLine:
        """The same perturbations of a line in new cells and against new controls (`bulk`, replicate 1)."""
        return self.bulk(line, splits=0, replicate=1).cell_line(line, self.world.splits[line])

    def bulk(self, line: str, splits: int = 1, replicate: int = 0) -> Pseudobulk:
        """Sums over the cells of one line, with `splits` random halves; another `replicate` is another experiment.

        A replicate draws new cells (controls too) with the same numbers in the same batches. The sums are kept in the
        cache. Drawing the cells takes most of the time, so the first experiment is stored with `RANDOM_HALVES` halves
        even where fewer are needed here: whoever needs more of them later need not draw the cells again.
        """
        total = self._empty_bulk(line, splits)
        stored_splits = max(splits, RANDOM_HALVES) if replicate == 0 else splits
        total.restore(
            cached_arrays(
                "simulated",
                self._key(line, f"experiment {replicate}"),
                lambda: self._draw_bulk(line, stored_splits, replicate).arrays(),
                lambda arrays: len(arrays["cells"]) > splits and arrays["cells"].shape[1:] == total.shape,
            )
        )
        return total

    def _truth(self, line: str) -> NDArray[np.float32]:
        def build() -> Arrays:
            return {"delta": self.world.models[line].true_deltas(TARGET_SUM)}

        shape = len(self.perturbations), len(self.genes)
        return cached_arrays(
            "simulated", self._key(line, "truth"), build, lambda arrays: arrays["delta"].shape == shape
        )["delta"]

    def _key(self, line: str, what: str) -> str:
        """The name of a line's file in the cache: a digest of all that its content depends on."""
        return f"{line}-{digest(json.dumps([self.seed, asdict(SIZES[self.size]), line, what]), _version())[:16]}"

    def _empty_bulk(self, line: str, splits: int, perturbations: NDArray[np.str_] | None = None) -> Pseudobulk:
        training = self.perturbations[self.world.splits[line] == "train"]
        rows = self.perturbations if perturbations is None else perturbations
        return Pseudobulk(self.genes, rows, np.unique(self._obs(line)["batch"]), training, splits=splits)

    def _draw_bulk(self, line: str, splits: int, replicate: int) -> Pseudobulk:
        obs = self._obs(line)
        halves = assign_halves(obs, splits, seed=number(f"{self.seed} {line} {replicate}"))

        def part(block: slice) -> Pseudobulk:
            cells = obs.iloc[block]
            sums = self._empty_bulk(line, splits, self.perturbations[np.unique(cells["row"][cells["row"] >= 0])])
            sums.add(self._counts(line, block, replicate), cells, halves[block])
            return sums

        total = self._empty_bulk(line, splits)
        for sums in self._each_block(obs, part):
            total.merge(sums)
        return total

    def cells(self, line: str) -> ad.AnnData:
        """The single cells of one line in the scPerturb schema: raw counts (CSR), obs and var as there."""
        import anndata as ad

        obs = self._obs(line)
        parts = self._each_block(obs, lambda b: sp.csr_matrix(self._counts(line, b)))
        counts = sp.vstack(list(parts), format="csr", dtype=np.float32)
        return ad.AnnData(counts, obs=_scperturb_obs(obs, counts, line, self.seed), var=_scperturb_var(self.genes))

    def write(self, folder: str | Path) -> Path:
        """Save atlas and graphs (``atlas/``) and the cells of each line (``cells/<line>.h5ad``) into a new folder."""
        with atomic(folder) as scratch:
            if Path(folder).exists():
                raise InputError(f"{folder} exists already; name a new folder.")
            self.atlas.save(scratch / "atlas")
            for graph in self.graphs:
                edgelist.write(graph, scratch / "atlas" / "graphs" / f"{graph.name}.csv")
            (scratch / "cells").mkdir()
            for line in self.lines:
                write_h5ad(self.cells(line), scratch / "cells" / f"{line}.h5ad")
        return Path(folder)

    def _obs(self, line: str) -> pd.DataFrame:
        if line not in self.world.cells:
            raise InputError(f"The simulation holds no line {line!r}; it holds {', '.join(self.lines)}.")
        return self.world.cells[line]

    def _counts(self, line: str, block: slice, replicate: int = 0) -> NDArray[np.float32]:
        cells = self._obs(line)
        row, batch = (cells[key].to_numpy()[block] for key in ("row", "unit_batch"))
        return self.world.models[line].draw_units(row, batch, replicate)

    def _each_block(self, obs: pd.DataFrame, work: Callable[[slice], T]) -> Iterator[T]:
        """Apply `work` to blocks of whole perturbations, in order, on the workers."""
        row = obs["row"].to_numpy()
        edges = np.searchsorted(row, [-1, *range(0, len(self.perturbations), BLOCK), len(self.perturbations)])
        blocks = [slice(a, b) for a, b in pairwise(edges)]
        if self.workers == 1:
            yield from map(work, blocks)
            return
        with ThreadPoolExecutor(self.workers) as pool:
            yield from pool.map(work, blocks)


def simulate(
    seed: int = 0,
    size: str = "default",
    lines: Sequence[str] | None = None,
    workers: int | None = None,
    complexes: GraphQuality | None = None,
    pathways: GraphQuality | None = None,
) -> Simulation:
    """Set up a simulated screen; cells are drawn when they are needed.

    Parameters
    ----------
    seed : the same seed gives the same bytes. size : ``"default"`` (600 perturbations, 2,000 genes, about 36,000
        cells per line) or ``"tiny"``. lines : of k562, rpe1, hepg2, jurkat; all by default.
    workers : threads, by default the number of processors.
    complexes, pathways : how much the two graphs see of the truth.

    Raises
    ------
    InputError
        For an unknown size or line.

    Examples
    --------
    >>> from kgpert_lib.screens.simulated.simulation import simulate
    >>> simulation = simulate(seed=1, size="tiny", lines=["k562"])
    >>> simulation.truth["k562"].shape, simulation.atlas["k562"].delta.shape
    ((60, 200), (60, 200))
    """
    if size not in SIZES:
        raise InputError(f"Unknown size {size!r}; it is {' or '.join(SIZES)}.")
    names = tuple(LINES) if lines is None else tuple(lines)
    quality = {"complexes": complexes or GraphQuality(), "pathways": pathways or GraphQuality()}
    world = build_world(names, seed, SIZES[size], quality)
    return Simulation(seed, size, names, workers or os.cpu_count() or 1, world)


@dataclass(frozen=True)
class Options:
    """What may follow the atlas' name, as in ``simulated:seed=1``: the seed that all is drawn with, 0 by default."""

    seed: int | None = None

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Options:
        """Options from texts by name (`parse_seed`)."""
        return cls(parse_seed("simulated", texts))


def load(lines: Sequence[str] | None = None, download: bool = True, options: Options | None = None) -> Atlas:
    """The simulated atlas (see `simulate`); `download` is what every source takes, and nothing is downloaded here."""
    return simulate((options and options.seed) or 0, lines=lines).atlas


def write(folder: str | Path, lines: Sequence[str] | None = None, seed: int = 0, size: str = "default") -> Path:
    """Simulate and save: the atlas and one h5ad of single cells per line (`kgpert simulate -o DIR`)."""
    return simulate(seed, size, lines).write(folder)


@cache
def _version() -> str:
    """Digest of what a simulation depends on besides its arguments: this code, committed tables, NumPy and SciPy."""
    code = [*Path(__file__).parent.glob("*.py"), Path(__file__).parents[1] / "pseudobulk.py"]
    tables = [*(DATA / "simulated").iterdir(), *(DATA / "knowledge").glob("go_*"), DATA / "knowledge" / "genes.tsv.gz"]
    return digest(
        np.__version__, scipy.__version__, platform.machine(), *sorted(code), *sorted(p for p in tables if p.is_file())
    )


def _scperturb_obs(obs: pd.DataFrame, counts: sp.csr_matrix, line: str, seed: int) -> pd.DataFrame:
    rng = stream(seed, "guides", line)
    control = obs["row"].to_numpy() < 0
    guide = rng.integers(1, 3, len(obs)).astype(str)
    named = np.where(control, "non-targeting", obs["perturbation"].to_numpy(str))
    return pd.DataFrame(
        {
            "perturbation": pd.Categorical(obs["perturbation"]),
            "batch": pd.Categorical(obs["batch"]),
            "guide_id": pd.Categorical(np.char.add(np.char.add(named, "_P"), guide)),
            "percent_mito": (100 * rng.beta(6, 94, len(obs))).astype(np.float32),
            "ncounts": np.asarray(counts.sum(axis=1)).ravel(),
            "ngenes": np.diff(counts.indptr).astype(np.int64),
            "nperts": np.where(control, 0, 1),
            "cell_line": pd.Categorical([line] * len(obs)),
        },
        index=[f"{line}-{i:06d}" for i in range(len(obs))],
    )


def _scperturb_var(genes: NDArray[np.str_]) -> pd.DataFrame:
    """Symbols with, in the place of Ensembl ids, NCBI gene ids, which is what the committed gene table has."""
    table = pd.read_csv(DATA / "knowledge" / "genes.tsv.gz", sep="\t", keep_default_na=False)
    ids = table.drop_duplicates("symbol").set_index("symbol").entrez
    labels = ids.reindex(genes)
    values = np.where(
        labels.notna(),
        "NCBI:" + labels.fillna(0).astype(np.int64).astype(str),
        "unmapped:" + pd.Series(genes, index=genes),
    )
    return pd.DataFrame({"ensembl_id": values}, index=pd.Index(genes.astype(object), name="gene_symbol"))
