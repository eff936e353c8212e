"""Why a prediction is what it is: members, measurements, and what a gene's own delta may not do."""

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.explain import Explanation, explain, graph_neighbours, known_gene
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics.deltas import centred_pearson, pearson_delta
from kgpert_lib.predictors.neighbourhoods import Neighbour
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas
from tests import worlds

ATLAS = worlds.atlas(gaps=0.4)
LINE = ATLAS["k562"]
PREDICTOR = NeighbourPredictor(GraphNeighbourhood([worlds.graph(0, name="one"), worlds.graph(1, name="two")], limit=4))


def test_a_held_out_gene_gets_the_prediction_of_its_predictor_and_its_scores():
    gene = LINE.names("test")[0]
    view = ATLAS.view("k562")
    explanation = explain(ATLAS, "k562", gene, PREDICTOR)
    predictions = PREDICTOR.predict(view, [gene])
    np.testing.assert_allclose(explanation.readout["predicted"], predictions.delta[0], atol=1e-6)
    np.testing.assert_array_equal(explanation.readout["measured"], LINE.delta[LINE.index[gene]])
    members = [n.gene for n in explanation.neighbours]
    counts = view.target.measured[[view.target.index[g] for g in members]].sum(axis=0)
    np.testing.assert_array_equal(explanation.readout["neighbours_measured"], counts)
    truth = LINE.delta[[LINE.index[gene]]]
    assert explanation.score["pearson"] == pytest.approx(pearson_delta(predictions.delta, truth)[0])
    assert explanation.score["centred_pearson"] == pytest.approx(
        centred_pearson(predictions.delta, truth, view.target.mean)[0]
    )
    assert explanation.score["n_genes"] == np.isfinite(truth).sum()
    assert (explanation.status, explanation.kind, explanation.fallback) == ("test", "simulated", False)


def test_one_look_at_the_graphs_gives_prediction_explanation_and_trust():
    asked = []

    class Source:
        name = "counted"

        def neighbourhoods(self, view, perturbations):
            asked.append(tuple(perturbations))
            return PREDICTOR.neighbourhood.neighbourhoods(view, perturbations)

    gene = LINE.names("test")[0]
    explanation = explain(ATLAS, "k562", gene, NeighbourPredictor(Source()))
    assert [n.gene for n in explanation.neighbours]
    assert sum(gene in names for names in asked) == 1
    assert len(asked) == len(set(asked))


def test_the_delta_of_a_training_gene_never_speaks_for_itself():
    gene = LINE.names("train")[0]
    delta = LINE.delta.copy()
    delta[LINE.index[gene]] = 50.0
    poisoned = replace(ATLAS, lines={**ATLAS.lines, "k562": replace(LINE, delta=delta)})
    clean, spoilt = (explain(atlas, "k562", gene, PREDICTOR) for atlas in (ATLAS, poisoned))
    np.testing.assert_array_equal(clean.readout["predicted"], spoilt.readout["predicted"])
    assert clean.status == "train"
    assert "left out of this prediction" in clean.described_status


def test_a_gene_that_was_not_screened_has_a_prediction_and_no_score():
    explanation = explain(ATLAS, "k562", "G0035", PREDICTOR)
    assert explanation.status == "not screened"
    assert explanation.score is None
    assert explanation.readout["measured"].isna().all()
    assert len(explanation.neighbours) > 0


def test_a_gene_in_no_graph_falls_back_on_the_training_mean():
    gene = LINE.names("test")[0]
    elsewhere = NeighbourPredictor(GraphNeighbourhood([KnowledgeGraph.from_edges("far", ["X"], ["Y"])]))
    explanation = explain(ATLAS, "k562", gene, elsewhere)
    assert explanation.fallback
    assert explanation.neighbour_table().empty
    np.testing.assert_allclose(explanation.readout["predicted"], ATLAS.view("k562").target.mean, atol=1e-6)


