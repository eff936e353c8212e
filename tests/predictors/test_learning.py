"""Learnt weights against naive loops, finite differences and worlds whose best weights are known."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from kgpert_lib.graphs.affinity import Affinity, Feature, SetTable
from kgpert_lib.predictors import learning, neighbours
from kgpert_lib.predictors.learning import Fraction, error, fit, learn, leave_one_out_fraction
from kgpert_lib.screens.atlas import TrainingLine
from tests import worlds

seeds = st.integers(0, 2**32 - 1)
AFFINITY = worlds.affinity(worlds.annotations(), worlds.graph())
SIZE = len(AFFINITY.features)


def training(seed: int = 0, gaps: float = 0.4) -> TrainingLine:
    return worlds.atlas(seed, gaps).view("k562").target


def random_fraction(seed: int, pairs: int = 60, size: int = 4) -> Fraction:
    rng = np.random.default_rng(seed)
    counts = rng.exponential(size=(pairs, size)).astype(np.float32)
    sums = (counts * rng.normal(size=(pairs, size))).astype(np.float32)
    return Fraction(sums, counts, rng.normal(size=pairs), rng.normal(size=pairs))


@pytest.mark.parametrize("gaps", [0.0, 0.3, 0.9])
def test_sums_and_counts_are_those_of_loops_over_the_other_training_perturbations(gaps):
    line = training(gaps=gaps)
    fraction = leave_one_out_fraction(AFFINITY, line)
    names = line.perturbations
    pairs = [
        (p, j)
        for p in range(len(names))
        for j in range(len(line.genes))
        if line.measured[p, j] and names[p] != line.genes[j]
    ]
    assert len(pairs) == len(fraction.truth)
    blocks = [block for _, block in AFFINITY.blocks(names, names)]
    for q, (p, j) in enumerate(pairs):
        others = [n for n in range(len(names)) if n != p and line.measured[n, j]]
        assert fraction.truth[q] == line.delta[p, j]
        assert fraction.mean[q] == pytest.approx(np.mean(line.delta[others, j]) if others else 0, abs=1e-5)
        sums = [sum(block[p, n] * line.delta[n, j] for n in others) for block in blocks]
        np.testing.assert_allclose(fraction.sums[q], sums, atol=1e-5)
        np.testing.assert_allclose(fraction.counts[q], [sum(b[p, n] for n in others) for b in blocks], atol=1e-5)


@pytest.mark.parametrize("prior", [1.0, 3.0])
def test_weights_are_judged_by_what_the_predictor_gives_without_the_training_perturbation(prior, monkeypatch):
    monkeypatch.setattr(neighbours, "FAINT", 0.0)
    view = worlds.atlas(2, 0.4).view("k562")
    line = view.target
    weights = dict(zip(AFFINITY.features, np.linspace(0.5, 2, SIZE), strict=True))
    fraction = leave_one_out_fraction(AFFINITY, line)
    prediction, _ = fraction.predict(np.array(list(weights.values())), prior)
    predictor = neighbours.NeighbourPredictor(neighbours.AffinityNeighbourhood(AFFINITY, weights), prior)
    row, column = np.nonzero(~np.isnan(line.scored))
    for p in range(0, len(line.perturbations), 5):
        name = str(line.perturbations[p])
        alone = predictor.predict(view.without([name]), [name]).delta[0]
        np.testing.assert_allclose(prediction[row == p], alone[column[row == p]], atol=1e-5)


@given(st.integers(0, 23), seeds)
@settings(max_examples=20, deadline=None)
def test_a_training_perturbations_own_row_has_no_part_in_its_prediction(p, seed):
    line = training()
    delta = line.delta.copy()
    delta[p] = np.where(line.measured[p], np.random.default_rng(seed).normal(size=delta.shape[1]), np.nan)
    row = np.nonzero(~np.isnan(line.scored))[0]
    weights = np.linspace(0, 2, SIZE)
    before, after = (
        leave_one_out_fraction(AFFINITY, source).predict(weights)[0][row == p]
        for source in (line, replace(line, delta=delta))
    )
    np.testing.assert_allclose(after, before, atol=1e-5)


@given(seeds)
@settings(max_examples=30, deadline=None)
def test_the_gradient_is_that_of_finite_differences(seed):
    rng = np.random.default_rng(seed)
    fractions = [random_fraction(seed), random_fraction(seed + 1, pairs=25)]
    weights = rng.uniform(0.1, 2, 4)
    slope = error(fractions, weights)[1]
    for k in range(4):
        step = np.zeros(4)
        step[k] = 2**-7
        difference = (error(fractions, weights + step)[0] - error(fractions, weights - step)[0]) / 2**-6
        assert slope[k] == pytest.approx(difference, abs=2e-3, rel=2e-3)


@given(seeds, st.sampled_from([0.0, 0.3, 0.9]))
@settings(max_examples=20, deadline=None)
def test_weights_are_not_negative_and_no_small_change_of_them_is_better(seed, gaps):
    fraction = leave_one_out_fraction(AFFINITY, training(seed, gaps))
    weights = fit([fraction])
    assert (weights >= 0).all()
    value, slope = error([fraction], weights)
    assert value <= error([fraction], np.full(SIZE, learning.START))[0]
    assert np.abs(slope * weights).max() < 0.03, "a share more or less of a weight changes nothing"
    assert (slope[weights == 0] > -0.02).all(), "nor does a weight in place of none"


def modules(signal: float, noise: float, n: int = 160, m: int = 150) -> tuple[Affinity, TrainingLine]:
    """Genes of a module share their deltas but for noise; only the table ``modules`` knows the modules."""
    rng = np.random.default_rng(5)
    module, names = np.arange(n) % 20, worlds.symbols(n)
    delta = np.sqrt(signal) * rng.normal(size=(20, m))[module] + np.sqrt(noise) * rng.normal(size=(n, m))
    random = rng.permuted(np.eye(20, dtype=np.float32)[module])
    tables = {"other": random, "modules": np.eye(20, dtype=np.float32)[module], "third": random[::-1]}
    affinity = Affinity(tuple(SetTable(k, names, sp.csr_matrix(v), (1,)) for k, v in tables.items()), ())
    return affinity, TrainingLine("k562", names, worlds.symbols(m, "R"), delta.astype(np.float32))


@pytest.mark.parametrize(("signal", "noise"), [(1.0, 1.0), (1.0, 4.0), (2.0, 1.0)])
def test_the_weight_of_the_table_that_explains_the_deltas_is_its_signal_over_its_noise(signal, noise):
    """Shrinking the mean of n neighbours by n / (n + noise / signal) is best, and the prior is 1."""
    affinity, line = modules(signal, noise)
    weights = learn(affinity, [line])
    assert weights[Feature("modules", 1)] == pytest.approx(signal / noise, rel=0.2)
    assert max(weights[Feature("other", 1)], weights[Feature("third", 1)]) < 0.02 * signal / noise


def test_the_scale_of_the_weights_is_that_of_the_prior():
    affinity, line = modules(1.0, 2.0)
    fraction = leave_one_out_fraction(affinity, line)
    np.testing.assert_allclose(fit([fraction], prior=4.0), 4 * fit([fraction], prior=1.0), rtol=0.02, atol=0.02)


def test_lines_that_share_weights_have_an_equal_say():
    one, two = random_fraction(0), random_fraction(1, pairs=600)
    shared = fit([one, two])
    again = fit([one, Fraction.joined([two, two])])
    np.testing.assert_allclose(again, shared, rtol=0.05, atol=5e-3)
    value = error([one, two], shared)[0]
    assert value == pytest.approx((error([one], shared)[0] + error([two], shared)[0]) / 2, abs=1e-6)


@pytest.mark.parametrize("gaps", [0.0, 0.9])
def test_one_and_two_threads_learn_equal_weights(gaps, tmp_path, monkeypatch):
    values = []
    for threads in (1, 2):
        monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / str(threads)))
        with threadpool_limits(threads):
            values.append(learn(AFFINITY, [training(gaps=gaps)]))
    assert values[0] == values[1]


def test_test_rows_have_no_part_in_the_weights():
    atlas = worlds.atlas(3, 0.3)
    weights = [learn(AFFINITY, list(a.view("k562").lines.values())) for a in (atlas, worlds.poisoned(atlas))]
    assert weights[0] == weights[1]


def test_of_too_many_pairs_whole_readout_genes_are_drawn_by_the_seed(monkeypatch):
    line = training(gaps=0.3)
    whole = leave_one_out_fraction(AFFINITY, line)
    monkeypatch.setattr(learning, "PAIRS", 120)
    first, again, other = (leave_one_out_fraction(AFFINITY, line, seed).truth for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert 80 < len(first) <= 120 < len(whole.truth)
    assert sorted(first) != sorted(other)
    per_gene = (~np.isnan(line.scored)).sum(axis=0)
    drawn = [np.isin(line.scored[:, j], first).sum() for j in range(len(line.genes))]
    assert set(zip(drawn, per_gene, strict=True)) <= {(n, n) for n in per_gene} | {(0, n) for n in per_gene}


def test_learnt_weights_are_kept_by_content(monkeypatch):
    line = training()
    first = learn(AFFINITY, [line])
    monkeypatch.setattr(learning, "fit", lambda fractions: np.full(SIZE, 7.0))
    assert learn(worlds.affinity(worlds.annotations(), worlds.graph()), [training()]) == first
    changed = replace(line, delta=line.delta * np.float32(2))
    other = worlds.affinity(worlds.annotations(), worlds.graph(1))
    for lines, tables, seed in (([changed], AFFINITY, 0), ([line], other, 0), ([line], AFFINITY, 1)):
        assert set(learn(tables, lines, seed).values()) == {7.0}


def test_without_a_table_or_a_measured_pair_nothing_weighs_anything():
    assert learn(Affinity((), ()), [training()]) == {}
    line = training()
    itself = np.where(line.perturbations[:, None] == line.genes, 1.0, np.nan).astype(np.float32)
    assert set(learn(AFFINITY, [replace(line, delta=itself)]).values()) == {0.0}
    assert learn(AFFINITY, [line, replace(line, delta=itself)]) == learn(AFFINITY, [line])
