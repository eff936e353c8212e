import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import pearsonr

from kgpert_lib.errors import InputError
from kgpert_lib.metrics import chunks, deltas

seeds = st.integers(0, 2**32 - 1)


def screen(seed, n=6, m=12, gaps=0.0, levels=None, dtype=np.float64):
    """Predictions and measured deltas; `levels` draws from a few values so that ties abound."""
    rng = np.random.default_rng(seed)
    draw = (lambda: rng.integers(-levels, levels + 1, (n, m))) if levels else (lambda: rng.normal(size=(n, m)))
    pred, truth = draw().astype(dtype), draw().astype(dtype)
    truth[rng.random((n, m)) < gaps] = np.nan
    truth[np.arange(n), rng.integers(0, m, n)] = 1.0
    return pred, truth


def plain_pearson(p, t):
    """One correlation by the book: scipy over the measured genes, 0 where there is none."""
    kept = ~np.isnan(t)
    if kept.sum() < 2 or np.ptp(p[kept]) == 0 or np.ptp(t[kept]) == 0:
        return 0.0
    return float(pearsonr(p[kept].astype(float), t[kept].astype(float))[0])


def plain_cosine(p, t):
    """One cosine by the book, over the measured genes; 0 where one side is 0."""
    kept = ~np.isnan(t)
    p, t = p[kept].astype(float), t[kept].astype(float)
    return float(p @ t / (np.linalg.norm(p) * np.linalg.norm(t))) if p.any() and t.any() else 0.0


def plain_retrieval(pred, truth, reference, own, ties, plain=plain_pearson):
    out = []
    for i, p in enumerate(pred):
        level = plain(p, truth[i])
        points = []
        for j, t in enumerate(reference):
            if ties == "half" and j == own[i]:
                continue
            other = plain(p, t)
            if abs(other - level) < 1e-6:
                points.append(0.5 if ties == "half" else 1.0)
            else:
                points.append(float(other < level))
        out.append(np.mean(points))
    return np.array(out)


