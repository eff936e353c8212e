"""Every figure names its atlas and its n, labels its axes, and draws what it was given."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from kgpert_lib.book.figures import MEASURED
from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.studies import graph_neighbours
from kgpert_lib.studies import graph_neighbours_figures as figures
from kgpert_lib.studies.numbers import numbers
from kgpert_lib.studies.style import panels, style
from tests import worlds

ATLAS = worlds.atlas(4, gaps=0.2)
GRAPH = worlds.graph(4, edges=150)
PREDICTOR = NeighbourPredictor(GraphNeighbourhood([GRAPH], 6))


@pytest.fixture(scope="module", autouse=True)
def _style():
    with plt.rc_context():
        style()
        yield
    plt.close("all")


@pytest.fixture(scope="module")
def evaluated():
    return evaluate_lines(ATLAS, list(ATLAS.lines), [TrainingMean(), PREDICTOR])


@pytest.fixture(scope="module")
def drawn(evaluated):
    """Every figure of the chapter on two lines of a tiny atlas, by name."""
    choice = (2, "before", 1.0)
    swept = graph_neighbours.sweep(ATLAS, [GRAPH], [2, None], ["before", "after"], [0.0, 1.0], choice)
    keys = ["atlas", "kind", "line", "calls", "moves"]
    sets = graph_neighbours.cross_fitted_sets(ATLAS, PREDICTOR, steps=2)
    fitted = summaries.scores(sets, ["seen", "unseen"], keys)
    sample = graph_neighbours.sample_of_calls(ATLAS["k562"], 6, 3, 10)
    calls = graph_neighbours.calls_of_neighbours(ATLAS, "k562", ATLAS["k562"].names("test")[0], PREDICTOR, 8)
    extremes = graph_neighbours.extremes(evaluated, "toy", "k562", at_least=1, top=1)
    drawings = [graph_neighbours.panel(ATLAS, "k562", row, PREDICTOR) for row in extremes.itertuples()]
    return {
        "gains": figures.paired_gains(graph_neighbours.gains(evaluated)),
        "by neighbours": figures.gain_by_neighbours(graph_neighbours.gain_by_neighbours(evaluated, "toy")),
        "sensitivity": figures.sensitivity(swept),
        "cross-fitted": figures.cross_fitted(fitted),
        "matrix": figures.matrix_of_calls(sample, graph_neighbours.coverage(ATLAS, [GRAPH]), "a sample"),
        "one": figures.one_prediction(calls, "G", "k562"),
        "neighbourhoods": figures.neighbourhoods(drawings, GRAPH, "toy (simulated)", "k562"),
    }


def words(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text().strip()]


NAMES = ["gains", "by neighbours", "sensitivity", "cross-fitted", "neighbourhoods"]


@pytest.mark.parametrize("name", NAMES)
def test_a_figure_names_its_atlas_and_its_n_and_is_shown_once(drawn, name):
    figure = drawn[name]
    assert isinstance(figure, Figure)
    assert any(word.startswith("atlas: toy (simulated)") for word in words(figure))
    assert any("n = " in word or "n=" in word for word in words(figure))
    assert not plt.fignum_exists(getattr(figure, "number", -1))


@pytest.mark.parametrize("name", NAMES[:-1])
def test_every_panel_has_a_title_and_every_axis_a_label(drawn, name):
    figure = drawn[name]
    assert all(axis.get_title() for axis in figure.axes)
    bottom = [axis for axis in figure.axes if axis.get_subplotspec().is_last_row()]
    assert all(axis.get_xlabel() for axis in bottom)
    assert {"K562", "RPE1"} <= {title[:4] for title in map(str, (a.get_title() for a in figure.axes))}


def test_gains_are_drawn_where_the_table_says_on_one_range(drawn, evaluated):
    table = graph_neighbours.gains(evaluated)
    for axis, line in zip(drawn["gains"].axes, ATLAS.lines, strict=True):
        points = [float(line.get_xdata()[0]) for line in axis.lines if line.get_marker() == "o"]
        assert points == pytest.approx(table.loc[table["line"] == line, "gain"].tolist())
    assert len({axis.get_xlim() for axis in drawn["gains"].axes}) == 1
    assert len({axis.get_xlim() for axis in drawn["cross-fitted"].axes}) == 1


def test_every_panel_of_the_sensitivity_has_one_range_and_a_curve_for_each_cut(drawn):
    axes = drawn["sensitivity"].axes
    assert len({axis.get_ylim() for axis in axes}) == 1
    labels = [line.get_label() for line in axes[0].lines if not line.get_label().startswith("_")]
    assert labels == ["cut before", "cut after"]


def test_the_bins_of_the_gain_hold_every_test_perturbation(drawn):
    for axis in drawn["by neighbours"].axes:
        counts = [int(label.get_text().split("\n")[1].removeprefix("n = ")) for label in axis.get_xticklabels()]
        assert sum(counts) == 6


def test_the_matrix_shows_its_gaps_and_counts_train_and_test(drawn):
    left, right = drawn["matrix"].axes
    assert np.isnan(np.ma.filled(left.images[0].get_array(), np.nan)).any()
    assert [text.get_text() for text in right.texts][:2] == ["train\n24", "test\n6"]


def test_one_prediction_has_the_neighbours_above_and_mean_and_answer_below(drawn):
    above, below = drawn["one"].axes
    gene = ATLAS["k562"].names("test")[0]
    members = {n.gene for n in PREDICTOR.neighbourhoods(ATLAS.view("k562"), [gene]).of(gene)}
    assert {label.get_text() for label in above.get_yticklabels()} == members
    assert [label.get_text() for label in below.get_yticklabels()] == ["mean with prior: G", "measured: G"]


def test_a_neighbourhood_shows_the_gene_and_each_neighbour(drawn):
    view = ATLAS.view("k562")
    for axis in drawn["neighbourhoods"].axes:
        gene = axis.get_title().split(": ")[1].split(",")[0]
        members = {n.gene for n in PREDICTOR.neighbourhoods(view, [gene]).of(gene)}
        assert {text.get_text().strip() for text in axis.texts} == members | {gene}
    assert "atlas: toy (simulated), K562" in words(drawn["neighbourhoods"])
    assert not any("-0." in word for word in words(drawn["neighbourhoods"]))


def test_one_cell_line_and_three_drawings_leave_no_empty_frame(evaluated):
    one = figures.paired_gains(graph_neighbours.gains(evaluated[evaluated["line"] == "rpe1"]))
    assert [axis.get_title() for axis in one.axes] == ["RPE1 (n = 6)"]
    three = figures.neighbourhoods([("G0001", [], "alone")] * 3, GRAPH, "toy (simulated)", "k562")
    assert [axis.axison for axis in three.axes] == [False] * 4
    assert np.isfinite(three.get_size_inches()).all()


def test_four_cell_lines_stand_two_in_a_row():
    table = pd.DataFrame({"line": ["k562", "rpe1", "hepg2", "jurkat", "k562"]})
    four, axes = panels(table, height=2.0)
    assert [axis.get_subplotspec().get_geometry()[:2] for axis in axes] == [(2, 2)] * 4
    three, axes = panels(table.head(3), height=2.0)
    assert len(axes) == 3
    assert [axis.axison for axis in three.axes] == [True, True, True, False]
    assert tuple(four.get_size_inches()) == tuple(three.get_size_inches()) == (9.2, 4.0)


def test_the_numbers_of_a_figure_are_those_drawn(drawn):
    gains = numbers(drawn["gains"])
    points = [line.get_xdata()[0] for axis in drawn["gains"].axes for line in axis.lines if line.get_marker() == "o"]
    ends = [line.get_xdata() for axis in drawn["gains"].axes for line in axis.lines[1::2]]
    np.testing.assert_array_equal(gains["gain"], points)
    np.testing.assert_array_equal(gains[["gain_low", "gain_high"]], ends)
    above, below = (axis.images[0].get_array().filled(np.nan) for axis in drawn["one"].axes)
    calls = numbers(drawn["one"]).pivot(index="row", columns="readout gene", values=MEASURED)
    rows = [label.get_text() for label in drawn["one"].axes[0].get_yticklabels()]
    genes = [label.get_text() for label in drawn["one"].axes[1].get_xticklabels()]
    np.testing.assert_array_equal(calls.reindex([*rows, "prediction", "measured"])[genes], np.vstack([above, below]))


@pytest.mark.parametrize("name", ["gains", "by neighbours", "sensitivity", "cross-fitted", "matrix", "neighbourhoods"])
def test_every_figure_has_numbers_that_name_the_atlas(drawn, name):
    table = numbers(drawn[name])
    assert len(table)
    assert table["atlas"].str.startswith("toy").all()
    assert (MEASURED in table) is (name == "matrix")  # a book that is passed on leaves these numbers out
