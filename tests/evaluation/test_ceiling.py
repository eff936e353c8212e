import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.ceiling import (
    CORRECTIONS,
    calibrate,
    ceiling,
    correct,
    measure,
    shared_control_inflation,
)
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.screens.atlas import CellLine
from kgpert_lib.screens.screen import split_half, stored_split
from kgpert_lib.screens.simulated.simulation import simulate


@pytest.fixture(scope="module")
def simulation():
    return simulate(seed=3, size="tiny", lines=["k562"], workers=1)


@pytest.fixture(scope="module")
def measured(simulation):
    bulk = simulation.bulk("k562", splits=10)
    halves = split_half(bulk).assign(shared=split_half(bulk, "shared")["r"])
    return measure(simulation, "k562", halves, bulk.deltas()[0])


@pytest.mark.parametrize(
    ("correction", "expected"),
    [("sqrt", 1 - 0.5 / np.sqrt(2)), ("linear", 0.75), ("spearman-brown", 2 / 3), ("none", 0.5)],
)
def test_corrections_by_hand(correction, expected):
    assert correct(0.5, correction).item() == pytest.approx(expected)
    assert correct(1.0, correction).item() == pytest.approx(1.0)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=20), st.sampled_from(list(CORRECTIONS)))
def test_corrections_keep_the_order_and_are_correlations(values, correction):
    r = np.sort(values)
    scaled = correct(r, correction)
    assert np.isfinite(scaled).all()
    assert (np.diff(scaled) >= -1e-12).all()
    assert (np.abs(scaled) <= 1 + 1e-12).all()


def test_gaussian_halves_obey_spearman_brown():
    """Signal of variance 1, noise of variance 2 in each half: a replicate correlates at 1/2, the truth at sqrt(1/2)."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(200, 2_000))
    half = [truth + rng.normal(scale=np.sqrt(2), size=truth.shape) for _ in range(2)]
    full = (half[0] + half[1]) / 2
    again = truth + rng.normal(size=truth.shape)
    r = pearson_delta(half[0], half[1])
    assert correct(r, "spearman-brown").mean() == pytest.approx(pearson_delta(again, full).mean(), abs=0.005)
    assert correct(r, "noise-free").mean() == pytest.approx(pearson_delta(truth, full).mean(), abs=0.005)


def test_every_split_of_every_perturbation_has_a_row(simulation):
    table = split_half(simulation.bulk("k562", splits=4))
    assert len(table) == 4 * 60
    assert table.groupby("perturbation")["split"].nunique().eq(4).all()
    assert table["r"].between(-1, 1).all()


def test_ceiling_is_mean_and_spread_over_splits():
    table = pd.DataFrame(
        {
            "perturbation": ["B", "A", "B", "A"],
            "n_cells": [9, 8, 9, 8],
            "split": [0, 0, 1, 1],
            "r": [0.2, 0.4, 0.6, 0.4],
        }
    )
    result = ceiling(table, "linear").set_index("perturbation")
    assert result.index.tolist() == ["B", "A"]
    assert result.loc["B", "ceiling"] == pytest.approx(0.7)
    assert result.loc["B", "spread"] == pytest.approx(np.std([0.6, 0.8], ddof=1))
    assert result.loc["A"].tolist() == pytest.approx([8, 0.7, 0.0, 2])


def test_the_stored_pair_of_halves_is_one_split(simulation):
    table = stored_split(simulation.atlas["k562"])
    assert (table["split"] == 0).all()
    pd.testing.assert_series_equal(table["r"], split_half(simulation.bulk("k562"))["r"], atol=1e-6)


def test_spearman_brown_meets_the_replicate_and_the_halves_alone_fall_short(measured):
    table = calibrate(measured).query("cells == 'all'").set_index(["target", "correction"])
    assert abs(table.loc[("replicate", "spearman-brown"), "bias"]) < 0.05
    assert table.loc[("replicate", "none"), "high"] < 0
    assert table.loc[("truth", "spearman-brown"), "high"] < 0
    assert abs(table.loc[("truth", "noise-free"), "bias"]) < 0.05


def test_calibration_is_the_mean_difference_in_each_bin(measured):
    table = calibrate(measured, bins=(12, 25, 41), draws=200)
    part = measured[measured.n_cells.between(12, 24)]
    row = table.query("cells == '12-24' and target == 'truth' and correction == 'sqrt'").iloc[0]
    assert row["bias"] == pytest.approx((part["sqrt"] - part["truth"]).mean())
    assert row["low"] <= row["bias"] <= row["high"]
    assert row["n"] == len(part)


def test_mistakes_are_named(simulation):
    with pytest.raises(InputError, match="Unknown correction 'cube'"):
        correct(0.5, "cube")
    with pytest.raises(InputError, match="at least one random split"):
        split_half(simulation.bulk("k562", splits=0))
    bare = CellLine("k562", np.array(["A"]), np.array(["x", "y"]), np.ones((1, 2)), np.array(["train"]))
    with pytest.raises(InputError, match="k562 has no half-sample deltas"):
        stored_split(bare)


def test_shared_controls_inflate(measured):
    row = shared_control_inflation(measured).iloc[0]
    assert row["inflation_low"] > 0
    assert row["inflation"] == pytest.approx((measured["shared"] - measured["none"]).mean())
