"""Two experiments, further training genes, two views, published figures: known answers on small worlds."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import pearsonr, spearmanr

from kgpert_lib.evaluation import summaries
from kgpert_lib.metrics import stats
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies import ceilings, expression, expression_figures, published
from tests import worlds


def twice(further=0):
    """A screen whose line was screened twice, the second time with `further` perturbations more."""
    first = worlds.line(0, n=40, m=30)
    rng = np.random.default_rng(9)
    again = first.delta + rng.normal(0, 0.5, first.delta.shape).astype(np.float32)
    names = np.concatenate([first.perturbations, worlds.symbols(further, "NEW")])
    rows = np.concatenate([again, rng.normal(size=(further, 30)).astype(np.float32)])
    split = np.concatenate([first.split, np.full(further, "train")])
    second = replace(first, perturbations=names, delta=rows, split=split, control=None)
    return Screen(Atlas("toy", "simulated", {"k562": first}), (worlds.graph(),), _second=lambda line: second)


def test_two_experiments_agree_as_scipy_says():
    screen = twice()
    row = expression.agreement([screen]).iloc[0]
    first, second = screen["k562"], screen.second("k562")
    keep = first.genes[None] != first.perturbations[:, None]
    r = [pearsonr(a[k], b[k])[0] for a, b, k in zip(first.delta, second.delta, keep, strict=True)]
    assert row["n"] == 40
    assert row["common readouts"] == 29, "a gene's own readout does not count"
    assert row["r"] == pytest.approx(np.mean(r), abs=1e-6)
    assert row["root"] == pytest.approx(np.mean(np.sqrt(np.clip(r, 0, None))), abs=1e-6)


def test_a_line_that_was_screened_once_has_no_row():
    screen = Screen(worlds.atlas(), (worlds.graph(),))
    assert expression.agreement([screen]).empty
    assert expression.further_training(screen).empty


def test_further_training_genes_are_counted_and_scored_beside_the_union():
    screen = twice(further=5)
    table = expression.further_training(screen).set_index("predictor")
    assert list(table.index) == ["training mean", "toy", "toy, further genes"]
    assert table["training genes"].tolist() == [34, 34, 39]
    assert table.loc["toy", "gain"] == 0
    assert table.loc["toy, further genes", "with a neighbour"] >= table.loc["toy", "with a neighbour"]


def test_two_views_pair_the_same_genes():
    screen = twice()
    signs = np.sign(np.where(np.abs(screen["k562"].delta) > 0.8, screen["k562"].delta, 0)).astype(np.float32)
    calls = replace(screen, atlas=Atlas("calls", "real", {"k562": replace(screen["k562"], delta=signs)}))
    row = expression.two_views(calls, screen).iloc[0]
    gains = []
    for view in (calls, screen):
        wide = ceilings.scores([view]).pivot(index="perturbation", columns="predictor", values="pearson")
        gains.append(wide["union"] - wide["training mean"])
    assert row["n"] == len(gains[0])
    assert row["gain, calls"] == pytest.approx(gains[0].mean(), abs=1e-6)
    assert row["gain, expression"] == pytest.approx(gains[1].mean(), abs=1e-6)
    assert row["rank correlation"] == pytest.approx(spearmanr(*gains)[0], abs=1e-6)


def test_published_figures_stand_as_they_were_published():
    table = published.table().set_index(["method", "metric"])
    assert table.loc[("LLM RL + KG", "Pearson delta"), "K562"] == "0.625 (0.014)"
    assert table.loc[("TxPert", "Pearson delta"), "Jurkat"] == "0.506 (0.010)"
    assert table.loc[("GEARS, re-reported", "Pearson delta"), "K562"] == "0.298"
    assert pd.isna(table.loc[("LLM RL + KG", "retrieval"), "RPE1"])
    assert table["source"].notna().all()


def test_the_figure_marks_what_is_quoted():
    screen = twice()
    scores = ceilings.scores([screen])
    summary = summaries.scores(scores)
    figure = expression_figures.beside_published(summary, ceilings.ceilings(scores), published.quoted())
    (axis,) = figure.axes
    labels = [label.get_text() for label in axis.get_yticklabels()]
    assert labels[: len(summary)] == list(summary["predictor"])
    assert labels[len(summary) :] == [
        f"{name} (quoted)" for name in published.quoted().query("line == 'k562' and metric == 'pearson'")["method"]
    ]
    numbers = {text.get_text() for text in axis.texts}
    assert {f"{value:.3f}" for value in summary["pearson"]} | {"0.298", "0.625"} <= numbers
    mean = stats.bootstrap_mean(scores.loc[scores["predictor"] == "union", "ceiling"]).mean
    assert any(np.allclose(line.get_xdata(), mean) for line in axis.lines), "the ceiling is drawn"
