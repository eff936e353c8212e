"""Scores where an experiment was repeated: scaled by the replicate, and whether each metric is usable at all.

A replicate is a second measurement of the same perturbations: another experiment, or the other half of the cells.
Predictors, training mean and replicate are scored against the same deltas, with which the replicate shares no cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.evaluate import Reference, evaluate
from kgpert_lib.evaluation.summaries import FURTHER, HEAD, SCORES
from kgpert_lib.metrics import stats
from kgpert_lib.metrics.controls import dynamic_range_fraction, interpolated_duplicate, positive_wins, scaled_score
from kgpert_lib.predictors.baselines import Outside, TrainingMean
from kgpert_lib.predictors.predictions import Predictions, Predictor
from kgpert_lib.screens.atlas import Atlas, TrainingView
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import FloatArray, NameArray, Split

REPLICATE, DUPLICATE = "replicate", "interpolated duplicate"
NEGATIVE = TrainingMean.name
PERFECT: Mapping[str, float] = {
    name: 0.0 if name in ("mse", "mae", "nmae") else 1.0 for name in (*SCORES[:3], *FURTHER, *SCORES[3:])
}
"""The score of the truth itself, by metric."""
DRAWS = 2_000


@dataclass(frozen=True, eq=False)
class Measured:
    """Deltas (n, m) measured a second time, in the place of predictions."""

    name: str
    perturbations: NameArray
    delta: FloatArray

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """The measured deltas of the perturbations, 0 in their gaps."""
        genes = view.target.genes
        return Predictions.plain(self.perturbations, genes, np.nan_to_num(self.delta)).select(perturbations, genes)


def replicate_scores(
    atlas: Atlas,
    line: str,
    predictors: Sequence[Predictor],
    split: Split = "strict",
    replicate: ArrayLike | None = None,
    alpha: float = 0.5,
    reference: Reference = "test",
    threshold: float | None = None,
) -> pd.DataFrame:
    """`evaluate` of predictors, of the training mean, of a replicate and of an interpolated duplicate.

    Parameters
    ----------
    replicate : (n, m) deltas of a second experiment, of the perturbations and readout genes of the line in their order;
        NaN where it measured nothing: such readouts and perturbations are not scored, whoever predicts them. Scores are
        then against the line's own deltas. None: the second half of the line's cells (``half_b``), and
        scores are against the first half (``half_a``), so that answer and replicate share no cell; each holds half
        of the cells, which makes both noisier than a full experiment.
    alpha : share of the replicate in the interpolated duplicate, the rest being the mean of the replicate's other
        perturbations (`controls.interpolated_duplicate`).
    reference, threshold : as in `evaluate`; the threshold comes from the deltas that are scored against.

    Returns
    -------
    The table of `evaluate`; the added predictors are called ``training mean``, ``replicate`` and ``interpolated
    duplicate``. InputError where the line has no halves, or the shape of `replicate` is another.
    """
    cells = atlas[line]
    if replicate is None:
        if cells.half_a is None or cells.half_b is None:
            raise InputError(f"{line} has no half-sample deltas; give the deltas of a second experiment as replicate=.")
        measured, again = cells.half_a, cells.half_b
    else:
        measured, again = cells.delta, np.asarray(replicate, dtype=np.float32)
    if again.shape != cells.delta.shape:
        raise InputError(f"The replicate of {line} has shape {again.shape}; the line has {cells.delta.shape}.")
    measured = np.where(np.isnan(again), np.float32(np.nan), measured)
    itself = cells.perturbations[:, None] == cells.genes
    repeated = (~np.isnan(measured) & ~itself).any(axis=1)
    names = [name for name in cells.names("test") if repeated[cells.index[name]]]
    if not names:
        raise InputError(f"The replicate of {line} holds no test perturbation.")
    controls = [
        Measured(REPLICATE, cells.perturbations, again),
        Measured(DUPLICATE, cells.perturbations, interpolated_duplicate(again, alpha)),
    ]
    others = [predictor for predictor in predictors if predictor.name != NEGATIVE]
    return evaluate(
        atlas, line, [TrainingMean(), *others, *controls], split, reference, names, threshold, np.asarray(measured)
    )


def replicated_lines(
    screen: Screen,
    predictors: Sequence[Predictor],
    split: Split = "strict",
    outside: Mapping[str, Sequence[str | Path]] | None = None,
    reference: Reference = "test",
    threshold: float | None = None,
) -> pd.DataFrame:
    """`replicate_scores` for every line that has a replicate, one below the other; empty where none has.

    It is the second half of the cells where a line has half-sample deltas, else a second experiment (`Screen.second`).
    `outside` holds files of predictions by line, as in `evaluate.evaluate_lines`.
    """
    tables = []
    for name, line in screen.lines.items():
        second = screen.second(name) if line.half_a is None else None
        if line.half_a is None and second is None:
            continue
        models = [*predictors, *map(Outside, (outside or {}).get(name, ()))]
        replicate = None if second is None else line.aligned(second)
        tables.append(
            replicate_scores(screen.atlas, name, models, split, replicate, reference=reference, threshold=threshold)
        )
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def metric_ranges(scores: pd.DataFrame, seed: int = 0, values: Sequence[str] = tuple(PERFECT)) -> pd.DataFrame:
    """Is a metric usable? What the controls reach in each, one row per line and metric.

    `scores` is `replicate_scores`. Columns: atlas, kind, line, score, n (perturbations that have it), the means of
    ``training mean``, ``interpolated duplicate`` and ``replicate``, ``drf`` (mean dynamic range fraction of the
    duplicate over the training mean) and ``bds`` (share of perturbations on which the duplicate beats it), each with
    ``_low`` and ``_high`` (95 % bootstrap interval over perturbations). A metric that a line lacks is left out.
    """
    rows = []
    for head, part in scores.groupby(HEAD[:3], sort=False):
        for score in values:
            perfect = PERFECT[score]
            wide = part.pivot(index="perturbation", columns="predictor", values=score)
            wide = wide[[NEGATIVE, DUPLICATE, REPLICATE]].dropna()
            if wide.empty:
                continue
            controls = wide[DUPLICATE], wide[NEGATIVE], perfect
            fractions = dynamic_range_fraction(*controls)
            drf = stats.bootstrap_mean(fractions, seed=seed) if not np.isnan(fractions).all() else (np.nan,) * 3
            bds = stats.bootstrap_mean(positive_wins(*controls), seed=seed)
            rows.append((*head, score, len(wide), *wide.mean(), *drf, *bds))
    ends = [f"{name}{end}" for name in ("drf", "bds") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=[*HEAD[:3], "score", "n", NEGATIVE, DUPLICATE, REPLICATE, *ends])


def scaled_scores(scores: pd.DataFrame, seed: int = 0, values: Sequence[str] = tuple(PERFECT)) -> pd.DataFrame:
    """Scores between the training mean (0) and the replicate (1), one row per line and predictor.

    `scores` is `replicate_scores`. Columns: atlas, kind, line, split, predictor, n, and for each metric of `values`
    that a line has ``<score>``, ``<score>_low``, ``<score>_high`` (`controls.scaled_score` with its 95 % percentile
    bootstrap interval over the perturbations that have it), NaN where the replicate does not clearly beat the training
    mean: there the 95 % interval of its mean gain holds 0, and the scale has no upper end.
    """
    rows = []
    for head, part in scores.groupby(HEAD[:4], sort=False):
        for predictor in dict.fromkeys(part["predictor"]):
            if predictor in (NEGATIVE, REPLICATE):
                continue
            row = dict(zip(HEAD, (*head, predictor), strict=True)) | {"n": part["perturbation"].nunique()}
            for score in values:
                perfect = PERFECT[score]
                wide = part.pivot(index="perturbation", columns="predictor", values=score)
                wide = wide[[predictor, NEGATIVE, REPLICATE]].dropna()
                interval = np.full(3, np.nan)
                if len(wide) and _clearly_better(wide[REPLICATE], wide[NEGATIVE], perfect, seed):
                    u, b, r = (wide[name].to_numpy() for name in (predictor, NEGATIVE, REPLICATE))
                    ends = stats.percentile_bootstrap([u, b, r], scaled_score, DRAWS, seed)
                    interval = np.array([scaled_score(u, b, r), *ends])
                row |= dict(zip((score, f"{score}_low", f"{score}_high"), interval, strict=True))
            rows.append(row)
    return pd.DataFrame(rows).dropna(axis="columns", how="all")


def _clearly_better(first: pd.Series, second: pd.Series, perfect: float, seed: int) -> bool:
    """Whether the interval of the mean gain of the first scores lies on the side of the perfect score."""
    gain = stats.bootstrap_mean(np.abs(perfect - second) - np.abs(perfect - first), seed=seed)
    return bool(gain.low > 0)
