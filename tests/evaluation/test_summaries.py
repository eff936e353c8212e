"""Tables hold the means, intervals and tests of the perturbations behind them."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import summaries
from kgpert_lib.metrics.stats import bootstrap_mean


def evaluated(seed=0, n=40):
    rng = np.random.default_rng(seed)
    rows = []
    for line in ("k562", "rpe1"):
        base = rng.uniform(0, 0.5, n)
        for predictor, gain in (("training mean", 0.0), ("string", 0.1), ("go", 0.01)):
            noise = 0.1 * rng.normal(size=n) if gain else 0
            rows.append(
                pd.DataFrame(
                    {
                        "atlas": "toy",
                        "kind": "simulated",
                        "line": line,
                        "split": "per-line",
                        "predictor": predictor,
                        "perturbation": [f"P{i}" for i in range(n)],
                        "pearson": base + gain + noise,
                        "retrieval": rng.uniform(size=n),
                        "fallback": rng.random(n) < 0.3,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


def test_scores_are_means_with_bootstrap_intervals_in_the_order_given():
    table = evaluated()
    shown = summaries.scores(table, ["pearson", "retrieval"], seed=3)
    keys = [(line, p) for line in ("k562", "rpe1") for p in ("training mean", "string", "go")]
    assert list(zip(shown["line"], shown["predictor"], strict=True)) == keys
    for (line, predictor), row in zip(keys, shown.to_dict("records"), strict=True):
        part = table[(table["line"] == line) & (table["predictor"] == predictor)]
        for value in ("pearson", "retrieval"):
            expected = bootstrap_mean(part[value], seed=3)
            assert (row[value], row[f"{value}_low"], row[f"{value}_high"]) == pytest.approx(tuple(expected))
        assert row["n"] == 40
        assert row["fallback"] == part["fallback"].sum()


def test_scores_leave_out_what_is_missing_and_count_every_perturbation():
    table = evaluated(n=10)
    table.loc[0, "pearson"] = np.nan
    table.loc[(table["line"] == "rpe1") & (table["predictor"] == "go"), "pearson"] = np.nan
    means = summaries.scores(table, ["pearson"]).set_index(["line", "predictor"])
    assert means["n"].eq(10).all()
    assert means.loc[("k562", "training mean"), "pearson"] == pytest.approx(table["pearson"][1:10].mean())
    assert means.loc[("rpe1", "go"), ["pearson", "pearson_low", "pearson_high"]].isna().all()
    with pytest.raises(InputError, match="no column 'mse'"):
        summaries.scores(table, ["mse"])


def test_further_scores_stand_beside_the_number_of_different_deltas():
    table = evaluated(n=10)
    rng = np.random.default_rng(3)
    for name in summaries.FURTHER:
        table[name] = rng.uniform(size=len(table))
    group = table["line"] + table["predictor"]
    table = table.assign(nmae=np.nan, vendi=group.map(len) / 4, vendi_measured=9.5)
    shown = summaries.further(table, seed=3).merge(summaries.diversity(table), on=summaries.HEAD)
    assert list(zip(shown["line"], shown["predictor"], strict=True)) == list(
        dict.fromkeys(zip(table["line"], table["predictor"], strict=True))
    )
    first = table[(table["line"] == "k562") & (table["predictor"] == "training mean")]
    assert shown.loc[0, "direction_reach"] == pytest.approx(first["direction_reach"].mean())
    assert {"direction_reach_low", "direction_reach_high"} < set(shown)
    assert not {"nmae", "pearson", "fallback", "vendi_low"} & set(shown)
    assert shown.loc[0, ["vendi", "vendi_measured"]].tolist() == [len("k562training mean") / 4, 9.5]


def test_paired_tests_pair_perturbations_and_correct_within_a_line():
    table = evaluated()
    shuffled = table.sample(frac=1, random_state=1)
    tests = summaries.paired_tests(shuffled, "training mean")
    assert len(tests) == 4
    for row in tests.to_dict("records"):
        part = table[table["line"] == row["line"]].pivot(index="perturbation", columns="predictor", values="pearson")
        difference = part[row["method_a"]] - part["training mean"]
        assert row["method_b"] == "training mean"
        assert row["mean_difference"] == pytest.approx(difference.mean())
        assert row["p"] == pytest.approx(wilcoxon(difference).pvalue)
        family = tests.loc[tests["line"] == row["line"], "p"].sort_values().to_numpy()
        assert row["p_holm"] == pytest.approx(min(1, max(2 * family[0], family[1] if row["p"] > family[0] else 0)))


def test_shown_joins_intervals_and_shortens_p_values():
    table = pd.DataFrame(
        {
            "line": ["k562"],
            "n": [267],
            "pearson": [0.57512],
            "pearson_low": [0.5331],
            "pearson_high": [0.6129],
            "mean_difference": [-0.0004],
            "low": [-0.003],
            "high": [0.0],
            "p": [0.0047],
            "p_holm": [5.94e-21],
            "limit": [np.nan],
            "few": [0.25],
            "few_low": [np.nan],
            "few_high": [np.nan],
            "none": [np.nan],
            "none_low": [np.nan],
            "none_high": [np.nan],
        }
    )
    assert summaries.formatted(table).iloc[0].to_dict() == {
        "line": "k562",
        "n": "267",
        "pearson [95 %]": "0.575 [0.533, 0.613]",
        "mean_difference [95 %]": "-0.000 [-0.003, 0.000]",
        "p": "0.0047",
        "p_holm": "5.9e-21",
        "limit": "",
        "few [95 %]": "0.250",
        "none [95 %]": "",
    }
