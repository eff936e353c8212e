"""The claims of the paper's section 4 with the criteria by which a screen is judged, fixed before it is read.

Whatever a criterion needs and a line lacks (a ceiling, controls, deltas without gaps) makes the claim one that cannot
be asked there; nothing is put in its place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.metrics import stats
from kgpert_lib.studies.ceilings import DRAWS, EDGES, HEAD, TRAITS, UNION, neighbour_quality, parts, score_correlations

NEAR = 0.05  # a mean gap to the ceiling up to this is very small
TOLERANCE = 0.1  # a share this near to the published one agrees with it
MISSED = 0.5  # of the ten most similar training genes: more of them have no edge than have one
POOR = 0.1  # share of poor neighbours from which on there are more than a few
MEAN = "training mean"
HOLDS, FAILS, UNASKED = "holds", "does not hold", "cannot be asked"


class Figure(NamedTuple):
    """A figure with its 95 % interval and the number of perturbations behind it."""

    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class LineScores:
    """What the claims are judged by in one line; a claim whose part is None cannot be asked.

    Attributes
    ----------
    scores : rows of `ceilings.scores` or of `evaluate.evaluate`: one row per predictor and test perturbation.
    pairs : rows of `ceilings.neighbour_correlations`; None where two perturbations share too few readout genes.
    seed : of the bootstrap intervals.
    """

    scores: pd.DataFrame
    pairs: pd.DataFrame | None
    seed: int = 0

    def gain(self, predictor: str) -> Figure:
        """Mean gain in Pearson delta over the training mean, paired over test perturbations."""
        wide = self.scores.pivot(index="perturbation", columns="predictor", values="pearson")
        return self._mean(wide[predictor] - wide[MEAN])

    def weakest_graph(self) -> Figure:
        """`gain` of the single graph that gains least."""
        graphs = set(self.scores["predictor"]) - {MEAN, "linear", "shuffled", UNION}
        return min((self.gain(graph) for graph in sorted(graphs)), key=lambda gain: gain.value)

    def gap_of_the_best(self) -> Figure | None:
        """Mean gap of the 60 % of the genes with the smallest gaps."""
        ranked = self._ranked("gap")
        return (
            None
            if ranked is None
            else self._mean(ranked.loc[ranked["part"] == ranked["part"].cat.categories[0], "gap"])
        )

    def share_of_shortfall(self, part: int) -> Figure | None:
        """Share of the summed gaps above 0 in one of the three parts of the genes, ranked by gap."""
        ranked = self._ranked("gap")
        if ranked is None:
            return None
        return self._resampled([ranked["gap"]], lambda gap, axis: _shares(np.sort(gap, axis=axis))[..., part])

    def neighbours_lost(self) -> Figure | None:
        """Mean number of neighbours of the best predicted 60 % minus that of the worst 10 %."""
        own = self.scores[self.scores["predictor"] == UNION]

        def difference(error: NDArray, neighbours: NDArray, axis: int) -> NDArray:
            ranked = np.take_along_axis(neighbours, np.argsort(error, axis=axis, kind="stable"), axis=axis)
            best, worst = _cuts(ranked.shape[-1])
            return ranked[..., :best].mean(axis=axis) - ranked[..., worst:].mean(axis=axis)

        return self._resampled([-own["pearson"], own["n_neighbours"]], difference)

    def correlation(self, score: str, trait: str) -> Figure | None:
        """Spearman correlation over test perturbations of a score of the union with a trait."""
        key = (score, trait)
        return _row(self._correlations, key, "spearman") if key in self._correlations.index else None

    def quality(self, quantity: str) -> Figure | None:
        """A quantity of `ceilings.neighbour_quality`."""
        return None if self._quality is None else _row(self._quality, quantity, "mean")

    @cached_property
    def _correlations(self) -> pd.DataFrame:
        """`ceilings.score_correlations` by score and trait; empty for scores without traits."""
        scores = self.scores if set(TRAITS) <= set(self.scores) else self.scores.head(0)
        return score_correlations(scores, seed=self.seed).set_index(["score", "trait"])

    @cached_property
    def _quality(self) -> pd.DataFrame | None:
        """`ceilings.neighbour_quality` by quantity."""
        return None if self.pairs is None else neighbour_quality(self.pairs, seed=self.seed).set_index("quantity")

    def _ranked(self, by: str) -> pd.DataFrame | None:
        ranked = parts(self.scores, by) if by in self.scores else self.scores.head(0)
        return ranked if len(ranked) else None

    def _mean(self, values: pd.Series) -> Figure:
        return Figure(*stats.bootstrap_mean(values, seed=self.seed), len(values))

    def _resampled(self, columns: Sequence[pd.Series], statistic: Callable[..., NDArray]) -> Figure:
        samples = [column.to_numpy(np.float64) for column in columns]
        ends = stats.percentile_bootstrap(samples, statistic, DRAWS, self.seed)
        return Figure(float(statistic(*samples, axis=-1)), float(ends[0]), float(ends[1]), len(samples[0]))


@dataclass(frozen=True)
class Claim:
    """One statement of the paper, how it is measured, and the criterion that decides whether a line shows it.

    `figure` gives None where the line lacks what `needs` names.
    """

    text: str
    measured: str
    criterion: str
    needs: str
    figure: Callable[[LineScores], Figure | None]
    holds: Callable[[Figure], bool]


def _above(level: float) -> Callable[[Figure], bool]:
    return lambda figure: figure.low > level


def _below_zero(figure: Figure) -> bool:
    return figure.high < 0


def _within(target: float, tolerance: float) -> Callable[[Figure], bool]:
    return lambda figure: abs(figure.value - target) <= tolerance


ABOVE, BELOW = "interval above 0", "interval below 0"
EVERY, CEILING, MAGNITUDES = "test perturbations", "a ceiling", "magnitudes"
OTHERS, CONTROLS, DENSE = "predictions of these methods", "controls", "deltas of all readout genes"
CLAIMS = (
    Claim(
        "the union of the graphs beats the training mean",
        "gain in Pearson delta",
        ABOVE,
        EVERY,
        lambda line: line.gain(UNION),
        _above(0),
    ),
    Claim(
        "every single graph beats the training mean",
        "gain of the weakest graph",
        ABOVE,
        EVERY,
        LineScores.weakest_graph,
        _above(0),
    ),
    Claim(
        "the union beats GEARS, scLAMBDA and LangPert and comes close to TxPert",
        "gain in Pearson delta",
        ABOVE,
        OTHERS,
        lambda line: None,
        _above(0),
    ),
    Claim(
        "60 % of the genes are near the ceiling",
        "mean gap, best 60 %",
        f"at most {NEAR} in size",
        CEILING,
        LineScores.gap_of_the_best,
        _within(0, NEAR),
    ),
    Claim(
        "the 60–90 % make about two thirds of the gap",
        "share of the shortfall",
        f"within {TOLERANCE} of 2/3",
        CEILING,
        lambda line: line.share_of_shortfall(1),
        _within(2 / 3, TOLERANCE),
    ),
    Claim(
        "the worst 10 % make the rest",
        "share of the shortfall",
        f"within {TOLERANCE} of 1/3",
        CEILING,
        lambda line: line.share_of_shortfall(2),
        _within(1 / 3, TOLERANCE),
    ),
    Claim(
        "weak effects are predicted worse",
        "Pearson delta with magnitude, Spearman",
        ABOVE,
        MAGNITUDES,
        lambda line: line.correlation("pearson", "magnitude"),
        _above(0),
    ),
    Claim(
        "genes that look like controls are predicted worse",
        "Pearson delta with control-likeness, Spearman",
        BELOW,
        CONTROLS,
        lambda line: line.correlation("pearson", "control_likeness"),
        _below_zero,
    ),
    Claim(
        "by MSE weak effects look better",
        "MSE with magnitude, Spearman",
        ABOVE,
        MAGNITUDES,
        lambda line: line.correlation("mse", "magnitude"),
        _above(0),
    ),
    Claim(
        "by MAE weak effects look better",
        "MAE with magnitude, Spearman",
        ABOVE,
        MAGNITUDES,
        lambda line: line.correlation("mae", "magnitude"),
        _above(0),
    ),
    Claim(
        "poorly predicted genes have fewer neighbours",
        "neighbours, best 60 % minus worst 10 %",
        ABOVE,
        EVERY,
        LineScores.neighbours_lost,
        _above(0),
    ),
    Claim(
        "neighbours are better than other training genes on average",
        "correlation with neighbours minus that with all",
        ABOVE,
        DENSE,
        lambda line: line.quality("difference"),
        _above(0),
    ),
    Claim(
        "the best genes are missed",
        "share of the ten most similar that are no neighbours",
        f"interval above {MISSED}",
        DENSE,
        lambda line: line.quality("top missed"),
        _above(MISSED),
    ),
    Claim(
        "some neighbours are poor",
        "share of neighbours less similar than the average",
        f"interval above {POOR}",
        DENSE,
        lambda line: line.quality("poor neighbours"),
        _above(POOR),
    ),
)


def criteria() -> pd.DataFrame:
    """The claims as they stand before any screen is read: claim, measured, holds if, needs."""
    rows = [(claim.text, claim.measured, claim.criterion, claim.needs) for claim in CLAIMS]
    return pd.DataFrame(rows, columns=["claim", "measured", "holds if", "needs"])


def judged(scores: pd.DataFrame, pairs: pd.DataFrame | None = None, seed: int = 0) -> pd.DataFrame:
    """Every claim in every line of `scores`: one row per claim and line.

    Parameters
    ----------
    scores : `ceilings.scores`, or on calls `evaluate.evaluate_lines` of the same predictors.
    pairs : `ceilings.neighbour_correlations` of the same lines; None on calls.

    Returns
    -------
    Columns atlas, kind, claim, measured, line, ``figure`` with ``figure_low`` and ``figure_high`` (95 % bootstrap
    intervals over test perturbations), n, and ``verdict``: holds, does not hold, or cannot be asked and for want of
    what. A claim that cannot be asked has no figure.
    """
    own_pairs = {} if pairs is None else dict(iter(pairs.groupby(HEAD, sort=False)))
    lines = {key: LineScores(part, own_pairs.get(key), seed) for key, part in scores.groupby(HEAD, sort=False)}
    rows = []
    for atlas in dict.fromkeys(key[0] for key in lines):
        for claim in CLAIMS:
            for (name, kind, line), own in lines.items():
                if name != atlas:
                    continue
                figure = claim.figure(own)
                verdict = f"{UNASKED}: no {claim.needs.removeprefix('a ')}"
                if figure is not None:
                    verdict = HOLDS if claim.holds(figure) else FAILS
                values = figure or (np.nan,) * 4
                rows.append((name, kind, claim.text, claim.measured, line, *values, verdict))
    columns = ["atlas", "kind", "claim", "measured", "line", "figure", "figure_low", "figure_high", "n", "verdict"]
    return pd.DataFrame(rows, columns=columns)


def overview(table: pd.DataFrame) -> pd.DataFrame:
    """How many claims hold, do not hold and cannot be asked: one row per atlas and line of `judged`."""
    verdict = table["verdict"].str.partition(":")[0]
    counts = table.assign(verdict=verdict).groupby([*HEAD, "verdict"], sort=False).size().unstack(fill_value=0)
    return counts.reindex(columns=[HOLDS, FAILS, UNASKED], fill_value=0).rename_axis(columns=None).reset_index()


def _row(table: pd.DataFrame, key: object, value: str) -> Figure:
    """One row of an indexed table: a column, its ends and n."""
    mean, low, high, n = table.loc[[key], [value, f"{value}_low", f"{value}_high", "n"]].to_numpy(np.float64)[0]
    return Figure(mean, low, high, int(n))


def _cuts(n: int) -> tuple[int, int]:
    """How many of n ranked genes are in the best part, and where the worst begins (as in `ceilings.parts`)."""
    best, worst = np.searchsorted((np.arange(n) + 0.5) / n, EDGES)
    return int(best), int(worst)


def _shares(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 3) share of the summed gaps above 0 in each part of genes that are sorted by gap along the last axis."""
    short = np.maximum(gaps, 0)
    total = short.sum(axis=-1)
    best, worst = _cuts(gaps.shape[-1])
    cut = [short[..., :best], short[..., best:worst], short[..., worst:]]
    sums = np.stack([part.sum(axis=-1) for part in cut], axis=-1)
    return np.divide(sums, total[..., None], out=np.zeros_like(sums), where=total[..., None] > 0)
