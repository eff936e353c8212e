"""The baselines against their own formulas."""

from dataclasses import replace

import numpy as np

from kgpert_lib.predictors.baselines import LinearBaseline, TrainingMean
from kgpert_lib.screens.atlas import Atlas, CellLine
from tests import worlds


def test_the_training_mean_uses_measured_training_deltas_only():
    cells = worlds.line(2, gaps=0.5)
    view = Atlas("toy", "simulated", {"k562": cells}).view("k562")
    predictions = TrainingMean().predict(view, ["ANY", "OTHER"])
    expected = np.nan_to_num(np.nanmean(cells.delta[cells.split == "train"], axis=0))
    np.testing.assert_allclose(predictions.delta, [expected, expected], atol=1e-6)
    assert predictions.fallback.all()


def linear_world(noise: float = 0.0) -> Atlas:
    """Deltas that a rank-2 linear model explains: perturbations are readout genes and share their embedding."""
    rng = np.random.default_rng(0)
    names = worlds.symbols(60)
    embedding = rng.normal(size=(60, 2))
    mixing = rng.normal(size=(2, 2))
    delta = embedding @ mixing @ embedding.T + noise * rng.normal(size=(60, 60))
    split = np.array(["train"] * 45 + ["test"] * 15)
    return Atlas("toy", "simulated", {"k562": CellLine("k562", names, names, delta, split)})


def test_the_linear_baseline_recovers_a_linear_world():
    atlas = linear_world()
    cells = atlas["k562"]
    predictions = LinearBaseline(components=2, ridge=1e-6).predict(atlas.view("k562"), cells.names("test"))
    truth = cells.delta[cells.split == "test"]
    scores = [np.corrcoef(a, b)[0, 1] for a, b in zip(predictions.delta, truth, strict=True)]
    assert np.median(scores) > 0.95


def test_the_linear_baseline_solves_its_ridge_problem_exactly():
    view = linear_world(noise=0.3).view("k562")
    line = view.target
    model = LinearBaseline()
    centred = line.delta - line.mean
    genes = model._embedding(line, centred).astype(np.float64)
    perturbed = genes[:45]
    eye = 0.1 * np.eye(10)
    expected = (
        np.linalg.inv(genes.T @ genes + eye)
        @ genes.T
        @ centred.T
        @ perturbed
        @ np.linalg.inv(perturbed.T @ perturbed + eye)
    )
    predictions = model.predict(view, [str(line.perturbations[0])])
    np.testing.assert_allclose(predictions.delta[0], line.mean + genes @ expected @ genes[0], atol=1e-3)


def test_a_gene_without_an_embedding_gets_the_mean():
    view = linear_world().view("k562")
    predictions = LinearBaseline().predict(view, ["ELSEWHERE", "G0050"])
    np.testing.assert_array_equal(predictions.delta[0], view.target.mean)
    assert predictions.fallback.tolist() == [True, False]


def test_the_linear_baseline_is_the_mean_where_perturbed_genes_are_no_readout_genes():
    cells = CellLine("k562", worlds.symbols(3), worlds.symbols(5, "R"), np.eye(3, 5), np.array(["train"] * 3))
    predictions = LinearBaseline().predict(Atlas("toy", "simulated", {"k562": cells}).view("k562"), ["G0001"])
    np.testing.assert_allclose(predictions.delta[0], cells.delta.mean(axis=0))
    assert predictions.fallback.all()


def test_deltas_that_are_all_zero_give_the_mean_and_no_error():
    plain = worlds.line()
    still = replace(plain, delta=np.zeros_like(plain.delta), control=None)
    view = Atlas("toy", "simulated", {"k562": still}).view("k562")
    predictions = LinearBaseline().predict(view, ["G0001", "NOBODY"])
    assert not predictions.delta.any()
