"""Studies of the hierarchical model: how tight its bound is, what follows about similarity, where its assumptions fail.

Each function returns a tidy data frame. Pairs of perturbations share genes and so are not independent: intervals of
a mean over pairs resample the genes, and a pair counts as often as both of its genes were drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.deltas import correlation_matrix
from kgpert_lib.metrics.stats import percentile_bootstrap, percentile_interval
from kgpert_lib.paths import DATA
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.pseudobulk import Pseudobulk
from kgpert_lib.screens.simulated.causal import LEVELS, HierarchicalSCM

if TYPE_CHECKING:
    from kgpert_lib.screens.simulated.simulation import Simulation

NEVER = "nowhere"
MEETING = (*LEVELS[1:], NEVER)
SIZES = (240, 60, 20, 5)
SENSITIVITY = (0.0, 1.0, 0.6, 0.4)
ALONE = "no submodule"


def pairs(scm: HierarchicalSCM, response: ArrayLike | None = None) -> pd.DataFrame:
    """Every pair of genes, n (n - 1) / 2 rows: where the two meet, the bound, and their actual distance.

    Columns ``level`` (title of the lowest level with a common descendant, or ``nowhere``), ``bound``, ``distance``
    (Euclidean, between the expected responses) and ``over`` (the distance exceeds the bound by more than rounding).
    `response` (n, m) replaces the responses of the model, for worlds in which its assumptions do not hold.
    """
    upper = np.triu_indices(scm.sizes[0], 1)
    distance = scm.distance() if response is None else _distance(np.asarray(response, dtype=np.float64))
    table = pd.DataFrame(
        {
            "level": _titles(scm, scm.meeting_level()[upper]),
            "bound": scm.bound()[upper],
            "distance": distance[upper],
        }
    )
    return table.assign(over=table["distance"] > table["bound"] + 1e-6 * max(1.0, distance.max()))


def compare(scm: HierarchicalSCM, gene: str, others: Sequence[str]) -> pd.DataFrame:
    """One knock-down beside others: columns gene, other, level (where they first meet), bound, distance, similarity."""
    names = [gene, *others]
    level = _titles(scm, scm.meeting_level(names)[0, 1:])
    columns = {"gene": gene, "other": list(others), "level": level, "bound": scm.bound(names)[0, 1:]}
    return pd.DataFrame(columns | {"distance": scm.distance(names)[0, 1:], "similarity": scm.similarity(names)[0, 1:]})


def bound_of_lines(simulation: Simulation) -> pd.DataFrame:
    """`pairs` of every line of a simulation, with columns atlas, kind and line in front."""
    tables = [_named(pairs(simulation.scms[name]), name) for name in simulation.lines]
    return pd.concat(tables, ignore_index=True)


def tightness(table: pd.DataFrame) -> pd.DataFrame:
    """How much of the bound the actual distance uses up, one row per line and meeting level.

    Columns line, level, ``pairs``, ``over`` (pairs above the bound), ``median bound``, ``median distance`` and
    ``median share`` of distance in bound (pairs whose bound is 0 left out).
    """
    rows = []
    for line, own in table.groupby("line", sort=False):
        for level, part in own.groupby("level", observed=True):
            share = (part["distance"] / part["bound"].where(part["bound"] > 0)).median()
            middle = part["bound"].median(), part["distance"].median()
            rows.append((line, level, len(part), int(part["over"].sum()), *middle, share))
    return pd.DataFrame(
        rows, columns=["line", "level", "pairs", "over", "median bound", "median distance", "median share"]
    )


def mean_over_pairs(
    values: ArrayLike, mask: NDArray[np.bool_], draws: int = 1_000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean of a symmetric (n, n) matrix over the pairs i < j of `mask`, with its 95 % interval over genes.

    The genes are drawn with replacement `draws` times; a pair weighs the product of how often its two genes came
    up, so that no gene is ever paired with itself. NaN for an empty mask.
    """
    mask = np.triu(mask | mask.T, 1)
    summands = np.where(mask, np.asarray(values, dtype=np.float64), 0.0)
    if not mask.any():
        return np.nan, np.nan, np.nan
    n = len(mask)
    weight = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=draws).astype(np.float64)
    total = np.einsum("dn,dn->d", weight @ mask, weight)
    drawn = np.einsum("dn,dn->d", weight @ summands, weight)[total > 0] / total[total > 0]
    return float(summands.sum() / mask.sum()), *percentile_interval(drawn)


