"""How far the graph neighbour predictor is from the ceiling of the experiment (paper, section 4.3 and appendix B).

Everything here needs expression deltas. What a line does not have (controls, halves or a second experiment) is NaN in
its scores, and the studies that need it leave the line out. Each study takes screens or their scores and returns a
tidy data frame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from kgpert_lib.evaluation.ceiling import CORRECTIONS, reproducibility
from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics import stats
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.metrics.gram import Gram
from kgpert_lib.predictors.baselines import LinearBaseline, TrainingMean
from kgpert_lib.predictors.neighbourhoods import Cut
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens import perturbqa
from kgpert_lib.screens.atlas import CellLine
from kgpert_lib.screens.load import SIMULATED, atlas_names, load_screens
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import Split

UNION = "union"
PARTS = ("best 60 %", "60–90 %", "worst 10 %")
EDGES = (0.6, 0.9)
SCORES = ("pearson", "mse", "mae")
TRAITS = ("magnitude", "control_likeness")
QUALITY = ("all", "neighbours", "difference", "best of all", "best neighbour", "top missed", "poor neighbours")
DRAWS = 2_000
HEAD = ["atlas", "kind", "line"]


def screens(
    atlas: str, lines: Sequence[str], graph: str = "string+go", seed: int = 0, size: str = "default"
) -> list[Screen]:
    """Every expression screen that a chapter's parameter `atlas` names (`load_screens`); PerturbQA's calls are skipped.

    The simulated screen where it names none; readout genes with a gap are left out. InputError for a screen of calls.
    """
    names = [name for name in atlas_names(atlas) if name != perturbqa.NAME]
    loaded = load_screens(",".join(names) or SIMULATED, lines, graph, seed, size)
    return [complete(screen) for screen in loaded]


def complete(screen: Screen) -> Screen:
    """The screen with only the readout genes that each line measured under every perturbation (`CellLine.complete`)."""
    lines = {name: line.complete() for name, line in screen.lines.items()}
    return replace(screen, atlas=replace(screen.atlas, lines=lines))


def sizes(screens: Sequence[Screen]) -> pd.DataFrame:
    """Size of each screen and of what is known about it: one row per line.

    Columns: atlas, line, train, test, genes (read out), cells (median per perturbation), a column for each graph with
    its number of edges, and ``test with a neighbour`` (test perturbations that a graph joins to training ones).
    """
    rows = []
    for screen, (name, line) in _lines(screens):
        near = GraphNeighbourhood(screen.graphs, None).neighbourhoods(screen.atlas.view(name), line.names("test"))
        rows.append(
            {
                **{"atlas": screen.atlas.name, "line": name},
                **{part: len(line.names(part)) for part in ("train", "test")},
                **{
                    "genes": len(line.genes),
                    "cells": np.nan if line.n_cells is None else float(np.median(line.n_cells)),
                },
                **{graph.name: graph.n_edges for graph in screen.graphs},
                "test with a neighbour": int((near.sizes > 0).sum()),
            }
        )
    return pd.DataFrame(rows)


def scores(
    screens: Sequence[Screen],
    limit: int | None = 20,
    cut: Cut = "before",
    seed: int = 0,
    split: Split = "per-line",
    correction: str = "sqrt",
) -> pd.DataFrame:
    """Scores of Figure 3's predictors on every test perturbation, with what else is known of it.

    Predictors: training mean, linear baseline, the graphs with shuffled names, each graph, their ``union``; deltas
    have no gaps, so there is no prior (the paper's formula). Columns: those of `evaluate.evaluate`, ``n_cells``,
    ``ceiling`` (reproducibility under `correction`), ``gap`` (ceiling minus Pearson delta), ``magnitude`` (root mean
    square of the delta, log units) and ``control_likeness`` (``rho(x_p, c_p)``).
    """

    def mean_over(graphs: Sequence[KnowledgeGraph], label: str | None = None) -> NeighbourPredictor:
        return NeighbourPredictor(GraphNeighbourhood(graphs, limit, cut, seed), label=label)

    tables = []
    for screen in screens:
        names = screen.atlas.perturbations()
        graphs = list(screen.graphs)
        predictors: list[Predictor] = [
            TrainingMean(),
            LinearBaseline(seed=seed),
            mean_over([g.shuffled(names, seed) for g in graphs], "shuffled"),
            *(mean_over([g]) for g in graphs),
            mean_over(graphs, UNION),
        ]
        for name, line in screen.atlas.lines.items():
            tops = reproducibility(screen, name, correction)
            tables.append(
                evaluate(screen.atlas, name, predictors, split).merge(
                    traits(line, tops), on="perturbation", validate="many_to_one"
                )
            )
    table = pd.concat(tables, ignore_index=True)
    return table.assign(gap=table["ceiling"] - table["pearson"])


def traits(line: CellLine, tops: pd.DataFrame) -> pd.DataFrame:
    """Ceiling, magnitude and control-likeness of every perturbation of a line (paper, Sections 4.2 and 4.3).

    `tops` is `ceiling.reproducibility`, to whose columns ``magnitude`` and ``control_likeness`` come; the one is NaN
    for calls, which have no magnitude, the other without controls.
    """
    rows = line.rows(list(tops["perturbation"]))
    delta = line.delta[rows]
    size = np.sqrt(np.nanmean(delta.astype(np.float64) ** 2, axis=1)) if line.expression else np.nan
    like = np.nan if line.control is None else pearson_delta(line.control[rows] + delta, line.control[rows])
    return tops.assign(magnitude=size, control_likeness=like)


def ceilings(table: pd.DataFrame, predictor: str = UNION, seed: int = 0) -> pd.DataFrame:
    """Mean ceiling and mean gap over the test perturbations of each line, with intervals.

    `table` is `scores`. Columns: atlas, kind, line, n (perturbations with a ceiling), ``ceiling``, ``gap`` (each with
    ``_low`` and ``_high``) and ``above``, the share of them that are predicted better than their ceiling.
    """
    rows = []
    for head, group in table[table["predictor"] == predictor].groupby(HEAD, sort=False):
        known = group[group["gap"].notna()]
        row = [*head, len(known)]
        for value in ("ceiling", "gap"):
            row += stats.mean_of_present(known[value], seed) if len(known) else [np.nan] * 3
        rows.append([*row, (known["gap"] < 0).mean()])
    names = [f"{value}{end}" for value in ("ceiling", "gap") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*HEAD, "n", *names, "above"])


def with_correction(screens: Sequence[Screen], table: pd.DataFrame, correction: str) -> pd.DataFrame:
    """The rows of `scores` with ceiling and gap under another correction."""
    parts = []
    for screen, (name, _) in _lines(screens):
        own = table[(table["atlas"] == screen.atlas.name) & (table["line"] == name)].drop(columns=["ceiling", "gap"])
        tops = reproducibility(screen, name, correction)[["perturbation", "ceiling"]]
        parts.append(own.merge(tops, on="perturbation", validate="many_to_one"))
    merged = pd.concat(parts, ignore_index=True)
    return merged.assign(gap=merged["ceiling"] - merged["pearson"])


def under_each(tables: Mapping[str, pd.DataFrame], study: Callable[[pd.DataFrame], pd.DataFrame]) -> pd.DataFrame:
    """A study of `scores` under several corrections: its rows below each other, with the column correction."""
    results = []
    for correction, table in tables.items():
        result = study(table)
        result.insert(len(HEAD), "correction", correction)
        results.append(result)
    return pd.concat(results, ignore_index=True).sort_values("line", kind="stable", key=_order)


def ceiling_choices(screens: Sequence[Screen], table: pd.DataFrame) -> pd.DataFrame:
    """`ceilings` under every correction: one row per line and correction."""
    own = table[table["predictor"] == UNION]
    tables = [ceilings(with_correction(screens, own, name)).assign(correction=name) for name in CORRECTIONS]
    order = {line: k for k, line in enumerate(dict.fromkeys(zip(own["atlas"], own["line"], strict=True)))}
    every = pd.concat(tables, ignore_index=True)
    place = [order[pair] for pair in zip(every["atlas"], every["line"], strict=True)]
    values = [f"{value}{end}" for value in ("ceiling", "gap") for end in ("", "_low", "_high")]
    columns = ["line", "correction", "n", *values, "above"]
    return every.assign(place=place).sort_values("place", kind="stable")[["atlas", *columns]].reset_index(drop=True)


def bias_table(calibration: pd.DataFrame) -> pd.DataFrame:
    """Bias of each correction over all cell numbers: one row per line and target.

    `calibration` is `ceiling.calibrate`. Columns: line, target, n, and for each correction its mean bias with interval.
    """
    wide = calibration[calibration["cells"] == "all"].rename(columns={"bias": ""})
    wide = wide.pivot(index=["line", "target", "n"], columns="correction", values=["", "low", "high"])
    ends, names = (wide.columns.get_level_values(k).astype(str) for k in (0, 1))
    wide.columns = pd.Index([f"{name}_{end}" if end else name for end, name in zip(ends, names, strict=True)])
    return wide[[f"{name}{end}" for name in CORRECTIONS for end in ("", "_low", "_high")]].reset_index()


def parts(table: pd.DataFrame, by: str = "gap") -> pd.DataFrame:
    """Rows of the union with the ``part`` of the line's genes that each falls in (paper, Figure 4 i).

    The genes of a line are ranked by the column `by`, smallest first: the best 60 %, the next 30 %, the worst 10 %;
    genes without a value are left out. ``quantile`` is a gene's rank between 0 and 1.
    """
    frames = [table.head(0).assign(quantile=np.nan, part=pd.Categorical([], categories=list(PARTS), ordered=True))]
    for _, own in table[(table["predictor"] == UNION) & table[by].notna()].groupby(HEAD, sort=False):
        quantile = (np.arange(len(own)) + 0.5) / len(own)
        part = pd.Categorical(np.array(PARTS)[np.digitize(quantile, EDGES)], categories=list(PARTS), ordered=True)
        frames.append(own.sort_values([by, "perturbation"]).assign(quantile=quantile, part=part))
    return pd.concat(frames, ignore_index=True)


def gap_shares(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """How much of a line's gap to the ceiling each part of its genes makes (paper, Figure 4 i).

    Columns: atlas, kind, line, part, n, ``gap`` (mean, with interval), ``share of shortfall`` (genes above their
    ceiling count as having no gap) and ``share of net gap`` (they count as negative; the parts add up to 1).
    """
    rows = []
    for head, group in parts(table).groupby(HEAD, sort=False):
        short = group["gap"].clip(lower=0)
        for part, own in group.groupby("part", observed=True):
            shares = short[own.index].sum() / short.sum(), own["gap"].sum() / group["gap"].sum()
            rows.append((*head, part, len(own), *stats.bootstrap_mean(own["gap"], seed=seed), *shares))
    columns = [*HEAD, "part", "n", "gap", "gap_low", "gap_high", "share of shortfall", "share of net gap"]
    return pd.DataFrame(rows, columns=columns)


def part_traits(table: pd.DataFrame, by: str = "error", seed: int = 0) -> pd.DataFrame:
    """Magnitude, control-likeness and number of neighbours of well and poorly predicted genes (Figures 4 ii, 11).

    Genes are ranked by `by`: ``error`` (Pearson delta, highest first) or ``gap`` (to the ceiling, smallest first); the
    two rankings differ, because weak effects have a low ceiling as well. Columns: atlas, kind, line, part, n, the three
    means with intervals.
    """
    ranked = parts(table.assign(error=-table["pearson"]), by)
    rows = []
    for head, own in ranked.groupby([*HEAD, "part"], sort=False, observed=True):
        means = [m for value in (*TRAITS, "n_neighbours") for m in stats.mean_of_present(own[value], seed)]
        rows.append((*head, len(own), *means))
    names = [f"{value}{end}" for value in (*TRAITS, "n_neighbours") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*HEAD, "part", "n", *names])


def gap_correlations(table: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """What goes with the gap to the ceiling: the size of the effect or the number of neighbours?

    One row per line: atlas, kind, line, n, Spearman correlation of the gap with ``magnitude`` and with ``neighbours``,
    and ``difference`` of their absolute values (above 0: the magnitude matters more), each with the 95 % percentile
    bootstrap interval over genes.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for head, own in table[(table["predictor"] == UNION) & table["gap"].notna()].groupby(HEAD, sort=False):
        columns = [own[c].to_numpy() for c in ("gap", "magnitude", "n_neighbours")]
        ends = stats.percentile_bootstrap(columns, _gap_correlations, draws, rng)
        rows.append([*head, len(own), *np.column_stack([_gap_correlations(*columns), *ends]).ravel()])
    names = [f"{v}{end}" for v in ("magnitude", "neighbours", "difference") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*HEAD, "n", *names])


