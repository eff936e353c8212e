"""One order of weights: largest first, what agrees to six digits goes by symbol."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.graphs.ranking import descending, first_of_row, strongest_first

weights = st.lists(st.sampled_from([0.0, 0.25, 0.25 + 1e-8, 0.5, 1.0]), min_size=1, max_size=12)


def test_rounding_does_not_turn_two_equal_weights_around():
    assert strongest_first([0.3, 0.1 + 0.2, 0.7], ["B", "A", "C"]).tolist() == [2, 1, 0]
    assert strongest_first([0.300001, 0.300003], ["A", "B"]).tolist() == [1, 0]


@given(weights, st.randoms(use_true_random=False))
def test_the_order_does_not_depend_on_the_order_of_the_genes(values, random):
    pairs = [(f"G{k:02d}", value) for k, value in enumerate(values)]
    shuffled = random.sample(pairs, len(pairs))
    names, moved = zip(*shuffled, strict=True)
    expected = [name for name, value in sorted(pairs, key=lambda p: (-round(p[1], 6), p[0]))]
    assert [names[k] for k in strongest_first(moved, names)] == expected


@given(st.lists(weights, min_size=1, max_size=5), st.integers(1, 4))
def test_the_first_of_each_row_are_those_of_sorting_each_row(rows, limit):
    row = np.repeat(np.arange(len(rows)), [len(values) for values in rows])
    column = np.concatenate([np.arange(len(values)) for values in rows])
    first = first_of_row(row, descending(np.concatenate(rows)), column, limit)
    for k, values in enumerate(rows):
        best = np.lexsort((np.arange(len(values)), descending(values)))[:limit]
        assert set(column[first & (row == k)]) == set(best)
