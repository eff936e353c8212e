"""The hierarchical structural causal model (paper, section 3): what fails when a gene is knocked down.

Components (genes, complexes, pathways, organelles) are binary, 1 for functional. Edges go from one
level to the next; a component fails as soon as one of its parts fails; a perturbation ``do(p)``
takes out one gene and nothing else directly. The expected response adds one loading for each failed
component, which makes it layer-wise Lipschitz with constants that are known exactly: the largest
loading norm of a level.

Examples
--------
>>> from kgpert_lib.screens.simulated.causal import HierarchicalSCM
>>> scm = HierarchicalSCM.sample(seed=1, sizes=(12, 4, 2, 1), readout=50)
>>> state = scm.do("G03")
>>> state.names("gene")
['G03']
>>> bool((scm.distance() <= scm.bound() + 1e-9).all())
True
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.deltas import correlation_matrix
from kgpert_lib.types import FloatArray

LEVELS = ("gene", "complex", "pathway", "organelle")
RELAY = " (direct)"
BoolCSR: TypeAlias = sp.csr_array


@dataclass(frozen=True, eq=False)
class State:
    """Which components work after one or more interventions; one row per experiment.

    `failed[l]` is a (k, n_l) boolean CSR matrix: the complement of ``Z^l``, which is almost all ones.
    """

    scm: HierarchicalSCM
    failed: tuple[BoolCSR, ...]

    def functional(self, level: str | int) -> NDArray[np.bool_]:
        """(k, n_l) ``Z^l``: True where the component works."""
        return ~self.failed[self.scm.level(level)].toarray()

    def names(self, level: str | int, row: int = 0) -> list[str]:
        """Names of the failed components of one level in experiment `row`."""
        number = self.scm.level(level)
        return [str(self.scm.names[number][j]) for j in np.sort(self.failed[number][[row]].indices)]

    def do(self, perturbations: str | Sequence[str]) -> State:
        """Intervene again: one name for every experiment, or one for each; doing the same twice changes nothing."""
        return self.scm.do(perturbations, self)


@dataclass(frozen=True, eq=False)
class HierarchicalSCM:
    """A hierarchy of components with its expected responses (paper, section 3; its formulas are partly reconstructed).

    Attributes
    ----------
    levels : titles from the lowest up; the first is the level that perturbations act on.
    names : for each level, (n_l,) names of its components, unique within the level.
    edges : for each level but the last, (n_l, n_{l+1}) boolean CSR: entry (k, j) says that j needs k.
    loadings : for each level, (n_l, m) change of the expected response when the component fails.
    genes : (m,) readout genes. baseline : (m,) expected response of an unperturbed cell.

    Raises
    ------
    InputError
        When shapes do not fit or a name appears twice in a level.
    """

    levels: tuple[str, ...]
    names: tuple[NDArray[np.str_], ...]
    edges: tuple[BoolCSR, ...]
    loadings: tuple[NDArray[np.float64], ...]
    genes: NDArray[np.str_]
    baseline: NDArray[np.float64]

    def __post_init__(self) -> None:
        sizes = self.sizes
        if not len(self.levels) == len(self.names) == len(self.loadings) == len(self.edges) + 1:
            raise InputError("A hierarchy needs names and loadings for each level and edges between each two.")
        for title, names, loading in zip(self.levels, self.names, self.loadings, strict=True):
            if len(np.unique(names)) != len(names):
                raise InputError(f"Level {title!r} names a component twice.")
            if loading.shape != (len(names), len(self.genes)):
                raise InputError(
                    f"Level {title!r} has loadings {loading.shape}; expected ({len(names)}, {len(self.genes)})."
                )
        for number, edge in enumerate(self.edges):
            if edge.shape != (sizes[number], sizes[number + 1]):
                raise InputError(f"Edges above level {self.levels[number]!r} have shape {edge.shape}.")

    @classmethod
    def sample(
        cls,
        seed: int = 0,
        sizes: Sequence[int] = (200, 50, 20, 5),
        readout: int = 500,
        sensitivity: Sequence[float] = (0.0, 1.0, 0.6, 0.4),
        extra: float = 0.3,
    ) -> HierarchicalSCM:
        """Draw a hierarchy: each component is part of 1 + Poisson(`extra`) components of the next level.

        `sizes` gives the components and `sensitivity` the Lipschitz constant ``K_l`` of each level; with
        ``K_0 = 0`` genes with equal descendants respond alike.
        """
        rng = np.random.default_rng(seed)
        if len(sizes) != len(sensitivity) or min(sizes) < 1:
            raise InputError("sizes and sensitivity need one entry for each level, sizes at least 1.")
        titles = LEVELS[: len(sizes)] if len(sizes) <= len(LEVELS) else tuple(f"level {i}" for i in range(len(sizes)))
        letters = [t[0].upper() if t in LEVELS else f"L{i}." for i, t in enumerate(titles)]
        names = tuple(
            np.array([f"{a}{i:0{len(str(n))}d}" for i in range(n)]) for a, n in zip(letters, sizes, strict=True)
        )
        edges = []
        for lower, upper in pairwise(sizes):
            count = np.minimum(1 + rng.poisson(extra, lower), upper)
            rows = np.repeat(np.arange(lower), count)
            cols = np.concatenate([rng.choice(upper, c, replace=False) for c in count])
            edges.append(_incidence(rows, cols, (lower, upper)))
        loadings = tuple(random_loadings(rng, n, readout, k) for n, k in zip(sizes, sensitivity, strict=True))
        genes = np.array([f"R{i:0{len(str(readout))}d}" for i in range(readout)])
        return cls(titles, names, tuple(edges), loadings, genes, rng.normal(1.0, 0.5, readout))

    @classmethod
    def from_memberships(
        cls,
        genes: Sequence[str],
        memberships: Sequence[Mapping[str, Iterable[str]]],
        readout: Sequence[str],
        sensitivity: Sequence[float],
        seed: int = 0,
        levels: Sequence[str] = LEVELS,
    ) -> HierarchicalSCM:
        """Build the hierarchy from tables of parts, with random loadings.

        `memberships[l]` maps each component of level l + 1 to its parts, which may lie on any lower level.
        Edges join neighbouring levels only, so a part from further below reaches its whole through
        relays: components that stand for it on the levels between and have no loading of their own.
        """
        if not len(memberships) + 1 == len(levels) == len(sensitivity):
            raise InputError(
                f"{len(levels)} levels need {len(levels) - 1} membership tables and as many constants + 1."
            )
        names: list[dict[str, int]] = [{str(g): i for i, g in enumerate(genes)}]
        names += [{str(c): i for i, c in enumerate(table)} for table in memberships]
        own = [len(n) for n in names]
        pairs: list[list[tuple[int, int]]] = [[] for _ in memberships]
        for upper, table in enumerate(memberships, start=1):
            for whole, parts in table.items():
                for part in parts:
                    foot = _lift(str(part), upper - 1, names, pairs, str(whole))
                    pairs[upper - 1].append((foot, names[upper][str(whole)]))
        sizes = [len(n) for n in names]
        edges = []
        for number, members in enumerate(pairs):
            ends = np.array(sorted(set(members)), dtype=np.intp).reshape(-1, 2)
            edges.append(_incidence(ends[:, 0], ends[:, 1], (sizes[number], sizes[number + 1])))
        rng = np.random.default_rng(seed)
        loadings = []
        for count, size, constant in zip(own, sizes, sensitivity, strict=True):
            own_first = np.zeros((size, len(readout)))
            own_first[:count] = random_loadings(rng, count, len(readout), constant)
            loadings.append(own_first)
        labels = tuple(np.array(list(n)) for n in names)
        return cls(
            tuple(levels), labels, tuple(edges), tuple(loadings), np.asarray(readout, str), np.zeros(len(readout))
        )

    @property
    def sizes(self) -> tuple[int, ...]:
        """Components of each level."""
        return tuple(len(n) for n in self.names)

    @cached_property
    def index(self) -> dict[str, int]:
        """Position of each gene of level 0."""
        return {str(g): i for i, g in enumerate(self.names[0])}

    @cached_property
    def sensitivity(self) -> NDArray[np.float64]:
        """(L + 1,) Lipschitz constants ``K_l``: the largest norm of a loading of the level; 0 where none has any."""
        return np.array([np.linalg.norm(w, axis=1).max(initial=0.0) for w in self.loadings])

    def level(self, level: str | int) -> int:
        """Number of a level given by title or number."""
        if isinstance(level, str) and level not in self.levels:
            raise InputError(f"No level {level!r}; the hierarchy has {', '.join(self.levels)}.")
        return self.levels.index(level) if isinstance(level, str) else level

    def silenced(self, level: str | int) -> HierarchicalSCM:
        """The same hierarchy with ``K_l = 0`` at one level."""
        number = self.level(level)
        quiet = tuple(np.zeros_like(w) if i == number else w for i, w in enumerate(self.loadings))
        return replace(self, loadings=quiet)

    def do(self, perturbations: str | Sequence[str] | None = None, state: State | None = None) -> State:
        """Knock genes down: ``Z^0_p = 0`` and all that follows; one experiment for each name.

        Without `perturbations`, every gene in turn. With a `state`, the knock-downs come on top of it: one
        name for all its experiments, or one for each.
        """
        rows = self._rows(perturbations)
        if state is not None:
            k = state.failed[0].shape[0]
            if len(rows) not in (1, k):
                raise InputError(f"{len(rows)} perturbations for {k} experiments; give one, or one for each.")
            rows = np.broadcast_to(rows, k)
        genes = _incidence(np.arange(len(rows)), rows, (len(rows), self.sizes[0]))
        if state is not None:
            genes = _binary(genes.astype(np.int32) + state.failed[0].astype(np.int32))
        failed = [genes]
        # a component fails as soon as one of its parts does: an "or" over parts, counted and cut to 0 or 1
        for edge in self.edges:
            failed.append(_binary(failed[-1].astype(np.int32) @ edge.astype(np.int32)))
        return State(self, tuple(failed))

    def descendants(self, level: str | int, perturbations: str | Sequence[str] | None = None) -> BoolCSR:
        """(k, n_l) boolean CSR ``De_l(p)``: the components of a level that fail with each perturbation.

        At level 0 this is the gene itself.
        """
        return self.do(perturbations).failed[self.level(level)]

    def expected(self, state: State) -> NDArray[np.float64]:
        """(k, m) ``E[X | Z]``: the baseline plus the loading of each failed component."""
        total = np.tile(self.baseline, (state.failed[0].shape[0], 1))
        for failed, loading in zip(state.failed, self.loadings, strict=True):
            total += failed.astype(np.float64) @ loading
        return total

    def response(self, perturbations: str | Sequence[str] | None = None) -> NDArray[np.float64]:
        """(k, m) ``E[X | do(p)] - E[X]``: the noise-free delta of each perturbation."""
        return self.expected(self.do(perturbations)) - self.baseline

    def bound(self, perturbations: Sequence[str] | None = None) -> NDArray[np.float64]:
        """(k, k) ``sum_l K_l |De_l(p) symmetric-difference De_l(q)|`` (paper, section 3; reconstructed)."""
        state = self.do(perturbations)
        total = np.zeros((state.failed[0].shape[0],) * 2)
        for failed, constant in zip(state.failed, self.sensitivity, strict=True):
            if constant > 0:
                # |A symmetric-difference B| = |A| + |B| - 2 |A and B|
                count = np.diff(failed.indptr).astype(np.float64)
                total += constant * (count[:, None] + count[None, :])
                total -= 2.0 * constant * _shared(failed)
        return total

    def distance(self, perturbations: Sequence[str] | None = None) -> NDArray[np.float64]:
        """(k, k) Euclidean distance between the expected responses, through one Gram matrix."""
        x = self.response(perturbations)
        x -= x.mean(axis=0)
        gram = x @ x.T
        square = np.diag(gram)
        # |x - y|^2 = |x|^2 + |y|^2 - 2 x.y; what is left of equal rows is rounding
        squared = square[:, None] + square[None, :] - 2.0 * gram
        squared[squared < 1e-12 * square.max(initial=1.0)] = 0.0
        return np.sqrt(squared)

    def similarity(self, perturbations: Sequence[str] | None = None) -> FloatArray:
        """(k, k) Pearson correlation between the expected responses; 0 where one is constant."""
        response = self.response(perturbations)
        return correlation_matrix(response, response)

    def meeting_level(self, perturbations: Sequence[str] | None = None) -> NDArray[np.int8]:
        """(k, k) level of the lowest common descendant; 0: itself, number of levels: they never meet."""
        failed = self.do(perturbations).failed
        lowest = np.full((failed[0].shape[0],) * 2, len(self.levels), np.int8)
        for number in reversed(range(len(self.levels))):
            lowest[_shared(failed[number]) > 0] = number
        return lowest

    def _rows(self, perturbations: str | Sequence[str] | None) -> NDArray[np.intp]:
        if perturbations is None:
            return np.arange(self.sizes[0])
        names = [perturbations] if isinstance(perturbations, str) else list(perturbations)
        for name in names:
            if name not in self.index:
                raise InputError(f"{name!r} is not a gene of this hierarchy of {self.sizes[0]} genes.")
        return np.array([self.index[p] for p in names], dtype=np.intp)


def random_loadings(rng: np.random.Generator, n: int, m: int, constant: float) -> NDArray[np.float64]:
    """(n, m) random directions with norms between 30 and 100 % of `constant`, the first exactly `constant`."""
    if n == 0 or constant == 0:
        return np.zeros((n, m))
    norms = rng.uniform(0.3, 1.0, n) * constant
    norms[0] = constant
    directions = rng.standard_normal((n, m))
    return directions * (norms / np.linalg.norm(directions, axis=1))[:, None]


def _lift(part: str, level: int, names: list[dict[str, int]], pairs: list[list[tuple[int, int]]], whole: str) -> int:
    """Position at `level` of a part that lies there or below it; adds the relays that it needs."""
    if part in names[level]:
        return names[level][part]
    relay = part + RELAY
    if relay in names[level]:
        return names[level][relay]
    if level == 0:
        raise InputError(f"{part!r}, named as a part of {whole!r}, is on no lower level.")
    below = _lift(part, level - 1, names, pairs, whole)
    names[level][relay] = len(names[level])
    pairs[level - 1].append((below, names[level][relay]))
    return names[level][relay]


def _incidence(rows: NDArray[np.intp], cols: NDArray[np.intp], shape: tuple[int, int]) -> BoolCSR:
    return sp.csr_array((np.ones(len(rows), bool), (rows, cols)), shape=shape)


def _binary(counts: BoolCSR) -> BoolCSR:
    binary = counts.tocsr().astype(bool)
    binary.sort_indices()
    return binary


def _shared(failed: BoolCSR) -> NDArray[np.float32]:
    """(k, k) number of components that two experiments both take out."""
    used = failed[:, np.flatnonzero(np.bincount(failed.indices, minlength=failed.shape[1]) > 1)].astype(np.float32)
    overlap = (used @ used.T).toarray()
    np.fill_diagonal(overlap, np.diff(failed.indptr))
    return overlap
