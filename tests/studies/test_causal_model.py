import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist

from kgpert_lib.errors import InputError
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.simulated.causal import HierarchicalSCM
from kgpert_lib.screens.simulated.simulation import simulate
from kgpert_lib.studies import causal_model as cs
from tests import worlds


@pytest.fixture(scope="module")
def simulation():
    return simulate(seed=0, size="tiny", lines=["k562", "rpe1"], workers=1)


@pytest.fixture(scope="module")
def broken():
    return cs.broken_assumptions(draws=50)


def toy(delta_a, delta_b, genes_b=None):
    names = np.array(["INTS1", "INTS2", "OTHER"])
    genes = np.array([f"R{i}" for i in range(delta_a.shape[1])])
    split = np.array(["train"] * 3)
    lines = {
        "a": CellLine("a", names, genes, delta_a.astype(np.float32), split),
        "b": CellLine("b", names, genes if genes_b is None else genes_b, delta_b.astype(np.float32), split),
    }
    return Atlas("toy", "simulated", lines)


def test_pairs_name_meeting_bound_and_distance():
    tables = [{"C1": ["A", "B"], "C2": ["C"]}, {"P1": ["C1", "C2"]}, {"O1": ["P1"], "O2": ["D"]}]
    scm = HierarchicalSCM.from_memberships(list("ABCD"), tables, ["x", "y", "z"], (0, 1, 0.5, 0.25))
    table = cs.pairs(scm)
    assert table["level"].tolist() == ["complex", "pathway", "nowhere", "pathway", "nowhere", "nowhere"]
    np.testing.assert_allclose(table["distance"], pdist(scm.response()), atol=1e-6)
    assert table["bound"].iloc[0] == 0
    assert not table["over"].any()
    far = scm.response() * np.array([[1.0], [1.0], [1.0], [100.0]])
    assert cs.pairs(scm, far)["over"].tolist() == [False, False, True, False, True, True]


@given(st.integers(2, 12), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_the_mean_over_pairs_is_the_plain_mean_and_lies_in_its_interval(n, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(n, n))
    values += values.T
    mask = np.triu(rng.random((n, n)) < 0.6, 1)
    mask[0, 1] = True
    mean, low, high = cs.mean_over_pairs(values, mask, draws=400, seed=seed)
    assert mean == pytest.approx(values[mask].mean())
    assert low - 1e-9 <= high
    constant = cs.mean_over_pairs(np.full((n, n), 0.25), mask | mask.T, draws=50)
    assert constant == pytest.approx((0.25, 0.25, 0.25))


def test_the_interval_knows_that_pairs_share_genes():
    """One gene that agrees with nobody makes 2 of n genes' pairs low: a pair-wise interval would miss how much."""
    n = 20
    values = np.ones((n, n))
    values[0, :] = values[:, 0] = -1.0
    every = ~np.eye(n, dtype=bool)
    mean, low, high = cs.mean_over_pairs(values, every, draws=4_000)
    pairs = values[np.triu_indices(n, 1)]
    independent = 1.96 * pairs.std() / np.sqrt(len(pairs))
    assert high - mean > 1.5 * independent
    assert mean - low > 3 * independent


def test_no_pair_has_no_mean():
    assert np.isnan(cs.mean_over_pairs(np.ones((3, 3)), np.zeros((3, 3), bool))).all()


def test_compare_puts_one_knock_down_beside_others():
    tables = [{"C1": ["A", "B"], "C2": ["C"]}, {"P1": ["C1", "C2"]}, {"O1": ["P1"], "O2": ["D"]}]
    scm = HierarchicalSCM.from_memberships(list("ABCD"), tables, ["x", "y", "z"], (0, 1, 0.5, 0.25))
    table = cs.compare(scm, "A", ["B", "C", "D"])
    assert table["level"].tolist() == ["complex", "pathway", "nowhere"]
    assert table["bound"].tolist() == scm.bound()[0, 1:].tolist()
    assert table["similarity"].iloc[0] == pytest.approx(1)


def test_bound_of_lines_covers_every_pair_and_none_is_over(simulation):
    table = cs.bound_of_lines(simulation)
    assert table.groupby("line").size().to_dict() == {"k562": 1770, "rpe1": 1770}
    assert not table["over"].any()
    tight = cs.tightness(table)
    assert tight.groupby("line")["pairs"].sum().to_dict() == {"k562": 1770, "rpe1": 1770}
    assert tight["level"].tolist() == [level for level in cs.MEETING if level in set(table["level"])] * 2
    assert tight["median share"].between(0, 1).all()


def test_similarity_falls_from_model_to_world_to_measurement_and_with_the_level(simulation):
    table = cs.similarity_of_lines(simulation, draws=50)
    wide = table[table["line"] == "k562"].pivot(index="level", columns="profile", values="similarity")
    close = wide.loc["complex"]
    assert close["model"] > close["noise-free"] > close["measured"] > 0
    assert (wide.loc["complex"] > wide.loc["nowhere"] + 0.05).all()


def test_cross_line_correlates_one_gene_here_with_another_there():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 3, 40))
    table = cs.cross_line(toy(a, b))
    expected = np.corrcoef(a, b)[:3, 3:]
    np.testing.assert_allclose(table, (expected + expected.T) / 2, atol=1e-5)


