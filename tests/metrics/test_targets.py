import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.metrics.targets import own_readouts, ranked_readouts, without_own_readouts

names = st.lists(st.sampled_from("ABCDEFGHIJ"), unique=True, min_size=1, max_size=8)


@given(perturbations=names, genes=names)
def test_own_readouts_are_gaps_and_nothing_else_changes(perturbations, genes):
    perturbations, genes = np.array(perturbations), np.array(genes)
    delta = np.arange(1.0, 1 + len(perturbations) * len(genes)).reshape(len(perturbations), -1).astype(np.float32)
    own = perturbations[:, None] == genes
    hidden = without_own_readouts(delta, perturbations, genes)
    np.testing.assert_array_equal(np.isnan(hidden), own)
    np.testing.assert_array_equal(hidden[~own], delta[~own])
    assert not np.isnan(delta).any(), "the measured deltas stay"
    assert set(zip(*own_readouts(perturbations, genes), strict=True)) == set(zip(*np.nonzero(own), strict=True))
    np.testing.assert_array_equal(ranked_readouts(perturbations, genes), ~np.isin(genes, perturbations))


def test_deltas_without_own_readouts_are_not_copied():
    delta = np.array([[np.nan, 1.0]], np.float32)
    assert without_own_readouts(delta, ["A"], np.array(["A", "B"])) is delta
