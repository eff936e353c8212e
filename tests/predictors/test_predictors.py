"""What holds for every predictor: it sees no test delta, and its answer depends neither on company nor on workers."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from kgpert_lib.graphs import load_graphs
from kgpert_lib.predictors.named import Options, build
from kgpert_lib.screens.screen import Screen
from tests import worlds

ASKED = [str(s) for s in worlds.symbols(45)]
NAMES = [
    "training mean",
    "linear",
    "one",
    "two",
    "one+two",
    "weighted",
    "shuffled",
    "one+two, filled",
    "weighted, shared",
    "weighted, filled",
    "weighted, filled, lines",
]


@pytest.fixture(scope="module")
def predictors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("graphs")
    for seed, name in enumerate(("one", "two")):
        edges = worlds.to_networkx(worlds.graph(seed, name=name)).edges(data="weight")
        (folder / f"{name}.csv").write_text("gene1,gene2,weight\n" + "".join(f"{a},{b},{w}\n" for a, b, w in edges))
    one, two = folder / "one.csv", folder / "two.csv"
    screen = Screen(worlds.atlas(), tuple(load_graphs(f"{one}+{two}")))
    names = ["mean", "linear", "one", "two", "union", "weighted", "shuffled", "filled"]
    names += ["weighted-shared", "weighted-filled", "weighted-lines"]
    return {p.name: p for p in (build(name, screen, Options(limit=5)) for name in names)}


def test_predictors_are_named_after_their_graphs(predictors):
    assert list(predictors) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("split", ["per-line", "strict"])
@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_corrupting_every_test_delta_changes_no_prediction(predictors, name, split, gaps):
    atlas = worlds.atlas(7, gaps)
    poisoned = {}
    for key, cells in atlas.lines.items():
        test = cells.split == "test"
        spoilt = {"delta": np.where(test[:, None], 1e6, cells.delta)}
        if cells.control is not None:
            spoilt["control"] = np.where(test[:, None], -1e6, cells.control)
        poisoned[key] = replace(cells, **spoilt)
    clean = predictors[name].predict(atlas.view("k562", split), ASKED)
    spoilt = predictors[name].predict(replace(atlas, lines=poisoned).view("k562", split), ASKED)
    np.testing.assert_array_equal(spoilt.delta, clean.delta)
    np.testing.assert_array_equal(spoilt.fallback, clean.fallback)
    assert np.abs(clean.delta).max() < 10


@pytest.mark.parametrize("gaps", [0.0, 0.5])
def test_one_and_two_workers_give_the_same_predictions(predictors, gaps):
    view = worlds.atlas(7, gaps).view("k562")
    with threadpool_limits(1):
        alone = {name: predictor.predict(view, ASKED) for name, predictor in predictors.items()}
    with threadpool_limits(2):
        threads = {name: predictor.predict(view, ASKED) for name, predictor in predictors.items()}
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        halves = {
            name: list(pool.map(predictor.predict, [view, view], [ASKED[:20], ASKED[20:]]))
            for name, predictor in predictors.items()
        }
    for name, predictions in alone.items():
        np.testing.assert_allclose(threads[name].delta, predictions.delta, atol=1e-6)
        np.testing.assert_allclose(np.concatenate([half.delta for half in halves[name]]), predictions.delta, atol=1e-6)
        assert np.concatenate([half.fallback for half in halves[name]]).tolist() == predictions.fallback.tolist()


@pytest.mark.parametrize("name", NAMES)
def test_a_prediction_depends_neither_on_order_nor_on_company(predictors, name):
    view = worlds.atlas(7, 0.3).view("rpe1")
    together = predictors[name].predict(view, ASKED)
    backwards = predictors[name].predict(view, ASKED[::-1])
    np.testing.assert_allclose(backwards.delta[::-1], together.delta, atol=1e-6)
    alone = predictors[name].predict(view, [ASKED[11]])
    np.testing.assert_allclose(alone.delta[0], together.delta[11], atol=1e-6)
