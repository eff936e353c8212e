"""Studies over test perturbations: each row is what a direct computation gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.evaluate import evaluate, evaluate_lines
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.studies import graph_neighbours
from tests import worlds

ATLAS = worlds.atlas(2, gaps=0.3)
GRAPH = worlds.graph(2, edges=120)
PREDICTOR = NeighbourPredictor(GraphNeighbourhood([GRAPH], 5))


def test_coverage_counts_nodes_and_test_genes_beside_a_training_gene():
    table = graph_neighbours.coverage(ATLAS, [GRAPH, KnowledgeGraph.from_edges("far", ["X"], ["Y"])])
    assert table["graph"].tolist() == ["toy", "far"] * 2
    row = table.iloc[0]
    line = ATLAS["k562"]
    net = worlds.to_networkx(GRAPH)
    joined = [p for p in line.names("test") if p in net and set(net[p]) & set(line.names("train"))]
    assert row["in graph"] == sum(p in net for p in line.perturbations)
    assert (row["edges"], row["perturbations"], row["test"]) == (net.number_of_edges(), 30, 6)
    assert row["test with a neighbour"] == len(joined)
    assert table.iloc[1][["in graph", "test with a neighbour"]].tolist() == [0, 0]


def test_a_sweep_predicts_every_training_gene_without_its_own_row_in_every_setting():
    choice = (2, "before", 3.0)
    table = graph_neighbours.sweep(ATLAS, [GRAPH], [2, None], ["before", "after"], [0.0, 3.0], choice)
    assert len(table) == 2 * 2 * 2 * 2

    def alone(line, limit, cut, prior):
        view = ATLAS.view(line)
        predictor = NeighbourPredictor(GraphNeighbourhood([GRAPH], limit, cut), prior)
        names = [str(p) for p in view.target.perturbations]
        delta = np.stack([predictor.predict(view.without([p]), [p]).delta[0] for p in names])
        return pearson_delta(delta, view.target.scored)

    for row in table[table["line"] == "rpe1"].to_dict("records"):
        limit = None if np.isnan(row["limit"]) else int(row["limit"])
        own = alone("rpe1", limit, row["cut"], row["prior"])
        assert row["pearson"] == pytest.approx(own.mean(), abs=1e-5)
        assert row["difference"] == pytest.approx((own - alone("rpe1", *choice)).mean(), abs=1e-5)
        assert row["difference_low"] <= row["difference"] <= row["difference_high"]
        assert row["n"] == len(own) == 24
    best = graph_neighbours.best_settings(table, top=2)
    assert best["line"].tolist() == ["k562", "k562", "rpe1", "rpe1"]
    assert best.groupby("line")["pearson"].max().to_dict() == table.groupby("line")["pearson"].max().to_dict()


def test_a_sweep_never_looks_at_test_genes_and_refuses_a_choice_outside_it():
    settings = ([GRAPH], [2, 20], ["before"], [1.0])
    pd.testing.assert_frame_equal(
        graph_neighbours.sweep(ATLAS, *settings), graph_neighbours.sweep(worlds.poisoned(ATLAS), *settings)
    )
    with pytest.raises(InputError, match=r"setting \(20, 'before', 1.0\) is not among those of the sweep"):
        graph_neighbours.sweep(ATLAS, [GRAPH], [2], ["before"], [1.0])


def test_gains_pair_the_same_genes_and_count_wins():
    scores = evaluate_lines(ATLAS, list(ATLAS.lines), [TrainingMean(), PREDICTOR])
    table = graph_neighbours.gains(scores)
    assert table["predictor"].tolist() == ["toy", "toy"]
    for row in table.to_dict("records"):
        part = scores[scores["line"] == row["line"]].pivot(index="perturbation", columns="predictor", values="pearson")
        difference = part["toy"] - part["training mean"]
        assert row["gain"] == pytest.approx(difference.mean())
        assert row["gain_low"] <= row["gain"] <= row["gain_high"]
        assert row["better"] == pytest.approx((difference > 1e-5).mean())
        assert row["worse"] == pytest.approx((difference < -1e-5).mean())
        assert row["n"] == len(difference)


def test_the_shares_of_the_gain_add_up_over_the_numbers_of_neighbours():
    scores = evaluate_lines(ATLAS, list(ATLAS.lines), [TrainingMean(), PREDICTOR])
    table = graph_neighbours.gain_by_neighbours(scores, "toy", bins=(0, 1, 3))
    assert set(table["neighbours"]) <= {"0", "1–2", "3+"}
    for line, part in table.groupby("line"):
        assert part["n"].sum() == len(ATLAS[line].names("test"))
        assert part["share of genes"].sum() == pytest.approx(1)
        assert part["share of gain"].sum() == pytest.approx(1)
    total = (table["gain"] * table["n"]).groupby(table["line"]).sum() / table.groupby("line")["n"].sum()
    expected = graph_neighbours.gains(scores).set_index("line")["gain"]
    assert total.to_dict() == pytest.approx(expected.to_dict())


def test_a_search_on_noise_gains_on_what_it_saw_only():
    line = worlds.line(3, n=40, m=400, gaps=0.5)
    atlas = replace(ATLAS, lines={"k562": line})
    table = graph_neighbours.cross_fitted_sets(atlas, PREDICTOR, steps=10, halves=4)
    noise = table[(table["calls"] == "permuted") & (table["moves"] == "add")]
    assert (noise["seen"] > 0.05).all()
    assert noise["seen"].mean() > 4 * abs(noise["unseen"].mean())
    assert (table["seen"] >= -1e-6).all()


def test_cross_fitted_scores_are_those_of_the_sets_that_the_search_found():
    table = graph_neighbours.cross_fitted_sets(ATLAS, PREDICTOR, prior=1.0, steps=0, halves=2)
    assert table[["seen", "unseen"]].abs().max().max() == 0, "no step, no gain"
    again = graph_neighbours.cross_fitted_sets(ATLAS, PREDICTOR, prior=1.0, steps=3, halves=2)
    pd.testing.assert_frame_equal(again, graph_neighbours.cross_fitted_sets(ATLAS, PREDICTOR, 1.0, 3, 2))
    assert len(again) == 2 * 6 * 2 * 2
    assert set(again["moves"]) == set(graph_neighbours.MOVES)


def test_the_sample_of_calls_holds_measured_values_and_gaps_of_both_parts():
    line = ATLAS["k562"]
    sample = graph_neighbours.sample_of_calls(line, train=5, test=3, genes=7)
    assert sample.index.get_level_values("split").tolist() == ["train"] * 5 + ["test"] * 3
    for (split, name), row in sample.iterrows():
        assert name in line.names(split)
        whole = pd.Series(line.delta[line.rows([name])[0]], index=line.genes)
        np.testing.assert_array_equal(row, whole[sample.columns])


def test_one_prediction_shows_the_neighbours_their_mean_and_the_answer():
    scores = evaluate_lines(ATLAS, ["k562"], [TrainingMean(), PREDICTOR])
    gene = graph_neighbours.typical(scores, "toy", "k562", low=1, high=20)
    calls = graph_neighbours.calls_of_neighbours(ATLAS, "k562", gene, PREDICTOR, genes=5)
    view, line = ATLAS.view("k562"), ATLAS["k562"]
    members = {m.gene for m in PREDICTOR.neighbourhoods(view, [gene]).of(gene)}
    assert set(calls.index[:-2]) == members
    prediction = pd.Series(PREDICTOR.predict(view, [gene]).delta[0], index=line.genes)
    np.testing.assert_allclose(calls.loc["prediction"], prediction[calls.columns])
    assert calls.loc["measured"].notna().all()
    assert calls.loc["measured"].is_monotonic_decreasing
    gain = scores.pivot(index="perturbation", columns="predictor", values="pearson")
    gain = gain["toy"] - gain["training mean"]
    sizes = scores[scores["predictor"] == "toy"].set_index("perturbation")["n_neighbours"]
    pool = gain[sizes >= 1].sort_values()
    assert gain[gene] == pool.iloc[len(pool) // 2]


def test_extremes_leave_out_small_neighbourhoods_constant_answers_and_other_lines():
    table = pd.DataFrame(
        {
            "line": ["k562"] * 7 + ["rpe1"],
            "predictor": ["string"] * 6 + ["go", "string"],
            "perturbation": list("ABCDEFGH"),
            "centred_pearson": [0.9, 0.8, 0.5, -0.2, 0.99, -0.9, 1.0, 1.0],
            "pearson": 0.5,
            "n_neighbours": [3, 9, 5, 4, 2, 5, 9, 9],
            "n_genes": 50,
            "constant": [False] * 5 + [True, False, False],
        }
    )
    ends = graph_neighbours.extremes(table, "string", "k562", top=1)
    assert ends[["rank", "perturbation"]].to_numpy().tolist() == [["best", "A"], ["worst", "D"]]
    both = graph_neighbours.extremes(table, "string", "k562", top=2)
    assert both["perturbation"].tolist() == ["A", "B", "C", "D"]


def test_a_panel_names_the_perturbation_its_scores_and_its_genes():
    predictor = NeighbourPredictor(GraphNeighbourhood([GRAPH], 5))
    rows = graph_neighbours.extremes(evaluate(ATLAS, "k562", [predictor]), "toy", "k562", at_least=1, top=1)
    best = next(rows.itertuples())
    gene, members, title = graph_neighbours.panel(ATLAS, "k562", best, predictor)
    assert gene == best.perturbation
    assert len(members) == best.n_neighbours
    assert title.startswith(f"best: {gene}, centred {best.centred_pearson:.2f}, Pearson {best.pearson:.2f} (n = ")
