import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from kgpert_lib.rl.reward import Weights, format_part, pearson_part, rewards, validity_part

GAPS = st.floats(-2, 2, allow_nan=False)


def test_the_parts_have_their_known_values():
    np.testing.assert_array_equal(format_part([True, False]), [1, 0])
    np.testing.assert_allclose(validity_part([3, 0, 0], [4, 2, 0]), [0.75, 0, 0])
    np.testing.assert_allclose(pearson_part([0.1, -0.1, 0.0, 3.0], alpha=5, beta=0.2), [0.6, -0.6, 0.0, 1.0])


def test_equal_weights_are_the_mean_of_the_parts():
    parts, total = rewards([True], [2], [4], [0.05], Weights(format=1, validity=1, pearson=1), alpha=4, beta=0.5)
    np.testing.assert_allclose(parts, [[1, 0.5, 0.6]])
    np.testing.assert_allclose(total, [0.7])
    _, heavy = rewards([True], [2], [4], [0.05], Weights(format=0, validity=0, pearson=3), alpha=4, beta=0.5)
    np.testing.assert_allclose(heavy, [0.6])


@given(GAPS, st.floats(0.01, 100), st.floats(0, 1), st.integers(0, 5), st.integers(0, 5))
def test_rewards_are_bounded_and_an_unreadable_answer_earns_exactly_nothing(gap, alpha, beta, valid, further):
    parts, total = rewards([True, False], [valid] * 2, [valid + further] * 2, [gap] * 2, None, alpha, beta)
    assert (np.abs(parts) <= 1).all()
    assert -1 <= total[0] <= 1
    assert total[1] == 0.0
    assert (parts[1] == 0.0).all()


@given(GAPS, st.integers(1, 5))
def test_a_valid_answer_never_earns_less_than_an_unreadable_one(gap, count):
    assert rewards([True], [count], [count], [gap])[1][0] >= 0


@given(GAPS, GAPS, st.floats(0.01, 100), st.floats(0, 1))
def test_the_pearson_part_never_falls_where_the_gap_rises_and_is_odd(first, second, alpha, beta):
    low, high = pearson_part(sorted([first, second]), alpha, beta)
    assert low <= high + 1e-12
    np.testing.assert_allclose(pearson_part(-np.array([first]), alpha, beta), -pearson_part([first], alpha, beta))


def test_rounding_of_a_gap_has_no_sign():
    np.testing.assert_array_equal(pearson_part([1e-15, -1e-12], beta=1.0), [0, 0])


@pytest.mark.parametrize("bad", [{"format": -1}, {"format": 0, "validity": 0, "pearson": 0}, {"gap": 1}])
def test_weights_that_mean_nothing_are_refused(bad):
    with pytest.raises(ValidationError):
        Weights(**bad)