def similarity_by_level(similarity: ArrayLike, scm: HierarchicalSCM, draws: int = 1_000, seed: int = 0) -> pd.DataFrame:
    """Mean of a (n, n) similarity over the pairs that meet at each level; columns level, n, similarity, low, high.

    `n` counts pairs.
    """
    meeting = scm.meeting_level()
    rows = []
    for number, title in enumerate([*scm.levels[1:], NEVER], start=1):
        mask = meeting == number
        rows.append((title, int(np.triu(mask, 1).sum()), *mean_over_pairs(similarity, mask, draws, seed)))
    return pd.DataFrame(rows, columns=["level", "n", "similarity", "low", "high"])


def profiles(simulation: Simulation, line: str) -> dict[str, NDArray[np.float64]]:
    """Three kinds of (n, m) delta of the same perturbations in one line of a simulation.

    ``model``: the expected responses as the assumptions want them, with no response of a gene's own (K_0 = 0);
    ``noise-free``: the true deltas of the simulated world, where knock-downs are partial and genes respond in their
    own way; ``measured``: the deltas of a few dozen simulated cells each.
    """
    return {
        "model": simulation.scms[line].silenced("gene").response(),
        "noise-free": simulation.truth[line].astype(np.float64),
        "measured": simulation.atlas[line].delta.astype(np.float64),
    }


def similarity_of_lines(simulation: Simulation, draws: int = 1_000, seed: int = 0) -> pd.DataFrame:
    """Similarity by meeting level of the three `profiles`, in every line of a simulation.

    Columns atlas, kind, line, profile, then those of `similarity_by_level`.
    """
    tables = []
    for name in simulation.lines:
        for profile, delta in profiles(simulation, name).items():
            table = similarity_by_level(correlation_matrix(delta, delta), simulation.scms[name], draws, seed)
            table.insert(0, "profile", profile)
            tables.append(_named(table, name))
    return pd.concat(tables, ignore_index=True)


def by_profile(table: pd.DataFrame) -> pd.DataFrame:
    """`similarity_of_lines` with one column per profile: line, level, n, and each profile with its interval."""
    renamed = table.rename(columns={"similarity": ""})
    wide = renamed.pivot(index=["line", "level", "n"], columns="profile", values=["", "low", "high"])
    ends, names = (wide.columns.get_level_values(k).astype(str) for k in (0, 1))
    wide.columns = pd.Index([f"{profile}_{end}" if end else profile for end, profile in zip(ends, names, strict=True)])
    order = [f"{profile}{end}" for profile in ("model", "noise-free", "measured") for end in ("", "_low", "_high")]
    lines = list(dict.fromkeys(table["line"]))
    wide = wide[order].reindex(lines, level="line").reindex(MEETING, level="level")
    return wide.reset_index()


def screens(atlas: str, simulation: Simulation) -> list[Atlas]:
    """The screens that a chapter's parameter `atlas` names, separated by commas, and that have expression deltas.

    ``simulated`` is the given simulation; anything else is what `load.load_atlas` takes. A screen of calls, whose
    deltas have gaps, is left out: two of its perturbations share next to no tested genes.
    """
    from kgpert_lib.screens.load import SIMULATED, atlas_names, load_atlas

    atlases = [
        simulation.atlas if name == SIMULATED else load_atlas(name, simulation.lines) for name in atlas_names(atlas)
    ]
    return [screen for screen in atlases if all(line.dense for line in screen.lines.values())]