def of_deltas(predicted):
    readout = pd.DataFrame({"gene": list("DCBA"), "predicted": predicted, "neighbours_measured": 1, "measured": np.nan})
    return Explanation("P", "k562", "toy", "simulated", "test", [], readout, False, None)


def test_the_strongest_come_first_ties_by_symbol_and_zero_is_neither():
    result = of_deltas([0.5, 0.5, 0.0, -2.0])
    assert result.strongest(5, 1)["gene"].tolist() == ["C", "D"]
    assert result.strongest(5, -1)["gene"].tolist() == ["A"]
    assert result.strongest(1, 1)["gene"].tolist() == ["C"]


def test_the_dictionary_is_json_with_null_for_gaps():
    text = json.dumps(of_deltas([0.5, 0.25, 0.0, -2.0]).to_dict(1), allow_nan=False)
    back = json.loads(text)
    assert back["up"] == [{"gene": "D", "predicted": 0.5, "neighbours_measured": 1, "measured": None}]
    assert back["down"][0]["gene"] == "A"


def test_a_notebook_shows_the_tables_with_every_name_escaped():
    genes = np.array(["<b>x</b>", "B"])
    readout = pd.DataFrame({"gene": genes, "predicted": [0.5, -0.25], "measured": [np.nan, 1.0]})
    neighbours = [Neighbour("<script>", 1.0, {"a&b": 0.75})]
    readout = readout.assign(specific=readout["predicted"], neighbours_measured=[0, 3])
    score = {"n_genes": 1, "pearson": 0.5, "centred_pearson": 0.25}
    page = Explanation("<i>", "k562", "toy", "real", "test", neighbours, readout, False, score)._repr_html_()
    ET.fromstring(f"<div>{page}</div>")
    text = re.sub(r"<[^>]*>", " ", page)
    for word in (
        "&lt;i&gt; in k562, atlas toy (real)",
        "Held out for test in this line.",
        "&lt;script&gt;",
        "a&amp;b",
        "0.750",
        "&lt;b&gt;x&lt;/b&gt;",
        "0*",
        "-0.250",
        "Pearson delta is 0.500",
    ):
        assert word in text
    assert "nan" not in text.lower()


def test_the_neighbours_of_a_gene_come_from_every_graph_with_full_names():
    one = KnowledgeGraph.from_edges("one", ["INTS9", "INTS9"], ["INTS4", "RPL3"], [0.9, 0.2])
    two = KnowledgeGraph.from_edges("two", ["INTS9"], ["INTS4"], [0.5])
    table = graph_neighbours([one, two], "INTS9", 5)
    assert list(table.columns) == ["gene", "name", "one", "two"]
    assert table["gene"].tolist() == ["INTS4", "RPL3"]
    assert table["name"].tolist() == ["integrator complex subunit 4", "ribosomal protein L3"]
    assert table["two"].isna().tolist() == [False, True]
    assert graph_neighbours([one, two], "INTS9", 1)["gene"].tolist() == ["INTS4"]


def test_a_gene_is_known_from_the_graphs_or_from_the_screen():
    far = KnowledgeGraph.from_edges("far", ["AARS1"], ["RPL3"])
    assert known_gene("dee29", [far]) == "AARS1"
    assert known_gene("g0000", [far], LINE) == "G0000"
    with pytest.raises(InputError, match="Unknown gene 'g0000'"):
        known_gene("g0000", [far])
    with pytest.raises(
        InputError, match=r"'XIST' .* is not among the 32 genes of the graph far and the screen of k562"
    ):
        known_gene("XIST", [far], LINE)


@pytest.mark.parametrize(("n", "enough"), [(56, True), (54, False)])
def test_an_explanation_holds_trust_unless_a_line_has_too_few_training_perturbations(n, enough):
    screen = Atlas("toy", "simulated", {"k562": worlds.line(n=n, tests=5)})
    gene = screen["k562"].names("test")[0]
    assert (explain(screen, "k562", gene, PREDICTOR).expected is not None) == enough
    assert explain(screen, "k562", gene, PREDICTOR, trust=False).expected is None
