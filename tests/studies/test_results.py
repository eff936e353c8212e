"""Table 1 from recorded runs: its rows, standard errors, tests and quotations, on a tiny simulation."""

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import sem, wilcoxon

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import trust
from kgpert_lib.metrics import stats
from kgpert_lib.studies import published, results
from kgpert_lib.studies import results_figures as figures
from tests.studies.recorded import answers, drawn_screen, group, record, settings

HEAD = {"atlas": "simulated", "kind": "simulated", "line": "k562"}


def no_edit(*_):
    return json.dumps({"add": [], "remove": []})


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    return settings(tmp_path_factory.mktemp("screen"))


@pytest.fixture(scope="module")
def groups(training, tmp_path_factory):
    """The gene-edit model with gold edits, and a language model whose edits change nothing, before and after."""
    folder = tmp_path_factory.mktemp("runs")
    gold = answers(training, lambda tasks, line, gene: tasks.gold(line, gene))
    idle = answers(training, no_edit)
    record(folder, "tiny-s0", training, {"trained": gold})
    record(folder, "words-s0", training, {"base": idle, "trained": idle}, policy="smollm2")
    own = [group(folder, name) for name in ("tiny", "words")]
    for each in own:
        each.__dict__["screen"] = drawn_screen()
    return own


@pytest.fixture(scope="module")
def scores(groups):
    return results.scores(groups)


def test_rows_come_in_the_order_of_the_table_and_missing_ones_are_left_out(scores, groups):
    rows = list(dict.fromkeys(scores["predictor"]))
    best = next(row for row in rows if row.startswith("best fixed rule: "))
    expected = [
        *(results.CEILING, results.AGAIN, "gene-edit model, trained + KG"),
        *("SmolLM2, trained + KG", "SmolLM2, untrained + KG", results.KG, best),
        *(name for name in (results.WEIGHTED, results.LINEAR, results.MEAN) if not best.endswith(name)),
    ]
    assert [row for row in rows if row in expected] == expected
    alone = results.scores(groups[:1])
    assert not alone["predictor"].str.contains("SmolLM2").any()
    with pytest.raises(InputError, match="No run with trained answers"):
        results.scores([])


def test_a_model_that_edits_nothing_scores_what_the_graphs_score(scores):
    wide = scores.pivot(index=["line", "perturbation"], columns="predictor", values="pearson")
    assert wide["SmolLM2, trained + KG"].to_numpy() == pytest.approx(wide[results.KG].to_numpy())
    assert (wide["gene-edit model, trained + KG"] >= wide[results.KG] - 1e-6).all()


def test_cells_are_means_with_standard_errors_and_say_where_fewer_genes_have_a_score():
    values = np.array([0.1, 0.4, 0.4, 0.9])
    reach = np.array([0.5, np.nan, 0.7, np.nan])
    table = pd.DataFrame(
        {"predictor": "toy", "perturbation": list("abcd"), "pearson": values, "direction_reach": reach}
    )
    row = results.table(table.assign(**HEAD), ["pearson", "direction_reach"]).iloc[0]
    assert row["pearson"] == f"0.450 ({sem(values):.3f})"
    assert row["direction_reach"] == f"0.600 ({sem([0.5, 0.7]):.3f}), n = 2"
    assert row["n"] == 4


def test_all_pairs_of_a_line_are_one_family(scores):
    pairs = results.pairwise(scores)
    part = pairs[pairs["line"] == "rpe1"]
    rows = scores.loc[scores["line"] == "rpe1", "predictor"].nunique()
    assert len(part) == rows * (rows - 1) / 2
    wide = scores[scores["line"] == "rpe1"].pivot(index="perturbation", columns="predictor", values="pearson")
    item = part[(part["first"] == results.KG) & (part["second"] == results.MEAN)].iloc[0]
    difference = wide[results.KG] - wide[results.MEAN]
    assert item["difference"] == pytest.approx(difference.mean())
    assert item["p"] == pytest.approx(wilcoxon(difference.round(stats.DIGITS), zero_method="wilcox").pvalue)
    assert part["p_holm"].tolist() == pytest.approx(stats.holm(part["p"]).tolist())
    assert figures.pairs(pairs).axes


def test_tests_against_one_row_are_written_as_it_minus_the_other(scores):
    pairs = results.pairwise(scores)
    table = results.against(scores, pairs, results.KG).set_index(["line", "compared with"])
    wide = scores.pivot(index=["line", "perturbation"], columns="predictor", values="pearson")
    for other in (results.CEILING, results.MEAN):  # one stands before the union, the other after it
        gain = (wide[results.KG] - wide[other]).groupby("line").mean()
        for line, value in gain.items():
            row = table.loc[(line, other)]
            assert row["gain"] == pytest.approx(value)
            assert row["gain_low"] <= row["gain"] <= row["gain_high"]


def test_quoted_rows_are_marked_as_measured_on_other_data(scores):
    ours = results.as_published(scores, {results.KG: "KG, ours"})
    table = published.beside(ours)
    mark = dict(zip(table["method"], table["measured on"], strict=True))
    assert mark["LLM RL + KG"] == mark["TxPert"] == published.OTHER_DATA
    assert mark["KG, ours"] == "simulated"
    assert list(dict.fromkeys(table["metric"])) == ["Pearson delta", "retrieval"]
    quoted = table[(table["method"] == "LLM RL + KG") & (table["metric"] == "Pearson delta")].iloc[0]
    assert quoted["K562"] == "0.625 (0.014)"
    own = scores[(scores["predictor"] == results.KG) & (scores["line"] == "rpe1")]["pearson"]
    here = table[(table["method"] == "KG, ours") & (table["metric"] == "Pearson delta")].iloc[0]
    assert here["RPE1"] == f"{own.mean():.3f} ({sem(own):.3f})"


def test_an_expected_score_stands_beside_what_trained_edits_reached(groups, scores, monkeypatch):
    monkeypatch.setattr(trust, "FEWEST", 20)  # the tiny simulation has 40 training perturbations
    table = results.expected(groups[0], scores)
    own = scores[scores["predictor"] == results.trained_label(groups[0])].set_index(["line", "perturbation"])["pearson"]
    reached = table.set_index(["line", "perturbation"])["reached"]
    assert reached.to_dict() == own.to_dict()
    assert (table["low"] <= table["high"]).all()
