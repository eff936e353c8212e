"""Real expression as distances: neighbours predict a gene that is left out, scored from inner products alone (ours).

Every gene of a screen is left out in turn: its prediction is the mean delta of its graph neighbours among all other
genes, or the mean of all other genes. Guides of one gene are averaged before genes are. Scores are cosines in the
space of the distances (`screens.distances`); intervals are 95 % bootstrap intervals over genes
(`stats.bootstrap_mean`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.graphs import load_graphs
from kgpert_lib.metrics import stats
from kgpert_lib.metrics.deltas import TIE
from kgpert_lib.metrics.gram import cosines
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods, neighbourhoods
from kgpert_lib.screens.distances import SCREENS, Distances, load
from kgpert_lib.studies.graph_neighbours import MEAN
from kgpert_lib.studies.tables import p_value

OTHER = "other guide"
SCORES = ("cosine", "retrieval")
GROUP = ["atlas", "control"]

Matrix = NDArray[np.float64]


def screens() -> list[Distances]:
    """Every committed table, the uncorrected one first."""
    return [load(name) for name in SCREENS]


def neighbour_sets(
    distances: Distances, graph: str = "string+go", limit: int | None = 5, seed: int = 0
) -> dict[str, Neighbourhoods]:
    """Neighbours of each gene among the other genes of the screen: in each graph, and in their union if there are two.

    In each graph at most `limit` genes, cut after the genes of the screen are picked (`neighbourhoods`).
    """
    names = distances.perturbations
    graphs = load_graphs(graph, names)
    by_name = {g.name: [g] for g in graphs} | ({graph: graphs} if len(graphs) > 1 else {})
    return {name: neighbourhoods(these, names, names, limit, "after", seed) for name, these in by_name.items()}


def prediction_weights(distances: Distances, neighbours: Neighbourhoods | None = None) -> Matrix:
    """(g, t) weight of each guide in the prediction of each gene of `perturbations`; rows sum to 1.

    A gene's own guides weigh 0. Neighbours, or without `neighbours` all other genes, count alike, and so do the guides
    of one gene. A gene without neighbours gets the mean of all other genes.
    """
    size = len(distances.perturbations)
    weights = 1.0 - np.eye(size)
    if neighbours is not None:
        near = neighbours.weights.toarray().astype(np.float64)
        weights = np.where((neighbours.sizes > 0)[:, None], near, weights)
    return (weights / weights.sum(axis=1, keepdims=True)) @ distances.averaging


def other_guides(distances: Distances) -> Matrix:
    """(t, t) weights that average the other guides of each guide's gene; a row of 0 where there is none."""
    same = (distances.genes[:, None] == distances.genes).astype(np.float64)
    np.fill_diagonal(same, 0.0)
    return same / np.maximum(same.sum(axis=1, keepdims=True), 1.0)


def retrieval(agreement: Matrix, genes: NDArray[np.str_]) -> NDArray[np.float64]:
    """(t,) share of the guides of other genes that prediction i agrees with less than with guide i.

    `agreement` (t, t): of the prediction for guide i with the measured delta of guide j. Ties count one half, and a
    constant prediction scores 0.5, as in `metrics.deltas.retrieval`; other guides of the same gene are no references.
    """
    own = np.diag(agreement)[:, None]
    others = genes[:, None] != genes
    wins = np.where(agreement < own - TIE, 1.0, np.where(agreement <= own + TIE, 0.5, 0.0))
    return (wins * others).sum(axis=1) / others.sum(axis=1)


def evaluate(
    distances: Distances,
    sets: dict[str, Neighbourhoods],
    control: str,
    other: str | None = None,
) -> pd.DataFrame:
    """Scores of every gene under the training mean, each of `sets` and, where a gene has several, its other guide.

    Deltas that are averaged are taken against `control`, those that are measured against `other` (None: the same).
    Every guide is scored by itself and a gene has the mean over its guides. Columns: atlas, kind, control, ``crossed``
    (two controls), perturbation, ``n_guides``, predictor, ``n_neighbours``, ``fallback`` (True: no neighbour, so the
    mean of all other genes), cosine and retrieval.
    """
    inner = distances.gram(control)
    cross, lengths, label = inner, np.diag(inner), control
    if other is not None and other != control:
        cross, lengths = distances.products(control, other), np.diag(distances.gram(other))
        label = f"{control}, measured against {other}"
    names = distances.perturbations
    place = np.searchsorted(names, distances.genes)
    guides = np.bincount(place)
    everything = np.full(len(names), len(names) - 1)
    predictors = {MEAN: (prediction_weights(distances)[place], everything, np.zeros(len(names), bool))}
    for name, near in sets.items():
        predictors[name] = (prediction_weights(distances, near)[place], near.sizes, near.sizes == 0)
    if (guides > 1).any():
        predictors[OTHER] = (other_guides(distances), guides - 1, guides < 2)
    tables = []
    for name, (weights, sizes, fallback) in predictors.items():
        agreement = cosines(weights, inner, cross, lengths)
        by_guide = {"cosine": np.diag(agreement), "retrieval": retrieval(agreement, distances.genes)}
        table = pd.DataFrame(
            {
                "atlas": distances.name,
                "kind": "real",
                "control": label,
                "crossed": label != control,
                "perturbation": names,
                "n_guides": guides,
                "predictor": name,
                "n_neighbours": sizes,
                "fallback": fallback,
                **{score: np.bincount(place, values) / guides for score, values in by_guide.items()},
            }
        )
        tables.append(table[~fallback] if name == OTHER else table)
    return pd.concat(tables, ignore_index=True)


