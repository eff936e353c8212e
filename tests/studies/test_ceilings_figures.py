"""Figures against the ceiling say what their tables say, for every line of every atlas."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from kgpert_lib.evaluation import ceiling
from kgpert_lib.studies import ceilings, graph_neighbours
from kgpert_lib.studies import ceilings_figures as figures
from kgpert_lib.studies.numbers import numbers
from kgpert_lib.studies.style import percent


@pytest.fixture(scope="module")
def screens():
    return ceilings.screens("simulated", ["k562", "rpe1", "hepg2"], seed=5, size="tiny")


@pytest.fixture(scope="module")
def scored(screens):
    return ceilings.scores(screens)


def titles(figure: Figure) -> list[str]:
    return [axis.get_title() or axis.get_title("left") for axis in figure.axes]


def words(figure: Figure) -> str:
    texts = [text.get_text() for axis in figure.axes for text in axis.texts]
    return " ".join([*texts, *(text.get_text() for text in figure.texts)])


def test_gains_stand_in_a_panel_a_line_under_the_ceiling_on_one_range(scored):
    gains, room = graph_neighbours.gains(scored), ceilings.ceilings(scored, "training mean")
    figure = figures.gains_under_ceiling(gains, room)
    assert titles(figure)[:3] == [
        f"{name} (n = 15), ceiling {top:+.3f}" for name, top in zip(["K562", "RPE1", "HepG2"], room["gap"], strict=True)
    ]
    vertical = [line.get_xdata()[0] for line in figure.axes[0].lines if len(set(line.get_xdata())) == 1]
    assert room["gap"].iloc[0] in vertical
    assert "atlas: simulated" in words(figure)
    assert "simulated (simulated)" not in words(figure)
    gain = gains[(gains["line"] == "rpe1") & (gains["predictor"] == "union")]["gain"].item()
    assert f"{gain:+.3f}".replace("-", "−") in [text.get_text() for text in figure.axes[1].texts]
    assert len({axis.get_xlim() for axis in figure.axes[:3]}) == 1


def test_every_test_gene_has_its_bar_and_every_part_its_share(scored):
    parts, shares = ceilings.parts(scored), ceilings.gap_shares(scored)
    figure = figures.gap_by_quantile(parts, shares)
    heights = sorted(bar.get_height() for bar in figure.axes[0].patches)
    np.testing.assert_allclose(heights, np.sort(parts.loc[parts["line"] == "k562", "gap"]))
    for share in shares["share of shortfall"]:
        assert f"{percent(share)} of shortfall" in words(figure)


def test_traits_have_a_row_a_line_and_a_box_a_part_with_the_best_on_top(scored):
    parts = ceilings.parts(scored)
    figure = figures.part_traits(parts)
    own = parts[parts["line"] == "k562"]
    magnitude, _, neighbours = figure.axes[:3]
    for axis, values in ((magnitude, np.log10(own["magnitude"])), (neighbours, own["n_neighbours"])):
        medians = [
            line.get_xdata()[0] for line in axis.lines if len(set(line.get_xdata())) == 1 and len(line.get_xdata()) == 2
        ]
        assert set(values.groupby(own["part"], observed=True).median()) <= {float(x) for x in medians}
    assert magnitude.yaxis_inverted()
    assert [title for title in titles(figure) if title] == ["K562 (n = 15)", "RPE1 (n = 15)", "HepG2 (n = 15)"]
    assert [axis.get_xlabel() for axis in figure.axes[-3:]] == [
        "delta magnitude (rms)",
        "1 − control-likeness",
        "neighbours",
    ]


def test_pairs_and_neighbours_are_counted_in_the_title(screens):
    pairs = ceilings.neighbour_correlations(screens)
    figure = figures.neighbour_correlations(pairs)
    count = pairs.loc[pairs["line"] == "k562", "neighbour"].sum()
    assert titles(figure)[0] == f"K562 (15 genes, {count} neighbours)"


def test_correlations_of_scores_are_drawn_where_the_table_puts_them(scored):
    table = ceilings.score_correlations(scored, draws=200)
    figure = figures.score_correlations(table)
    drawn = {round(float(x), 6) for line in figure.axes[0].lines for x in np.atleast_1d(line.get_xdata())}
    assert {round(x, 6) for x in table.loc[table["line"] == "k562", "spearman"]} <= drawn


def test_scores_against_a_trait_show_every_gene(scored):
    figure = figures.scores_against_trait(scored, "magnitude", "union", ["pearson", "mse"])
    assert len(figure.axes) == 6
    own = scored[(scored["line"] == "rpe1") & (scored["predictor"] == "union")]
    (points,) = figure.axes[1].lines
    np.testing.assert_allclose(points.get_xydata(), own[["magnitude", "pearson"]])
    for row in (figure.axes[:3], figure.axes[3:]):  # one range per score, so that equal errors look equal
        assert len({axis.get_ylim() for axis in row}) == 1
    assert len({axis.get_xlim() for axis in figure.axes}) == 1


def test_bias_has_a_row_of_panels_a_line_and_a_curve_a_correction(screens):
    measured = ceiling.measure_simulated(screens)
    figure = figures.correction_bias(ceiling.calibrate(measured, bins=(10, 20, 30, 41), draws=50))
    assert len(figure.axes) == 6
    assert titles(figure)[:2] == ["K562, against noise-free truth", "K562, against a second experiment"]
    labels = {line.get_label() for line in figure.axes[0].lines}
    assert set(ceiling.CORRECTIONS) <= labels


def test_a_second_atlas_has_panels_of_its_own_that_name_it(scored):
    both = pd.concat([scored, scored.assign(atlas="mine")])
    figure = figures.gap_by_quantile(ceilings.parts(both), ceilings.gap_shares(both))
    assert titles(figure)[0] == "K562, simulated (n = 15)"
    assert titles(figure)[3] == "K562, mine (n = 15)"
    assert "atlas: simulated, mine" in words(figure)


def test_the_numbers_of_the_pairs_are_the_bars_that_are_drawn(screens):
    figure = figures.neighbour_correlations(ceilings.neighbour_correlations(screens))
    table = numbers(figure)
    own = table[(table["line"] == "k562") & (table["drawn"] == "density")]
    for patch, (_, bars) in zip(figure.axes[0].patches, own.groupby("training", sort=False), strict=True):
        outline = {(round(x, 9), round(y, 9)) for x, y in patch.get_xy()}
        assert {(round(x, 9), round(y, 9)) for x, y in bars[["from", "density"]].to_numpy()} <= outline
    means = table[(table["line"] == "k562") & (table["drawn"] == "mean of the best")]
    assert means["mean"].tolist() == [line.get_xdata()[0] for line in figure.axes[0].lines]
