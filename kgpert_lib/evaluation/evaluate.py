"""Predictors against a cell line's test perturbations: one tidy row per predictor and perturbation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics import deltas
from kgpert_lib.metrics.changes import changed_threshold
from kgpert_lib.metrics.diversity import vendi_score
from kgpert_lib.metrics.targets import ranked_readouts, without_own_readouts
from kgpert_lib.predictors.baselines import Outside
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.types import FloatArray, Split

Reference = Literal["test", "all"]


@dataclass(frozen=True, eq=False)
class Answers:
    """What predictions for some perturbations of a cell line are scored against.

    Attributes
    ----------
    perturbations : n symbols.
    truth : (n, m) measured deltas, NaN for gaps and at each perturbation's own readout.
    mean : (m,) mean training delta, for the centred Pearson.
    threshold : from which a readout counts as changed.
    ranked : (m,) True for the readout genes that rankings use.
    reference, own : what rankings rank against, and the row of each perturbation in it (`deltas.retrieval`).
    """

    perturbations: Sequence[str]
    truth: FloatArray
    mean: FloatArray
    threshold: float
    ranked: NDArray[np.bool_]
    reference: FloatArray
    own: NDArray[np.intp]

    @classmethod
    def of(
        cls,
        line: CellLine,
        perturbations: Sequence[str],
        mean: FloatArray,
        reference: Reference = "test",
        threshold: float | None = None,
        measured: FloatArray | None = None,
    ) -> Answers:
        """The answers of a line; `threshold` None is `changed_threshold` of its training perturbations.

        `measured` (all perturbations of the line, m) takes the place of its deltas.
        """
        rows = line.rows(perturbations)
        if measured is not None and measured.shape != line.delta.shape:
            raise InputError(f"The measured deltas have shape {measured.shape}; {line.name} has {line.delta.shape}.")
        scored = line.scored if measured is None else without_own_readouts(measured, line.perturbations, line.genes)
        if threshold is None:
            threshold = changed_threshold(scored[line.split == "train"])
        truth = scored[rows]
        if reference == "all":
            ranked = ranked_readouts(line.perturbations, line.genes)
            return cls(perturbations, truth, mean, threshold, ranked, scored, rows)
        ranked = ranked_readouts(perturbations, line.genes)
        return cls(perturbations, truth, mean, threshold, ranked, truth, np.arange(len(rows)))

    @cached_property
    def vendi(self) -> float:
        """Vendi score of the measured deltas."""
        return vendi_score(self.truth)

    def score(self, delta: FloatArray) -> pd.DataFrame:
        """`deltas.score` of predictions (n, m), and their Vendi score beside the measured one in every row."""
        table = deltas.score(
            delta,
            self.truth,
            self.perturbations,
            self.mean,
            reference=self.reference,
            own=self.own,
            ranked=self.ranked,
            threshold=self.threshold,
        )
        return table.assign(vendi=vendi_score(delta, self.truth), vendi_measured=self.vendi)


def evaluate(
    atlas: Atlas,
    line: str,
    predictors: Sequence[Predictor],
    split: Split = "strict",
    reference: Reference = "test",
    perturbations: Sequence[str] | None = None,
    threshold: float | None = None,
    measured: FloatArray | None = None,
) -> pd.DataFrame:
    """Score predictors on the test perturbations of `line` (paper, section 4.1), or on some of them.

    Predictors see ``atlas.view(line, split)`` only. No score counts a perturbation's own readout, and no ranking that
    of any perturbation that is ranked (`metrics.targets`).

    Parameters
    ----------
    atlas, line : what is predicted.
    predictors : by name from `kgpert_lib.build`, or anything with a method `predict`.
    split : what the training rows of other lines may hold (`Atlas.view`).
    perturbations : those to score, of any split; None for the test perturbations. A predictor may have seen others.
    reference : retrieval and PDS rank a prediction against those that are scored (``"test"``) or every perturbation
        of the line.
    threshold : from which a readout counts as changed, in units of the delta (`metrics.changes`); None:
        `changed_threshold` of the line's training perturbations.
    measured : (all perturbations of the line, m) deltas to score against in place of the line's own.

    Returns
    -------
    Columns atlas, kind, line, split, predictor, those of `deltas.score`, n_neighbours, fallback, and ``vendi`` and
    ``vendi_measured``, the same in all rows of a predictor: how many different deltas it predicts and there are
    (`vendi_score`).

    Raises
    ------
    InputError
        Where two predictors share a name, where the line has no test perturbation, and for an unknown line, reference
        or perturbation.

    Examples
    --------
    >>> from kgpert_lib import build, evaluate, load_screen
    >>> screen = load_screen("simulated", ["k562"], size="tiny")
    >>> scores = evaluate(screen.atlas, "k562", [build("mean", screen), build("union", screen)])
    >>> mean, union = scores.groupby("predictor", sort=False)["pearson"].mean()
    >>> len(scores), bool(union > mean)
    (30, True)
    """
    cells = atlas[line]
    names = cells.names("test") if perturbations is None else list(perturbations)
    if not names:
        raise InputError(f"{line} of {atlas.name} has no test perturbation to score.")
    if reference not in ("test", "all"):
        raise InputError(f"Unknown reference {reference!r}; it is 'test' or 'all'.")
    labels = [predictor.name for predictor in predictors]
    if len(set(labels)) < len(labels):
        raise InputError(f"Two predictors are called {max(labels, key=labels.count)!r}; name each once.")
    view = atlas.view(line, split)
    answers = Answers.of(cells, names, view.target.mean, reference, threshold, measured)
    tables = []
    for predictor in predictors:
        predictions = predictor.predict(view, names)
        table = answers.score(predictions.delta)
        table = table.assign(n_neighbours=predictions.n_neighbours, fallback=predictions.fallback)
        head = {"atlas": atlas.name, "kind": atlas.kind, "line": line, "split": split, "predictor": predictor.name}
        tables.append(table.assign(**head)[[*head, *table.columns]])
    return pd.concat(tables, ignore_index=True)


def evaluate_lines(
    atlas: Atlas,
    lines: Sequence[str],
    predictors: Sequence[Predictor],
    split: Split = "strict",
    outside: Mapping[str, Sequence[str | Path]] | None = None,
    reference: Reference = "test",
    threshold: float | None = None,
) -> pd.DataFrame:
    """`evaluate` for several lines, one below the other; `outside` holds files of predictions by line.

    A `threshold` holds for all lines; None: each line has its own.
    """
    files = outside or {}
    for line in files:
        atlas[line]
    return pd.concat(
        [
            evaluate(
                atlas, line, [*predictors, *map(Outside, files.get(line, ()))], split, reference, threshold=threshold
            )
            for line in lines
        ],
        ignore_index=True,
    )
