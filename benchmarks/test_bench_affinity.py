"""Features of gene pairs over every dated table, and learning their weights, at the size of PerturbQA's lines.

Each runs in a process of its own, against the products and powers that it cannot do without.
"""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from time import perf_counter

import numpy as np
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

from benchmarks.ratios import check, peak_memory, ratio
from kgpert_lib.graphs import DATED, load_graphs
from kgpert_lib.graphs.affinity import Affinity, SetTable, WalkTable
from kgpert_lib.predictors.learning import error, fit, leave_one_out_fraction
from kgpert_lib.screens.atlas import TrainingLine

PERTURBATIONS, TRAINING, READOUTS, MEASURED = 2_654, 1_600, 4_500, 0.02


def genes() -> np.ndarray:
    """As many genes as PerturbQA's four lines perturb, of those that STRING knows."""
    known = load_graphs("string")[0].symbols
    return known[np.linspace(0, len(known) - 1, PERTURBATIONS).astype(int)]


def alone(work: Callable[[], tuple[float, ...]]) -> tuple[float, ...]:
    """The result of a function in a new process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(work).result()


def products(affinity: Affinity, names: np.ndarray) -> None:
    """The product of every table and the powers of a matrix of its size, without anything else."""
    similarity = np.full((len(names), len(names)), 0.3, np.float32)
    for table in affinity.tables:
        for power in table.powers[1:]:
            np.power(similarity, np.float32(power))
        known = np.flatnonzero(np.isin(table.symbols, names))
        part = table.matrix[known]
        if isinstance(table, SetTable):
            part @ part.toarray(order="F").T
        elif isinstance(table, WalkTable):
            (part @ table.matrix[:, known]).toarray()


def features() -> tuple[float, float, float]:
    """Seconds of loading and of all features, their ratio to the products alone, and the peak memory in GB."""
    start = perf_counter()
    names = genes()
    affinity = Affinity.load(DATED, names, ())

    def every() -> None:
        for _ in affinity.blocks(names, names):
            pass

    every()
    seconds = perf_counter() - start
    peak = peak_memory()
    return seconds, ratio(every, lambda: products(affinity, names), repeats=3), peak


def test_features_of_2654_genes_over_the_dated_tables():
    alone(features)  # the tables are then in the cache folder
    seconds, measured, peak = alone(features)
    check(
        "features of 2,654 genes over the dated tables / their sparse products and powers alone", measured, at_most=6.0
    )
    check("peak memory of that process, GB", peak, at_most=1.5)
    check(f"seconds of it with loading ({seconds:.1f}) / 20", seconds / 20, at_most=1.0)


def made_up_line() -> TrainingLine:
    rng = np.random.default_rng(1)
    delta = np.full((TRAINING, READOUTS), np.nan, np.float32)
    asked = rng.random(delta.shape) < MEASURED
    delta[asked] = rng.choice([-1, 0, 1], asked.sum(), p=[0.06, 0.88, 0.06])
    return TrainingLine("k562", genes()[:TRAINING], np.array([f"R{i:05d}" for i in range(READOUTS)]), delta)


def learning() -> tuple[float, float, float, float]:
    """Seconds of learning, the ratios of both its steps to their products alone, and the peak memory in GB."""
    line = made_up_line()
    affinity, names = Affinity.load(DATED, line.perturbations, ()), line.perturbations
    start = perf_counter()
    fraction = leave_one_out_fraction(affinity, line)
    weights = fit([fraction])
    seconds, peak = perf_counter() - start, peak_memory()
    value, mask = (sp.csr_matrix(part.T) for part in (line.filled, line.measured.astype(np.float32)))
    block = np.random.default_rng(2).random((TRAINING, TRAINING), np.float32)

    def sums() -> None:
        products(affinity, names)
        for _ in affinity.features:
            value @ block
            mask @ block

    def gradients() -> None:
        with threadpool_limits(1):
            for _ in range(100):
                error([fraction], weights)

    summing = ratio(lambda: leave_one_out_fraction(affinity, line), sums, repeats=3)
    return seconds, summing, ratio(lambda: fit([fraction]), gradients, repeats=3), peak


def test_learning_the_weights_of_one_line():
    seconds, summing, fitting, peak = alone(learning)
    check("sums of every feature of one line / their products and powers alone", summing, at_most=4.0)
    check("fit of the weights of one line / 100 errors with their gradients", fitting, at_most=2.0)
    check("peak memory of that process, GB", peak, at_most=1.5)
    check(f"seconds of learning one line ({seconds:.1f}) / 30", seconds / 30, at_most=1.0)
