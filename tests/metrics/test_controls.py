import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.controls import dynamic_range_fraction, interpolated_duplicate, positive_wins, scaled_score


def test_the_duplicate_lies_between_the_replicate_and_the_mean_of_the_others():
    replicate = np.array([[1.0, 2.0, np.nan], [3.0, np.nan, 0.0], [5.0, 4.0, 6.0]])
    expected = [
        [0.25 * 1 + 0.75 * 4, 0.25 * 2 + 0.75 * 4, np.nan],
        [0.25 * 3 + 0.75 * 3, np.nan, 0.25 * 0 + 0.75 * 6],
        [0.25 * 5 + 0.75 * 2, 0.25 * 4 + 0.75 * 2, 0.25 * 6 + 0.75 * 0],
    ]
    np.testing.assert_allclose(interpolated_duplicate(replicate, 0.25), expected)
    np.testing.assert_allclose(interpolated_duplicate(replicate, 1), replicate)
    each = np.where(np.arange(3) == 0, 1.0, 0.25)
    np.testing.assert_allclose(interpolated_duplicate(replicate, each)[:, 0], replicate[:, 0])
    with pytest.raises(InputError, match="between 0 and 1"):
        interpolated_duplicate(replicate, 1.5)


def test_the_range_fraction_is_that_of_scores_and_of_errors():
    np.testing.assert_allclose(dynamic_range_fraction([0.75, 0.2, 1.0], [0.5, 0.5, 1.0], 1.0), [0.5, -0.6, np.nan])
    np.testing.assert_allclose(dynamic_range_fraction([1.0, 9.0, np.nan], [4.0, 4.0, 1.0], 0.0), [0.75, -1.0, np.nan])


def test_the_positive_control_wins_where_it_is_nearer_to_perfect():
    np.testing.assert_array_equal(positive_wins([0.9, 0.5, 0.1, np.nan], [0.5] * 4, 1.0), [1, 0, 0, np.nan])
    np.testing.assert_array_equal(positive_wins([0.1, 0.9], [0.5] * 2, 0.0), [1, 0])


def test_scaled_scores_are_ratios_of_means():
    u, b, r = np.array([0.4, 0.8]), np.array([0.2, 0.2]), np.array([0.2, 1.0])
    assert scaled_score(u, b, r) == pytest.approx(1.0)
    assert scaled_score(b, b, r) == 0
    assert scaled_score(r, b, r) == 1
    assert scaled_score(-u, -b, -r) == pytest.approx(1.0), "errors, where lower is better"
    assert np.isnan(scaled_score(u, b, b))
    np.testing.assert_allclose(scaled_score(np.stack([u, b]), np.stack([b, b]), np.stack([r, r])), [1, 0])
