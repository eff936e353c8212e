"""A method of one's own beside those of the book: a toy that knows no graph, and its files of predictions."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kgpert_lib.metrics.deltas import correlation_matrix
from kgpert_lib.predictors.average import average
from kgpert_lib.predictors.neighbourhoods import from_sets
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import Atlas, TrainingView
from kgpert_lib.types import Split

NAME = "co-response"  # also the name of its files


def co_response(view: TrainingView, perturbations: Sequence[str], k: int = 10) -> Predictions:
    """The mean delta of the `k` training genes whose own expression responds most like the queried gene's.

    Two genes are alike where their expression changes together over the training perturbations (Pearson correlation of
    their columns of training deltas, own knock-downs left out). A gene that is no readout gene gets the mean training
    delta, and no such gene is averaged.
    """
    line = view.target
    responses = np.nan_to_num(line.scored).T
    place = pd.Index(line.genes)
    queried, trained = (place.get_indexer(pd.Index(names)) for names in (perturbations, line.perturbations))
    known, usable = np.flatnonzero(queried >= 0), np.flatnonzero(trained >= 0)
    sets: list[list[str]] = [[] for _ in perturbations]
    if len(known) and len(usable):
        likeness = correlation_matrix(responses[queried[known]], responses[trained[usable]])
        likeness[queried[known][:, None] == trained[usable]] = -np.inf
        nearest = np.argsort(-likeness, axis=1, kind="stable")[:, :k]
        for row, columns in zip(known, nearest, strict=True):
            sets[row] = [str(gene) for gene in line.perturbations[usable[columns]]]
    near = from_sets(list(perturbations), line.perturbations, sets)
    delta, empty = average(near.weights, line)
    return Predictions(near.perturbations, line.genes, delta, near.sizes, empty, near)


def write_predictions(atlas: Atlas, folder: str | Path, k: int = 10, split: Split = "strict") -> dict[str, list[Path]]:
    """A file ``<line>/co-response.h5ad`` with `co_response` for the test perturbations of each line, by line."""
    files = {}
    for name, line in atlas.lines.items():
        path = Path(folder) / name / f"{NAME}.h5ad"
        path.parent.mkdir(parents=True, exist_ok=True)
        files[name] = [co_response(atlas.view(name, split), line.names("test"), k).save(path)]
    return files
