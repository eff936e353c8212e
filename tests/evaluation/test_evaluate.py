"""Predictors are scored on test perturbations only, alike wherever they come from."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.evaluate import evaluate, evaluate_lines
from kgpert_lib.metrics.changes import changed_threshold, changes
from kgpert_lib.metrics.deltas import pds_cosine, pearson_delta, retrieval
from kgpert_lib.metrics.diversity import vendi_score
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
    rows = line.rows(names)
    truth = np.where(line.perturbations[rows, None] == line.genes, np.nan, line.delta[rows])
    ranked = ~np.isin(line.genes, names)
    assert table["perturbation"].tolist() == names * 2
    for name, part in table.groupby("predictor"):
        predictor = next(p for p in PREDICTORS if p.name == name)
        predictions = predictor.predict(ATLAS.view("k562"), names)
        np.testing.assert_allclose(part["pearson"], pearson_delta(predictions.delta, truth))
        for score in (retrieval, pds_cosine):
            expected = score(predictions.delta[:, ranked], truth[:, ranked])
            np.testing.assert_allclose(part[score.__name__], expected)
        of_changes = changes(predictions.delta, truth, changed_threshold(line.training().scored))
        np.testing.assert_array_equal(part["n_changed"], of_changes.n_changed)
        np.testing.assert_array_equal(part["direction_reach"], of_changes.direction_reach)
        assert part["vendi"].unique() == pytest.approx([vendi_score(predictions.delta, truth)])
        assert part["vendi_measured"].unique() == pytest.approx([vendi_score(truth)])
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
    scores = [column for column in table if column not in ("predictor", "n_neighbours", "fallback")]
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


def other_values_at_own_readouts(atlas, names, value):
    """The atlas with another delta wherever one of the genes reads out itself."""
    lines = {}
    for name, line in atlas.lines.items():
        own = (line.perturbations[:, None] == line.genes) & np.isin(line.perturbations, names)[:, None]
        lines[name] = replace(line, delta=np.where(own & ~np.isnan(line.delta), np.float32(value), line.delta))
    return replace(atlas, lines=lines)


@pytest.mark.parametrize("gaps", [0.0, 0.4])
@pytest.mark.parametrize("value", [-1e4, 0.0, 37.0])
def test_what_a_gene_does_to_its_own_readout_changes_no_score_of_it_whatever_was_predicted(gaps, value):
    atlas = worlds.atlas(gaps=gaps)
    line = atlas["k562"]
    names = line.names("test")
    changed = other_values_at_own_readouts(atlas, names, value)
    predictor = PREDICTORS[1]

    class Spiked:
        name = predictor.name

        def predict(self, view, perturbations):
            predictions = predictor.predict(view, perturbations)
            own = predictions.perturbations[:, None] == predictions.genes
            return replace(predictions, delta=np.where(own, np.float32(-value), predictions.delta))

    before = evaluate(atlas, "k562", [predictor])
    for other, predictors in ((changed, [predictor]), (atlas, [Spiked()]), (changed, [Spiked()])):
        pd.testing.assert_frame_equal(before, evaluate(other, "k562", predictors))
    assert (np.isin(line.genes, names)).any(), "some test genes are readout genes"


@pytest.mark.parametrize("reference", ["test", "all"])
def test_rankings_give_nothing_to_who_knows_which_genes_were_perturbed(reference):
    """The knock-down is in every delta; a spike at the readouts of the others told them all apart."""
    rng = np.random.default_rng(0)
    line = worlds.line(n=60, m=200, tests=20)
    delta = rng.normal(scale=0.1, size=line.delta.shape).astype(np.float32)
    own = line.perturbations[:, None] == line.genes
    atlas = Atlas("toy", "simulated", {"k562": replace(line, delta=np.where(own, np.float32(-5), delta))})
    names = line.names("test")

    class Spikes:
        name = "spikes"

        def predict(self, view, perturbations):
            predictions = TrainingMean().predict(view, perturbations)
            others = np.isin(view.target.genes, line.perturbations) & (
                np.array(perturbations)[:, None] != view.target.genes
            )
            return replace(predictions, delta=others.astype(np.float32))

    table = evaluate(atlas, "k562", [Spikes()], reference=reference, perturbations=names)
    if reference == "all":
        assert (table[["retrieval", "pds_cosine"]] == 0.5).all(axis=None)
    else:  # readouts of genes that are not ranked stay, where one prediction serves all
        assert table[["retrieval", "pds_cosine"]].mean().to_numpy() == pytest.approx(0.5)


@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_one_prediction_for_all_scores_half_in_both_rankings(gaps):
    atlas = worlds.atlas(gaps=gaps)
    mean = evaluate(atlas, "k562", [TrainingMean()])
    assert mean[["retrieval", "pds_cosine"]].mean().to_numpy() == pytest.approx(0.5, abs=1e-12)


def test_the_threshold_of_a_change_comes_from_training_rows_unless_it_is_given():
    line = ATLAS["k562"]
    loud = np.where((line.split == "test")[:, None], 50 * line.delta, line.delta)
    changed = replace(ATLAS, lines={**ATLAS.lines, "k562": replace(line, delta=loud)})
    one, two = (evaluate(atlas, "k562", PREDICTORS) for atlas in (ATLAS, changed))
    given = evaluate(ATLAS, "k562", PREDICTORS, threshold=changed_threshold(line.training().scored))
    pd.testing.assert_frame_equal(one, given)
    assert (two["n_changed"] >= one["n_changed"]).all()
    assert two["n_changed"].sum() > one["n_changed"].sum()
    names = line.names("test")
    scored = line.scored[line.rows(names)]
    all_changed = evaluate(ATLAS, "k562", PREDICTORS, threshold=1e-6)
    np.testing.assert_array_equal(all_changed["n_changed"][: len(names)], (~np.isnan(scored)).sum(axis=1))


def test_a_perturbation_of_which_only_its_own_readout_was_measured_is_named():
    line = ATLAS["k562"]
    name = next(n for n in line.names("test") if n in line.genes)
    delta = line.delta.copy()
    delta[line.index[name]] = np.where(line.genes == name, 1.0, np.nan)
    atlas = replace(ATLAS, lines={**ATLAS.lines, "k562": replace(line, delta=delta)})
    with pytest.raises(InputError, match=f"measured delta of {name} has no measured gene .its own readout"):
        evaluate(atlas, "k562", PREDICTORS)


def test_what_cannot_be_scored_is_one_sentence():
    with pytest.raises(InputError, match="Two predictors are called 'training mean'"):
        evaluate(ATLAS, "k562", [TrainingMean(), TrainingMean()])
    with pytest.raises(InputError, match="no cell line 'hela'"):
        evaluate_lines(ATLAS, ["k562"], PREDICTORS, outside={"hela": ["x.csv"]})
    only_training = Atlas("toy", "simulated", {"k562": worlds.line(tests=0)})
    with pytest.raises(InputError, match="k562 of toy has no test perturbation to score"):
        evaluate(only_training, "k562", PREDICTORS)
    with pytest.raises(InputError, match=r"threshold of a change is -1\.0; it is a number above 0"):
        evaluate(ATLAS, "k562", PREDICTORS, threshold=-1.0)
    with pytest.raises(InputError, match=r"measured deltas have shape \(2, 2\); k562 has \(30, 25\)"):
        evaluate(ATLAS, "k562", PREDICTORS, measured=np.zeros((2, 2), np.float32))
