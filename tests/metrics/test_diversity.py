import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cosine

from kgpert_lib.errors import InputError
from kgpert_lib.metrics import chunks
from kgpert_lib.metrics.diversity import vendi_score
from tests.metrics.test_deltas import screen, seeds


def plain(rows):
    """The definition: the entropy of the eigenvalues of all cosines over n."""
    n = len(rows)
    similarity = np.eye(n)
    for i in range(n):
        for j in range(n):
            if i != j:
                nothing = [not rows[k].any() for k in (i, j)]
                similarity[i, j] = float(all(nothing)) if any(nothing) else 1 - cosine(rows[i], rows[j])
    shares = np.linalg.eigvalsh(similarity / n)
    return np.exp(-sum(x * np.log(x) for x in shares if x > 1e-12))


@given(seed=seeds, gaps=st.sampled_from([0.0, 0.6]), dtype=st.sampled_from([np.float32, np.float64]))
@settings(max_examples=30, deadline=None)
def test_the_score_is_its_definition_with_0_in_the_gaps(seed, gaps, dtype):
    pred, truth = screen(seed, n=7, m=9, gaps=gaps, dtype=dtype)
    pred[2] = 0
    assert vendi_score(pred, truth) == pytest.approx(plain(np.where(np.isnan(truth), 0, pred)), rel=1e-4)
    assert vendi_score(truth) == pytest.approx(plain(np.nan_to_num(truth)), rel=1e-4)
    order = np.random.default_rng(seed).permutation(7)
    assert vendi_score(pred[order], truth[order]) == pytest.approx(vendi_score(pred, truth), rel=1e-5)


def test_one_prediction_for_all_is_one_and_unrelated_predictions_are_as_many_as_they_are():
    assert vendi_score(np.tile(np.arange(5.0), (4, 1))) == pytest.approx(1)
    assert vendi_score(np.zeros((4, 5))) == pytest.approx(1), "silence is one prediction"
    assert vendi_score(np.eye(6)) == pytest.approx(6)
    assert vendi_score(np.eye(6)[[0, 0, 1, 1, 2, 2]]) == pytest.approx(3)
    assert vendi_score(-3e200 * np.eye(4)) == pytest.approx(4), "size and sign of a row say nothing"
    assert vendi_score([[1.0, 2.0]]) == pytest.approx(1)


def test_what_is_predicted_in_gaps_does_not_matter(monkeypatch):
    pred, truth = screen(3, n=20, gaps=0.5)
    elsewhere = np.where(np.isnan(truth), 1e6, pred)
    assert vendi_score(elsewhere, truth) == vendi_score(pred, truth)
    expected = vendi_score(pred, truth)
    monkeypatch.setattr(chunks, "CACHE", 30)
    assert vendi_score(pred, truth) == expected
    with pytest.raises(InputError, match="have to match"):
        vendi_score(pred, truth[:3])
