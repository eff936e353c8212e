"""Leave-one-gene-out scores from inner products equal those from the vectors; a gene's own guides take no part."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import cdist

from kgpert_lib.errors import InputError
from kgpert_lib.metrics import deltas
from kgpert_lib.metrics.gram import cosines
from kgpert_lib.predictors.neighbourhoods import from_sets
from kgpert_lib.screens.distances import Distances, load
from kgpert_lib.studies import distances as study
from kgpert_lib.studies import distances_figures as figures
from kgpert_lib.studies.style import style

GENES = ["A", "B", "C", "A", "D", "E", "C"]
NAMES = list("ABCDE")
SETS = [{"B", "C"}, {"A"}, {"D", "A", "E"}, set(), {"A", "B", "C", "D"}]


def world(seed=0, genes=GENES, controls=("a", "b"), dimension=8):
    """Means of perturbations and, last, of controls; and the distances between them."""
    means = np.random.default_rng(seed).normal(size=(len(genes) + len(controls), dimension)) + 0.7
    return means, distances_of(means, genes, controls)


def distances_of(means, genes=GENES, controls=("a", "b")):
    guides = np.array([f"{gene}_{k}" for k, gene in enumerate(genes)])
    values = 2 * cdist(means, means, "sqeuclidean")
    return Distances("toy", "cells", "method", guides, np.array(genes), tuple(controls), values)


def cosine(x, y):
    return x @ y / np.linalg.norm(x) / np.linalg.norm(y)


def by_hand(means, members, control, other):
    """Cosine and retrieval of each gene from the vectors, one loop at a time."""
    predicted, measured = means[:-2] - means[control], means[:-2] - means[other]
    gene = np.array(GENES)
    average = {name: predicted[gene == name].mean(axis=0) for name in NAMES}
    rows = []
    for name, near in zip(NAMES, members, strict=True):
        prediction = np.mean([average[n] for n in near or set(NAMES) - {name}], axis=0)
        own = [cosine(prediction, d) for d in measured[gene == name]]
        others = [cosine(prediction, d) for d in measured[gene != name]]
        rows.append((np.mean(own), np.mean([np.mean([o < c for o in others]) for c in own])))
    return np.array(rows)


@pytest.mark.parametrize(("control", "other"), [("a", None), ("b", None), ("a", "b"), ("b", "a")])
def test_scores_are_those_of_the_vectors(control, other):
    means, distances = world()
    scores = study.evaluate(distances, {"sets": from_sets(NAMES, NAMES, SETS)}, control, other)
    place = {"a": -2, "b": -1}
    for predictor, members in (("sets", SETS), (study.MEAN, [set()] * 5)):
        part = scores[scores["predictor"] == predictor]
        assert list(part["perturbation"]) == NAMES
        expected = by_hand(means, members, place[control], place[other or control])
        np.testing.assert_allclose(part[["cosine", "retrieval"]], expected, atol=1e-12)
    assert list(scores.loc[scores["predictor"] == "sets", "n_neighbours"]) == [2, 1, 3, 0, 4]
    assert list(scores.loc[scores["predictor"] == "sets", "fallback"]) == [False] * 3 + [True, False]
    assert set(scores["crossed"]) == {other is not None}


def test_the_other_guide_is_scored_where_there_is_one():
    means, distances = world(1)
    scores = study.evaluate(distances, {}, "a").query("predictor == 'other guide'")
    delta = means[:-2] - means[-2]
    assert list(scores["perturbation"]) == ["A", "C"]
    np.testing.assert_allclose(scores["cosine"], [cosine(delta[0], delta[3]), cosine(delta[2], delta[6])], atol=1e-12)
    wins = [
        np.mean([cosine(delta[k], delta[j]) < cosine(delta[k], delta[pair]) for j in range(7) if GENES[j] != GENES[k]])
        for k, pair in ((0, 3), (3, 0), (2, 6), (6, 2))
    ]
    np.testing.assert_allclose(scores["retrieval"], [np.mean(wins[:2]), np.mean(wins[2:])])


def test_scores_are_the_metrics_of_centred_deltas_with_one_guide_a_gene():
    rng = np.random.default_rng(2)
    delta = rng.normal(size=(12, 9))
    delta -= delta.mean(axis=1, keepdims=True)  # the cosine of centred rows is their correlation
    genes = [f"G{k:02}" for k in range(12)]
    distances = distances_of(np.vstack([delta, np.zeros(9)]), genes, ("a",))
    sets = [set(rng.choice([g for g in genes if g != gene], 3, replace=False)) for gene in genes]
    near = from_sets(genes, genes, sets)
    scores = study.evaluate(distances, {"sets": near}, "a").query("predictor == 'sets'")
    prediction = near.weights.toarray() @ delta / 3
    np.testing.assert_allclose(scores["cosine"], deltas.pearson_delta(prediction, delta), atol=1e-9)
    np.testing.assert_allclose(scores["retrieval"], deltas.retrieval(prediction, delta))


def test_scores_do_not_depend_on_the_origin_or_the_unit():
    means, distances = world(3)
    near = {"sets": from_sets(NAMES, NAMES, SETS)}
    scores = study.evaluate(distances, near, "a")
    for moved in (distances_of(means + 3.0), distances_of(7.0 * means)):
        pd.testing.assert_frame_equal(study.evaluate(moved, near, "a"), scores, check_exact=False, atol=1e-9)


def test_a_constant_prediction_has_a_retrieval_of_one_half():
    genes = np.array(GENES)
    np.testing.assert_array_equal(study.retrieval(np.full((7, 7), 0.3), genes), 0.5)
    _, distances = world(4)
    nothing = cosines(np.zeros((7, 7)), distances.gram("a"))
    np.testing.assert_array_equal(nothing, 0.0)
    np.testing.assert_array_equal(study.retrieval(nothing, genes), 0.5)


def test_retrieval_leaves_out_the_other_guide_and_counts_ties_one_half():
    agreement = np.array([[0.5, 0.9, 0.2, 0.5], [0.9, 0.4, 0.5, 0.6], [0.1, 0.2, 0.3, 0.3], [0.0, 0.0, 0.0, 1.0]])
    np.testing.assert_allclose(study.retrieval(agreement, np.array(["A", "A", "B", "C"])), [0.75, 0.0, 2.5 / 3, 1.0])


def test_a_genes_own_guides_weigh_nothing_in_its_prediction():
    _, distances = world(5)
    near = from_sets(NAMES, NAMES, SETS)
    own = np.array(NAMES)[:, None] == distances.genes
    for weights in (study.prediction_weights(distances), study.prediction_weights(distances, near)):
        assert not weights[own].any()
        np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert not study.other_guides(distances).diagonal().any()
    # two guides of A count as much as the one of B
    np.testing.assert_allclose(study.prediction_weights(distances)[2], [1 / 8, 1 / 4, 0, 1 / 8, 1 / 4, 1 / 4, 0])


def test_overwriting_a_gene_changes_no_score_that_does_not_use_it():
    means, distances = world(6)
    near = {"sets": from_sets(NAMES, NAMES, SETS)}
    changed = means.copy()
    changed[[2, 6]] = 50.0 * np.random.default_rng(7).normal(size=(2, 8))  # both guides of C
    before, after = (study.evaluate(d, near, "a") for d in (distances, distances_of(changed)))
    # B is predicted from A alone, and D, without neighbours, from all others, C among them
    for name, same in (("B", True), ("D", False)):
        rows = (before["predictor"] == "sets") & (before["perturbation"] == name)
        assert np.allclose(before.loc[rows, "cosine"], after.loc[rows, "cosine"]) is same
    # C's own prediction is as before: its cosine with the unchanged deltas of the others
    weights = study.prediction_weights(distances, near["sets"])[[2]]
    kept = [k for k, gene in enumerate(GENES) if gene != "C"]
    agreement = [cosines(weights, d.gram("a"))[0, kept] for d in (distances, distances_of(changed))]
    np.testing.assert_allclose(*agreement, atol=1e-9)


@pytest.fixture(scope="module")
def tables():
    return study.screens()


@pytest.fixture(scope="module")
def scores(tables):
    return study.evaluate_screens(tables)


def test_every_screen_is_scored_under_each_control_and_each_pair_of_them(tables, scores):
    sizes = study.without_other_guide(scores).groupby(["atlas", "control", "predictor"], sort=False).size()
    controls = list(dict.fromkeys(control for atlas, control, _ in sizes.index if atlas == "Adamson 2016"))
    assert controls == ["Gal4-4", "63", "Gal4-4, measured against 63", "63, measured against Gal4-4"]
    for distances in tables:
        assert set(sizes[distances.name]) == {len(distances.perturbations)}
    assert set(study.with_one_control(scores)["control"]) == {"Gal4-4", "63", "control"}
    assert scores["cosine"].between(-1, 1).all()
    assert scores["retrieval"].between(0, 1).all()


def test_coverage_counts_what_the_scores_use(tables, scores):
    coverage = study.coverage(tables).set_index("atlas")
    near = study.with_neighbours(scores)
    for atlas, control in (("Adamson 2016", "63"), ("Norman 2019", "control")):
        part = near[(near["atlas"] == atlas) & (near["control"] == control)]
        counts = part["predictor"].value_counts()
        assert coverage.loc[atlas, "with string"] == counts["string"]
        assert coverage.loc[atlas, "with string+go"] == counts["string+go"]
        assert coverage.loc[atlas, "genes"] == counts[study.MEAN]
    effect = study.with_effect(study.with_one_control(scores), tables)
    effect = effect[effect["predictor"] == study.MEAN].groupby("atlas").size()
    for atlas in ("Norman 2019", "Tian 2021", "Frangieh 2021"):  # one guide a gene
        assert effect[atlas] == coverage.loc[atlas, "with an effect"]
    assert coverage["negative"].iloc[0] == pytest.approx(0, abs=1e-9)
    assert coverage["negative"].iloc[1:].gt(0.01).all()


def test_a_graph_can_be_named_and_a_neighbourhood_is_cut():
    distances = load("adamson2016")
    sets = study.neighbour_sets(distances, "go", limit=2)
    assert list(sets) == ["go"]
    assert sets["go"].sizes.max() == 2
    with pytest.raises(InputError, match="Unknown graph"):
        study.neighbour_sets(distances, "nothing")


def test_gains_are_differences_on_the_same_genes(scores):
    one = study.with_one_control(scores)
    gains = study.gains(study.without_other_guide(study.with_neighbours(one)))
    row = gains[(gains["atlas"] == "Norman 2019") & (gains["predictor"] == "string") & (gains["score"] == "retrieval")]
    wide = one[one["atlas"] == "Norman 2019"].pivot(index="perturbation", columns="predictor", values="retrieval")
    has = one[(one["atlas"] == "Norman 2019") & (one["predictor"] == "string")].set_index("perturbation")["fallback"]
    difference = (wide["string"] - wide[study.MEAN])[~has]
    assert row["n"].item() == len(difference)
    assert row["gain"].item() == pytest.approx(difference.mean())
    assert row["gain_low"].item() < row["gain"].item() < row["gain_high"].item()
    wide_gains = study.side_by_side(gains)
    assert len(wide_gains) * 2 == len(gains)
    picked = wide_gains[(wide_gains["atlas"] == "Norman 2019") & (wide_gains["predictor"] == "string")]
    assert picked["retrieval gain"].item() == row["gain"].item()


def test_figures_draw_every_screen_control_and_gene(tables, scores):
    with plt.rc_context():
        style()
        effects = figures.effects(tables)
        assert [axis.get_title().splitlines()[0] for axis in effects.axes] == [d.name for d in tables]
        gains = study.gains(study.without_other_guide(scores))
        drawn = figures.gains(gains)
        titles = [axis.get_title(loc="left") for axis in drawn.axes[::2]]
        assert titles[0] == "Adamson 2016, control Gal4-4 (n = 84)"
        assert titles[4:] == ["Norman 2019 (n = 105)", "Tian 2021 (n = 183)", "Frangieh 2021 (n = 239)"]
        guides = figures.two_guides(study.with_two_guides(study.with_one_control(scores)))
        assert all(len(axis.lines) >= 10 for axis in guides.axes)
        assert [axis.get_ylabel() for axis in guides.axes[:2]] == list(study.SCORES)
        for figure in (effects, drawn, guides):
            assert any("(real)" in text.get_text() for text in figure.texts)
    plt.close("all")


def test_cosines_name_what_does_not_fit():
    with pytest.raises(InputError, match="do not fit together"):
        cosines(np.ones((2, 3)), np.eye(4))


def test_a_delta_of_length_zero_scores_zero():
    means, _ = world(8)
    means[1] = means[-2]  # B is the control
    distances = distances_of(means)
    scores = study.evaluate(replace(distances), {}, "a").query(f"predictor == '{study.MEAN}'")
    assert scores["cosine"].iloc[1] == 0
    assert np.isfinite(scores["retrieval"]).all()
