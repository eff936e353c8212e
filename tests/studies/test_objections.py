"""Other neighbourhoods on the same genes: each score is what a direct computation gives."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.neighbourhoods import from_sets
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.load import load_screen
from kgpert_lib.screens.screen import Screen
from kgpert_lib.screens.simulated.causal import RELAY
from kgpert_lib.studies import graph_neighbours, objections
from tests import worlds

ATLAS = worlds.atlas(2, gaps=0.3)
GRAPH = worlds.graph(2, edges=120)
NEAR = GraphNeighbourhood([GRAPH], 5)


def even(gene, training):
    """A made-up family: genes whose number has the same parity of tens."""
    return [other for other in training if other[-2] == gene[-2]]


def test_scores_are_those_of_the_predictor_and_means_over_draws():
    other = worlds.graph(3, edges=120)
    sources = {"one": [NEAR], "two": [NEAR, GraphNeighbourhood([other], 5)]}
    table = objections.scores(ATLAS, sources, prior=1.0)
    assert table["predictor"].unique().tolist() == ["training mean", "one", "two"]
    for line in ATLAS.lines:
        wide = table[table["line"] == line].pivot(index="perturbation", columns="predictor", values="pearson")
        expected = {
            name: evaluate(ATLAS, line, [predictor], "per-line").set_index("perturbation")["pearson"]
            for name, predictor in {
                "training mean": TrainingMean(),
                "one": NeighbourPredictor(NEAR, 1.0),
                "other": NeighbourPredictor(GraphNeighbourhood([other], 5), 1.0),
            }.items()
        }
        np.testing.assert_allclose(wide["training mean"], expected["training mean"][wide.index], atol=1e-6)
        np.testing.assert_allclose(wide["one"], expected["one"][wide.index], atol=1e-6)
        both = (expected["one"] + expected["other"]) / 2
        np.testing.assert_allclose(wide["two"], both[wide.index], atol=1e-6)
    assert len(graph_neighbours.gains(table)) == 2 * 2


def test_related_genes_leave_the_neighbourhood_and_the_mean():
    table = objections.held_out(ATLAS, NEAR, even, "family", prior=1.0, draws=3)
    assert table["predictor"].unique().tolist() == ["all neighbours", "without family", "without as many at random"]
    line = ATLAS["rpe1"]
    view = ATLAS.view("rpe1", "per-line")
    training = [str(p) for p in view.target.perturbations]
    rows = table[(table["line"] == "rpe1") & (table["predictor"] == "without family")].set_index("perturbation")
    for gene in line.names("test"):
        related = even(gene, training)
        # with the related genes out of the training data altogether nothing of them can be read
        seen = view.without(related)
        truth = line.scored[line.rows([gene])]
        weights = NEAR.neighbourhoods(view, [gene]).weights.toarray()[0]
        kept = [g for g, w in zip(training, weights, strict=True) if w and g not in related]
        edited = NeighbourPredictor(_Fixed(kept), 1.0).predict(seen, [gene]).delta
        assert rows.loc[gene, "pearson"] == pytest.approx(pearson_delta(edited, truth)[0], abs=1e-5)
        assert rows.loc[gene, "mean"] == pytest.approx(pearson_delta(seen.target.mean[None], truth)[0], abs=1e-5)
        assert rows.loc[gene, "removed"] == len(related)
        assert rows.loc[gene, "n_neighbours"] == len(kept)


class _Fixed:
    name = "fixed"

    def __init__(self, members):
        self.members = members

    def neighbourhoods(self, view, perturbations):
        return from_sets(perturbations, view.target.perturbations, [self.members] * len(perturbations))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 100), tens=st.integers(1, 3))
def test_as_many_genes_are_taken_out_at_random(seed, tens):
    def relatives(gene, training):
        return [other for other in training if int(other[-1]) < 2 * tens]

    table = objections.held_out(ATLAS, NEAR, relatives, "family", prior=1.0, draws=1, seed=seed)
    wide = table.pivot(index=["line", "perturbation"], columns="predictor", values=["removed", "near", "n_neighbours"])
    for value in ("removed", "near", "n_neighbours"):
        pd.testing.assert_series_equal(wide[value, "without family"], wide[value, objections.RANDOM], check_names=False)
    again = objections.held_out(ATLAS, NEAR, relatives, "family", prior=1.0, draws=1, seed=seed)
    pd.testing.assert_frame_equal(table, again)


def test_nothing_related_changes_nothing():
    table = objections.held_out(ATLAS, NEAR, lambda gene, training: [], "family", prior=1.0)
    wide = table.pivot(index=["line", "perturbation"], columns="predictor", values="pearson")
    assert np.ptp(wide.to_numpy(), axis=1).max() == pytest.approx(0, abs=1e-12)
    gains = objections.held_out_gains(table)
    assert gains["against random"].dropna().abs().max() == pytest.approx(0, abs=1e-12)
    expected = graph_neighbours.gains(objections.scores(ATLAS, {"toy": [NEAR]}, 1.0)).set_index("line")["gain"]
    own = gains[gains["predictor"] == objections.ALL].set_index("line")["gain"]
    assert own.to_dict() == pytest.approx(expected.to_dict(), abs=1e-6)


def test_the_null_models_keep_what_they_say():
    screen = Screen(ATLAS, (GRAPH,))
    sources = objections.nulls(screen, draws=2)
    assert {name: len(draws) for name, draws in sources.items()} == {
        "union": 1,
        "shuffled names": 2,
        "rewired edges": 2,
    }
    degree = np.diff(GRAPH.adjacency.indptr)
    for source in sources["rewired edges"]:
        assert np.array_equal(np.diff(source.graphs[0].adjacency.indptr), degree)
        assert (source.graphs[0].adjacency != GRAPH.adjacency).nnz > 0
    shuffled = np.diff(sources["shuffled names"][0].graphs[0].adjacency.indptr)
    assert sorted(shuffled) == sorted(degree)
    assert not np.array_equal(shuffled, degree)


def test_partners_are_joined_by_an_edge_that_weighs_enough():
    gene = str(GRAPH.symbols[0])
    weights = GRAPH.neighbours(gene)
    training = list(worlds.symbols(40))
    assert set(objections.partners(GRAPH)(gene, training)) == set(weights)
    assert set(objections.partners(GRAPH, 0.75)(gene, training)) == {g for g, w in weights.items() if w >= 0.75}
    assert objections.partners(GRAPH)("unknown", training) == []


@pytest.fixture(scope="module")
def integrator():
    """A screen of a few real genes, in the spelling of the screens."""
    line = worlds.line(0, n=6, tests=1)
    names = np.array(["C7orf26", "INTS1", "INTS5", "INTS9", "MED1", "RPL3"])
    return Screen(worlds.Atlas("toy", "simulated", {"k562": replace(line, perturbations=names)}), ())


def test_the_edges_of_a_gene_are_named_beside_the_date_of_each_graph(integrator):
    table = objections.edges_of_gene(integrator, ["string", "string-v12"], "C7orf26", "INTS").set_index("graph")
    assert table["date"].to_dict() == {"string": "2019-03", "string-v12": "2023-07"}
    assert table.loc["string-v12", "joined"] == "INTS1, INTS3, INTS5, INTS6, INTS7"
    assert table.loc["string", "joined"].split(", ")[0] == "INTS1"
    assert table["of them"].tolist() == [len(names.split(", ")) for names in table["joined"]]
    assert (table["of them"] <= table["neighbours"]).all()


def test_partners_in_a_complex_come_from_the_confident_sets(integrator):
    loose, strict = (objections.complexes(integrator, worst=worst) for worst in (5, 1))
    assert "INTS1" in loose.neighbours("C7orf26"), "INTS15 under its older name"
    assert set(strict.neighbours("INTS1")) < set(loose.neighbours("INTS1"))
    assert "RPL3" not in loose.neighbours("INTS1")


@pytest.fixture
def small_go(tmp_path, monkeypatch):
    """The committed tables with GO's annotations of a few hundred genes only; the whole graph takes half a minute."""
    for file in (paths.DATA / "knowledge").glob("*.tsv.gz"):
        (tmp_path / "knowledge").mkdir(exist_ok=True)
        (tmp_path / "knowledge" / file.name).symlink_to(file)
    few = tmp_path / "knowledge" / "go_annotations.tsv.gz"
    table = pd.read_csv(few, sep="\t", dtype=str, keep_default_na=False)
    few.unlink()
    table[table["symbol"].str.contains("^(?:INTS|MED|RPL)")].to_csv(few, sep="\t", index=False)
    monkeypatch.setattr(paths, "DATA", tmp_path)