def neighbour_correlations(
    screens: Sequence[Screen],
    limit: int | None = 20,
    cut: Cut = "before",
    seed: int = 0,
    split: Split = "per-line",
) -> pd.DataFrame:
    """Pearson between the delta of each test gene and that of each training gene (paper, Figure 4 iii).

    One row per pair, from inner products alone (`Gram`), without the test gene's own readout: atlas, kind, line,
    perturbation, training, pearson, neighbour (True where the union of the graphs joins the two) and ``place`` (0 for
    the most similar training gene).
    """
    tables = []
    for screen, (name, line) in _lines(screens):
        view = screen.atlas.view(name, split)
        names = line.names("test")
        itself = pd.Index(line.genes).get_indexer(pd.Index(names))
        pearson = Gram.of(view.target.delta, line.delta[line.rows(names)], itself).pearson()
        near = GraphNeighbourhood(screen.graphs, limit, cut, seed).neighbourhoods(view, names)
        place = np.argsort(np.argsort(-pearson, axis=1, kind="stable"), axis=1, kind="stable")
        tables.append(
            pd.DataFrame(
                {
                    **dict(zip(HEAD, (screen.atlas.name, screen.atlas.kind, name), strict=True)),
                    "perturbation": np.repeat(names, pearson.shape[1]),
                    "training": np.tile(view.target.perturbations, len(names)),
                    "pearson": pearson.ravel(),
                    "neighbour": near.weights.toarray().ravel() > 0,
                    "place": place.ravel(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def neighbour_quality(pairs: pd.DataFrame, top: int = 10, seed: int = 0) -> pd.DataFrame:
    """Are neighbours better than other training genes, which good ones do they miss, how many are poor?

    `pairs` is `neighbour_correlations`; test genes without a neighbour are left out. Means over test genes with
    intervals: atlas, kind, line, quantity, n, mean, mean_low, mean_high. The quantities are ``all`` and ``neighbours``
    (mean correlation), ``difference`` (neighbours minus all), ``best of all``, ``best neighbour``, ``top missed``
    (share of the `top` most similar training genes that are no neighbours) and ``poor neighbours`` (share of
    neighbours less similar than the average training gene).
    """
    rows = []
    for head, line in pairs.groupby(HEAD, sort=False):
        genes = []
        for _, own in line.groupby("perturbation", sort=False):
            near = own.loc[own["neighbour"], "pearson"]
            if near.empty:
                continue
            missed = 1 - own.loc[own["place"] < top, "neighbour"].mean()
            mean = own["pearson"].mean()
            means = mean, near.mean(), near.mean() - mean, own["pearson"].max(), near.max()
            genes.append((*means, missed, (near < mean).mean()))
        for quantity, values in zip(QUALITY, zip(*genes, strict=True), strict=True):
            rows.append((*head, quantity, len(genes), *stats.bootstrap_mean(values, seed=seed)))
    return pd.DataFrame(rows, columns=[*HEAD, "quantity", "n", "mean", "mean_low", "mean_high"])


def score_correlations(table: pd.DataFrame, draws: int = DRAWS, seed: int = 0) -> pd.DataFrame:
    """Correlation of each score with delta magnitude and control-likeness over test genes (paper, Appendix B.2).

    Columns: atlas, kind, line, score, trait, n, ``spearman`` with its 95 % percentile bootstrap interval over genes
    (``spearman_low``, ``spearman_high``), ``pearson``, and ``better for``: the genes for which this score looks
    better, ``large`` or ``small`` effects (``neither`` where the interval holds 0; MSE and MAE are better when low).
    """
    rng = np.random.default_rng(seed)
    rows = []
    for head, own in table[table["predictor"] == UNION].groupby(HEAD, sort=False):
        known = [trait for trait in TRAITS if own[trait].notna().all()]
        if not known:
            continue
        columns = [own[c].to_numpy() for c in (*SCORES, *known)]
        rho = _score_correlations(*columns)
        ends = stats.percentile_bootstrap(columns, _score_correlations, draws, rng)
        for (score, trait), *spearman in zip(product(SCORES, known), rho, *ends, strict=True):
            pearson = _correlation(own[score].to_numpy(), own[trait].to_numpy())
            rows.append((*head, score, trait, len(own), *spearman, pearson))
    names = ["score", "trait", "n", "spearman", "spearman_low", "spearman_high", "pearson"]
    result = pd.DataFrame(rows, columns=[*HEAD, *names])
    sign = np.sign(result["spearman"]) * ((result["spearman_low"] > 0) | (result["spearman_high"] < 0))
    sign *= np.where(result["score"] == "pearson", 1, -1) * np.where(result["trait"] == "magnitude", 1, -1)
    return result.assign(**{"better for": sign.map({1.0: "large", -1.0: "small", 0.0: "neither"})})


def _lines(screens: Sequence[Screen]) -> Iterator[tuple[Screen, tuple[str, CellLine]]]:
    return ((screen, item) for screen in screens for item in screen.atlas.lines.items())


def _order(lines: pd.Series) -> pd.Series:
    """Lines as numbers in the order of their first appearance."""
    return pd.Series(pd.factorize(lines)[0], index=lines.index)


def _gap_correlations(*columns: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Rank correlation of the gap with the magnitude, with the number of neighbours, difference of their sizes."""
    gap, *traits = columns
    first, second = (rank_correlations(gap, trait) for trait in traits)
    return np.stack([first, second, np.abs(first) - np.abs(second)])


def _score_correlations(*columns: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Rank correlation of every score with every trait."""
    scores, traits = columns[: len(SCORES)], columns[len(SCORES) :]
    return np.stack([rank_correlations(x, y) for x, y in product(scores, traits)])


def rank_correlations(x: NDArray[np.float64], y: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Spearman correlation of each row (or of the one row) of x with that of y."""
    return pearson_delta(*(rankdata(np.atleast_2d(values), axis=1) for values in (x, y))).reshape(x.shape[:-1])


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    return float(np.corrcoef(x, y)[0, 1])
