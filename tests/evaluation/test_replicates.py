"""Scores beside a repeated experiment: what is scored against what, and what is not scored."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import replicates
from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.metrics.controls import interpolated_duplicate
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen
from tests import worlds

GRAPH = NeighbourPredictor(GraphNeighbourhood([worlds.graph()], 5))


def repeated(noise=0.3, seed=0):
    """An atlas of one line with halves that agree up to noise."""
    rng = np.random.default_rng(seed)
    line = worlds.line(n=60, m=80, tests=20)
    halves = [(line.delta + rng.normal(scale=noise, size=line.delta.shape)).astype(np.float32) for _ in range(2)]
    return Atlas("toy", "simulated", {"k562": replace(line, half_a=halves[0], half_b=halves[1])})


def test_everything_is_scored_against_the_first_half_with_the_second_as_replicate():
    atlas = repeated()
    line = atlas["k562"]
    names = line.names("test")
    rows = line.rows(names)
    table = replicates.replicate_scores(atlas, "k562", [GRAPH], alpha=0.25)
    assert list(dict.fromkeys(table["predictor"])) == ["training mean", "toy", "replicate", "interpolated duplicate"]
    own = line.perturbations[rows, None] == line.genes
    truth = np.where(own, np.nan, line.half_a[rows])
    predicted = {
        "training mean": TrainingMean().predict(atlas.view("k562"), names).delta,
        "toy": GRAPH.predict(atlas.view("k562"), names).delta,
        "replicate": line.half_b[rows],
        "interpolated duplicate": interpolated_duplicate(line.half_b, 0.25)[rows],
    }
    for name, delta in predicted.items():
        part = table[table["predictor"] == name]
        np.testing.assert_allclose(part["pearson"], pearson_delta(delta, truth), err_msg=name)


def test_a_second_experiment_takes_the_place_of_the_halves_and_its_gaps_count_for_nobody():
    atlas = repeated()
    line = atlas["k562"]
    first, second = line.names("test")[:2]
    rng = np.random.default_rng(1)
    again = (line.delta + rng.normal(scale=0.5, size=line.delta.shape)).astype(np.float32)
    again[line.index[first]] = np.nan
    again[line.index[second], :50] = np.nan
    table = replicates.replicate_scores(atlas, "k562", [GRAPH], replicate=again)
    assert first not in set(table["perturbation"])
    counts = table.loc[table["perturbation"] == second, "n_genes"]
    assert counts.nunique() == 1
    assert counts.iloc[0] == 30 - (second in line.genes[50:])
    others = [name for name in line.names("test") if name not in (first, second)]
    whole = evaluate(atlas, "k562", [GRAPH], perturbations=others)
    part = table[(table["predictor"] == "toy") & table["perturbation"].isin(others)]
    np.testing.assert_allclose(part["pearson"], whole["pearson"])
    same = replicates.replicate_scores(atlas, "k562", [], replicate=line.delta)
    perfect = same[same["predictor"] == "replicate"]
    np.testing.assert_allclose(perfect[["pearson", "retrieval", "pds_cosine", "jaccard"]], 1)
    np.testing.assert_allclose(perfect["mse"], 0)


def test_ranges_and_scaled_scores_are_those_of_the_means():
    table = replicates.replicate_scores(repeated(), "k562", [GRAPH])
    ranges = replicates.metric_ranges(table).set_index("score")
    wide = table.pivot(index="perturbation", columns="predictor", values="mse")
    fractions = (wide["training mean"] - wide["interpolated duplicate"]) / wide["training mean"]
    assert ranges.loc["mse", "drf"] == pytest.approx(fractions.clip(-1, 1).mean())
    assert ranges.loc["mse", "bds"] == (wide["interpolated duplicate"] < wide["training mean"]).mean()
    assert ranges.loc["mse", ["training mean", "replicate"]].tolist() == pytest.approx(
        [wide["training mean"].mean(), wide["replicate"].mean()]
    )
    assert ranges.loc["retrieval", "bds"] > 0.9, "a replicate with little noise tells perturbations apart"
    scaled = replicates.scaled_scores(table).set_index("predictor")
    assert list(scaled.index) == ["toy", "interpolated duplicate"]
    wide = table.pivot(index="perturbation", columns="predictor", values="pearson")
    expected = (wide["toy"] - wide["training mean"]).mean() / (wide["replicate"] - wide["training mean"]).mean()
    assert scaled.loc["toy", "pearson"] == pytest.approx(expected)
    assert scaled.loc["toy", "pearson_low"] <= expected <= scaled.loc["toy", "pearson_high"]


def test_a_replicate_that_does_not_beat_the_mean_scales_nothing():
    scaled = replicates.scaled_scores(replicates.replicate_scores(repeated(noise=100.0), "k562", [GRAPH]))
    assert "centred_pearson" not in scaled or scaled["centred_pearson"].isna().all()
    assert "mse" not in scaled


def test_lines_without_halves_are_left_out(tmp_path):
    atlas = repeated()
    both = replace(atlas, lines={**atlas.lines, "rpe1": worlds.line(1, name="rpe1")})
    line = atlas["k562"]
    names = line.names("test")
    mine = GRAPH.predict(atlas.view("k562"), names).save(tmp_path / "mine.csv")
    table = replicates.replicated_lines(Screen(both, ()), [TrainingMean(), GRAPH], outside={"k562": [mine]})
    assert set(table["line"]) == {"k562"}
    ours, theirs = (table[table["predictor"] == name].reset_index(drop=True) for name in ("toy", "mine"))
    same = [column for column in table if column not in ("predictor", "n_neighbours", "fallback")]
    pd.testing.assert_frame_equal(ours[same], theirs[same], check_exact=False)
    alone = Atlas("toy", "simulated", {"rpe1": worlds.line(1, name="rpe1")})
    assert replicates.replicated_lines(Screen(alone, ()), [GRAPH]).empty


def test_what_is_no_replicate_is_one_sentence():
    plain = Atlas("toy", "simulated", {"k562": worlds.line()})
    with pytest.raises(InputError, match="k562 has no half-sample deltas; give the deltas of a second experiment"):
        replicates.replicate_scores(plain, "k562", [])
    with pytest.raises(InputError, match=r"replicate of k562 has shape \(3, 25\); the line has \(30, 25\)"):
        replicates.replicate_scores(plain, "k562", [], replicate=np.zeros((3, 25)))
    with pytest.raises(InputError, match="holds no test perturbation"):
        replicates.replicate_scores(plain, "k562", [], replicate=np.full((30, 25), np.nan))