def evaluate_screens(
    tables: Sequence[Distances], graph: str = "string+go", limit: int | None = 5, seed: int = 0
) -> pd.DataFrame:
    """`evaluate` for every screen: under each control, and where there are two with one on either side."""
    scored = []
    for distances in tables:
        sets = neighbour_sets(distances, graph, limit, seed)
        scored += [evaluate(distances, sets, control) for control in distances.controls]
        scored += [evaluate(distances, sets, a, b) for a in distances.controls for b in distances.controls if a != b]
    return pd.concat(scored, ignore_index=True)


def coverage(
    tables: Sequence[Distances], graph: str = "string+go", limit: int | None = 5, seed: int = 0
) -> pd.DataFrame:
    """What each table holds, one row a screen.

    Columns: atlas, cells, method, genes, guides, ``left out`` (rows that are no single perturbation), one column
    for each graph with the number of genes that have a neighbour in it, ``with an effect`` (guides farther from the
    first control than `Distances.noise`) and ``negative`` (`negative_share`).
    """
    rows = []
    for distances in tables:
        sets = neighbour_sets(distances, graph, limit, seed)
        rows.append(
            {
                "atlas": distances.name,
                "cells": distances.cells,
                "method": distances.method,
                "genes": len(distances.perturbations),
                "guides": len(distances.guides),
                "left out": len(distances.left_out),
                **{f"with {name}": int((near.sizes > 0).sum()) for name, near in sets.items()},
                "with an effect": int((distances.to_control(distances.controls[0]) > distances.noise).sum()),
                "negative": negative_share(distances.eigenvalues(distances.controls[0])),
            }
        )
    return pd.DataFrame(rows)


def negative_share(eigenvalues: NDArray[np.float64]) -> float:
    """Sum of the negative eigenvalues over that of the positive ones: 0 for an exact table, near 1 for noise alone."""
    return float(-eigenvalues[eigenvalues < 0].sum() / eigenvalues[eigenvalues > 0].sum())


def with_neighbours(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of genes that have a neighbour under the predictor; under the mean all rows stay."""
    return scores[~scores["fallback"]]


def with_two_guides(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of genes with more than one guide."""
    return scores[scores["n_guides"] > 1]


def with_one_control(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores with the same control on either side."""
    return scores[~scores["crossed"]]


def without_other_guide(scores: pd.DataFrame) -> pd.DataFrame:
    """The scores of predictors, which never see a guide of the gene itself."""
    return scores[scores["predictor"] != OTHER]


def with_effect(scores: pd.DataFrame, tables: Sequence[Distances]) -> pd.DataFrame:
    """The scores of genes one of whose guides is farther from the first control than `Distances.noise`."""
    far = {d.name: set(d.genes[d.to_control(d.controls[0]) > d.noise]) for d in tables}
    return scores[[gene in far[atlas] for atlas, gene in zip(scores["atlas"], scores["perturbation"], strict=True)]]


def gains(scores: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Gain of every predictor over the training mean on the same genes, with its test (`stats.paired_wilcoxon`).

    Holm-corrected within a screen, control and score. Columns: atlas, kind, control, score, predictor, n, ``gain`` with
    ``gain_low`` and ``gain_high``, p and p_holm. Genes that `scores` lacks under a predictor are no pairs of it.
    """
    names = {"method_a": "predictor", "n_pairs": "n", "mean_difference": "gain", "low": "gain_low", "high": "gain_high"}
    tables = []
    for (atlas, control), part in scores.groupby(GROUP, sort=False):
        for score in SCORES:
            wide = part.pivot(index="perturbation", columns="predictor", values=score)[part["predictor"].unique()]
            head = {"atlas": str(atlas), "kind": "real", "control": str(control), "score": score}
            tests = stats.paired_wilcoxon(wide, MEAN, seed).rename(columns=names)
            tables.append(tests.assign(**head)[[*head, *names.values(), "p", "p_holm"]])
    return pd.concat(tables, ignore_index=True)


def side_by_side(gains: pd.DataFrame) -> pd.DataFrame:
    """The table of `gains` with the scores beside each other: for each its gain, interval and Holm's p as text."""
    head = ["atlas", "kind", "control", "predictor", "n"]
    parts = []
    for score in SCORES:
        part = gains[gains["score"] == score].set_index(head)
        text = part[["gain", "gain_low", "gain_high"]].assign(p=part["p_holm"].map(p_value))
        parts.append(text.add_prefix(f"{score} "))
    return pd.concat(parts, axis=1).reset_index()
