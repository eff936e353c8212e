import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from kgpert_lib.screens.simulated.causal import HierarchicalSCM
from kgpert_lib.screens.simulated.simulation import simulate
from kgpert_lib.studies import causal_model as cs
from kgpert_lib.studies import causal_model_figures as figures
from kgpert_lib.studies.numbers import numbers
from kgpert_lib.studies.style import ORANGE


@pytest.fixture(scope="module")
def simulation():
    return simulate(seed=0, size="tiny", lines=["k562", "rpe1"], workers=1)


def texts(axis):
    return [text.get_text() for text in axis.texts]


def test_each_panel_marks_exactly_what_its_knock_down_breaks():
    tables = [{"C1": ["A", "B"], "C2": ["C"]}, {"P1": ["C1", "C2"]}, {"O1": ["P1"]}]
    scm = HierarchicalSCM.from_memberships(list("ABC"), tables, ["x", "y"], (0, 1, 1, 1))
    figure = figures.knock_downs(scm, ["A", "C"])
    first, second = figure.axes
    broken = [{t.removeprefix("× ") for t in texts(axis) if t.startswith("×")} for axis in (first, second)]
    assert broken == [{"A", "C1", "P1", "O1"}, {"C", "C2", "P1", "O1"}]
    assert {t.removeprefix("× ") for t in texts(second)} == {"A", "B", "C", "C1", "C2", "P1", "O1"}
    orange = [sum(to_hex(line.get_color()) == ORANGE for line in axis.lines) for axis in (first, second)]
    assert orange == [3, 3]
    assert {"genes", "complexes", "pathways", "organelles"} <= set(texts(first))


def test_the_bound_figure_counts_every_pair_and_those_above(simulation):
    table = cs.bound_of_lines(simulation)
    panels = figures.bound(table).axes[:2]
    assert [axis.get_title() for axis in panels] == [
        "K562: 0 of 1,770 pairs above the line",
        "RPE1: 0 of 1,770 pairs above the line",
    ]
    for axis in panels:
        assert axis.collections[0].get_array().sum() == 1770
    table.loc[0, "over"] = True
    assert figures.bound(table).axes[0].get_title().startswith("K562: 1 of")


def test_similarity_is_drawn_for_three_profiles_with_the_number_of_pairs(simulation):
    table = cs.similarity_of_lines(simulation, draws=20)
    axis = figures.similarity_by_level(table).axes[0]
    assert [label.get_text().split("\n")[0] for label in axis.get_xticklabels()] == list(cs.MEETING)
    counts = table[(table["line"] == "k562") & (table["profile"] == "model")].set_index("level")["n"]
    assert axis.get_xticklabels()[0].get_text().endswith(f"n = {counts['complex']:,}")
    measured = table[(table["line"] == "k562") & (table["profile"] == "measured")]["similarity"]
    drawn = axis.containers[2].lines[0].get_ydata(orig=False)
    np.testing.assert_allclose(drawn, measured)


def test_the_map_shows_the_values_with_a_frame_for_each_submodule(simulation):
    cross = cs.cross_line(simulation.atlas)
    figure = figures.cross_line_map(cross, simulation.atlas)
    axis = figure.axes[0]
    order = [label.get_text() for label in axis.get_xticklabels()]
    assert order == list(cs.integrator(list(cross.index)))
    np.testing.assert_allclose(axis.images[0].get_array(), cross.loc[order, order])
    assert [patch.get_width() for patch in axis.patches] == [3, 3, 3, 4, 1]
    assert "cleavage module" in texts(axis)
    assert "atlas: simulated" in [text.get_text() for text in figure.texts]


def test_assumptions_have_a_column_each_and_pairs_above_the_bound_below():
    rows = [
        ("random", "simulated", name, value, level, 10, 0.9 - value / 4, 0.8 - value / 4, 1 - value / 4, value / 2)
        for name in figures.AXES
        for value in (0.0, 1.0)
        for level in cs.MEETING
    ]
    head = ["atlas", "kind", "assumption", "value", "level", "n", "similarity", "low", "high", "over"]
    figure = figures.assumptions(pd.DataFrame(rows, columns=head))
    assert [axis.get_title() for axis in figure.axes[:4]] == list(figures.AXES)
    below = figure.axes[4]
    assert [line.get_ydata().tolist() for line in below.lines] == [[0.0, 0.5]] * 4


def test_the_numbers_of_the_bound_and_of_the_map_are_those_drawn(simulation):
    figure = figures.bound(cs.bound_of_lines(simulation))
    table = numbers(figure)
    for axis, line in zip(figure.axes, ["k562", "rpe1"], strict=False):
        cells, own = axis.collections[0], table[table["line"] == line]
        np.testing.assert_array_equal(own[["bound", "distance"]], cells.get_offsets())
        np.testing.assert_array_equal(own["pairs"], cells.get_array())
    cross = cs.cross_line(simulation.atlas)
    figure = figures.cross_line_map(cross, simulation.atlas)
    wide = numbers(figure).pivot(index="gene", columns="with", values="correlation")
    order = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    np.testing.assert_array_equal(wide.loc[order, order], figure.axes[0].images[0].get_array())