def test_cross_line_matches_readout_genes_by_name():
    rng = np.random.default_rng(1)
    a = rng.normal(size=(3, 30))
    order = rng.permutation(30)
    renamed = np.array([f"R{i}" for i in order])
    table = cs.cross_line(toy(a, a[:, order], genes_b=renamed))
    np.testing.assert_allclose(np.diag(table), 1, atol=1e-5)


def test_cross_line_needs_two_lines_without_gaps():
    rng = np.random.default_rng(2)
    a, b = rng.normal(size=(2, 3, 8))
    b[0, 0] = np.nan
    with pytest.raises(InputError, match="have gaps"):
        cs.cross_line(toy(a, b))
    with pytest.raises(InputError, match="needs two"):
        cs.cross_line(toy(a, a).select(["a"]))


def test_integrator_subunits_come_submodule_by_submodule(simulation):
    result = cs.integrator(simulation.perturbations.tolist())
    assert list(result) == [
        *("INTS4", "INTS9", "INTS11", "INTS10", "INTS13", "INTS14"),
        *("INTS5", "INTS6", "INTS8", "INTS1", "INTS2", "INTS7", "INTS12", "INTS3"),
    ]
    assert result["INTS9"] == "cleavage module"
    assert result["INTS3"] == cs.ALONE
    assert cs.integrator(["ABC", "INTS9", "INTS4"]) == {"INTS4": "cleavage module", "INTS9": "cleavage module"}
    with pytest.raises(InputError, match="0 Integrator subunits were perturbed"):
        cs.integrator(["ABC"])


