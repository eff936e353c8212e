"""A record says what `kgpert predict` says of the same gene, whatever its part in the screen."""

import json

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.explain import explain, explain_each
from kgpert_lib.explorer.records import DRAWN, READOUTS, Links, plain
from kgpert_lib.explorer.write import Settings, write
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors import named
from kgpert_lib.screens.load import load_screen
from tests.explorer.conftest import Files

PREDICTORS = ("union", "one", "weighted")
COLUMNS = ("gene", "predicted", "specific", "neighbours_measured", "measured")


def told(answer):
    """What a record holds, from the JSON of `kgpert predict`, its numbers as they are."""
    return {
        "status": {"not screened": "none"}.get(answer["status"], answer["status"]),
        "neighbours": [(n["gene"], n["share"], n["graphs"]) for n in answer["neighbours"] if n["share"] >= 0.02][:40],
        "count": len(answer["neighbours"]),
        **{way: [tuple(row[k] for k in COLUMNS) for row in answer[way]] for way in ("up", "down")},
        "expected": answer["expected"] and list(answer["expected"].values()),
        "score": answer["measured"] and [answer["measured"][k] for k in ("pearson", "centred_pearson", "n_genes")],
    }


def shown(record, readouts, graphs):
    """The same of a record, numbers of graphs and readout genes replaced by their names."""
    return {
        "status": record["status"],
        "neighbours": [
            (gene, share, {graphs[int(k)]: weight for k, weight in weights.items()})
            for gene, share, weights in record["neighbours"]
        ],
        "count": record["count"],
        **{way: [(readouts[row[0]], *row[1:]) for row in record[way]] for way in ("up", "down")},
        "expected": record["expected"],
        "score": record["score"],
    }


def same(value, other):
    if isinstance(value, dict):
        assert value.keys() == other.keys()
        return all(same(value[key], other[key]) for key in value)
    if isinstance(value, (list, tuple)):
        return len(value) == len(other) and all(map(same, value, other))
    if isinstance(value, float):
        return other == pytest.approx(value, abs=6e-4)
    return value == other


@pytest.mark.parametrize("predictor", PREDICTORS)
@pytest.mark.parametrize("part", ["test", "train", "none"])
def test_a_record_equals_kgpert_predict(files, toy, predictor, part):
    gene = "INTS9" if part == "none" else toy["rpe1"].names(part)[2]
    explanation = explain(toy.atlas, "rpe1", gene, named.build(predictor, toy))
    assert explanation.status == {"none": "not screened"}.get(part, part)
    assert explanation.expected is not None
    graphs = [graph["name"] for graph in files["meta"]["graphs"]]
    record = files.of(f"rpe1/{predictor}")[gene]
    assert same(told(explanation.to_dict(READOUTS)), shown(record, files["readouts/rpe1"]["genes"], graphs))


@pytest.mark.parametrize("predictor", PREDICTORS)
def test_many_genes_at_once_are_predicted_as_if_their_own_rows_were_not_there(toy, predictor):
    view = toy.view("k562")
    model = named.build(predictor, toy)
    genes = [*toy["k562"].names("train")[:8], *toy["k562"].names("test")[:2], "G0075"]
    [batch] = explain_each(toy.atlas, "k562", genes, model)
    fixed = getattr(model, "fitted", lambda view: model)(view)
    for i, gene in enumerate(genes):
        rest = view.without([gene])
        alone = fixed.predict(rest, [gene])
        np.testing.assert_allclose(batch.predictions.delta[i], alone.delta[0], atol=1e-5)
        np.testing.assert_allclose(batch.mean[i], rest.target.mean, atol=1e-6)
        np.testing.assert_array_equal(batch.counts[i], alone.neighbours_measured(rest)[0])


@pytest.mark.needs_mirror
def test_a_record_on_the_calls_equals_kgpert_predict(mirror, kgpert, tmp_path):
    graph = tmp_path / "mine.csv"
    graph.write_text("gene1,gene2,weight\nINTS9,INTS8,0.9\nINTS8,INTS10,0.5\nRPL3,RPL5,0.7\nTP53,INTS8,0.4\n")
    screen = load_screen("perturbqa", ["k562"], str(graph))
    write(tmp_path / "out", screen, Settings(("union",), every=True), lambda step: None)
    files = Files(tmp_path / "out")
    genes = ("INTS9", "INTS8", "TP53")
    _, out, _ = kgpert("predict", *genes, "--graph", graph, "--atlas", "perturbqa", "--json", "--top", READOUTS)
    answers = json.loads(out)
    assert [answer["status"] for answer in answers] == ["test", "train", "not screened"]
    for gene, answer in zip(genes, answers, strict=True):
        record = files.of("k562/union")[gene]
        assert same(told(answer), shown(record, files["readouts/k562"]["genes"], ["mine"]))


def test_a_gene_without_a_neighbour_has_a_record_only_where_it_was_screened(files, toy):
    for line, cells in toy.lines.items():
        for predictor in PREDICTORS:
            for gene, record in files.of(f"{line}/{predictor}").items():
                assert record["count"] or gene in cells.index
            assert set(cells.index) <= set(files.of(f"{line}/{predictor}"))


def test_the_neighbours_that_are_drawn_together_are_linked_in_a_graph(files, toy):
    for record in files.of("k562/union").values():
        genes = [row[0] for row in record["neighbours"]]
        for i, j in record["edges"]:
            assert i < j
            assert any(genes[j] in graph.neighbours(genes[i]) for graph in toy.graphs)


def test_each_neighbour_keeps_its_strongest_links():
    star = [("A", "B", 0.9), ("A", "C", 0.8), ("A", "D", 0.7), ("A", "E", 0.1), ("B", "C", 0.2)]
    links = Links([KnowledgeGraph.from_edges("star", *zip(*star, strict=True))], np.array(list("ABCDEF")))
    assert links.among(["F"]) == []
    assert links.among(["A", "B", "F"]) == [[0, 1]]
    drawn = links.among(list("ABCDE"))
    assert [0, 4] in drawn  # E has no other link
    assert len(drawn) <= DRAWN * 5


def test_measured_deltas_are_those_of_the_screen(toy, files):
    cells = toy["k562"]
    measured = 0
    for gene, record in files.of("k562/union").items():
        for column, *_, value in record["up"] + record["down"]:
            truth = cells.delta[cells.index[gene], column] if gene in cells.index else np.nan
            assert value == plain(float(truth))
            measured += value is not None
    assert measured > 100


def test_a_predictor_that_is_fitted_for_each_gene_is_refused(toy, tmp_path):
    with pytest.raises(InputError, match="cannot explain many genes at once"):
        write(tmp_path / "out", toy, Settings(("filled",)), lambda step: None)
    with pytest.raises(InputError, match="has no neighbours to show"):
        write(tmp_path / "out", toy, Settings(("mean",)), lambda step: None)
    assert not (tmp_path / "out").exists()
