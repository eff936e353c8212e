"""Studies of the graph neighbour predictor over test perturbations; each returns a tidy data frame.

Intervals are 95 % bootstrap intervals over the test perturbations of a line (`stats.bootstrap_mean`).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.oracle import Moves, greedy_oracles
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics import stats
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.average import average
from kgpert_lib.predictors.neighbourhoods import Cut, Neighbour
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor, leave_one_out
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.types import Split

HEAD = ["atlas", "kind", "line"]
MEAN = "training mean"
MOVES: tuple[Moves, ...] = ("add", "remove")
BINS = (0, 1, 3, 6, 11, 21)  # lower edges of the numbers of neighbours


def coverage(atlas: Atlas, graphs: Sequence[KnowledgeGraph]) -> pd.DataFrame:
    """How much of the screen each graph knows: one row per line and graph.

    Columns: atlas, line, graph, edges, perturbations, ``in graph`` (perturbations that are nodes), train, test, and
    ``test with a neighbour`` (test perturbations joined to at least one training perturbation).
    """
    rows = []
    for line in atlas.lines.values():
        train = set(line.names("train"))
        for graph in graphs:
            joined = sum(not train.isdisjoint(graph.neighbours(p)) for p in line.names("test"))
            known = int(graph.known(line.perturbations).sum())
            test = int((line.split == "test").sum())
            sizes = (len(line.perturbations), known, len(train), test, joined)
            rows.append((atlas.name, line.name, graph.name, graph.n_edges, *sizes))
    names = ["atlas", "line", "graph", "edges", "perturbations", "in graph", "train", "test", "test with a neighbour"]
    return pd.DataFrame(rows, columns=names)


def sample_of_calls(line: CellLine, train: int = 45, test: int = 15, genes: int = 120, seed: int = 0) -> pd.DataFrame:
    """Deltas of perturbations and readout genes drawn at random: the matrix of calls with its gaps.

    One row per perturbation (training perturbations first), one column per readout gene, NaN for gaps; the index has
    the levels split and perturbation.
    """
    rng = np.random.default_rng(seed)
    columns = np.sort(rng.choice(len(line.genes), min(genes, len(line.genes)), replace=False))
    names = []
    for split, size in (("train", train), ("test", test)):
        pool = line.names(split)
        names += [(split, str(p)) for p in np.sort(rng.choice(pool, min(size, len(pool)), replace=False))]
    values = line.delta[line.rows([p for _, p in names])][:, columns]
    index = pd.MultiIndex.from_tuples(names, names=["split", "perturbation"])
    return pd.DataFrame(values, index=index, columns=line.genes[columns])


def typical(scores: pd.DataFrame, predictor: str, line: str, low: int = 6, high: int = 12) -> str:
    """The test perturbation of median gain over the training mean among those with `low` to `high` neighbours."""
    own = scores[(scores["line"] == line) & ~scores["constant"]]
    wide = own.pivot(index="perturbation", columns="predictor", values="pearson")
    sizes = own[own["predictor"] == predictor].set_index("perturbation")["n_neighbours"]
    gain = (wide[predictor] - wide[MEAN])[sizes.between(low, high)].sort_values(kind="stable")
    return str(gain.index[len(gain) // 2])


def calls_of_neighbours(
    atlas: Atlas,
    line: str,
    perturbation: str,
    predictor: NeighbourPredictor,
    genes: int = 24,
) -> pd.DataFrame:
    """One prediction in numbers: the calls of the neighbours, then the rows ``prediction`` and ``measured``.

    Columns are the `genes` readout genes tested in the perturbation that most neighbours measured, in the order of the
    measured call; NaN for gaps.
    """
    view, cells = atlas.view(line, "per-line"), atlas[line]
    predictions = predictor.predict(view, [perturbation])
    assert predictions.neighbourhoods is not None
    members = [m.gene for m in predictions.neighbourhoods.of(perturbation)]
    near = view.target.delta[[view.target.index[m] for m in members]]
    truth = cells.delta[cells.rows([perturbation])[0]]
    count = np.where(np.isnan(truth), -1, (~np.isnan(near)).sum(axis=0))
    columns = np.argsort(-count, kind="stable")[:genes]
    columns = columns[np.argsort(-truth[columns], kind="stable")]
    values = np.vstack([near, predictions.delta, truth])[:, columns]
    return pd.DataFrame(values, index=[*members, "prediction", "measured"], columns=cells.genes[columns])


def gains(scores: pd.DataFrame, reference: str = MEAN, seed: int = 0) -> pd.DataFrame:
    """Gain in Pearson delta of every predictor over the reference on the same perturbations, with its test.

    Two-sided Wilcoxon signed-rank tests, Holm-corrected within a line (`summaries.paired_tests`). Columns: atlas, kind,
    line, predictor, n, ``gain`` (mean, with ``gain_low`` and ``gain_high``), ``better`` and ``worse`` (shares of the
    perturbations on which the predictor is above and below the reference) and p_holm.
    """
    tables = []
    for (atlas, kind), part in scores.groupby(["atlas", "kind"], sort=False):
        tables.append(
            summaries.paired_tests(part, reference=reference, seed=seed).assign(atlas=str(atlas), kind=str(kind))
        )
    tests = pd.concat(tables, ignore_index=True).rename(
        columns={"method_a": "predictor", "n_pairs": "n", "mean_difference": "gain"}
    )
    tests = tests.rename(columns={"low": "gain_low", "high": "gain_high"})
    wide = scores.pivot(index=[*HEAD, "perturbation"], columns="predictor", values="pearson")
    difference = wide.sub(wide[reference], axis=0).round(stats.DIGITS)
    for name, side in (("better", difference > 0), ("worse", difference < 0)):
        share = side.groupby(level=HEAD).mean().reset_index().melt(HEAD, var_name="predictor", value_name=name)
        tests = tests.merge(share, on=[*HEAD, "predictor"])
    return tests[[*HEAD, "predictor", "n", "gain", "gain_low", "gain_high", "better", "worse", "p_holm"]]


def gain_by_neighbours(scores: pd.DataFrame, predictor: str, bins: Sequence[int] = BINS, seed: int = 0) -> pd.DataFrame:
    """Gain in Pearson delta over the training mean by the number of training neighbours: one row per line and bin.

    `bins` are the lower edges. Columns: atlas, kind, line, neighbours, n, ``gain`` with interval, ``share of genes``
    and ``share of gain`` (of the sum over all test perturbations of the line).
    """
    rows = []
    for head, part in scores.groupby(HEAD, sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")
        gain = wide[predictor] - wide[MEAN]
        sizes = part[part["predictor"] == predictor].set_index("perturbation")["n_neighbours"].reindex(gain.index)
        for low, high in pairwise([*bins, np.inf]):
            own = gain[(sizes >= low) & (sizes < high)]
            if len(own):
                shares = len(own) / len(gain), own.sum() / gain.sum()
                rows.append((*head, _bin(low, high), len(own), *stats.bootstrap_mean(own, seed=seed), *shares))
    columns = ["neighbours", "n", "gain", "gain_low", "gain_high", "share of genes", "share of gain"]
    return pd.DataFrame(rows, columns=[*HEAD, *columns])


def sweep(
    atlas: Atlas,
    graphs: Sequence[KnowledgeGraph],
    limits: Sequence[int | None],
    cuts: Sequence[Cut],
    priors: Sequence[float],
    choice: tuple[int | None, Cut, float] = (20, "before", 1.0),
    seed: int = 0,
) -> pd.DataFrame:
    """Leave-one-out Pearson delta on training perturbations for every limit, cut and prior, beside one `choice`.

    Each training perturbation is predicted without its own delta, also in the training mean (`leave_one_out`); no test
    perturbation is looked at. One row per line and setting: atlas, kind, line, limit (NaN: no limit), cut, prior, n,
    ``pearson`` (mean) and ``difference`` from the choice on the same perturbations, with its interval. InputError where
    the choice is not one of the settings.
    """
    settings = list(product(limits, cuts, priors))
    if choice not in settings:
        raise InputError(f"The setting {choice} is not among those of the sweep; add it to limits, cuts and priors.")
    rows = []
    for name in atlas.lines:
        view = atlas.view(name)
        target = view.target
        training = [str(p) for p in target.perturbations]
        scores = {}
        for limit, cut in product(limits, cuts):
            near = GraphNeighbourhood(graphs, limit, cut, seed).neighbourhoods(view, training)
            for prior in priors:
                scores[limit, cut, prior] = pearson_delta(leave_one_out(near, target, prior).delta, target.scored)
        for limit, cut, prior in settings:
            own = scores[limit, cut, prior]
            size = np.nan if limit is None else float(limit)
            head = (atlas.name, atlas.kind, name, size, cut, prior, len(training), float(own.mean()))
            rows.append((*head, *stats.bootstrap_mean(own - scores[choice], seed=seed)))
    value = ["pearson", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=[*HEAD, "limit", "cut", "prior", "n", *value])


def best_settings(swept: pd.DataFrame, top: int = 3) -> pd.DataFrame:
    """The `top` settings of each line in `sweep` by mean score, the best first; priors as text (``1``, ``0.5``)."""
    ranked = swept.sort_values("pearson", ascending=False, kind="stable").groupby("line", sort=False).head(top)
    order = {line: k for k, line in enumerate(swept["line"].unique())}
    ranked = ranked.assign(prior=ranked["prior"].map("{:g}".format))
    return ranked.sort_values("line", key=lambda lines: lines.map(order), kind="stable", ignore_index=True)


def cross_fitted_sets(
    atlas: Atlas,
    predictor: NeighbourPredictor,
    prior: float = 1.0,
    steps: int = 20,
    halves: int = 2,
    split: Split = "per-line",
    seed: int = 0,
) -> pd.DataFrame:
    """Sets searched on one half of a gene's tested readouts and scored on both halves.

    What a search gains on the half that it saw contains chance; what it gains on the other half does not. The same
    search runs on calls that were permuted among the tested readouts of each gene, where nothing can be learnt.
    The halves are drawn `halves` times; scores are means over the draws.

    One row per line, test perturbation, ``calls`` (``measured`` or ``permuted``) and ``moves`` (``add`` or ``remove``).
    Further columns: atlas, kind, ``reached`` (Pearson delta on the half searched), ``seen`` and ``unseen`` (gain over
    the graphs' own neighbourhood on the half searched and on the other).
    """
    rng = np.random.default_rng(seed)
    tables = []
    for line in atlas.lines.values():
        view, names = atlas.view(line.name, split), line.names("test")
        weights = predictor.neighbourhoods(view, names).weights
        starts, start = _members(weights), average(weights.astype(bool), view.target, prior)[0]
        truth = line.scored[line.rows(names)]
        for _, calls in product(range(halves), ("measured", "permuted")):
            answers = truth if calls == "measured" else _permuted(truth, rng)
            seen, unseen = _halved(answers, rng)
            for moves in MOVES:
                searches = greedy_oracles(view.target, seen, starts, prior, moves, steps)
                edited = average(_sets([s.members for s in searches], weights.shape[1]), view.target, prior)[0]
                reached = pearson_delta(edited, seen)
                head = {"atlas": atlas.name, "kind": atlas.kind, "line": line.name, "perturbation": names}
                values = {
                    "reached": reached,
                    "seen": reached - pearson_delta(start, seen),
                    "unseen": pearson_delta(edited, unseen) - pearson_delta(start, unseen),
                }
                tables.append(pd.DataFrame({**head, "calls": calls, "moves": moves, **values}))
    keys = [*HEAD, "calls", "moves", "perturbation"]
    return pd.concat(tables).groupby(keys, sort=False).mean().reset_index()


def extremes(scores: pd.DataFrame, predictor: str, line: str, at_least: int = 3, top: int = 2) -> pd.DataFrame:
    """The `top` best and worst predicted test perturbations of a line by centred Pearson delta.

    Only those with `at_least` neighbours and a measured delta that is not constant. Columns: rank (``best`` or
    ``worst``), perturbation, centred_pearson, pearson, n_neighbours, n_genes.
    """
    part = scores[(scores["predictor"] == predictor) & (scores["line"] == line)]
    part = part[(part["n_neighbours"] >= at_least) & ~part["constant"]]
    ranked = part.sort_values(["centred_pearson", "perturbation"], ascending=[False, True])
    ends = pd.concat([ranked.head(top).assign(rank="best"), ranked.tail(top).assign(rank="worst")])
    columns = ["rank", "perturbation", "centred_pearson", "pearson", "n_neighbours", "n_genes"]
    return ends[columns].reset_index(drop=True)


def panel(
    atlas: Atlas, line: str, row: Any, predictor: NeighbourPredictor, split: Split = "per-line"
) -> tuple[str, list[Neighbour], str]:
    """Gene, members and title of one drawing of `figures.neighbourhoods`, for a row of `extremes`."""
    members = predictor.neighbourhoods(atlas.view(line, split), [row.perturbation]).of(row.perturbation)
    title = f"{row.rank}: {row.perturbation}, centred {row.centred_pearson:.2f}, Pearson {row.pearson:.2f}"
    return row.perturbation, members, f"{title} (n = {row.n_genes} genes)"


def _bin(low: float, high: float) -> str:
    if np.isinf(high):
        return f"{low}+"
    return str(low) if high - low == 1 else f"{low}–{high - 1}"


def _members(weights: sp.csr_matrix) -> list[NDArray[np.intp]]:
    """The training rows with a weight, for each row of `weights`."""
    return [weights[[i]].indices.astype(np.intp) for i in range(weights.shape[0])]


def _sets(members: Sequence[NDArray[np.intp]], size: int) -> sp.csr_matrix:
    """(n, size) weights of 1 for the members of each set."""
    pointer = np.cumsum([0, *map(len, members)])
    columns = np.concatenate([*members, np.empty(0, np.intp)])
    return sp.csr_matrix((np.ones(len(columns), np.float32), columns, pointer), shape=(len(members), size))


def _permuted(truth: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The measured values of each row in a random order; gaps stay where they are."""
    answers = truth.copy()
    for row in answers:
        tested = np.flatnonzero(~np.isnan(row))
        row[tested] = row[rng.permutation(tested)]
    return answers


def _halved(truth: NDArray[np.float32], rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The measured values of each row cut at random into two tables of about as many; the rest becomes gaps."""
    first = np.zeros(truth.shape, bool)
    for row, known in zip(first, ~np.isnan(truth), strict=True):
        tested = np.flatnonzero(known)
        row[rng.permutation(tested)[: (len(tested) + 1) // 2]] = True
    return np.where(first, truth, np.nan).astype(truth.dtype), np.where(first, np.nan, truth).astype(truth.dtype)
