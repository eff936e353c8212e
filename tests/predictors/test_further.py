"""Further training genes: what may be among them, and what they change."""

from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.explain import explain
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.further import extended
from kgpert_lib.predictors.named import build
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen
from tests import worlds


@pytest.fixture
def screen():
    """One line, and a second experiment with the same perturbations under other deltas, NEW and two readouts less."""
    first = worlds.line(n=70, m=25, tests=10)
    rng = np.random.default_rng(4)
    names = np.append(first.perturbations, "NEW")
    delta = rng.normal(size=(71, 23)).astype(np.float32)
    split = np.full(71, "train")  # even a test gene's own row, so that nothing but its name keeps it out
    second = replace(first, perturbations=names, genes=first.genes[2:], delta=delta, split=split, control=None)
    test = first.names("test")[0]
    train = first.names("train")[0]
    edges = KnowledgeGraph.from_edges("toy", [test, test, train], ["NEW", train, first.names("test")[1]])
    return Screen(Atlas("toy", "simulated", {"k562": first}), (edges,), _second=lambda line: second)


def test_a_further_gene_is_averaged_where_both_measured_a_readout(screen):
    line, second = screen["k562"], screen.second("k562")
    gene, neighbour = line.names("test")[0], line.names("train")[0]
    predictions = build("union-further", screen).predict(screen.view("k562"), [gene])
    own = line.delta[line.index[neighbour]]
    expected = np.concatenate([own[:2], (own[2:] + second.delta[second.index["NEW"]]) / 2])
    np.testing.assert_allclose(predictions.delta[0], expected, atol=1e-6)
    assert predictions.n_neighbours.tolist() == [2]


def test_no_row_of_the_second_experiment_stands_for_a_gene_of_the_first(screen):
    gene = screen["k562"].names("train")[0]  # its other neighbour is a test gene
    predictions = build("union-further", screen).predict(screen.view("k562").without([gene]), [gene])
    assert predictions.n_neighbours.tolist() == [0]
    assert predictions.neighbourhoods.training.tolist()[-1] == "NEW"
    assert set(predictions.neighbourhoods.training) & set(screen["k562"].names("test")) == set()


def test_a_gene_without_neighbours_gets_the_mean_of_the_line_s_own_rows(screen):
    view = screen.view("k562")
    np.testing.assert_array_equal(build("union-further", screen).predict(view, ["NOBODY"]).delta[0], view.target.mean)


def test_an_explanation_names_further_neighbours_and_how_far_to_trust(screen):
    gene = screen["k562"].names("test")[0]
    explanation = explain(screen.atlas, "k562", gene, build("union-further", screen))
    assert {n.gene for n in explanation.neighbours} == {"NEW", screen["k562"].names("train")[0]}
    assert explanation.readout["neighbours_measured"].tolist() == [1, 1] + [2] * 23
    assert explanation.expected is not None


def test_without_a_second_experiment_one_sentence_says_what_to_fetch(screen):
    bare = replace(screen, _second=None)
    with pytest.raises(InputError, match=r"k562 has no second experiment.*kgpert fetch replogle-gw"):
        build("union-further", bare).predict(bare.view("k562"), ["NOBODY"])


def test_a_gene_that_both_hold_is_refused(screen):
    line = screen["k562"].training()
    with pytest.raises(InputError, match="is a training perturbation of k562 already"):
        extended(line, screen.second("k562").training())
