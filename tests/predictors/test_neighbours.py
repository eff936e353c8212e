"""Neighbourhoods: what may be in them, how they are cut, and the mean over them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse as sp

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.affinity import Feature
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.average import average
from kgpert_lib.predictors.learning import learn
from kgpert_lib.predictors.neighbourhoods import measured_neighbours, neighbourhoods
from kgpert_lib.predictors.neighbours import (
    AffinityNeighbourhood,
    GraphNeighbourhood,
    LearntNeighbourhood,
    NeighbourPredictor,
    SimilarNeighbourhood,
    leave_one_out,
)
from tests import worlds

seeds = st.integers(0, 2**32 - 1)
cuts = st.sampled_from(["before", "after"])


def star(weights: dict[str, float] | list[str], name: str = "star") -> KnowledgeGraph:
    """HUB joined to every key."""
    values = list(weights.values()) if isinstance(weights, dict) else None
    return KnowledgeGraph.from_edges(name, ["HUB"] * len(weights), list(weights), values)


def members(graphs, perturbation, training, **options) -> set[str]:
    near = neighbourhoods(graphs, [perturbation], training, **options)
    return {n.gene for n in near.of(perturbation)}


@given(seeds, cuts, st.booleans(), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_a_neighbourhood_holds_training_genes_joined_by_an_edge_and_never_the_gene_itself(seed, cut, weighted, limit):
    graph = worlds.graph(seed, weighted=weighted)
    cells = worlds.line(seed)
    near = neighbourhoods([graph], cells.perturbations, cells.names("train"), limit, cut, seed)
    test = set(cells.names("test"))
    for p in map(str, cells.perturbations):
        genes = {n.gene for n in near.of(p)}
        assert p not in genes
        assert not genes & test
        assert genes <= set(graph.neighbours(p))
        assert len(genes) <= limit


@given(seeds, cuts, st.integers(1, 8))
@settings(max_examples=40, deadline=None)
def test_no_gene_that_was_cut_off_has_a_stronger_edge_than_one_that_was_kept(seed, cut, limit):
    graph = worlds.graph(seed)
    everyone = worlds.symbols(40)
    pool = everyone if cut == "before" else everyone[::2]
    near = neighbourhoods([graph], everyone, everyone[::2], limit, cut)
    for p in map(str, everyone):
        around = {g: w for g, w in graph.neighbours(p).items() if g in set(pool)}
        expected = sorted(around, key=lambda g: (-round(around[g], 6), g))[:limit]
        assert {n.gene for n in near.of(p)} == set(expected) & set(everyone[::2])


@given(seeds, cuts, st.booleans())
@settings(max_examples=30, deadline=None)
def test_the_order_of_genes_and_edges_changes_nothing(seed, cut, weighted):
    rng = np.random.default_rng(seed)
    graph = worlds.graph(seed, weighted=weighted)
    names = worlds.symbols(40)
    shuffled_queries, shuffled_training = rng.permutation(names), rng.permutation(names[::2])
    one = neighbourhoods([graph], names, names[::2], 3, cut, seed=5)
    two = neighbourhoods([graph], shuffled_queries, shuffled_training, 3, cut, seed=5)
    for p in map(str, names):
        assert one.of(p) == two.of(p)


def test_both_cuts_on_a_hand_made_star():
    graph = star({"A": 0.9, "B": 0.8, "C": 0.7, "D": 0.6})
    training = ["C", "D"]
    assert members([graph], "HUB", training, limit=3, cut="before") == {"C"}
    assert members([graph], "HUB", training, limit=3, cut="after") == {"C", "D"}
    assert members([graph], "HUB", training, limit=None) == {"C", "D"}


def test_weights_equal_to_six_digits_are_ordered_by_symbol():
    graph = star({"B": 0.5, "A": 0.5 - 2e-8, "C": 0.5 + 2e-8})
    assert members([graph], "HUB", ["A", "B", "C"], limit=2) == {"A", "B"}


def test_an_unweighted_graph_is_cut_by_a_seeded_draw():
    names = [f"N{i:02d}" for i in range(60)]
    graph = star(names)
    draws = [frozenset(members([graph], "HUB", names, limit=20, seed=seed)) for seed in range(8)]
    assert {len(d) for d in draws} == {20}
    assert len(set(draws)) == 8
    assert draws[3] == members([graph], "HUB", names[::-1], limit=20, seed=3)
    drawn = np.zeros(60)
    for seed in range(300):
        drawn += np.isin(names, list(members([graph], "HUB", names, limit=20, seed=seed)))
    assert abs(drawn / 300 - 1 / 3).max() < 0.13  # 4.8 standard errors of a fair draw


def test_the_union_names_every_graph_that_gave_a_neighbour():
    one, two = star({"A": 0.9, "B": 0.2}, "one"), star({"B": 0.4, "C": 0.3}, "two")
    near = neighbourhoods([one, two], ["HUB"], ["A", "B", "C"]).of("HUB")
    assert [n.gene for n in near] == ["B", "A", "C"]
    assert set(near[0].graphs) == {"one", "two"}
    assert near[0].share == pytest.approx(1 / 3)


def test_the_prediction_is_the_mean_of_the_neighbours_deltas():
    view = worlds.atlas().view("k562")
    line = view.target
    a, b = map(str, line.perturbations[:2])
    predictions = NeighbourPredictor(GraphNeighbourhood([star({a: 1.0, b: 0.5})])).predict(view, ["HUB", "NOWHERE"])
    np.testing.assert_allclose(predictions.delta[0], line.delta[:2].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(predictions.delta[1], line.delta.mean(axis=0), atol=1e-6)
    assert predictions.n_neighbours.tolist() == [2, 0]
    assert predictions.fallback.tolist() == [False, True]


@given(seeds, st.sampled_from([0.0, 0.5, 1.0, 5.0]), st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=40, deadline=None)
def test_average_follows_its_formula_gene_by_gene(seed, prior, gaps):
    rng = np.random.default_rng(seed)
    line = worlds.line(seed, gaps=gaps).training()
    weights = sp.random_array((5, len(line.perturbations)), density=0.3, rng=rng, format="csr")
    delta, empty = average(weights, line, prior)
    dense = weights.toarray()
    for i in range(5):
        assert empty[i] == (dense[i].sum() == 0)
        for j in range(len(line.genes)):
            seen = ~np.isnan(line.delta[:, j])
            total = dense[i][seen].sum() + prior
            expected = line.mean[j]
            if not empty[i] and total > 0:
                expected = (dense[i][seen] @ line.delta[seen, j] + prior * line.mean[j]) / total
            assert delta[i, j] == pytest.approx(expected, abs=2e-5)


def test_the_default_prior_is_zero_without_gaps_and_one_with_them():
    for gaps, strength in ((0.0, 0.0), (0.5, 1.0)):
        line = worlds.line(3, gaps=gaps).training()
        weights = sp.csr_matrix(np.eye(1, len(line.perturbations), dtype=np.float32))
        np.testing.assert_array_equal(average(weights, line)[0], average(weights, line, strength)[0])


def test_measured_neighbours_counts_those_that_measured_a_gene():
    line = worlds.line(1, gaps=0.6).training()
    names = [str(p) for p in line.perturbations[:5]]
    near = neighbourhoods([star(names)], ["HUB"], line.perturbations)
    np.testing.assert_array_equal(measured_neighbours(near, line)[0], (~np.isnan(line.delta[:5])).sum(axis=0))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"cut": "middle"}, "Unknown cut 'middle'"),
        ({"limit": 0}, "keeps at least one gene"),
        ({"graphs": []}, "No graph given"),
        ({"graphs": [worlds.graph(), worlds.graph(1)]}, "share a name"),
    ],
)
def test_unusable_options_are_named(options, sentence):
    asked = {"graphs": [worlds.graph()], "perturbations": ["G0001"], "training": ["G0002"]} | options
    with pytest.raises(InputError, match=sentence):
        neighbourhoods(**asked)


def test_neighbourhoods_of_other_training_rows_are_refused():
    view = worlds.atlas().view("k562")

    class Elsewhere:
        name = "elsewhere"

        def neighbourhoods(self, view, perturbations):
            return neighbourhoods([worlds.graph()], perturbations, view.target.perturbations[1:])

    with pytest.raises(InputError, match="other training perturbations"):
        NeighbourPredictor(Elsewhere()).predict(view, ["G0001"])


@pytest.mark.parametrize("prior", [-1.0, float("nan"), float("inf")])
def test_a_prior_strength_is_a_number_from_zero_up(prior):
    line = worlds.line().training()
    with pytest.raises(InputError, match="prior strength"):
        average(sp.csr_matrix((1, len(line.perturbations)), dtype=np.float32), line, prior)


@pytest.mark.parametrize("gaps", [0.0, 0.6])
@pytest.mark.parametrize("prior", [None, 2.0])
@pytest.mark.parametrize("cut", ["before", "after"])
def test_leave_one_out_is_predicting_each_training_gene_without_its_row(gaps, prior, cut):
    view = worlds.atlas(3, gaps).view("k562")
    predictor = NeighbourPredictor(GraphNeighbourhood([worlds.graph(3, edges=60)], 3, cut), prior)
    names = [str(p) for p in view.target.perturbations]
    predictions = leave_one_out(predictor.neighbourhoods(view, names), view.target, prior)
    for i, name in enumerate(names):
        alone = predictor.predict(view.without([name]), [name])
        np.testing.assert_allclose(predictions.delta[i], alone.delta[0], atol=1e-5)
        assert predictions.n_neighbours[i] == alone.n_neighbours[0]
    assert predictions.fallback.any(), "a gene without neighbours gets the mean of the others"


def test_leave_one_out_refuses_the_neighbourhoods_of_other_genes():
    view = worlds.atlas().view("k562")
    near = GraphNeighbourhood([worlds.graph()]).neighbourhoods(view, list(view.target.perturbations[::-1]))
    with pytest.raises(InputError, match="own training perturbations"):
        leave_one_out(near, view.target)


def test_features_add_up_the_limit_cuts_similarity_only_and_faint_affinities_count_as_none():
    view = worlds.atlas().view("k562")
    line = view.target
    a, b, c, d = map(str, line.perturbations[:4])
    terms = {"HUB": [1.0, 0.0], a: [0.8, 0.6], b: [0.5, 0.75**0.5], c: [0.4, 0.84**0.5]}
    affinity = worlds.affinity(terms, star({b: 1.0, d: 0.015}, "near"))
    weights = {Feature("go", 2.0): 1.0, Feature("near", 1): 0.5, Feature("near-two-step", 1): 0.0}
    predictor = NeighbourPredictor(AffinityNeighbourhood(affinity, weights, 2))
    near = predictor.neighbourhoods(view, ["HUB"]).of("HUB")
    assert [n.gene for n in near] == [b, a], "c is not among the two most similar, d has an affinity of .0075"
    assert [n.share for n in near] == pytest.approx([0.75 / 1.39, 0.64 / 1.39])
    assert near[0].graphs == pytest.approx({"go": 0.25, "near": 0.5}), "what each table adds to the weight"
    predictions = predictor.predict(view, ["HUB", "NOWHERE"])
    np.testing.assert_allclose(predictions.delta[0], (0.64 * line.delta[0] + 0.75 * line.delta[1]) / 1.39, atol=1e-6)
    np.testing.assert_allclose(predictions.delta[1], line.mean, atol=1e-6)
    assert predictions.fallback.tolist() == [False, True]


def test_a_learnt_neighbourhood_is_that_of_the_weights_of_its_line_or_of_all_lines():
    view = worlds.atlas(2, 0.4).view("rpe1")
    affinity = worlds.affinity(worlds.annotations(), worlds.graph())
    for shared, lines in ((False, [view.target]), (True, list(view.lines.values()))):
        source = LearntNeighbourhood(affinity, shared)
        weights = learn(affinity, lines)
        assert source.fitted(view).weights == weights
        near = source.neighbourhoods(view, ["G0033"])
        expected = affinity.weight(np.array(["G0033"]), view.target.perturbations, weights)
        np.testing.assert_allclose(near.weights.toarray(), np.where(expected < 0.01, 0, expected), atol=1e-5)
        np.testing.assert_allclose(sum(near.by_graph.values()).toarray(), near.weights.toarray(), atol=1e-5)
        predictor = NeighbourPredictor(source, 1.0)
        np.testing.assert_array_equal(
            predictor.fitted(view).predict(view, ["G0033"]).delta, predictor.predict(view, ["G0033"]).delta
        )


def test_the_most_similar_genes_count_alike_also_for_a_gene_that_was_never_screened():
    view = worlds.atlas().view("k562")
    a, b, c = map(str, view.target.perturbations[:3])
    terms = {"HUB": [1.0, 0.0], a: [0.8, 0.6], b: [0.5, 0.75**0.5], c: [0.4, 0.84**0.5]}
    predictor = NeighbourPredictor(SimilarNeighbourhood(worlds.affinity(terms), 2))
    near = predictor.neighbourhoods(view, ["HUB", a, "NOWHERE"])
    assert [(n.gene, n.share) for n in near.of("HUB")] == [(a, 0.5), (b, 0.5)]
    assert near.of("HUB")[0].graphs == pytest.approx({"go": 0.8})
    assert [n.gene for n in near.of(a)] == [b, c], "never the gene itself"
    assert near.of("NOWHERE") == []
    assert predictor.name == "2 most similar"


@given(seeds)
@settings(max_examples=15, deadline=None)
def test_equal_weights_are_the_plain_mean(seed):
    view = worlds.atlas(seed, 0.3).view("k562")
    names = list(worlds.symbols(40))
    graph = worlds.graph(seed, weighted=False)
    plain = NeighbourPredictor(GraphNeighbourhood([graph], None)).predict(view, names)
    near = AffinityNeighbourhood(worlds.affinity({}, graph), {Feature("toy", 1): 1.0})
    weighted = NeighbourPredictor(near).predict(view, names)
    np.testing.assert_allclose(weighted.delta, plain.delta, atol=1e-6)


def test_a_prediction_carries_the_neighbourhoods_that_it_averages():
    view = worlds.atlas().view("k562")
    predictor = NeighbourPredictor(GraphNeighbourhood([worlds.graph()], 4))
    predictions = predictor.predict(view, ["G0033", "G0001"])
    near = predictor.neighbourhoods(view, ["G0033", "G0001"])
    assert (predictions.neighbourhoods.weights != near.weights).nnz == 0
    assert [n.gene for n in predictions.neighbourhoods.of("G0033")] == [n.gene for n in near.of("G0033")]


def test_an_unknown_fill_is_named():
    with pytest.raises(InputError, match="Unknown fill 'mean'"):
        NeighbourPredictor(GraphNeighbourhood([worlds.graph()]), fill="mean")