def cross_line(atlas: Atlas) -> pd.DataFrame:
    """Correlation of the delta of a gene in one line with the delta of another gene in another line.

    A symmetric table over the perturbations that all lines have, the mean over all ordered pairs of lines; on its
    diagonal is the agreement of a gene with itself across lines. Only readout genes that all lines measured count.

    Raises
    ------
    InputError
        With fewer than two lines, or where deltas have gaps.
    """
    lines = list(atlas.lines.values())
    if len(lines) < 2:
        raise InputError(f"Atlas {atlas.name!r} has one line; a correlation across lines needs two.")
    if not all(line.dense for line in lines):
        raise InputError(f"The deltas of atlas {atlas.name!r} have gaps; a correlation across lines needs all genes.")
    names = sorted(set.intersection(*(set(line.perturbations.tolist()) for line in lines)))
    genes = sorted(set.intersection(*(set(line.genes.tolist()) for line in lines)))
    deltas = []
    for line in lines:
        place = {str(g): i for i, g in enumerate(line.genes)}
        deltas.append(line.delta[line.rows(names)][:, [place[g] for g in genes]])
    return _across(deltas, names)


def integrator(names: Sequence[str]) -> dict[str, str]:
    """Submodule of each Integrator subunit among `names`, submodule by submodule; INTS3 belongs to none."""
    table = pd.read_csv(DATA / "simulated" / "modules.tsv", sep="\t", comment="#")
    submodule = dict(zip(table["gene"], table["module"].str.removeprefix("Integrator "), strict=True))
    subunits = [*submodule, *sorted(g for g in names if g.startswith("INTS") and g not in submodule)]
    present = {gene: submodule.get(gene, ALONE) for gene in subunits if gene in set(names)}
    if len(present) < 2:
        raise InputError(f"{len(present)} Integrator subunits were perturbed; a correlation needs two.")
    return present


def blocks(cross: pd.DataFrame, submodule: Mapping[str, str], draws: int = 1_000, seed: int = 0) -> pd.DataFrame:
    """Mean cross-line correlation of the same gene, within and between submodules, with and among the other genes.

    Columns pairs, n, similarity, low, high (95 % over genes). `cross` is `cross_line` over all perturbations.
    """
    label = np.array([submodule.get(g, "") for g in cross.index])
    inside, part = label != "", (label != "") & (label != ALONE)
    same = (label[:, None] == label) & part[:, None]
    both = inside[:, None] & inside
    groups = {
        "two genes of one submodule": same,
        "two submodules": both & ~same,
        "a subunit and another gene": inside[:, None] & ~inside,
        "two other genes": ~inside[:, None] & ~inside,
    }
    values = cross.to_numpy(np.float64)
    own = values.diagonal()[inside]
    interval = percentile_bootstrap([own], np.mean, draws, seed)
    rows = [("a subunit and itself", len(own), float(own.mean()), *interval)]
    for name, mask in groups.items():
        rows.append((name, int(np.triu(mask | mask.T, 1).sum()), *mean_over_pairs(values, mask, draws, seed)))
    return pd.DataFrame(rows, columns=["pairs", "n", "similarity", "low", "high"])


def cross_line_profiles(simulation: Simulation) -> dict[str, pd.DataFrame]:
    """`cross_line` of each of the three `profiles` of a simulation; ``measured`` is that of its atlas."""
    names = simulation.perturbations.tolist()
    every = [profiles(simulation, line) for line in simulation.lines]
    return {profile: _across([deltas[profile] for deltas in every], names) for profile in every[0]}


def blocks_side_by_side(crosses: Mapping[str, pd.DataFrame], draws: int = 1_000, seed: int = 0) -> pd.DataFrame:
    """`blocks` of several tables: columns pairs, n, and for each table ``<name>``, ``<name>_low``, ``<name>_high``."""
    table = pd.DataFrame()
    for name, cross in crosses.items():
        means = blocks(cross, integrator(list(cross.index)), draws, seed)
        table["pairs"], table["n"] = means["pairs"], means["n"]
        table[[name, f"{name}_low", f"{name}_high"]] = means[["similarity", "low", "high"]]
    return table


