"""Studies on expression atlases: known answers on small worlds, and the whole of them on a tiny simulation."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import ceiling
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.pseudobulk import RANDOM_HALVES
from kgpert_lib.screens.screen import split_half, stored_split
from kgpert_lib.studies import ceilings
from tests import worlds

LINES = ["k562", "rpe1"]


@pytest.fixture(scope="module")
def screens():
    return ceilings.screens("simulated,perturbqa", LINES, seed=5, size="tiny")


@pytest.fixture(scope="module")
def scored(screens):
    return ceilings.scores(screens)


@pytest.fixture(scope="module")
def pairs(screens):
    return ceilings.neighbour_correlations(screens)


def table(gap, line="k562", **columns):
    """A scored table of one predictor with the given gaps."""
    n = len(gap)
    head = {"atlas": "toy", "kind": "simulated", "line": line, "predictor": "union"}
    names = [f"G{i:03d}" for i in range(n)]
    return pd.DataFrame({**head, "perturbation": names, "gap": gap, **columns})


def test_parts_hold_sixty_thirty_and_ten_per_cent_of_each_line_smallest_gap_first():
    rng = np.random.default_rng(0)
    both = pd.concat([table(rng.normal(size=50), "rpe1"), table(rng.normal(size=20), "k562")])
    parts = ceilings.parts(both)
    counts = parts.groupby(["line", "part"], observed=True).size()
    assert counts["rpe1"].tolist() == [30, 15, 5]
    assert counts["k562"].tolist() == [12, 6, 2]
    assert list(dict.fromkeys(parts["line"])) == ["rpe1", "k562"]
    limits = parts.groupby(["line", "part"], observed=True)["gap"].agg(["min", "max"])
    for line in ("rpe1", "k562"):
        assert (limits.loc[line, "max"].to_numpy()[:-1] <= limits.loc[line, "min"].to_numpy()[1:]).all()


def test_shares_of_the_gap_by_hand():
    gap = [-0.2, -0.1, 0.0, 0.0, 0.1, 0.2, 0.3, 0.3, 0.4, 1.0]
    shares = ceilings.gap_shares(table(gap)).set_index("part")
    assert shares["share of shortfall"].to_numpy() == pytest.approx([0.3 / 2.3, 1.0 / 2.3, 1.0 / 2.3])
    assert shares["share of net gap"].to_numpy() == pytest.approx([0, 0.5, 0.5])
    assert shares["gap"].to_numpy() == pytest.approx([0, 1 / 3, 1.0])
    assert shares["n"].tolist() == [6, 3, 1]


def test_traits_of_a_line_by_hand():
    line = worlds.line(seed=1)
    rng = np.random.default_rng(0)
    line = replace(line, half_a=line.delta, half_b=line.delta + rng.normal(0, 1, line.delta.shape).astype(np.float32))
    line = replace(line, n_cells=np.full(len(line.perturbations), 40))
    traits = ceilings.traits(line, ceiling.ceiling(stored_split(line), "spearman-brown")).set_index("perturbation")
    for i, name in enumerate(line.perturbations[:4]):
        others = line.genes != name
        r = pearsonr(line.half_a[i, others], line.half_b[i, others])[0]
        assert traits.loc[name, "ceiling"] == pytest.approx(2 * r / (1 + r), abs=1e-5)
        assert traits.loc[name, "magnitude"] == pytest.approx(np.sqrt((line.delta[i].astype(float) ** 2).mean()))
        expected = pearsonr(line.control[i] + line.delta[i], line.control[i])[0]
        assert traits.loc[name, "control_likeness"] == pytest.approx(expected, abs=1e-5)


def test_errors_that_grow_with_the_effect_reverse_the_preference():
    rng = np.random.default_rng(2)
    magnitude = rng.lognormal(size=200)
    score = np.tanh(magnitude) + rng.normal(0, 0.1, 200)
    error = magnitude**2 + rng.normal(0, 0.1, 200)
    noise = rng.normal(size=200)
    given = table(np.zeros(200), pearson=score, mse=error, mae=noise, magnitude=magnitude, control_likeness=-magnitude)
    result = ceilings.score_correlations(given).set_index(["score", "trait"])
    assert result.loc[("pearson", "magnitude"), "spearman"] == pytest.approx(spearmanr(score, magnitude)[0])
    assert result.loc[("mse", "control_likeness"), "pearson"] == pytest.approx(pearsonr(error, -magnitude)[0])
    assert result["better for"].to_dict() == {
        ("pearson", "magnitude"): "large",
        ("pearson", "control_likeness"): "large",
        ("mse", "magnitude"): "small",
        ("mse", "control_likeness"): "small",
        ("mae", "magnitude"): "neither",
        ("mae", "control_likeness"): "neither",
    }
    assert (result["spearman_low"] <= result["spearman"]).all()
    assert (result["spearman"] <= result["spearman_high"]).all()


def test_pairs_agree_with_scipy_and_with_the_neighbourhoods(screens, pairs):
    (screen,) = screens
    line = screen.atlas["rpe1"]
    own = pairs[pairs["line"] == "rpe1"]
    assert len(own) == len(line.names("test")) * len(line.names("train"))
    for row in own.sample(20, random_state=0).itertuples():
        a, b = line.delta[line.rows([row.perturbation, row.training])][:, line.genes != row.perturbation]
        assert row.pearson == pytest.approx(pearsonr(a, b)[0], abs=1e-5)
    gene = own.loc[own["neighbour"], "perturbation"].iloc[0]
    one = own[own["perturbation"] == gene]
    view = screen.atlas.view("rpe1")
    members = NeighbourPredictor(GraphNeighbourhood(screen.graphs)).neighbourhoods(view, [gene]).of(gene)
    assert set(one.loc[one["neighbour"], "training"]) == {member.gene for member in members}
    assert one.sort_values("place")["pearson"].is_monotonic_decreasing


def test_quality_of_neighbours_by_hand():
    pearson = [0.9, 0.5, 0.1, 0.0, 0.8, 0.2]
    rows = pd.DataFrame(
        {
            "perturbation": ["A"] * 4 + ["B"] * 2,
            "pearson": pearson,
            "neighbour": [False, True, True, False, False, False],
            "place": [0, 1, 2, 3, 0, 1],
        }
    ).assign(atlas="toy", kind="simulated", line="k562")
    table = ceilings.neighbour_quality(rows, top=2)
    assert set(table["n"]) == {1}, "B has no neighbour"
    result = table.set_index("quantity")["mean"]
    assert result["all"] == pytest.approx(0.375)
    assert result["neighbours"] == pytest.approx(0.3)
    assert (result["best of all"], result["best neighbour"]) == (0.9, 0.5)
    assert (result["top missed"], result["poor neighbours"]) == (0.5, 0.5)


def test_one_pass_over_the_cells_gives_the_simulation_s_own_atlas(screens):
    (screen,) = screens
    expected = screen.simulation.atlas
    assert screen.atlas.provenance == expected.provenance
    assert set(screen.atlas.missing) == {"hepg2", "jurkat"}
    for name in LINES:
        for part in ("delta", "control", "half_a", "half_b"):
            np.testing.assert_array_equal(getattr(screen.atlas[name], part), getattr(expected[name], part))
    assert screen.halves.groupby(["line", "perturbation"])["split"].nunique().eq(RANDOM_HALVES).all()


def test_what_was_measured_is_what_the_simulation_measures(screens):
    result = ceiling.measure_simulated(screens)
    simulation = screens[0].simulation
    bulks = {name: simulation.bulk(name, splits=RANDOM_HALVES) for name in LINES}
    parts = []
    for name, bulk in bulks.items():
        halves = split_half(bulk).assign(shared=split_half(bulk, "shared")["r"])
        parts.append(ceiling.measure(simulation, name, halves, bulk.deltas()[0]))
    expected = pd.concat(parts, ignore_index=True)
    pd.testing.assert_frame_equal(result, expected)


def test_a_saved_atlas_gives_a_panel_of_its_own(screens, tmp_path):
    path = screens[0].atlas.save(tmp_path / "mine")
    edges = tmp_path / "edges.csv"
    genes = screens[0].atlas.perturbations()
    edges.write_text("gene1,gene2\n" + "\n".join(f"{a},{b}" for a, b in pairwise(genes)))
    (loaded,) = ceilings.screens(f"perturbqa,{path}", ["k562"], graph=str(edges))
    assert list(loaded.atlas.lines) == ["k562"]
    assert loaded.simulation is None
    scores = ceilings.scores([loaded])
    assert list(dict.fromkeys(scores["predictor"])) == ["training mean", "linear", "shuffled", "edges", "union"]
    assert scores[["ceiling", "magnitude", "control_likeness"]].notna().all(axis=None)
    with pytest.raises(InputError, match="truth is known of a simulation only"):
        ceiling.measure_simulated([loaded])


def test_calls_are_refused_where_expression_is_asked_for(tmp_path):
    path = worlds.atlas(gaps=0.5).save(tmp_path / "calls")
    with pytest.raises(InputError, match="readout genes were measured under every perturbation; this needs expression"):
        ceilings.screens(str(path), ["k562"])


def test_readout_genes_with_a_gap_are_left_out(tmp_path):
    line = worlds.line()
    delta = line.delta.copy()
    delta[3, 4] = np.nan
    path = Atlas("toy", "simulated", {"k562": replace(line, delta=delta)}).save(tmp_path / "one")
    (screen,) = ceilings.screens(str(path), ["k562"])
    assert list(screen["k562"].genes) == [g for g in line.genes if g != line.genes[4]]
    assert screen["k562"].dense


def test_without_replicates_and_controls_there_is_no_ceiling_and_the_other_studies_stand(tmp_path):
    path = Atlas("toy", "simulated", {"k562": replace(worlds.line(), control=None)}).save(tmp_path / "single")
    edges = tmp_path / "edges.csv"
    edges.write_text("gene1,gene2\n" + "\n".join(f"{a},{b}" for a, b in pairwise(worlds.symbols(30))))
    loaded = ceilings.screens(str(path), ["k562"], graph=str(edges))
    scores = ceilings.scores(loaded)
    assert scores[["ceiling", "gap", "control_likeness"]].isna().all(axis=None)
    assert scores["magnitude"].notna().all()
    assert ceilings.ceilings(scores)["n"].tolist() == [0]
    assert ceilings.gap_shares(scores).empty
    assert set(ceilings.score_correlations(scores)["trait"]) == {"magnitude"}
    assert ceilings.part_traits(scores)["control_likeness"].isna().all()


def test_the_gap_goes_with_neighbours_when_neighbours_make_it():
    rng = np.random.default_rng(1)
    neighbours, magnitude = rng.integers(0, 20, 150), rng.lognormal(size=150)
    given = table(1 - neighbours / 20 + rng.normal(0, 0.05, 150), magnitude=magnitude, n_neighbours=neighbours)
    row = ceilings.gap_correlations(given, draws=300).iloc[0]
    assert row["neighbours"] == pytest.approx(spearmanr(given["gap"], neighbours)[0])
    assert row["magnitude"] == pytest.approx(spearmanr(given["gap"], magnitude)[0])
    assert row["neighbours"] < -0.9
    assert row["difference_high"] < 0, "the number of neighbours matters more"
    assert row["magnitude_low"] < row["magnitude"] < row["magnitude_high"]


def test_traits_follow_the_ranking_that_is_named(scored):
    by_gap = ceilings.part_traits(scored, by="gap")
    own = scored[(scored["line"] == "k562") & (scored["predictor"] == "union")].sort_values("gap")
    first = by_gap[(by_gap["line"] == "k562") & (by_gap["part"] == "best 60 %")].iloc[0]
    assert first["magnitude"] == pytest.approx(own["magnitude"].head(9).mean())


def test_a_study_under_each_correction_keeps_the_lines_together(screens, scored):
    tables = {"sqrt": scored, "none": ceilings.with_correction(screens, scored, "none")}
    both = ceilings.under_each(tables, ceilings.ceilings)
    assert both["line"].tolist() == ["k562", "k562", "rpe1", "rpe1"]
    assert both["correction"].tolist() == ["sqrt", "none"] * 2


def test_the_bias_table_holds_the_mean_over_all_cells(screens):
    calibration = ceiling.calibrate(ceiling.measure_simulated(screens), bins=(10, 20, 41), draws=50)
    bias = ceilings.bias_table(calibration).set_index(["line", "target"])
    rows = calibration[calibration["cells"] == "all"].set_index(["line", "target", "correction"])
    assert bias.loc[("rpe1", "truth"), "sqrt"] == rows.loc[("rpe1", "truth", "sqrt"), "bias"]
    assert bias.loc[("k562", "replicate"), "none_low"] == rows.loc[("k562", "replicate", "none"), "low"]


def test_ceilings_under_every_correction(screens, scored):
    choices = ceilings.ceiling_choices(screens, scored).set_index(["line", "correction"])
    own = ceilings.ceilings(scored).set_index("line")
    for line in LINES:
        assert choices.loc[(line, "sqrt"), "ceiling"] == pytest.approx(own.loc[line, "ceiling"])
        assert choices.loc[(line, "sqrt"), "above"] == pytest.approx(own.loc[line, "above"])
        assert choices.loc[(line, "none"), "ceiling"] < choices.loc[(line, "noise-free"), "ceiling"]


def test_corrupted_test_deltas_move_no_prediction(screens):
    (screen,) = screens
    spoilt = {
        name: replace(line, delta=np.where((line.split == "test")[:, None], np.float32(7), line.delta))
        for name, line in screen.atlas.lines.items()
    }
    other = replace(screen, atlas=replace(screen.atlas, lines=spoilt))
    a, b = (ceilings.neighbour_correlations([s]) for s in (screen, other))
    assert a["neighbour"].equals(b["neighbour"])
    assert (b["pearson"] == 0).all(), "a constant delta correlates with nothing"
