"""Speed of the causal model and of the simulation, as ratios to a floor measured in the same run."""

import numpy as np
import pytest

from benchmarks.ratios import check, ratio
from kgpert_lib.screens.simulated.causal import HierarchicalSCM
from kgpert_lib.screens.simulated.simulation import simulate
from kgpert_lib.screens.simulated.world import DISPERSION


@pytest.fixture(scope="module")
def scm():
    return HierarchicalSCM.sample(0, (2_000, 600, 150, 15), readout=2_000, sensitivity=(0.5, 1, 0.6, 0.4))


def test_bound_and_distance_of_all_pairs_against_one_matrix_product(scm):
    x = scm.response()
    value = ratio(lambda: (scm.bound(), scm.distance()), lambda: x @ x.T, repeats=5)
    check("bound and distances of all pairs of 2,000 genes / one matrix product", value, at_most=5)


def test_meeting_levels_of_all_pairs_against_one_matrix_product(scm):
    x = scm.response()
    value = ratio(scm.meeting_level, lambda: x @ x.T, repeats=5)
    check("lowest common descendants of all pairs of 2,000 genes / one matrix product", value, at_most=5)


def test_cells_to_deltas_against_drawing_as_many_negative_binomials():
    """One of the four equal lines, on one worker against numpy on one thread."""
    simulation = simulate(lines=["k562"], workers=1)
    model, cells = simulation.world.models["k562"], len(simulation.world.cells["k562"])
    mean = model.rates(-1, 0) * model.depth[0]
    shape = 1 / DISPERSION
    rng = np.random.default_rng(0)

    def floor():
        for start in range(0, cells, 500):
            rng.negative_binomial(shape, shape / (shape + mean), size=(min(500, cells - start), len(mean)))

    value = ratio(lambda: simulation.bulk("k562"), floor, repeats=3)
    check(f"{cells:,} cells x 2,000 genes to deltas / numpy negative binomials", value, at_most=3)
