"""The tables and figures of the chapter on PerturbQA's questions, on a made-up screen."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binom

from kgpert_lib.metrics.auroc import auroc_per_gene
from kgpert_lib.perturbqa.evaluate import evaluate_rules, published
from kgpert_lib.perturbqa.tasks import ask_all
from kgpert_lib.perturbqa.tuning import load
from kgpert_lib.perturbqa.voting import Choices
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies import perturbqa
from kgpert_lib.studies import perturbqa_figures as figures
from tests.perturbqa.world import affinity, screen, with_deltas


def with_graphs():
    """The made-up atlas as a screen with the made-up affinity."""
    known = affinity()
    whole = Screen(screen(), known.graphs)
    whole.__dict__["affinity"] = known
    return whole


@pytest.fixture(scope="module")
def scores():
    atlas, known, choices = screen(), affinity(), Choices(rank=4, joint=True, level=0.3)
    both = {"de": choices, "dir": choices}
    rules = ["affinity", "smoothed", "lines", "mixed"]
    return [
        item
        for line in atlas.lines
        for split in ("strict", "per-line")
        for item in evaluate_rules(atlas, line, split, known, rules, choices=both, draws=50)
    ]


def texts(figure):
    return [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text"))]


def test_a_row_is_the_mean_area_of_its_rule_and_its_gain_over_the_union(scores):
    table = perturbqa.rule_table(scores, "strict")
    assert set(table["line"]) == {"k562", "rpe1"}
    assert len(table) == 2 * 2 * 5
    first = scores[0]
    areas = {
        rule: auroc_per_gene(p, first.questions.label, first.questions.column)[1].mean()
        for rule, p in first.probability.items()
    }
    part = table[(table["line"] == "k562") & (table["task"] == "de")].set_index("rule")
    assert part.loc["union", "gain"] == 0
    for rule in ("affinity", "mixed"):
        row = part.loc[rule]
        assert row["auroc"] == pytest.approx(areas[rule], abs=0.02)
        assert row["gain"] == pytest.approx(row["auroc"] - part.loc["union", "auroc"])
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]


def test_p_values_are_corrected_within_line_and_task(scores):
    table = perturbqa.rule_table(scores, "strict")
    raw = scores[0].table.set_index("rule")["p"].dropna().sort_values()
    holm = table[(table["line"] == "k562") & (table["task"] == "de")].set_index("rule")["p_holm"]
    assert np.isnan(holm["union"])
    worst = 0.0
    for k, (rule, p) in enumerate(raw.items()):  # Holm, by hand
        worst = max(worst, min(1.0, p * (len(raw) - k)))
        assert holm[rule] == pytest.approx(worst)


def test_steps_are_differences_of_neighbouring_rules(scores):
    rows = perturbqa.rule_table(scores, "strict").set_index(["line", "task", "rule"])["auroc"]
    for _, step in perturbqa.steps(scores, "strict").iterrows():
        before, after = step["from and to"].split(" to ")
        difference = rows[step["line"], step["task"], after] - rows[step["line"], step["task"], before]
        assert step["step"] == pytest.approx(difference)
        assert step["step_low"] <= step["step"] <= step["step_high"]


@pytest.fixture(scope="module")
def hidden():
    atlas, known, choices = screen(), affinity(), Choices(rank=4, joint=True, level=0.3)
    both = {"de": choices, "dir": choices}
    return [
        item
        for line in atlas.lines
        for item in evaluate_rules(atlas, line, "strict", known, ["mixed"], choices=both, draws=50)
    ]


def test_published_rows_keep_their_figures_and_the_benchmarks_own_split_stands_beside_them(scores, hidden):
    table = perturbqa.beside_published(scores, hidden, "de").set_index("method")
    assert table.loc["SUMMER", "k562"] == 0.62
    assert perturbqa.beside_published(scores, hidden, "dir").set_index("method").loc["SUMMER", "rpe1"] == 0.64
    assert "PBio-Agent" not in table.index  # it published directions only
    assert list(table.index[-5:]) == [
        *("union (per-line)", "mixed (per-line)", f"mixed ({perturbqa.HIDDEN})"),
        *("union (strict)", "mixed (strict)"),
    ]
    for split in ("per-line", "strict"):
        ours = perturbqa.rule_table(scores, split).set_index(["line", "task", "rule"])["auroc"]
        assert table.loc[f"mixed ({split})", "k562"] == ours["k562", "de", "mixed"]
        assert table.loc[f"mixed ({split})", "k562_low"] < ours["k562", "de", "mixed"]
    assert np.isnan(table.loc["SUMMER", "k562_low"])


def test_a_mean_over_lines_stands_beside_a_published_mean_only_where_it_is_over_the_same_four_lines(scores, hidden):
    def four(items):
        return [replace(item, line=line) for lines in (["k562", "rpe1"], ["hepg2", "jurkat"])
                for item, line in zip(items, np.repeat(lines, len(items) // 2), strict=True)]  # fmt: skip

    two = perturbqa.beside_published(scores, hidden, "de").set_index("method")
    assert "CORE-Voting" not in two.index
    table = perturbqa.beside_published(four(scores), four(hidden), "de").set_index("method")
    assert table.loc["CORE-Voting", "mean"] == 0.703
    assert np.isnan(table.loc["CORE-Voting", "k562"])
    for method in ("SUMMER", "mixed (strict)"):
        assert table.loc[method, "mean"] == pytest.approx(table.loc[method, ["k562", "rpe1", "hepg2", "jurkat"]].mean())
    width = table["mean_high"] - table["mean_low"]
    assert (
        0 < width["mixed (strict)"] < table.loc["mixed (strict)", "k562_high"] - table.loc["mixed (strict)", "k562_low"]
    )


def test_what_the_genes_own_knock_down_elsewhere_is_worth_is_paired(scores, hidden):
    table = perturbqa.own_knock_down(scores, hidden).set_index(["task", "line", "condition"])
    for task in ("de", "dir"):
        assert np.isnan(table.loc[(task, "k562", "per-line"), "below"])
        for condition in (perturbqa.HIDDEN, "strict"):
            row = table.loc[(task, "k562", condition)]
            assert row["below"] == pytest.approx(table.loc[(task, "k562", "per-line"), "auroc"] - row["auroc"])
            assert row["below_low"] <= row["below"] <= row["below_high"]
        lines = [table.loc[(task, line, "strict"), "below"] for line in ("k562", "rpe1")]
        assert table.loc[(task, "mean", "strict"), "below"] == pytest.approx(np.mean(lines))
    # the same settings on the same view give the same answers, question by question
    pd.testing.assert_frame_equal(table.xs(perturbqa.HIDDEN, level="condition"), table.xs("strict", level="condition"))


def test_a_hidden_own_knock_down_is_read_in_no_line():
    whole = with_graphs()
    tested = whole["k562"].names("test")

    def without_own(line):
        own = np.isin(line.perturbations, tested) & (line.name != "k562")
        return np.where(own[:, None] & ~np.isnan(line.delta), -line.delta, line.delta)

    other = replace(whole, atlas=with_deltas(whole.atlas, without_own))
    other.__dict__["affinity"] = whole.affinity
    first, second = (perturbqa.with_own_knock_down_hidden(s) for s in (whole, other))
    for before, after in zip(first, second, strict=True):
        same = np.array_equal(before.probability["mixed"], after.probability["mixed"])
        assert same == (before.line == "k562")


def test_the_blind_test_keeps_its_figures_beside_todays(scores):
    table = perturbqa.blind_test(scores).set_index(["split", "task", "line"])
    assert len(table) == 8  # the made-up screen has two of the four lines
    assert table.loc[("per-line", "de", "k562"), "recorded"] == 0.7632
    assert set(table["status"]) == {"seen while developing"}
    now = perturbqa.rule_table(scores, "strict").set_index(["line", "task", "rule"]).loc[("rpe1", "dir", "mixed")]
    row = table.loc[("strict", "dir", "rpe1")]
    assert row[["today", "today_low", "today_high"]].tolist() == now[["auroc", "auroc_low", "auroc_high"]].tolist()


def test_the_record_of_the_blind_test_is_whole():
    table = perturbqa.recorded()
    assert len(table.drop_duplicates(["split", "line", "task"])) == len(table) == 16
    assert set(table.loc[table["status"] == "blind", "line"]) == {"hepg2", "jurkat"}
    assert ((table["low"] < table["auroc"]) & (table["auroc"] < table["high"])).all()


def test_test_genes_of_blind_lines_are_counted_where_settings_were_chosen():
    def line(name, train, test):
        names = np.array([*train, *test])
        split = np.array(["train"] * len(train) + ["test"] * len(test))
        return CellLine(name, names, np.array(["R"]), np.zeros((len(names), 1), np.float32), split)

    lines = [line("k562", "AB", "C"), line("rpe1", "CD", "B"), line("hepg2", "AX", "BCDY"), line("jurkat", "BC", "AD")]
    table = perturbqa.known_where_chosen(Atlas("toy", "real", {cells.name: cells for cells in lines}))
    assert table.to_numpy().tolist() == [["hepg2", 4, 1, 3], ["jurkat", 2, 2, 2]]


def test_both_splits_show_what_other_lines_add(scores):
    table = perturbqa.splits_compared(scores)
    assert len(table) == 8
    assert set(table["split"]) == {"strict", "per-line"}


def test_reliability_counts_every_question_once(scores):
    table = perturbqa.reliability(scores)
    for item in scores:
        if item.split == "strict":
            part = table[(table["line"] == item.line) & (table["task"] == item.task)]
            assert part["questions"].sum() == len(item.questions)
            share = (part["measured"] * part["questions"]).sum() / part["questions"].sum()
            assert share == pytest.approx(item.questions.label.mean())


def test_brier_scores_stand_beside_those_of_base_rates(scores):
    table = perturbqa.calibrated(scores).set_index(["line", "task", "rule"])
    item = scores[0]
    answers = item.voter.data.answers("de", signed=False)
    assert table.loc[("k562", "de", "mixed"), "trained"] == pytest.approx(answers[~np.isnan(answers)].mean())
    assert table.loc[("k562", "de", "mixed"), "positive"] == pytest.approx(item.questions.label.mean())
    for rule, p in (("mixed", item.probability["mixed"]), ("base rate", item.voter.base[item.questions.column])):
        assert table.loc[("k562", "de", rule), "brier"] == pytest.approx(np.mean((p - item.questions.label) ** 2))


def test_bins_of_neighbours_split_the_questions_and_few_genes_have_no_mean(scores):
    table = perturbqa.by_neighbours(scores, with_graphs())
    for (line, task), part in table.groupby(["line", "task"]):
        item = next(m for m in scores if (m.line, m.task, m.split) == (line, task, "strict"))
        assert part["questions"].sum() == len(item.questions)
        assert part["perturbations"].sum() == len(np.unique(item.questions.row))
    assert (table["genes"] < perturbqa.FEWEST_GENES).equals(table["auroc"].isna())
    known = table[table["auroc"].notna()]
    assert len(known)
    assert ((known["auroc_low"] <= known["auroc"]) & (known["auroc"] <= known["auroc_high"])).all()


def test_trust_is_expected_for_every_test_perturbation_and_its_cover_counted():
    whole = with_graphs()
    trust = perturbqa.trusted(whole, NeighbourPredictor(GraphNeighbourhood(whole.affinity.graphs)))
    assert list(trust.groupby("line", sort=False).size()) == [40, 40]
    table = perturbqa.covered(trust).set_index("line")
    part = trust[trust["line"] == "k562"]
    inside = (part["reached"] >= part["low"]) & (part["reached"] <= part["high"])
    assert table.loc["k562", "covered"] == pytest.approx(inside.mean())
    assert table.loc["k562", "correlation"] == pytest.approx(part["expected"].corr(part["reached"]))
    for value in ("covered", "correlation"):
        assert table.loc["k562", f"{value}_low"] <= table.loc["k562", value] <= table.loc["k562", f"{value}_high"]
    text = texts(figures.trust(trust, "toy (simulated)"))
    assert "atlas: toy (simulated)" in text
    assert "K562 (n = 40)" in text


def test_trust_in_votes_stands_beside_what_base_rates_reach(scores):
    trust = perturbqa.trusted_votes(scores, "affinity")
    table = perturbqa.covered(trust).set_index(["line", "task"])
    assert len(table) == 4
    part = trust[(trust["line"] == "rpe1") & (trust["task"] == "dir")]
    assert table.loc[("rpe1", "dir"), "n"] == len(part) > 0
    item = next(m for m in scores if (m.line, m.task, m.split) == ("rpe1", "dir", "strict"))
    base, label = item.voter.base[item.questions.column], item.questions.label
    right = pd.Series(np.where(label == 1, base, 1 - base)).groupby(item.questions.perturbation)
    expected = right.mean()[right.size() >= 10].mean()
    assert table.loc[("rpe1", "dir"), "base_rate"] == pytest.approx(expected)
    text = texts(figures.trust(trust, "toy", "p"))
    assert f"RPE1, does it rise? (n = {len(part)})" in text
    assert "base rates alone" in text


def test_coverage_of_each_line_and_of_all_counts_what_lies_inside(scores):
    reached = np.repeat([0.5, 0.95], [30, 10])
    part = pd.DataFrame({"low": 0.2, "high": 0.8, "reached": reached, "split": "strict"})
    rpe1 = part.assign(line="rpe1", reached=0.5)
    table = perturbqa.coverage({"votes": pd.concat([part.assign(line="k562"), rpe1], ignore_index=True)})
    assert list(table["line"]) == ["k562", "rpe1", "all"]
    assert list(table["n"]) == [40, 40, 80]
    np.testing.assert_allclose(table["covered"], [0.75, 1.0, 0.875])
    assert table["covered_low"][0] == pytest.approx(0.5981, abs=1e-3)  # Wilson, 30 of 40, by the closed formula
    assert table["covered_high"][0] == pytest.approx(0.8581, abs=1e-3)
    chances = binom.pmf(np.arange(41), 40, 0.8)
    assert table["p"][1] == pytest.approx(chances[chances <= chances[40]].sum())

    whole = with_graphs()
    pearson = perturbqa.trusted(whole, NeighbourPredictor(GraphNeighbourhood(whole.affinity.graphs)))
    votes = [perturbqa.trusted_votes(scores, "affinity", split) for split in ("strict", "per-line")]
    both = perturbqa.coverage({"prediction": pearson, "votes": pd.concat(votes, ignore_index=True)})
    assert len(both) == (1 + 2 * 2) * 3
    for source in (perturbqa.covered(pearson), perturbqa.covered(votes[0])):
        for _, row in source.iterrows():
            here = (both["line"] == row["line"]) & (both["split"] == "strict") & (both["task"] == row.get("task", ""))
            assert both.loc[here, "covered"].item() == pytest.approx(row["covered"])
            assert both.loc[here, "n"].item() == row["n"]


def test_settings_are_the_best_of_their_stage_and_the_next_lies_behind():
    table = perturbqa.settings("strict")
    assert set(table["task"]) == {"de", "dir"}
    assert (table["behind"] >= 0).all()
    for task in ("de", "dir"):
        choices = load("strict", task)
        words = ", ".join(table.loc[table["task"] == task, "settings"])
        for name in ("prior", "base_prior", "rank", "smoothing", "other"):
            assert f"{perturbqa.SETTINGS[name]}: {getattr(choices, name):g}" in words.split(", ")
        assert f"all lines completed together: {'yes' if choices.joint else 'no'}" in words.split(", ")
        assert not any(word in words for word in ("base_prior", "gene_affinity", "profile_power", "True", "False"))


def test_sampling_counts_positives_negatives_and_silent_readouts():
    delta = np.array([[1, -1, 0, 0], [0, np.nan, 0, 0], [1, 0, np.nan, 0]], np.float32)
    line = CellLine(
        "toy", np.array(["A", "B", "C"]), np.array(list("wxyz")), delta, np.array(["train", "train", "test"])
    )
    row = perturbqa.sampling(Atlas("toy", "real", {"toy": line})).iloc[0]
    assert (row["perturbations"], row["most positives"], row["without a change"]) == (3, 2, 1)
    assert row["negatives"] == "2 to 2"
    assert row["negatives never positive"] == pytest.approx(5 / 7)


def test_the_worked_question_has_an_answer_and_neighbours_that_measured_it(scores):
    atlas, voter = screen(), scores[0].voter
    gene, readout = perturbqa.example_question(voter, atlas)
    cells = atlas["k562"]
    assert gene in cells.names("test")
    assert abs(cells.delta[cells.index[gene], list(cells.genes).index(readout)]) == 1
    strongest = np.argsort(-voter.weight(np.array([gene]))[0])[: perturbqa.STRONGEST]
    measured = ~np.isnan(voter.data.line().delta[strongest])
    changes = ask_all(cells, "dir")
    columns = changes.column[changes.perturbation == gene]
    assert measured[:, list(cells.genes).index(readout)].sum() == measured[:, columns].sum(axis=0).max()


def test_figures_name_the_atlas_and_the_questions(scores):
    strict, own = perturbqa.rule_table(scores, "strict"), perturbqa.rule_table(scores, "per-line")
    count, rules = len(scores[0].questions), figures.rules(own, strict, published(), "toy")
    for figure in (rules, figures.reliability(perturbqa.reliability(scores), "toy")):
        assert "atlas: toy" in texts(figure)
        assert f"K562, does it change? (n = {count:,})" in texts(figure)


def test_both_splits_stand_in_one_panel_and_published_figures_are_lines(scores):
    strict, own = perturbqa.rule_table(scores, "strict"), perturbqa.rule_table(scores, "per-line")
    axis = figures.rules(own, strict, published(), "toy").axes[0]
    assert [label.get_text() for label in axis.get_yticklabels()] == ["union", "affinity", "smoothed", "lines", "mixed"]
    points = [line for line in axis.lines if line.get_marker() == "o"]
    for line, table in zip(points, (own, strict), strict=True):
        part = table[(table["line"] == "k562") & (table["task"] == "de")]
        assert list(line.get_xdata()) == pytest.approx(list(part["auroc"]))
    others = [line for line in axis.lines if "(published)" in str(line.get_label())]
    assert [line.get_xdata()[0] for line in others] == [0.62, 0.58]
    assert len({line.get_color() for line in (*points, *others)}) == 3