def submodule_test(cross: pd.DataFrame, submodule: Mapping[str, str], draws: int = 10_000, seed: int = 0) -> float:
    """P value of the submodules: how often shuffled labels separate within from between at least as well."""
    genes = [g for g, m in submodule.items() if m != ALONE]
    values = cross.loc[genes, genes].to_numpy(np.float64)
    labels = np.array([submodule[g] for g in genes])
    upper = np.triu_indices(len(genes), 1)

    def gain(order: NDArray[np.str_]) -> float:
        same = order[upper[0]] == order[upper[1]]
        return float(values[upper][same].mean() - values[upper][~same].mean())

    rng = np.random.default_rng(seed)
    observed = gain(labels)
    return float((1 + sum(gain(rng.permutation(labels)) >= observed - 1e-12 for _ in range(draws))) / (1 + draws))


def submodule_power(seeds: int, lines: Sequence[str], size: str = "default", draws: int = 10_000) -> pd.DataFrame:
    """`submodule_test` of measured deltas in `seeds` simulated worlds: columns seed and p.

    Only the cells of the Integrator subunits and of the controls are drawn; they are those of the whole simulation.
    """
    from kgpert_lib.screens.simulated.simulation import simulate

    rows = []
    for seed in range(seeds):
        simulation = simulate(seed, size, lines)
        subunits = integrator(simulation.perturbations.tolist())
        names = sorted(subunits)
        deltas = [_deltas(simulation, line, names) for line in lines]
        rows.append((seed, submodule_test(_across(deltas, names), subunits, draws, seed=0)))
    return pd.DataFrame(rows, columns=["seed", "p"])


def partial_response(scm: HierarchicalSCM, strength: ArrayLike) -> NDArray[np.float64]:
    """(n, m) responses when a knock-down takes out only a share of what the model says fails above its gene.

    `strength` (n,) is that share: 1 is the model, 0 a gene whose loss is made up for entirely.
    """
    own = scm.loadings[0]
    return own + np.asarray(strength, dtype=np.float64)[:, None] * (scm.response() - own)


def broken_assumptions(seed: int = 0, draws: int = 500) -> pd.DataFrame:
    """What remains of the model's promise when one assumption at a time is given up, a little more at each step.

    Four parameters, each starting from a world in which all assumptions hold: ``own response`` K_0; ``moonlighting``
    the mean number of further wholes that a part belongs to; ``redundancy`` the share of genes that have a
    substitute; ``partial knock-down`` the largest share of a function that may remain. Columns: assumption, value,
    level, n (pairs), similarity, low, high, and ``over``, the share of those pairs above the bound.
    """
    rng = np.random.default_rng(seed)
    uniform = rng.random((2, SIZES[0]))
    clean = _sample(seed)

    def with_substitutes(share: float) -> NDArray[np.float64]:
        return partial_response(clean, uniform[0] >= share)

    def with_partial(most: float) -> NDArray[np.float64]:
        return partial_response(clean, 1 - most * uniform[1])

    worlds: dict[str, tuple[Sequence[float], Callable[[float], tuple[HierarchicalSCM, NDArray[np.float64]]]]] = {
        "own response": ((0.0, 0.5, 1.0, 1.5, 2.0), lambda x: _with_response(_sample(seed, own=x))),
        "moonlighting": ((0.0, 0.25, 0.5, 1.0, 2.0), lambda x: _with_response(_sample(seed, extra=x))),
        "redundancy": ((0.0, 0.1, 0.2, 0.35, 0.5), lambda x: (clean, with_substitutes(x))),
        "partial knock-down": ((0.0, 0.25, 0.5, 0.75, 0.95), lambda x: (clean, with_partial(x))),
    }
    tables = []
    for assumption, (values, world) in worlds.items():
        for value in values:
            scm, response = world(value)
            over = pairs(scm, response).groupby("level", observed=True)["over"].mean()
            table = similarity_by_level(correlation_matrix(response, response), scm, draws, seed)
            tables.append(table.assign(assumption=assumption, value=value, over=table["level"].map(over)))
    table = pd.concat(tables, ignore_index=True).assign(atlas="random hierarchies", kind="simulated")
    return table[["atlas", "kind", "assumption", "value", "level", "n", "similarity", "low", "high", "over"]]


