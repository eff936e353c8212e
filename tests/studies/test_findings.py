"""Claims against scores whose answer is known, and what cannot be asked."""

import numpy as np
import pandas as pd
import pytest

from kgpert_lib.metrics import stats
from kgpert_lib.studies import ceilings, findings

GAIN = "the union of the graphs beats the training mean"
WORST = "the worst 10 % make the rest"
FEWER = "poorly predicted genes have fewer neighbours"
BETTER = "neighbours are better than other training genes on average"


@pytest.fixture(scope="module")
def screens():
    return ceilings.screens("simulated", ["k562", "rpe1"], seed=5, size="tiny")


@pytest.fixture(scope="module")
def scored(screens):
    return ceilings.scores(screens)


@pytest.fixture(scope="module")
def pairs(screens):
    return ceilings.neighbour_correlations(screens)


@pytest.fixture(scope="module")
def judged(scored, pairs):
    return findings.judged(scored, pairs).set_index(["claim", "line"])


def calls(gain, neighbours):
    """Scores of calls: the union gains `gain` over the training mean; no trait of an expression screen."""
    names = [f"G{i:03d}" for i in range(len(gain))]
    head = {"atlas": "toy", "kind": "real", "line": "k562", "perturbation": names, "n_neighbours": neighbours}
    base = np.linspace(0, 0.5, len(gain))
    rows = [("training mean", base), ("string", base + gain / 2), ("union", base + gain)]
    return pd.concat([pd.DataFrame({**head, "predictor": name, "pearson": value}) for name, value in rows])


def test_figures_are_those_of_the_studies(judged, scored, pairs):
    shares = ceilings.gap_shares(scored).set_index(["line", "part"])["share of shortfall"]
    assert judged.loc[(WORST, "rpe1"), "figure"] == pytest.approx(shares["rpe1", "worst 10 %"])
    quality = ceilings.neighbour_quality(pairs).set_index(["line", "quantity"])["mean"]
    assert judged.loc[(BETTER, "k562"), "figure"] == pytest.approx(quality["k562", "difference"])
    wide = scored[scored["line"] == "k562"].pivot(index="perturbation", columns="predictor", values="pearson")
    row = judged.loc[(GAIN, "k562")]
    expected = stats.bootstrap_mean(wide["union"] - wide["training mean"])
    assert row[["figure", "figure_low", "figure_high"]].tolist() == pytest.approx(list(expected))
    assert row["n"] == len(wide)
    means = ceilings.part_traits(scored).set_index(["line", "part"])["n_neighbours"]
    fewer = means["rpe1", "best 60 %"] - means["rpe1", "worst 10 %"]
    assert judged.loc[(FEWER, "rpe1"), "figure"] == pytest.approx(fewer)


def test_every_figure_lies_in_its_interval_and_every_claim_is_judged_in_every_line(judged):
    assert judged.index.tolist() == [(claim.text, line) for claim in findings.CLAIMS for line in ("k562", "rpe1")]
    asked = judged.dropna(subset="figure")
    assert (asked["figure_low"] <= asked["figure"]).all()
    assert (asked["figure"] <= asked["figure_high"]).all()
    assert set(asked["verdict"]) <= {"holds", "does not hold"}


def test_a_screen_that_contradicts_the_paper_upholds_no_claim(scored, pairs):
    upside_down = scored.assign(
        pearson=-scored["pearson"], gap=1 + scored["gap"], mse=-scored["mse"], mae=-scored["mae"]
    )
    far = pairs.assign(pearson=np.where(pairs["neighbour"], -1.0, pairs["pearson"]))
    verdicts = findings.judged(upside_down, far).set_index("claim")["verdict"]
    for claim in (GAIN, "60 % of the genes are near the ceiling", "weak effects are predicted worse", BETTER):
        assert set(verdicts[claim]) == {"does not hold"}


def test_calls_are_asked_what_calls_can_answer():
    rng = np.random.default_rng(0)
    gain = rng.normal(0.1, 0.05, 60)
    table = findings.judged(calls(gain, np.arange(60))).set_index("claim")
    assert table.loc[GAIN, "verdict"] == "holds"
    assert table.loc[GAIN, "figure"] == pytest.approx(gain.mean())
    assert table.loc["every single graph beats the training mean", "figure"] == pytest.approx(gain.mean() / 2)
    assert table.loc[FEWER, "verdict"] == "holds"
    unasked = table[table["verdict"].str.startswith("cannot be asked")]
    assert len(unasked) == len(findings.CLAIMS) - 3
    assert unasked[["figure", "figure_low", "n"]].isna().all(axis=None)
    assert table.loc[WORST, "verdict"] == "cannot be asked: no ceiling"


@pytest.mark.parametrize(("shift", "verdict"), [(0.0, "does not hold"), (-0.1, "does not hold"), (0.1, "holds")])
def test_a_gain_holds_only_when_its_interval_is_above_zero(shift, verdict):
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 0.05, 80)
    table = findings.judged(calls(noise - noise.mean() + shift, np.ones(80))).set_index("claim")
    assert table.loc[GAIN, "verdict"] == verdict


def test_the_overview_counts_the_verdicts(scored, pairs):
    table = findings.judged(scored, pairs)
    counts = findings.overview(table).set_index("line")
    for line, own in table.groupby("line"):
        assert counts.loc[line, "holds"] == (own["verdict"] == "holds").sum()
        assert counts.loc[line, "cannot be asked"] == own["figure"].isna().sum()
    assert counts[["holds", "does not hold", "cannot be asked"]].sum(axis=1).tolist() == [len(findings.CLAIMS)] * 2


def test_criteria_stand_without_any_screen():
    table = findings.criteria()
    assert table["claim"].is_unique
    assert len(table) == len(findings.CLAIMS)
    assert (table != "").all(axis=None)