@pytest.mark.parametrize("gaps", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_every_correlation_is_scipys(gaps, dtype, seed):
    pred, truth = screen(seed, gaps=gaps, dtype=dtype)
    expected = np.array([[plain_pearson(p, t) for t in truth] for p in pred])
    np.testing.assert_allclose(deltas.correlation_matrix(pred, truth), expected, atol=1e-5)
    np.testing.assert_allclose(deltas.pearson_delta(pred, truth), np.diag(expected), atol=1e-6)


@pytest.mark.parametrize("ties", ["half", "leq"])
@given(seed=seeds, gaps=st.sampled_from([0.0, 0.6]))
@settings(max_examples=25, deadline=None)
def test_retrieval_is_the_plain_count_even_with_many_ties(ties, seed, gaps):
    pred, truth = screen(seed, n=7, m=5, gaps=gaps, levels=1)
    expected = plain_retrieval(pred, truth, truth, np.arange(7), ties)
    np.testing.assert_allclose(deltas.retrieval(pred, truth, ties=ties), expected, atol=1e-12)


@given(seed=seeds, gaps=st.sampled_from([0.0, 0.6]), levels=st.sampled_from([None, 1]))
@settings(max_examples=40, deadline=None)
def test_discrimination_by_cosine_is_its_definition_with_ties_and_silence(seed, gaps, levels):
    pred, truth = screen(seed, n=7, m=5, gaps=gaps, levels=levels)
    pred[seed % 7] = 0
    pred[(seed + 1) % 7] = 1
    expected = []
    for i, p in enumerate(pred):
        distances = np.array([1 - plain_cosine(p, t) for t in truth])
        nearer, tied = (distances < distances[i] - 1e-6).sum(), (np.abs(distances - distances[i]) <= 1e-6).sum()
        expected.append(1 - (nearer + (tied - 1) / 2) / (len(truth) - 1))
    np.testing.assert_allclose(deltas.pds_cosine(pred, truth), expected, atol=1e-12)
    assert deltas.pds_cosine(pred, truth)[seed % 7] == 0.5, "no prediction at all is chance"
    others = screen(seed + 1, n=4, m=5, gaps=gaps)[1]
    absent = deltas.pds_cosine(pred, truth, reference=others, own=np.full(7, -1))
    plain = plain_retrieval(pred, truth, others, [-1] * 7, "half", plain_cosine)
    np.testing.assert_allclose(absent, plain, atol=1e-12)


@given(seed=seeds, gaps=st.sampled_from([0.0, 0.6]))
@settings(max_examples=25, deadline=None)
def test_retrieval_against_another_reference_set(seed, gaps):
    pred, truth = screen(seed, n=5, m=8, gaps=gaps)
    others = screen(seed + 1, n=4, m=8, gaps=gaps)[1]
    order = np.random.default_rng(seed).permutation(9)
    everything = np.vstack([truth, others])
    own = np.argsort(order)[:5]
    whole = everything[order]
    got = deltas.retrieval(pred, truth, reference=whole, own=own)
    np.testing.assert_allclose(got, plain_retrieval(pred, truth, whole, own, "half"), atol=1e-12)
    absent = deltas.retrieval(pred, truth, reference=others, own=np.full(5, -1))
    np.testing.assert_allclose(absent, plain_retrieval(pred, truth, others, [-1] * 5, "half"), atol=1e-12)


@pytest.mark.parametrize("block", [1, 3, 1000])
@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_the_answer_does_not_depend_on_how_the_work_is_cut(monkeypatch, block, gaps):
    pred, truth = screen(3, n=11, m=9, gaps=gaps)
    names = [str(i) for i in range(11)]
    ranks = deltas.retrieval(pred, truth)
    table = deltas.score(pred, truth, names, np.arange(9.0), threshold=0.5)
    matrix = deltas.correlation_matrix(pred, truth)
    for module, name in ((deltas, "ROWS"), (deltas, "COLUMNS"), (chunks, "CACHE")):
        monkeypatch.setattr(module, name, block)
    np.testing.assert_allclose(deltas.correlation_matrix(pred, truth), matrix, atol=1e-6)
    np.testing.assert_array_equal(deltas.retrieval(pred, truth), ranks)
    pd.testing.assert_frame_equal(deltas.score(pred, truth, names, np.arange(9.0), threshold=0.5), table)


@given(
    seed=seeds,
    scale=st.floats(1e-6, 1e6),
    shift=st.floats(-1e4, 1e4),
    gaps=st.sampled_from([0.0, 0.5]),
)
@settings(max_examples=60, deadline=None)
def test_shifting_and_scaling_a_prediction_changes_no_correlation(seed, scale, shift, gaps):
    pred, truth = screen(seed, gaps=gaps)
    moved = (pred + shift) * scale
    np.testing.assert_allclose(deltas.pearson_delta(moved, truth), deltas.pearson_delta(pred, truth), atol=1e-5)
    np.testing.assert_allclose(
        deltas.correlation_matrix(moved, truth), deltas.correlation_matrix(pred, truth), atol=1e-5
    )
    np.testing.assert_allclose(deltas.pearson_delta(-pred, truth), -deltas.pearson_delta(pred, truth), atol=1e-12)


@given(seed=seeds, gaps=st.sampled_from([0.0, 0.5]))
@settings(max_examples=30, deadline=None)
def test_the_order_of_genes_and_perturbations_does_not_matter(seed, gaps):
    pred, truth = screen(seed, gaps=gaps)
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(len(pred)), rng.permutation(pred.shape[1])
    ranked = rng.random(12) < 0.8
    before = deltas.score(pred, truth, list("abcdef"), mean=np.arange(12.0), ranked=ranked, threshold=1.0)
    after = deltas.score(
        pred[rows][:, columns],
        truth[rows][:, columns],
        np.array(list("abcdef"))[rows],
        mean=np.arange(12.0)[columns],
        ranked=ranked[columns],
        threshold=1.0,
    )
    after = after.set_index("perturbation").loc[before["perturbation"]].reset_index()
    numbers = before.columns[1:]
    np.testing.assert_allclose(before[numbers].astype(float), after[numbers].astype(float), atol=1e-9)


@pytest.mark.parametrize("power", [-1000, -600, 500, 520, 800, 1010])
@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_an_extreme_scale_changes_no_correlation_by_a_bit(power, gaps):
    """Squares of values beyond 1e154 overflow; such rows scored 0."""
    pred, truth = screen(3, gaps=gaps)
    far, far_truth = np.ldexp(pred, power), np.ldexp(truth, power)
    for score in (deltas.pearson_delta, deltas.retrieval, deltas.correlation_matrix):
        np.testing.assert_array_equal(score(far, far_truth), score(pred, truth))
    mean = np.arange(12.0)
    centred = deltas.centred_pearson(far, far_truth, np.ldexp(mean, power))
    np.testing.assert_array_equal(centred, deltas.centred_pearson(pred, truth, mean))
    assert not deltas.undefined(far, far_truth).any()


@given(value=st.floats(-1e6, 1e6), seed=seeds, gaps=st.sampled_from([0.0, 0.5]))
@settings(max_examples=40, deadline=None)
def test_a_constant_prediction_scores_zero_and_retrieves_exactly_half(value, seed, gaps):
    _, truth = screen(seed, gaps=gaps)
    for dtype in (np.float32, np.float64):
        pred = np.full(truth.shape, value, dtype)
        np.testing.assert_array_equal(deltas.pearson_delta(pred, truth), 0.0)
        np.testing.assert_array_equal(deltas.correlation_matrix(pred, truth), 0.0)
        np.testing.assert_array_equal(deltas.retrieval(pred, truth), 0.5)
        assert deltas.undefined(pred, truth).all()


@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_the_same_prediction_for_every_perturbation_retrieves_half_on_average(gaps):
    pred, truth = screen(5, n=40, m=30, gaps=gaps)
    same = np.broadcast_to(pred[0], truth.shape)
    assert deltas.retrieval(same, truth).mean() == pytest.approx(0.5, abs=1e-12)


def test_predicting_the_truth_retrieves_everything():
    _, truth = screen(6, n=30, m=40)
    np.testing.assert_array_equal(deltas.retrieval(truth, truth), 1.0)
    np.testing.assert_allclose(deltas.pearson_delta(truth, truth), 1.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_around_a_constant_is_constant_and_a_small_signal_on_a_large_offset_is_not(dtype):
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(3, 200))
    noise = (0.3 + rng.integers(-1, 2, (3, 200)) * 0.3 * np.finfo(dtype).eps).astype(dtype)
    assert deltas.undefined(noise, signal).all()
    np.testing.assert_array_equal(deltas.correlation_matrix(noise, signal), 0.0)
    lifted = (signal + (1e7 if dtype == np.float64 else 1e2)).astype(dtype)
    np.testing.assert_allclose(deltas.pearson_delta(lifted, signal), 1.0, atol=1e-5)
    np.testing.assert_allclose(np.diag(deltas.correlation_matrix(lifted, signal)), 1.0, atol=1e-5)


@given(seed=seeds)
@settings(max_examples=25, deadline=None)
def test_one_measured_gene_has_no_correlation(seed):
    pred, truth = screen(seed, gaps=1.0)
    table = deltas.score(pred, truth, list("abcdef"))
    assert (table["n_genes"] == 1).all()
    assert table["constant"].all()
    assert (table["pearson"] == 0).all()
    assert (table["retrieval"] == 0.5).all()
    kept = ~np.isnan(truth)
    np.testing.assert_allclose(table["mse"], (pred[kept] - truth[kept]) ** 2)


@given(seed=seeds, gaps=st.sampled_from([0.0, 0.5]))
@settings(max_examples=25, deadline=None)
def test_values_outside_the_measured_genes_do_not_matter(seed, gaps):
    pred, truth = screen(seed, gaps=gaps)
    changed = np.where(np.isnan(truth), 1e3 * np.random.default_rng(seed).normal(size=pred.shape), pred)
    names = list("abcdef")
    before, after = (deltas.score(p, truth, names, mean=np.zeros(12)) for p in (pred, changed))
    for column in ("pearson", "centred_pearson", "mse", "mae", "constant"):
        np.testing.assert_array_equal(before[column], after[column])


def test_centred_pearson_takes_the_shared_part_out():
    pred, truth = screen(8, gaps=0.3)
    shared = np.linspace(-20, 20, 12)
    expected = [plain_pearson(p - shared, t - shared) for p, t in zip(pred, truth, strict=True)]
    np.testing.assert_allclose(deltas.centred_pearson(pred, truth, shared), expected, atol=1e-9)


def test_the_training_mean_has_no_centred_correlation_whatever_its_rounding():
    rng = np.random.default_rng(1)
    training = rng.normal(size=(500, 100)).astype(np.float32)
    truth = rng.normal(size=(4, 100)).astype(np.float32)
    mean = training.mean(axis=0, dtype=np.float64)
    for predicted in (mean.astype(np.float32), training.mean(axis=0), mean):
        pred = np.broadcast_to(predicted, truth.shape)
        reference = mean.astype(np.float32)
        np.testing.assert_array_equal(deltas.centred_pearson(pred, truth, reference), 0.0)
        assert not deltas.undefined(pred, truth).any()


@given(values=hnp.arrays(np.float32, (4, 7), elements=st.floats(-100, 100, width=32)), seed=seeds)
@settings(max_examples=60, deadline=None)
def test_scores_stay_in_range_for_any_numbers(values, seed):
    truth = screen(seed, n=4, m=7, gaps=0.4)[1]
    matrix = deltas.correlation_matrix(values, truth)
    assert np.isfinite(matrix).all()
    assert np.abs(matrix).max() <= 1
    ranks = deltas.retrieval(values, truth)
    assert ((ranks >= 0) & (ranks <= 1)).all()


def test_score_is_one_tidy_row_a_perturbation():
    pred, truth = screen(9, gaps=0.4)
    table = deltas.score(pred, truth, list("abcdef"), mean=np.zeros(12))
    assert list(table.columns) == [
        *("perturbation", "pearson", "centred_pearson", "retrieval", "pds_cosine", "direction_fidelity"),
        *("direction_reach", "jaccard", "nmae", "mse", "mae", "n_genes", "n_changed", "constant"),
    ]
    assert table[["direction_fidelity", "direction_reach", "jaccard", "nmae"]].isna().all(axis=None), "no threshold"
    np.testing.assert_array_equal(table["pearson"], deltas.pearson_delta(pred, truth))
    np.testing.assert_array_equal(table["mae"], deltas.mae(pred, truth))
    np.testing.assert_array_equal(table["n_genes"], (~np.isnan(truth)).sum(axis=1))
    single = deltas.score(pred[:1], truth[:1], ["a"])
    assert single[["retrieval", "pds_cosine"]].isna().all(axis=None)
    assert single["centred_pearson"].isna().all()


def test_rankings_use_the_ranked_genes_and_leave_out_who_has_none():
    pred, truth = screen(4, n=8, gaps=0.3)
    ranked = np.arange(12) < 9
    truth[3, :9] = np.nan
    truth[3, 9:] = 1.0
    table = deltas.score(pred, truth, list("abcdefgh"), ranked=ranked)
    assert table[["retrieval", "pds_cosine"]].isna().all(axis=1).tolist() == [i == 3 for i in range(8)]
    kept = np.arange(8) != 3
    for score in (deltas.retrieval, deltas.pds_cosine):
        np.testing.assert_array_equal(table.loc[kept, score.__name__], score(pred[kept][:, :9], truth[kept][:, :9]))
    against = deltas.score(pred, truth, list("abcdefgh"), ranked=ranked, reference=truth, own=np.arange(8))
    np.testing.assert_array_equal(against["retrieval"], table["retrieval"])
    none = deltas.score(pred, truth, list("abcdefgh"), ranked=np.zeros(12, bool))
    assert none[["retrieval", "pds_cosine"]].isna().all(axis=None)
    assert none["pearson"].notna().all()


def test_calls_have_no_size_to_be_off_by():
    pred, truth = screen(5, m=60)
    calls = np.sign(np.round(truth))
    table = deltas.score(pred, calls, list("abcdef"), threshold=0.5)
    assert table["nmae"].isna().all()
    assert table[["direction_fidelity", "direction_reach", "jaccard"]].notna().all(axis=None)
    assert deltas.score(pred, truth, list("abcdef"), threshold=0.5)["nmae"].notna().all()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda p, t: p.__setitem__((2, 3), np.nan), "prediction of INTS9 holds NaN"),
        (lambda p, t: p.__setitem__((2, 3), np.inf), "prediction of INTS9 holds NaN or infinity"),
        (lambda p, t: t.__setitem__((2, 3), -np.inf), "measured delta of INTS9 holds infinity"),
        (lambda p, t: t.__setitem__(2, np.nan), "measured delta of INTS9 has no measured gene"),
    ],
)
def test_broken_rows_are_named(change, sentence):
    pred, truth = screen(1)
    change(pred, truth)
    with pytest.raises(InputError, match=sentence):
        deltas.score(pred, truth, ["A", "B", "INTS9", "D", "E", "F"])
    with pytest.raises(InputError, match="row 2"):
        deltas.retrieval(pred, truth)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda p, t: deltas.pearson_delta(p, t[:, 1:]), "have to match"),
        (lambda p, t: deltas.mse(p, t[1:]), "have to match"),
        (lambda p, t: deltas.pearson_delta(p[0], t[0]), "perturbations x genes"),
        (lambda p, t: deltas.score(p, t, ["A"]), "1 perturbation names for 6"),
        (lambda p, t: deltas.retrieval(p[:1], t[:1]), "at least one reference"),
        (lambda p, t: deltas.retrieval(p, t, reference=t), "needs own="),
        (lambda p, t: deltas.retrieval(p, t, reference=t, own=[0, 1, 2, 3, 4, 6]), "from -1 to 5"),
        (lambda p, t: deltas.retrieval(p, t, ties="lt"), "Unknown ties 'lt'"),
        (lambda p, t: deltas.centred_pearson(p, t, np.zeros(3)), "needs 12 finite values"),
    ],
)
def test_unusable_arguments_give_one_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call(*screen(2))
