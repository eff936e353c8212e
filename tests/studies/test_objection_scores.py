"""What gaps tell, genes that go together, and signs: known answers and reference implementations."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics.auroc import mean_auroc
from kgpert_lib.perturbqa.evaluate import evaluate_rules
from kgpert_lib.perturbqa.voting import Choices
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.studies import objection_scores, objections_figures
from tests import worlds
from tests.perturbqa import world


@pytest.fixture(scope="module")
def rules():
    screen = world.screen(lines=("k562",))
    return evaluate_rules(screen, "k562", "per-line", world.affinity(), ["union"], ["de"], {"de": Choices()}, draws=50)


def test_asked_only_counts_neighbours_that_were_asked_and_reads_no_call(rules):
    item = rules[0]
    asked = objection_scores.asked_only(item)
    questions, view = item.questions, item.voter.data.view
    edges = item.voter.union_edges(questions.perturbations).toarray().astype(bool)
    for q in range(0, len(questions), 97):
        near = view.target.perturbations[edges[questions.row[q]]]
        rows = [view.target.index[str(p)] for p in near]
        own = view.target.perturbations[rows] == questions.readout[q]
        expected = (~np.isnan(view.target.delta[rows, questions.column[q]]) & ~own).sum()
        assert asked[q] == expected


def test_every_rule_is_scored_on_all_questions_and_in_the_middle_of_base_rates(rules):
    item = rules[0]
    table = objection_scores.beside_asked(rules, 0.3, 0.7).set_index(["readout genes", "rule"])
    assert table.index.tolist() == [
        (stratum, rule) for stratum in ("all", "base rate 0.3 to 0.7") for rule in ("union", "asked only")
    ]
    questions, base = item.questions, item.voter.base[item.questions.column]
    here = (base >= 0.3) & (base <= 0.7)
    scores = {"union": item.probability["union"], "asked only": objection_scores.asked_only(item)}
    for rule, score in scores.items():
        row = table.loc[("base rate 0.3 to 0.7", rule)]
        assert row["auroc"] == pytest.approx(mean_auroc(score[here], questions.label[here], questions.column[here]))
        assert row["questions"] == here.sum()
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]
    assert 0 < here.sum() < len(questions)
    assert table.loc[("all", "union"), "auroc"] > table.loc[("all", "asked only"), "auroc"], "calls were drawn apart"
    assert table["gain"].isna().tolist() == [True, False, True, False]
    figure = objections_figures.beside_asked(table.reset_index(), "toy (simulated)")
    assert [axis.get_title()[:4] for axis in figure.axes] == ["K562"]
    assert any(text.get_text() == "atlas: toy (simulated)" for text in figure.texts)
    assert not plt.get_fignums()


def scores_of(gain):
    """Scores of a predictor that gains this much over a mean of 0."""
    parts = [
        pd.DataFrame({"predictor": name, "perturbation": list(gain), "pearson": values})
        for name, values in (("union", list(gain.values())), ("training mean", 0.0))
    ]
    return pd.concat(parts).assign(atlas="toy", kind="simulated", line="k562")


def test_copies_of_one_gene_count_as_one_where_parts_are_drawn():
    rng = np.random.default_rng(0)
    values = rng.normal(size=30)
    gain = {f"G{k:02d}-{copy}": values[k] for k in range(30) for copy in range(4)}
    star = [(f"G{k:02d}-0", f"G{k:02d}-{copy}") for k in range(30) for copy in range(1, 4)]
    graph = KnowledgeGraph.from_edges("copies", *zip(*star, strict=True))
    row = objection_scores.dependent_genes(scores_of(gain), "union", graph).iloc[0]
    assert (row["n"], row["parts"], row["largest"]) == (120, 30, 4)
    assert row["ratio"] == pytest.approx(2.0)
    assert row["gain"] == row["by parts"] == pytest.approx(values.mean())
    widths = [row[f"{name}_high"] - row[f"{name}_low"] for name in ("by parts", "gain")]
    assert widths[0] / widths[1] == pytest.approx(2.0, rel=0.1)


def test_without_an_edge_every_gene_is_a_part_and_the_intervals_are_equal():
    gain = dict(zip(worlds.symbols(20), np.random.default_rng(1).normal(size=20), strict=True))
    far = KnowledgeGraph.from_edges("far", ["X"], ["Y"])
    row = objection_scores.dependent_genes(scores_of(gain), "union", far).iloc[0]
    assert row["ratio"] == pytest.approx(1)
    assert row["by parts_low"] == pytest.approx(row["gain_low"])
    assert row["parts"] == 20


def test_components_join_test_genes_along_edges_between_them_only():
    chain = KnowledgeGraph.from_edges("chain", ["A", "B", "C", "D"], ["B", "C", "D", "E"])
    parts = objection_scores.components(chain, ["A", "B", "D", "E", "Z"])
    assert parts[0] == parts[1]
    assert parts[2] == parts[3]
    assert len(set(parts)) == 3, "C is no test gene, so that A-B and D-E are apart"


def test_change_auroc_is_that_of_scikit_learn():
    rng = np.random.default_rng(2)
    truth = rng.choice([-1.0, 0.0, 1.0, np.nan], size=(40, 30))
    truth[0] = 0
    truth[1] = 1
    delta = rng.normal(size=truth.shape).round(1)
    areas = objection_scores.change_auroc(delta, truth, 0.5)
    assert np.isnan(areas[:2]).all()
    for row in range(2, 40):
        known = ~np.isnan(truth[row])
        expected = roc_auc_score(np.abs(truth[row][known]) > 0, np.abs(delta[row][known]))
        assert areas[row] == pytest.approx(expected)


def test_sign_accuracy_counts_changed_readouts_and_zeros_as_half():
    truth = np.array([[1.0, -1.0, 0.0, np.nan], [0.0, 0.0, np.nan, 0.0]])
    delta = np.array([[0.2, 0.0, -5.0, 3.0], [1.0, 1.0, 1.0, 1.0]])
    accuracy = objection_scores.sign_accuracy(delta, truth, 0.5)
    assert accuracy[0] == 0.75
    assert np.isnan(accuracy[1])


def test_signs_and_changes_of_a_screen_are_paired_with_the_training_mean():
    screen = world.screen()
    graph = world.affinity().graphs[1]
    predictors = [TrainingMean(), NeighbourPredictor(GraphNeighbourhood([graph], 20), 1.0, label="union")]
    table = objection_scores.signs_and_changes(screen, predictors)
    assert len(table) == 2 * 2 * 40
    means = objection_scores.paired(table).set_index(["line", "score", "predictor"])
    for line in ("k562", "rpe1"):
        for value in objection_scores.VALUES:
            own, mean = (means.loc[(line, value, name)] for name in ("union", "training mean"))
            assert own["gain"] == pytest.approx(own["mean"] - mean["mean"])
            assert np.isnan(mean["gain"])
            assert own["gain_low"] <= own["gain"] <= own["gain_high"]
            part = table[table["line"] == line].pivot(index="perturbation", columns="predictor", values=value)
            assert own["n"] == part.notna().all(axis=1).sum()
        assert means.loc[(line, "sign_accuracy", "union"), "gain"] > 0, "modules of the world decide the sign"