def first_middle_last(table: pd.DataFrame) -> pd.DataFrame:
    """Rows of `broken_assumptions` for pairs that share a complex, at three of the five steps of each assumption."""
    rows = table[table["level"] == "complex"].rename(columns={"low": "similarity_low", "high": "similarity_high"})
    step = rows.groupby("assumption", sort=False).cumcount()
    return rows[step.isin([0, 2, 4])].drop(columns=["atlas", "kind", "level"])


def equal_descendants(scm: HierarchicalSCM, strength: ArrayLike) -> pd.DataFrame:
    """Pairs with the same descendants from level 1 up, and what separates them as assumptions are given up.

    One row each for the model without responses of a gene's own, with them, and with partial knock-downs of the
    given `strength` (n,) besides. Columns world, pairs, ``mean distance``, ``mean similarity`` and ``over`` (pairs
    above the bound of that world's hierarchy).
    """
    silent = scm.silenced("gene")
    upper = np.triu_indices(scm.sizes[0], 1)
    same = silent.bound()[upper] <= 1e-9
    rows = []
    for world, model, response in (
        ("the model, K_0 = 0", silent, silent.response()),
        ("own responses, K_0 > 0", scm, scm.response()),
        ("own responses, partial knock-downs", scm, partial_response(scm, strength)),
    ):
        table = pairs(model, response)[same]
        similar = correlation_matrix(response, response)[upper][same]
        rows.append((world, int(same.sum()), table["distance"].mean(), similar.mean(), int(table["over"].sum())))
    return pd.DataFrame(rows, columns=["world", "pairs", "mean distance", "mean similarity", "over"])


def _deltas(simulation: Simulation, line: str, names: Sequence[str]) -> NDArray[np.float32]:
    """(n, m) measured deltas of some perturbations, from their cells and the controls alone."""
    cells = simulation.world.cells[line]
    cells = cells[(cells["row"] < 0) | cells["perturbation"].isin(names)]
    row, batch = cells["row"].to_numpy(), cells["unit_batch"].to_numpy()
    bulk = Pseudobulk(simulation.genes, names, np.unique(cells["batch"]), names, splits=0)
    bulk.add(simulation.world.models[line].draw_units(row, batch), cells)
    return bulk.deltas()[0]


def _across(deltas: Sequence[NDArray[np.floating]], names: list[str]) -> pd.DataFrame:
    """Mean correlation of row i in one table with row j in another, over all ordered pairs of tables."""
    tables = [correlation_matrix(a, b) for a, b in permutations(deltas, 2)]
    return pd.DataFrame(np.mean(tables, axis=0), index=names, columns=names)


def _sample(seed: int, own: float = 0.0, extra: float = 0.0) -> HierarchicalSCM:
    return HierarchicalSCM.sample(seed, SIZES, 500, (own, *SENSITIVITY[1:]), extra)


def _with_response(scm: HierarchicalSCM) -> tuple[HierarchicalSCM, NDArray[np.float64]]:
    return scm, scm.response()


def _distance(x: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.spatial.distance import pdist, squareform

    return squareform(pdist(x))


def _titles(scm: HierarchicalSCM, numbers: NDArray[np.int8]) -> pd.Categorical:
    titles = np.array([*scm.levels[1:], NEVER])
    return pd.Categorical(titles[numbers - 1], categories=titles.tolist(), ordered=True)


def _named(table: pd.DataFrame, line: str) -> pd.DataFrame:
    for place, (key, value) in enumerate((("atlas", "simulated"), ("kind", "simulated"), ("line", line))):
        table.insert(place, key, value)
    return table
