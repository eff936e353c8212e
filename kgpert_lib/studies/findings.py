"""Which of the findings of the paper's section 4 an expression screen shows, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd

from kgpert_lib.metrics import stats
from kgpert_lib.metrics.stats import Interval
from kgpert_lib.studies.ceilings import (
    PARTS,
    UNION,
    gap_shares,
    neighbour_quality,
    part_traits,
    score_correlations,
)

NEAR = 0.05  # a mean gap to the ceiling up to this is very small
TOLERANCE = 0.1  # a share this near to the published one agrees with it
MEAN = "training mean"


@dataclass(frozen=True)
class LineStudies:
    """The studies of one line that findings are read from; `gap` and `shares` are by part, as in `PARTS`."""

    scores: pd.DataFrame
    gap: Mapping[str, Interval]
    shares: Mapping[str, float]
    neighbours: Mapping[str, float]
    quality: Mapping[str, Interval]
    correlations: Mapping[tuple[str, str], Interval]

    def gain(self, predictor: str) -> Interval:
        """Mean gain in Pearson delta over the training mean, paired over test perturbations."""
        wide = self.scores.pivot(index="perturbation", columns="predictor", values="pearson")
        return stats.bootstrap_mean(wide[predictor].to_numpy() - wide[MEAN].to_numpy())

    def weakest_graph(self) -> Interval:
        """`gain` of the single graph that gains least."""
        graphs = set(self.scores["predictor"]) - {MEAN, "linear", "shuffled", UNION}
        return min((self.gain(graph) for graph in sorted(graphs)), key=lambda gain: gain.mean)

    def neighbours_lost(self) -> float:
        """Mean number of neighbours of the best 60 % minus that of the worst 10 %."""
        return self.neighbours[PARTS[0]] - self.neighbours[PARTS[2]]


@dataclass(frozen=True)
class Finding:
    """One statement of the paper: what is measured, what the paper says, and whether a line agrees.

    A `value` without an interval is a plain number.
    """

    measured: str
    paper: str
    value: Callable[[LineStudies], Interval | float]
    agrees: Callable[[LineStudies], bool]


def _correlation(score: str, trait: str, sign: int, paper: str) -> Finding:
    def agrees(line: LineStudies) -> bool:
        rho = line.correlations[score, trait]
        return min(sign * rho.low, sign * rho.high) > 0

    name = {"pearson": "Pearson delta", "mse": "MSE", "mae": "MAE"}[score]
    text = f"{name} against {trait.replace('_', '-')}, Spearman"
    return Finding(text, paper, lambda line: line.correlations[score, trait], agrees)


FINDINGS = (
    Finding(
        "gain of the union over the training mean",
        "above",
        lambda line: line.gain(UNION),
        lambda line: line.gain(UNION).low > 0,
    ),
    Finding(
        "gain of the weakest single graph",
        "above",
        LineStudies.weakest_graph,
        lambda line: line.weakest_graph().low > 0,
    ),
    Finding(
        "gap to the ceiling, best 60 % of genes",
        "very small",
        lambda line: line.gap[PARTS[0]],
        lambda line: abs(line.gap[PARTS[0]].mean) <= NEAR,
    ),
    Finding(
        "share of the shortfall, 60–90 %",
        "about 2/3",
        lambda line: line.shares[PARTS[1]],
        lambda line: abs(line.shares[PARTS[1]] - 2 / 3) <= TOLERANCE,
    ),
    Finding(
        "share of the shortfall, worst 10 %",
        "the rest, about 1/3",
        lambda line: line.shares[PARTS[2]],
        lambda line: abs(line.shares[PARTS[2]] - 1 / 3) <= TOLERANCE,
    ),
    _correlation("pearson", "magnitude", 1, "weak effects are predicted worse"),
    _correlation("pearson", "control_likeness", -1, "control-like genes are predicted worse"),
    _correlation("mse", "magnitude", 1, "reversed: weak effects look better"),
    _correlation("mae", "magnitude", 1, "reversed: weak effects look better"),
    Finding(
        "neighbours, best 60 % minus worst 10 %",
        "poorly predicted genes have fewer",
        LineStudies.neighbours_lost,
        lambda line: line.neighbours_lost() > 0,
    ),
    Finding(
        "correlation with neighbours minus that with all",
        "neighbours are better on average",
        lambda line: line.quality["difference"],
        lambda line: line.quality["difference"].low > 0,
    ),
    Finding(
        "ten most similar genes: no neighbours, share",
        "best genes are missed",
        lambda line: line.quality["top missed"],
        lambda line: line.quality["top missed"].low > 0,
    ),
    Finding(
        "neighbours less similar than average, share",
        "some neighbours are poor",
        lambda line: line.quality["poor neighbours"],
        lambda line: line.quality["poor neighbours"].low > 0,
    ),
)


def comparison(table: pd.DataFrame, pairs: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Every finding of Section 4 and Appendix B.2 beside what the lines show: one row per atlas and finding.

    `table` is `ceilings.scores`, `pairs` `ceilings.neighbour_correlations`. Columns: atlas, measured,
    paper, one column a line with ``_low`` and ``_high`` (NaN where there is no interval), and ``agrees`` (``2 of 2``
    lines). A gain, a correlation or a share of neighbours agrees when its 95 % interval lies on the paper's side of 0,
    the best genes' gap when it is at most `NEAR`, a share of the shortfall when it is within `TOLERANCE` of the
    published one, a number of neighbours by its sign.
    """
    studies = _by_line(table, pairs, seed)
    rows = []
    for atlas in dict.fromkeys(key[0] for key in studies):
        lines = {line: own for (name, line), own in studies.items() if name == atlas}
        for finding in FINDINGS:
            values: dict[str, float] = {}
            for line, own in lines.items():
                value = finding.value(own)
                ends = value if isinstance(value, Interval) else (value, float("nan"), float("nan"))
                values |= dict(zip((line, f"{line}_low", f"{line}_high"), ends, strict=True))
            count = sum(bool(finding.agrees(own)) for own in lines.values())
            agrees = f"{count} of {len(lines)}"
            rows.append(
                {"atlas": atlas, "measured": finding.measured, "paper": finding.paper, **values, "agrees": agrees}
            )
    return pd.DataFrame(rows)


def _by_line(table: pd.DataFrame, pairs: pd.DataFrame, seed: int) -> dict[tuple[str, str], LineStudies]:
    """The studies of each line, by atlas and line."""
    key = ["atlas", "line"]
    shares, traits = gap_shares(table, seed=seed).groupby(key), part_traits(table, seed=seed).groupby(key)
    quality, correlations = neighbour_quality(pairs, seed=seed).groupby(key), score_correlations(table).groupby(key)
    studies = {}
    for (atlas, line), scores in table.groupby(key, sort=False):
        head = (str(atlas), str(line))
        share, trait, own, rho = (group.get_group(head) for group in (shares, traits, quality, correlations))
        studies[head] = LineStudies(
            scores,
            dict(zip(share["part"], _intervals(share, "gap"), strict=True)),
            dict(zip(share["part"], share["share of shortfall"], strict=True)),
            dict(zip(trait["part"], trait["n_neighbours"], strict=True)),
            dict(zip(own["quantity"], _intervals(own, "mean"), strict=True)),
            dict(zip(zip(rho["score"], rho["trait"], strict=True), _intervals(rho, "spearman"), strict=True)),
        )
    return studies


def _intervals(table: pd.DataFrame, value: str) -> list[Interval]:
    """A column and its ends, row by row."""
    return [Interval(*row) for row in table[[value, f"{value}_low", f"{value}_high"]].to_numpy()]
