import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from kgpert_lib.errors import InputError
from kgpert_lib.screens.simulated.causal import HierarchicalSCM

worlds = st.builds(
    HierarchicalSCM.sample,
    seed=st.integers(0, 10**6),
    sizes=st.tuples(st.integers(2, 25), st.integers(1, 8), st.integers(1, 4), st.integers(1, 3)),
    readout=st.integers(1, 30),
    sensitivity=st.tuples(*[st.sampled_from([0.0, 0.3, 1.0, 5.0])] * 4),
    extra=st.sampled_from([0.0, 0.4, 1.5]),
)


@pytest.fixture
def car():
    """Four genes: A and B make C1, C makes C2, both make P1, and D reaches the organelle by itself."""
    tables = [{"C1": ["A", "B"], "C2": ["C"]}, {"P1": ["C1", "C2"]}, {"O1": ["P1", "D"]}]
    return HierarchicalSCM.from_memberships(["A", "B", "C", "D"], tables, ["x", "y", "z"], (0, 1, 0.5, 0.25))


def test_failure_climbs_the_levels(car):
    state = car.do("A")
    assert [state.names(level) for level in car.levels] == [["A"], ["C1"], ["P1"], ["O1"]]
    assert state.functional("gene").tolist() == [[False, True, True, True]]
    assert state.functional("complex").tolist() == [[False, True, True]]


def test_a_part_from_further_below_gets_relays(car):
    assert car.names[1].tolist() == ["C1", "C2", "D (direct)"]
    assert car.do("D").names("pathway") == ["D (direct)"]
    assert not car.loadings[1][2].any()
    assert not car.loadings[2][1].any()


def test_bound_and_meeting_level_by_hand(car):
    # A and B share all; A and C differ in two complexes; A and D in two complexes and two pathways
    np.testing.assert_allclose(car.bound(), [[0, 0, 2, 3], [0, 0, 2, 3], [2, 2, 0, 3], [3, 3, 3, 0]])
    assert car.meeting_level().tolist() == [[0, 1, 2, 3], [1, 0, 2, 3], [2, 2, 0, 3], [3, 3, 3, 0]]


def test_genes_that_never_meet():
    apart = HierarchicalSCM.from_memberships(
        ["A", "B"], [{"C1": ["A"], "C2": ["B"]}], ["x"], (0, 1), levels=("gene", "complex")
    )
    assert apart.meeting_level()[0, 1] == 2


def test_response_adds_the_loadings_of_what_failed(car):
    expected = car.loadings[0][0] + car.loadings[1][0] + car.loadings[2][0] + car.loadings[3][0]
    np.testing.assert_allclose(car.response("A"), [expected])
    np.testing.assert_allclose(car.response(["B", "A"])[1], expected)


def test_two_knock_downs_fail_the_union(car):
    both = car.do("A").do("C")
    assert both.names("gene") == ["A", "C"]
    assert both.names("complex") == ["C1", "C2"]
    assert both.names("pathway") == ["P1"]


@given(worlds)
@settings(max_examples=60, deadline=None)
def test_distance_never_exceeds_the_bound(scm):
    actual = cdist(scm.response(), scm.response())
    assert (actual <= scm.bound() * (1 + 1e-9) + 1e-9).all()
    np.testing.assert_allclose(scm.distance(), actual, atol=1e-5 * max(1.0, actual.max()))


@given(worlds)
@settings(max_examples=40, deadline=None)
def test_bound_counts_the_symmetric_difference(scm):
    constants = scm.sensitivity
    failed = [scm.descendants(level).toarray() for level in range(4)]
    expected = sum(k * (f[:, None, :] ^ f[None, :, :]).sum(axis=2) for k, f in zip(constants, failed, strict=True))
    np.testing.assert_allclose(scm.bound(), expected, atol=1e-9)


@given(worlds)
@settings(max_examples=40, deadline=None)
def test_genes_with_equal_descendants_respond_alike_without_a_response_of_their_own(scm):
    silent = scm.silenced("gene")
    key = np.hstack([silent.descendants(level).toarray() for level in (1, 2, 3)])
    response = silent.response()
    for row in np.unique(key, axis=0):
        same = response[(key == row).all(axis=1)]
        np.testing.assert_array_equal(same, np.broadcast_to(same[0], same.shape))


@given(worlds, st.data())
@settings(max_examples=40, deadline=None)
def test_do_is_idempotent_and_order_free(scm, data):
    genes = st.sampled_from(scm.names[0].tolist())
    p, q = data.draw(genes), data.draw(genes)
    once = scm.do(p)
    for again, state in ((once.do(p), once), (scm.do(p).do(q), scm.do(q).do(p))):
        for a, b in zip(again.failed, state.failed, strict=True):
            np.testing.assert_array_equal(a.toarray(), b.toarray())


@given(worlds)
@settings(max_examples=40, deadline=None)
def test_a_component_works_only_if_all_its_parents_do(scm):
    state = scm.do()
    for level, edge in enumerate(scm.edges):
        below, above = state.functional(level), state.functional(level + 1)
        parents = edge.toarray()
        for j in range(above.shape[1]):
            np.testing.assert_array_equal(above[:, j], below[:, parents[:, j]].all(axis=1))


def test_similarity_is_pearson_and_falls_with_the_level_where_two_meet():
    scm = HierarchicalSCM.sample(seed=3, sizes=(150, 40, 15, 5), extra=0.0)
    similarity, level = scm.similarity(), scm.meeting_level()
    np.testing.assert_allclose(similarity, np.corrcoef(scm.response()), atol=1e-6)
    pairs = np.triu_indices(150, 1)
    means = [similarity[pairs][level[pairs] == k].mean() for k in (1, 2, 3, 4)]
    assert means == sorted(means, reverse=True)
    assert means[0] == pytest.approx(1.0)


def test_sampling_is_reproducible_and_keeps_the_constants():
    a, b = (HierarchicalSCM.sample(seed=5, sensitivity=(0.5, 1, 0.6, 0.4)) for _ in range(2))
    np.testing.assert_array_equal(a.response(), b.response())
    np.testing.assert_allclose(a.sensitivity, [0.5, 1, 0.6, 0.4])


def test_mistakes_are_named(car):
    with pytest.raises(InputError, match="'Q' is not a gene"):
        car.do("Q")
    with pytest.raises(InputError, match="No level 'cell'"):
        car.descendants("cell")
    with pytest.raises(InputError, match="'Z', named as a part of 'C1'"):
        HierarchicalSCM.from_memberships(["A"], [{"C1": ["Z"]}], ["x"], (0, 1), levels=("gene", "complex"))
    with pytest.raises(InputError, match="2 perturbations for 4 experiments"):
        car.do().do(["A", "B"])
