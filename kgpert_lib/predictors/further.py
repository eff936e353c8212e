"""Further training genes from a second experiment on the same line (ours)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kgpert_lib.errors import InputError
from kgpert_lib.predictors.average import average, default_prior
from kgpert_lib.predictors.neighbours import NeighbourPredictor
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import TrainingLine, TrainingView


@dataclass(frozen=True, eq=False)
class FurtherTraining:
    """The mean over neighbours that may also be knock-downs which only a second, larger experiment measured.

    The training mean, which a gene without neighbour gets, stays that of the line's own rows: most genes that only a
    genome-wide screen knocks down change little.

    Attributes
    ----------
    predictor : whose neighbourhoods and prior are used.
    further : gives the further rows of a line by its name, or None; they hold no perturbation of the line's own
        screen, so that no row of a test gene, or of a gene that a fold leaves out, can be among them.
    """

    predictor: NeighbourPredictor
    further: Callable[[str], TrainingLine | None]

    @property
    def name(self) -> str:
        """The predictor's name and that there are more training genes."""
        return f"{self.predictor.name}, further genes"

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations`; InputError where the line has no second experiment."""
        further = self.further(view.line)
        if further is None:
            raise InputError(
                f"{view.line} has no second experiment with further training genes; "
                "for k562 of replogle run `kgpert fetch replogle-gw`."
            )
        own, longer = view.target, extended(view.target, further)
        near = self.predictor.neighbourhoods(replace(view, lines={**view.lines, view.line: longer}), perturbations)
        prior = default_prior(own) if self.predictor.prior is None else self.predictor.prior
        delta, empty = average(near.weights, longer, prior, own.mean)
        return Predictions(near.perturbations, own.genes, delta, near.sizes, empty, near, longer)


def extended(line: TrainingLine, further: TrainingLine) -> TrainingLine:
    """The training rows of `line` and below them those of `further`, whose other readout genes are left out.

    A readout gene that `further` lacks is a gap there. Controls are dropped. InputError for a perturbation of both.
    """
    both = np.intersect1d(line.perturbations, further.perturbations)
    if len(both):
        raise InputError(
            f"{both[0]} is a training perturbation of {line.name} already; leave it out of the further ones."
        )
    names = np.concatenate([line.perturbations, further.perturbations])
    return TrainingLine(line.name, names, line.genes, np.concatenate([line.delta, further.over(line.genes).delta]))
