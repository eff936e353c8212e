"""Scores of answered questions: AUROC per readout gene, its bootstrap over perturbations, and calibration.

The score is PerturbQA's: within each readout gene that has both labels, the area under the ROC curve over the
perturbations asked about it, ties counting one half; then the plain mean over these genes. A gene with one
label only is left out, and there is no smallest number of questions or positives. A score that depends on the
readout gene alone is 0.5 by construction.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.stats import percentile_interval

DRAWS_AT_ONCE = 100
REFERENCE = "union"  # the rule that gains are over


class Auroc(NamedTuple):
    """Mean AUROC per readout gene with its bootstrap interval, and the numbers of readout genes and questions."""

    mean: float
    low: float
    high: float
    genes: int
    questions: int


def auroc_per_gene(score: ArrayLike, label: ArrayLike, gene: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64]]:
    """AUROC within each readout gene that has both labels.

    `score`, `label` (0 or 1) and `gene` (any codes or names) are (q,); returns the (k,) genes and their (k,) AUROC.
    InputError for a score that is not finite, lengths that differ, and when no gene has both labels.

    Examples
    --------
    >>> from kgpert_lib.metrics.auroc import auroc_per_gene
    >>> genes, areas = auroc_per_gene([0.9, 0.2, 0.5, 0.5], [1, 0, 1, 0], ["MYC", "MYC", "FOS", "FOS"])
    >>> genes.tolist(), areas.tolist()
    (['FOS', 'MYC'], [0.5, 1.0])
    """
    s, t, names, code = _checked(score, label, gene)
    # Ranks of all readout genes at once: scikit-learn's one gene at a time costs far more over thousands of genes.
    order = np.lexsort((s, code))
    code, s, t = code[order], s[order], t[order].astype(np.float64)
    new_gene = np.r_[True, code[1:] != code[:-1]]
    first = np.flatnonzero(new_gene)
    start = np.flatnonzero(new_gene | np.r_[True, s[1:] != s[:-1]])
    end = np.r_[start[1:], len(s)]
    rank = np.repeat((start + end - 1) / 2, end - start) - np.repeat(first, np.diff(np.r_[first, len(s)])) + 1
    positive = np.add.reduceat(t, first)
    negative = np.diff(np.r_[first, len(s)]) - positive
    both = (positive > 0) & (negative > 0)
    if not both.any():
        raise InputError("No readout gene has both labels, so there is no AUROC.")
    won = np.add.reduceat(rank * t, first) - positive * (positive + 1) / 2
    return names[code[first][both]], won[both] / (positive * negative)[both]


def mean_auroc(score: ArrayLike, label: ArrayLike, gene: ArrayLike) -> float:
    """Mean over readout genes of `auroc_per_gene`: the figure that PerturbQA publishes."""
    return float(auroc_per_gene(score, label, gene)[1].mean())


def resampled(
    score: ArrayLike, label: ArrayLike, gene: ArrayLike, perturbation: ArrayLike, draws: int = 1000, seed: int = 0
) -> NDArray[np.float64]:
    """(draws,) mean AUROC per readout gene over bootstrap samples of perturbations.

    A perturbation drawn k times counts k times with all of its questions; a readout gene that a sample leaves
    with one label is left out of that sample. The same seed and perturbations give the same samples for every
    score, so that differences between two rules are paired.
    """
    s, t, _, code = _checked(score, label, gene)
    names, unit = np.unique(np.asarray(perturbation), return_inverse=True)
    if len(unit) != len(s):
        raise InputError(f"{len(unit)} perturbations for {len(s)} questions; give one a question.")
    positives, asked = np.bincount(code, t), np.bincount(code)
    scored = np.flatnonzero(((positives > 0) & (positives < asked))[code])  # most genes of a screen have one label only
    order = scored[np.lexsort((s[scored], code[scored]))]
    code, s, t, unit = code[order], s[order], t[order] == 1, unit[order]
    tie = np.cumsum(np.r_[True, (code[1:] != code[:-1]) | (s[1:] != s[:-1])])
    below = np.r_[0, np.cumsum(~t)]
    first = np.searchsorted(code, code, "left")
    up = np.flatnonzero(t)
    low, high = below[np.searchsorted(tie, tie, "left")[up]], below[np.searchsorted(tie, tie, "right")[up]]
    base = below[first[up]]
    gene_up, start = np.unique(code[up], return_index=True)
    edge = below[np.searchsorted(code, gene_up, "left")], below[np.searchsorted(code, gene_up, "right")]
    # Ranks under the weights of a hundred samples at once; scipy and sklearn rank one gene and one sample per call.
    out = []
    for weight in _samples(len(names), draws, seed):
        down = np.zeros((int((~t).sum()) + 1, weight.shape[1]), np.float32)
        np.cumsum(weight[unit[~t]], axis=0, out=down[1:])
        lead = weight[unit[up]]
        won = np.add.reduceat(lead * ((down[low] + down[high]) / 2 - down[base]), start, axis=0)
        pairs = np.add.reduceat(lead, start, axis=0) * (down[edge[1]] - down[edge[0]])
        some = pairs > 0
        area = np.divide(won, pairs, out=np.zeros_like(won), where=some)
        out.append(area.sum(axis=0, dtype=np.float64) / np.maximum(some.sum(axis=0), 1))
    return np.concatenate(out)


def auroc(score: ArrayLike, label: ArrayLike, gene: ArrayLike, perturbation: ArrayLike, draws: int = 1000) -> Auroc:
    """Mean AUROC per readout gene with its 95 % interval from `resampled`: percentiles, centred on the estimate.

    Samples lose the readout genes whose few positives were not drawn, which moves their mean; the interval is shifted
    back by that much.
    """
    _, areas = auroc_per_gene(score, label, gene)
    sample = _centred(resampled(score, label, gene, perturbation, draws), float(areas.mean()))
    return Auroc(float(areas.mean()), *percentile_interval(sample), len(areas), int(np.size(label)))


class Comparison(NamedTuple):
    """Rules on the same questions: the `table` of `compare`, and each rule's (draws,) bootstrap `samples` behind it."""

    table: pd.DataFrame
    samples: Mapping[str, NDArray[np.float64]]