def test_the_measured_profile_across_lines_is_that_of_the_atlas(simulation):
    crosses = cs.cross_line_profiles(simulation)
    np.testing.assert_allclose(crosses["measured"], cs.cross_line(simulation.atlas), atol=1e-5)
    diagonal = {name: np.diag(cross).mean() for name, cross in crosses.items()}
    assert diagonal["measured"] < diagonal["noise-free"]
    table = cs.blocks_side_by_side(crosses, draws=20)
    assert table["n"].tolist() == [14, 15, 76, 14 * 46, 46 * 45 // 2]
    assert table["model"].iloc[1] > table["model"].iloc[3]


def blocky(within, between, other=0.0):
    submodule = {"INTS1": "x", "INTS2": "x", "INTS4": "y", "INTS9": "y", "INTS5": "z", "INTS8": "z", "INTS3": cs.ALONE}
    names = [*submodule, "A", "B"]
    label = np.array([*submodule.values(), "", ""])
    inside = label != ""
    values = np.where(inside[:, None] & inside, between, other)
    same = (label[:, None] == label) & inside[:, None] & (label != cs.ALONE)
    values = np.where(same, within, values)
    np.fill_diagonal(values, 1.0)
    return pd.DataFrame(values, names, names), submodule


def test_blocks_average_within_between_and_outside():
    cross, submodule = blocky(0.8, 0.4, 0.1)
    table = cs.blocks(cross, submodule, draws=100).set_index("pairs")
    assert table["similarity"].round(6).tolist() == [1.0, 0.8, 0.4, 0.1, 0.1]
    assert table["n"].tolist() == [7, 3, 18, 14, 1]


def test_the_submodule_test_tells_blocks_from_none():
    assert cs.submodule_test(*blocky(0.8, 0.4), draws=2_000) == pytest.approx(1 / 15, abs=0.03)
    assert cs.submodule_test(*blocky(0.4, 0.4), draws=100) == 1.0


def test_screens_takes_the_simulation_and_saved_atlases_and_leaves_out_calls(simulation, tmp_path):
    simulation.atlas.save(tmp_path / "mine")
    worlds.atlas(gaps=0.5).save(tmp_path / "calls")
    result = cs.screens(f"simulated,{tmp_path / 'mine'}, {tmp_path / 'calls'}", simulation)
    assert [screen.name for screen in result] == ["simulated", "simulated"]
    assert result[0] is simulation.atlas
    np.testing.assert_array_equal(result[1]["rpe1"].delta, simulation.atlas["rpe1"].delta)


def test_partial_response_runs_from_own_response_to_the_model():
    scm = HierarchicalSCM.sample(seed=2, sizes=(8, 4, 2, 1), readout=20, sensitivity=(0.5, 1, 1, 1))
    np.testing.assert_allclose(cs.partial_response(scm, np.ones(8)), scm.response())
    np.testing.assert_allclose(cs.partial_response(scm, np.zeros(8)), scm.loadings[0])


def test_every_assumption_starts_from_a_world_where_all_hold(broken):
    start = broken[(broken["value"] == 0) & (broken["level"] == "complex")]
    assert start["similarity"].tolist() == pytest.approx([1, 1, 1, 1])
    assert (broken[broken["value"] == 0]["over"] == 0).all()


def test_own_responses_and_moonlighting_lower_similarity_but_keep_the_bound(broken):
    for assumption in ("own response", "moonlighting"):
        part = broken[(broken["assumption"] == assumption) & (broken["level"] == "complex")]
        assert part["similarity"].is_monotonic_decreasing
        assert part["similarity"].iloc[-1] < 0.7
        assert (part["over"] == 0).all()


def test_redundancy_breaks_both_and_partial_knock_downs_only_the_bound(broken):
    complexes = broken[broken["level"] == "complex"].set_index("assumption")
    redundant, partial = complexes.loc["redundancy"], complexes.loc["partial knock-down"]
    assert redundant["similarity"].is_monotonic_decreasing
    assert redundant["over"].is_monotonic_increasing
    assert redundant["over"].iloc[-1] > 0.3
    assert partial["similarity"].tolist() == pytest.approx([1] * 5)
    assert (partial["over"].iloc[1:] > 0.99).all()


def test_equal_descendants_are_apart_only_where_assumptions_fail(simulation):
    table = cs.equal_descendants(simulation.scms["k562"], simulation.world.penetrance)
    assert table["pairs"].nunique() == 1
    assert table["pairs"].iloc[0] > 10
    assert table["mean distance"].iloc[0] == pytest.approx(0, abs=1e-6)
    assert table["mean distance"].is_monotonic_increasing
    assert table["mean similarity"].iloc[0] == pytest.approx(1)
    assert table["over"].iloc[:2].tolist() == [0, 0]


def test_the_power_of_the_test_is_that_of_the_whole_simulation():
    power = cs.submodule_power(2, ["k562", "rpe1"], "tiny", draws=200)
    assert power["seed"].tolist() == [0, 1]
    for seed, p in power.itertuples(index=False):
        whole = cs.cross_line(simulate(seed, "tiny", ["k562", "rpe1"], workers=1).atlas)
        assert p == pytest.approx(cs.submodule_test(whole, cs.integrator(list(whole.index)), 200, 0))


def test_profiles_stand_beside_each_other_in_the_order_of_lines_and_levels():
    simulation = simulate(0, "tiny", ["rpe1", "k562"], workers=1)
    similar = cs.similarity_of_lines(simulation, draws=20)
    wide = cs.by_profile(similar)
    assert wide["line"].drop_duplicates().tolist() == ["rpe1", "k562"]
    row = wide[(wide["line"] == "k562") & (wide["level"] == "pathway")].iloc[0]
    own = similar[(similar["line"] == "k562") & (similar["level"] == "pathway")].set_index("profile")
    assert row["measured"] == own.loc["measured", "similarity"]
    assert row["model_high"] == own.loc["model", "high"]
