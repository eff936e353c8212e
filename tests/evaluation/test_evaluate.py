"""Predictors are scored on test perturbations only, alike wherever they come from."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.evaluate import evaluate, evaluate_lines
from kgpert_lib.metrics.deltas import pearson_delta, retrieval
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas
from tests import worlds

ATLAS = worlds.atlas(gaps=0.4)
PREDICTORS = [TrainingMean(), NeighbourPredictor(GraphNeighbourhood([worlds.graph()], 5))]


def test_a_row_a_predictor_and_test_perturbation_with_the_scores_of_the_metrics():
    table = evaluate(ATLAS, "k562", PREDICTORS)
    line = ATLAS["k562"]
    names = line.names("test")
    truth = line.delta[line.rows(names)]
    assert table["perturbation"].tolist() == names * 2
    for name, part in table.groupby("predictor"):
        predictor = next(p for p in PREDICTORS if p.name == name)
        predictions = predictor.predict(ATLAS.view("k562"), names)
        np.testing.assert_allclose(part["pearson"], pearson_delta(predictions.delta, truth))
        np.testing.assert_allclose(part["retrieval"], retrieval(predictions.delta, truth))
        assert part["n_neighbours"].tolist() == predictions.n_neighbours.tolist()
        assert part["fallback"].tolist() == predictions.fallback.tolist()
    assert set(zip(table["atlas"], table["kind"], table["line"], table["split"], strict=True)) == {
        ("toy", "simulated", "k562", "strict")
    }
    assert (table.loc[table["predictor"] == "training mean", "centred_pearson"] == 0).all()


def test_an_outside_file_of_the_same_predictions_scores_the_same(tmp_path):
    names = ATLAS["k562"].names("test")
    path = PREDICTORS[1].predict(ATLAS.view("k562"), names[::-1]).save(tmp_path / "mine.npz")
    table = evaluate_lines(ATLAS, ["k562", "rpe1"], PREDICTORS, outside={"k562": [path]})
    scores = ["pearson", "centred_pearson", "retrieval", "mse", "mae", "n_genes", "constant"]
    own, outside = (table[(table["predictor"] == p) & (table["line"] == "k562")] for p in ("toy", "mine"))
    pd.testing.assert_frame_equal(
        own[scores].reset_index(drop=True), outside[scores].reset_index(drop=True), check_exact=False
    )
    assert set(table.loc[table["line"] == "rpe1", "predictor"]) == {"training mean", "toy"}


def test_the_deltas_of_other_test_perturbations_change_no_score_of_a_perturbation():
    line = ATLAS["k562"]
    first, *others = line.names("test")
    delta = line.delta.copy()
    delta[line.rows(others)] *= -100
    changed = replace(ATLAS, lines={**ATLAS.lines, "k562": replace(line, delta=delta)})
    columns = ["predictor", "pearson", "centred_pearson", "mse", "mae"]
    one, two = (evaluate(atlas, "k562", PREDICTORS) for atlas in (ATLAS, changed))
    pd.testing.assert_frame_equal(*(table.loc[table["perturbation"] == first, columns] for table in (one, two)))
    assert not one["mse"].equals(two["mse"])


def test_what_cannot_be_scored_is_one_sentence():
    with pytest.raises(InputError, match="Two predictors are called 'training mean'"):
        evaluate(ATLAS, "k562", [TrainingMean(), TrainingMean()])
    with pytest.raises(InputError, match="no cell line 'hela'"):
        evaluate_lines(ATLAS, ["k562"], PREDICTORS, outside={"hela": ["x.csv"]})
    only_training = Atlas("toy", "simulated", {"k562": worlds.line(tests=0)})
    with pytest.raises(InputError, match="k562 of toy has no test perturbation to score"):
        evaluate(only_training, "k562", PREDICTORS)
