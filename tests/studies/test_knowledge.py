"""Which knowledge counts: shares and losses of tables on a small world, and the committed cross-validation."""

from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies import knowledge
from tests.perturbqa.world import affinity, screen


@pytest.fixture(scope="module")
def world():
    whole = Screen(screen(), affinity().graphs)
    whole.__dict__["affinity"] = affinity()
    return whole


def test_shares_of_the_tables_add_up_and_lie_in_their_range(world):
    shares = knowledge.shares(world, resamples=4)
    assert np.allclose(shares.groupby("line")["share"].sum(), 1)
    assert shares[["share", "share_low", "share_high", "chosen"]].ge(0).all(axis=None)
    assert (shares["share_low"] <= shares["share_high"]).all()


def test_shares_do_not_read_test_perturbations(world):
    lines = {}
    for name, line in world.lines.items():
        delta = line.delta.copy()
        delta[line.split == "test"] = 1.0
        lines[name] = replace(line, delta=delta)
    changed = replace(world, atlas=replace(world.atlas, lines=lines))
    changed.__dict__["affinity"] = world.affinity
    assert knowledge.shares(changed, resamples=2).equals(knowledge.shares(world, resamples=2))


def test_leaving_out_each_table_is_scored_on_every_training_perturbation(world):
    losses = knowledge.without_tables(world)
    sizes = {name: int((line.split == "train").sum()) for name, line in world.lines.items()}
    assert losses.groupby("line")["n"].unique().explode().to_dict() == sizes
    assert (losses["loss_low"] <= losses["loss"]).all()
    assert (losses["loss"] <= losses["loss_high"]).all()


def test_the_best_rule_of_a_split_lies_behind_none():
    table = knowledge.cross_validated()
    for _, part in table.groupby("split"):
        best = part.loc[part["mean"].idxmax()]
        assert best["behind"] == 0
        assert (part["behind"] >= 0).all()
        assert set(part["rule"]) == set(knowledge.RULES)