def compare(
    scores: Mapping[str, ArrayLike],
    label: ArrayLike,
    gene: ArrayLike,
    perturbation: ArrayLike,
    draws: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Every rule's AUROC, and its gain over `REFERENCE`, with a paired bootstrap over perturbations as in `auroc`.

    One row per rule of the table: ``rule``, ``auroc``, ``low``, ``high``, ``gain``, ``gain_low``, ``gain_high`` (95 %),
    ``p`` (two-sided, from the share of samples in which the gain has the other sign, at least 1 / draws), ``step``,
    ``step_low``, ``step_high`` (over the rule before, NaN for the first), ``genes``, ``questions``.
    InputError without scores of `REFERENCE`.
    """
    if REFERENCE not in scores:
        raise InputError(f"No scores of the rule {REFERENCE!r}; there are {', '.join(scores)}.")
    areas = {rule: auroc_per_gene(s, label, gene)[1] for rule, s in scores.items()}
    samples = {
        rule: _centred(resampled(s, label, gene, perturbation, draws, seed), float(areas[rule].mean()))
        for rule, s in scores.items()
    }
    rows = []
    mean = {rule: float(area.mean()) for rule, area in areas.items()}
    before: str | None = None
    for rule, sample in samples.items():
        gain = sample - samples[REFERENCE]
        other = min(float((gain <= 0).mean()), float((gain >= 0).mean()))
        p = np.nan if rule == REFERENCE else min(1.0, max(2 * other, 1 / draws))
        step = [np.nan] * 3
        if before is not None:
            step = [mean[rule] - mean[before], *percentile_interval(sample - samples[before])]
        gains = (mean[rule] - mean[REFERENCE], *percentile_interval(gain), p)
        sizes = (len(areas[rule]), int(np.size(label)))
        rows.append((rule, mean[rule], *percentile_interval(sample), *gains, *step, *sizes))
        before = rule
    columns = ["rule", "auroc", "low", "high", "gain", "gain_low", "gain_high", "p"]
    table = pd.DataFrame(rows, columns=[*columns, "step", "step_low", "step_high", "genes", "questions"])
    return Comparison(table, samples)


class Calibration(NamedTuple):
    """How well probabilities are calibrated.

    `brier` mean squared error; `error` expected calibration error: mean distance between the stated probability and the
    measured share, weighted by questions (scikit-learn has the curve without the counts); `table` one row per bin:
    low, high, questions, stated, measured.
    """

    brier: float
    error: float
    table: pd.DataFrame


def calibration(probability: ArrayLike, label: ArrayLike, bins: int = 10) -> Calibration:
    """Brier score, expected calibration error and reliability table in `bins` equal bins of probability."""
    p, t = np.asarray(probability, np.float64).ravel(), np.asarray(label, np.float64).ravel()
    if p.shape != t.shape or not p.size:
        raise InputError(f"{p.size} probabilities for {t.size} labels; calibration needs one each, and at least one.")
    if not ((p >= 0) & (p <= 1)).all():
        raise InputError("A probability lies outside 0 to 1.")
    place = np.minimum((p * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    stated, measured = (np.bincount(place, x, bins) / np.maximum(count, 1) for x in (p, t))
    edges = np.linspace(0, 1, bins + 1)
    columns = {"low": edges[:-1], "high": edges[1:], "questions": count, "stated": stated, "measured": measured}
    table = pd.DataFrame(columns)[count > 0].reset_index(drop=True)
    error = float((count * np.abs(stated - measured)).sum() / len(p))
    return Calibration(float(np.mean((p - t) ** 2)), error, table)


def _centred(sample: NDArray[np.float64], estimate: float) -> NDArray[np.float64]:
    """The sample, shifted so that its mean is the estimate."""
    return sample + (estimate - sample.mean())


def _samples(n: int, draws: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """(n, d) how often each perturbation is in each sample, up to `DRAWS_AT_ONCE` samples at a time."""
    rng = np.random.default_rng(seed)
    for start in range(0, draws, DRAWS_AT_ONCE):
        size = min(DRAWS_AT_ONCE, draws - start)
        yield np.ascontiguousarray(rng.multinomial(n, np.full(n, 1 / n), size=size).T.astype(np.float32))


def _checked(
    score: ArrayLike, label: ArrayLike, gene: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[Any], NDArray[Any], NDArray[np.intp]]:
    s, t = np.asarray(score, np.float64).ravel(), np.asarray(label).ravel()
    names, code = np.unique(np.asarray(gene), return_inverse=True)
    if not len(s) == len(t) == len(code) or not len(s):
        raise InputError(f"{len(s)} scores, {len(t)} labels and {len(code)} readout genes; one each a question.")
    if not np.isfinite(s).all():
        raise InputError("A score is not a finite number; every question needs an answer.")
    if not np.isin(t, (0, 1)).all():
        raise InputError("A label is neither 0 nor 1.")
    return s, t, names, code
