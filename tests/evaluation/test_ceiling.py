from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.ceiling import (
    CORRECTIONS,
    between_experiments,
    calibrate,
    ceiling,
    correct,
    estimates_of_truth,
    measure,
    reproducibility,
    shared_control_inflation,
)
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.screen import Screen, split_half, stored_split
from kgpert_lib.screens.simulated.simulation import simulate
from tests import worlds


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


def test_two_experiments_are_compared_over_what_both_measured_and_without_the_own_readout():
    rng = np.random.default_rng(0)
    first, other = worlds.line(0, m=40), worlds.line(1, m=40)
    genes = np.append(other.genes[5:], "ELSEWHERE")
    delta = np.column_stack([first.delta[:, 5:] + rng.normal(0, 1, (30, 35)), np.zeros(30)]).astype(np.float32)
    delta[0, 7] = np.nan
    second = replace(other, perturbations=other.perturbations[::-1], genes=genes, delta=delta[::-1], control=None)
    table = between_experiments(first, second).set_index("perturbation")
    assert list(table.index) == list(first.perturbations)
    for i, name in enumerate(first.perturbations):
        keep = (first.genes[5:] != name) & ~np.isnan(delta[i, :35])
        assert table.loc[name, "n_genes"] == keep.sum()
        assert table.loc[name, "r"] == pytest.approx(
            pearsonr(first.delta[i, 5:][keep], delta[i, :35][keep])[0], abs=1e-6
        )


def test_experiments_that_share_nothing_are_refused():
    other = replace(worlds.line(1), perturbations=worlds.symbols(30, "X"))
    with pytest.raises(InputError, match="share no perturbation with two readout genes of both"):
        between_experiments(worlds.line(0), other)


def test_the_ceiling_comes_from_halves_else_from_a_second_experiment_else_from_nowhere():
    line = worlds.line(0)
    again = replace(line, delta=line.delta + np.random.default_rng(1).normal(0, 1, line.delta.shape))
    halved = replace(line, half_a=line.delta, half_b=again.delta, n_cells=np.full(30, 40))

    def of(cells, second=None):
        return Screen(Atlas("toy", "simulated", {"k562": cells}), (), _second=lambda name: second)

    halves = reproducibility(of(halved, again), "k562", "linear")
    pd.testing.assert_frame_equal(halves, ceiling(stored_split(halved), "linear")[list(halves.columns)])
    r = between_experiments(line, again)["r"].to_numpy()
    for correction, expected in (("sqrt", r), ("none", r), ("noise-free", np.sqrt(np.maximum(r, 0)))):
        np.testing.assert_array_equal(reproducibility(of(line, again), "k562", correction)["ceiling"], expected)
    assert reproducibility(of(line), "k562")["ceiling"].isna().all()


def test_the_root_of_a_second_experiment_and_noise_free_halves_estimate_the_truth(measured):
    table = estimates_of_truth(measured, draws=300).set_index("estimate")
    best = table.loc[["halves, noise-free", "second experiment, square root"]]
    assert (best["bias"].abs() < 0.03).all()
    others = table.drop(index=best.index)
    assert (others["error"] > 1.5 * best["error"].max()).all()
    assert (table["bias_low"] <= table["bias"]).all()
    assert (table["bias"] <= table["bias_high"]).all()
    error = measured["sqrt"] - measured["truth"]
    assert table.loc["halves, sqrt", "bias"] == pytest.approx(error.mean())
    assert table.loc["halves, sqrt", "error"] == pytest.approx(np.sqrt((error**2).mean()))
