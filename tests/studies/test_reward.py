import numpy as np
import pytest

from kgpert_lib.rl.reward import ALPHA, BETA, Weights
from kgpert_lib.rl.tasks import Settings
from kgpert_lib.studies.reward import (
    Groups,
    choice,
    random_groups,
    searched,
    shapes,
    shares,
    signal_to_noise,
    weights_of,
)

PEARSON = weights_of(1.0)


def groups(gap, worth, readable=None):
    gap, worth = np.asarray(gap, float), np.asarray(worth, float)
    some = np.ones_like(gap)
    return Groups(some if readable is None else np.asarray(readable, float), some, some, gap, worth)


def test_a_gap_that_says_what_an_edit_is_worth_has_no_noise():
    gap = np.random.default_rng(0).normal(size=(20, 8)) * 0.01
    assert signal_to_noise(groups(gap, gap), PEARSON, 1.0, 0.0) == pytest.approx(1.0)
    assert signal_to_noise(groups(gap, -gap), PEARSON, 1.0, 0.0) == pytest.approx(-1.0)


def test_what_all_answers_of_a_group_share_is_no_signal():
    rng = np.random.default_rng(1)
    gap, level = rng.normal(size=(30, 8)) * 0.01, rng.normal(size=(30, 1))
    own, shared = groups(gap, gap), groups(gap, gap + level)
    assert signal_to_noise(shared, PEARSON, 1.0, 0.0) == pytest.approx(signal_to_noise(own, PEARSON, 1.0, 0.0))
    assert signal_to_noise(groups(np.ones((3, 8)), gap[:3]), PEARSON, 1.0, 0.0) == 0.0


def test_the_sign_alone_says_less_than_the_gap():
    gap = np.random.default_rng(2).normal(size=(200, 8)) * 0.01
    table = shapes(groups(gap, gap), PEARSON).set_index(["alpha", "beta"])
    assert table.loc[(1.0, 0.0), "signal"] == pytest.approx(1.0)
    assert table.loc[(1.0, 1.0), "signal"] == pytest.approx(np.sqrt(2 / np.pi), abs=0.05)
    assert (table["signal_low"] <= table["signal"] + 1e-9).all()
    assert (table["signal"] <= table["signal_high"] + 1e-9).all()


def test_half_is_the_largest_share_at_which_refusing_never_pays():
    gap = np.random.default_rng(3).normal(size=(50, 8)) * 0.01
    table = shares(groups(gap, gap), ALPHA, BETA).set_index("share")
    assert table.loc[0.5, "least"] == 0.0
    assert (table.loc[table.index > 0.5, "least"] < 0).all()


def test_the_defaults_are_near_the_best_on_the_simulation():
    """The choice itself is made on both atlases and more questions: `python -m kgpert_lib.studies.reward`."""
    simulated = random_groups(Settings(atlas="simulated"), 200)
    share, _, _ = choice([simulated])
    assert weights_of(share).shares() == pytest.approx(Weights().shares())
    best = shapes(simulated, Weights()).query("beta > 0")["signal"].max()
    assert signal_to_noise(simulated, Weights(), ALPHA, BETA) > 0.9 * best


def test_a_search_gains_less_on_readout_genes_that_it_did_not_see():
    seen, unseen = searched(Settings(atlas="simulated"), 60)["gap"]
    assert seen > unseen > 0