def test_a_graph_without_experiments_lacks_annotations_that_rest_on_one(integrator, small_go):
    whole, none = (
        objections.go_without(integrator, codes, "part")
        for codes in ((), objections.EXPERIMENTS + objections.HIGH_THROUGHPUT)
    )
    assert "INTS10" in whole.neighbours("C7orf26")
    assert "C7orf26" not in none, "its only annotation is IDA"
    assert "INTS5" in none.neighbours("INTS1")


def test_the_true_graph_of_a_simulation_has_every_pair_of_a_complex_and_scores_above_the_noisy_one():
    screen = load_screen("simulated", ["k562"], size="tiny")
    simulation = screen.simulation
    graphs = objections.true_graphs(simulation)
    assert list(graphs) == ["complexes", "pathways", "union", "true complexes", "true pathways", "true union"]
    for level in ("complex", "pathway"):
        scm = simulation.scm
        proper = ~np.char.endswith(scm.names[scm.level(level)], RELAY)
        shared = scm.descendants(level)[:, proper].astype(int)
        shared = (shared @ shared.T).toarray() > 0
        np.fill_diagonal(shared, False)
        graph = graphs["true complexes" if level == "complex" else "true pathways"][0]
        place = np.searchsorted(scm.names[0], graph.symbols)
        np.testing.assert_array_equal(graph.adjacency.toarray() > 0, shared[np.ix_(place, place)])
        assert shared.sum() == graph.adjacency.nnz
    table = objections.scores(screen.atlas, objections.unions(graphs), None)
    means = table.groupby("predictor")["pearson"].mean()
    assert means["true union"] > means["union"]
    gaps = objections.gap_to_ceiling(screen, table).set_index("predictor")
    assert gaps["gap"].to_dict() == pytest.approx((gaps["ceiling"] - gaps["pearson"]).to_dict())
    assert gaps.loc["true union", "gap"] < gaps.loc["training mean", "gap"]


def test_a_specification_names_its_graphs():
    screen = Screen(ATLAS, (GRAPH,))
    assert [g.name for g in objections.graphs_of(screen, {"mine": "toy"})["mine"]] == ["toy"]
    with pytest.raises(InputError, match="Unknown graph 'nothing'"):
        objections.graphs_of(screen, {"mine": "toy+nothing"})
