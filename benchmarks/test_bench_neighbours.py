"""Neighbourhoods and predictions at the size of a genome-wide screen, against the one product they need."""

import resource
import sys

import numpy as np

from benchmarks.ratios import check, ratio
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.average import average
from kgpert_lib.predictors.neighbourhoods import neighbourhoods
from kgpert_lib.screens.atlas import TrainingLine

PERTURBATIONS, TRAINING, GENES, EDGES = 10_000, 2_000, 8_000, 300_000


def world() -> tuple[list[KnowledgeGraph], np.ndarray, TrainingLine]:
    rng = np.random.default_rng(0)
    names = np.array([f"G{i:05d}" for i in range(PERTURBATIONS)])
    graphs = [
        KnowledgeGraph.from_edges(name, rng.choice(names, EDGES), rng.choice(names, EDGES), weight)
        for name, weight in (("weighted", rng.random(EDGES)), ("unweighted", None))
    ]
    delta = rng.standard_normal((TRAINING, GENES), dtype=np.float32)
    training = rng.choice(names, TRAINING, replace=False)
    return graphs, names, TrainingLine("k562", training, np.array([f"R{i}" for i in range(GENES)]), delta)


def test_neighbourhoods_and_predictions_for_10000_perturbations():
    graphs, names, line = world()
    weights = neighbourhoods(graphs, names, line.perturbations, cut="after").weights.astype(np.float32)

    def ours() -> None:
        near = neighbourhoods(graphs, names, line.perturbations, cut="after")
        average(near.weights, line)

    measured = ratio(ours, lambda: weights @ line.delta)
    check("neighbourhoods + predictions, 10,000 x 8,000 / the sparse-by-dense product", measured, at_most=1.5)
    unit = 2**30 if sys.platform == "darwin" else 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    check("peak memory of that process, GB", peak, at_most=4.0)
