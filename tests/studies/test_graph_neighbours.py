"""Studies over test perturbations: each row is what a direct computation gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.graphs import string
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.neighbours import AffinityNeighbourhood, GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.studies import graph_neighbours
from tests import worlds

ATLAS = worlds.atlas(2, gaps=0.3)
GRAPH = worlds.graph(2, edges=120)


def test_coverage_counts_nodes_and_test_genes_beside_a_training_gene():
    table = graph_neighbours.coverage(ATLAS, [GRAPH, KnowledgeGraph.from_edges("far", ["X"], ["Y"])])
    assert table["graph"].tolist() == ["toy", "far"] * 2
    row = table.iloc[0]
    line = ATLAS["k562"]
    net = GRAPH.to_networkx()
    joined = [p for p in line.names("test") if p in net and set(net[p]) & set(line.names("train"))]
    assert row["in graph"] == sum(p in net for p in line.perturbations)
    assert (row["edges"], row["perturbations"], row["test"]) == (net.number_of_edges(), 30, 6)
    assert row["test with a neighbour"] == len(joined)
    assert table.iloc[1][["in graph", "test with a neighbour"]].tolist() == [0, 0]


def test_a_sweep_scores_every_setting_like_its_own_evaluation():
    table = graph_neighbours.sweep(ATLAS, [GRAPH], [2, None], ["before", "after"], [0.0, 3.0])
    assert len(table) == 2 * 2 * 2 * 2
    for row in table.to_dict("records"):
        limit = None if np.isnan(row["limit"]) else int(row["limit"])
        predictor = NeighbourPredictor(GraphNeighbourhood([GRAPH], limit, row["cut"]), row["prior"])
        scores = evaluate(ATLAS, row["line"], [predictor])["pearson"]
        assert row["pearson"] == pytest.approx(scores.mean())
        assert row["low"] <= row["pearson"] <= row["high"]
        assert row["n"] == len(scores)


def test_oracle_sets_start_from_the_graph_and_only_improve():
    predictor = NeighbourPredictor(GraphNeighbourhood([GRAPH], 5))
    table = graph_neighbours.oracle_sets(ATLAS, predictor, prior=1.0, steps=3)
    assert table["moves"].unique().tolist() == ["none", *graph_neighbours.MOVES]
    wide = table.pivot(index=["line", "perturbation"], columns="moves", values="pearson")
    for line in ATLAS.lines:
        scores = evaluate(ATLAS, line, [predictor]).set_index("perturbation")["pearson"]
        assert wide.loc[line, "none"].to_dict() == pytest.approx(scores.to_dict(), abs=1e-5)
    for moves in graph_neighbours.MOVES:
        assert (wide[moves] >= wide["none"] - 1e-9).all()
    assert (wide["both"] > wide["none"]).all()
    by_move = table.set_index("moves")
    assert (by_move.loc["remove", "added"] == 0).all()
    assert (by_move.loc["add", "removed"] == 0).all()
    assert (table["added"] + table["removed"] <= 3).all()


def test_weights_are_chosen_without_a_look_at_the_test():
    terms = np.random.default_rng(2).random((40, 6)) * np.eye(6)[np.arange(40) % 6]
    terms = {gene: list(row / np.linalg.norm(row)) for gene, row in zip(worlds.symbols(40), terms + 0.1, strict=True)}
    affinity = worlds.affinity(terms, string.two_step(worlds.graph(5, weighted=False, name="links")))
    poisoned = {
        name: replace(line, delta=np.where((line.split == "test")[:, None], 1e6, line.delta))
        for name, line in ATLAS.lines.items()
    }
    table, again = (
        graph_neighbours.weight_choices(atlas, affinity, [2, 8], [0.0, 30.0])
        for atlas in (ATLAS, replace(ATLAS, lines=poisoned))
    )
    pd.testing.assert_frame_equal(table, again)
    view = ATLAS.view("rpe1")
    predictor = NeighbourPredictor(AffinityNeighbourhood(affinity, string=30.0, limit=8))
    alone = [predictor.predict(view.without([str(p)]), [str(p)]).delta[0] for p in view.target.perturbations]
    row = table[(table["line"] == "rpe1") & (table["limit"] == 8) & (table["scale"] == 30)].iloc[0]
    assert row["pearson"] == pytest.approx(pearson_delta(np.stack(alone), view.target.delta).mean(), abs=1e-5)
    assert row["n"] == len(view.target.perturbations) == 24


def test_shares_of_the_gap():
    scores = {"none": [0.2, 0.0], "remove": [0.4, 0.0], "add": [0.7, 0.0], "both": [1.0, 0.0]}
    rows = [("k562", p, m, scores[m][i], 2 * (m == "both"), i) for m in scores for i, p in enumerate("AB")]
    table = pd.DataFrame(rows, columns=["line", "perturbation", "moves", "pearson", "added", "removed"])
    got = graph_neighbours.oracle_shares(table).iloc[0].to_dict()
    assert got == {
        "line": "k562",
        "n": 2,
        "no signal": 1,
        "gap": pytest.approx(0.4),
        "additions": pytest.approx(0.5 / 0.8),
        "removals": pytest.approx(0.2 / 0.8),
        "genes added": 2,
        "genes removed": 0.5,
    }


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
    found = graph_neighbours.extremes(table, "string", "k562", top=1)
    assert found[["rank", "perturbation"]].to_numpy().tolist() == [["best", "A"], ["worst", "D"]]
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
