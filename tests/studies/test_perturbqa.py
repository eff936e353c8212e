"""The tables and figures of the chapter on PerturbQA's questions, on a made-up screen."""

import numpy as np
import pytest

from kgpert_lib.metrics.auroc import auroc_per_gene
from kgpert_lib.perturbqa.evaluate import climb, published
from kgpert_lib.perturbqa.tuning import load
from kgpert_lib.perturbqa.voting import Choices
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.studies import perturbqa
from kgpert_lib.studies import perturbqa_figures as figures
from tests.perturbqa.world import knowledge, screen


@pytest.fixture(scope="module")
def made():
    atlas, known, choices = screen(), knowledge(), Choices(rank=4, joint=True, level=0.3)
    both = {"de": choices, "dir": choices}
    return [
        item
        for line in atlas.lines
        for split in ("strict", "per-line")
        for item in climb(atlas, line, split, known, ["weighted", "lines", "mixed"], choices=both, draws=50)
    ]


def test_a_step_is_the_mean_area_of_its_rule_and_its_gain_over_the_union(made):
    table = perturbqa.steps(made, "strict")
    assert set(table["line"]) == {"k562", "rpe1"}
    assert len(table) == 2 * 2 * 4
    first = made[0]
    areas = {
        rule: auroc_per_gene(p, first.questions.label, first.questions.column)[1].mean()
        for rule, p in first.probability.items()
    }
    part = table[(table["line"] == "k562") & (table["task"] == "de")].set_index("rule")
    assert part.loc["union", "gain"] == 0
    for rule in ("weighted", "mixed"):
        row = part.loc[rule]
        assert row["auroc"] == pytest.approx(areas[rule], abs=0.02)
        assert row["gain"] == pytest.approx(row["auroc"] - part.loc["union", "auroc"])
        assert row["auroc_low"] <= row["auroc"] <= row["auroc_high"]


def test_published_rows_keep_their_figures_beside_ours(made):
    table = perturbqa.beside_published(made).set_index("method")
    assert table.loc["SUMMER", "de k562"] == 0.62
    assert table.loc["SUMMER", "dir rpe1"] == 0.64
    assert np.isnan(table.loc["PBio-Agent", "de k562"])
    assert list(table.index[-2:]) == ["union (strict)", "mixed (strict)"]
    assert table.loc["mixed (strict)", "source"] == "this book"


def test_both_splits_stand_side_by_side(made):
    table = perturbqa.splits_compared(made)
    assert {"lines, strict", "lines, per-line", "weighted, strict", "weighted, per-line"} < set(table.columns)
    assert len(table) == 4


def test_reliability_counts_every_question_once(made):
    table = perturbqa.reliability(made)
    for item in made:
        if item.split == "strict":
            part = table[(table["line"] == item.line) & (table["task"] == item.task)]
            assert part["questions"].sum() == len(item.questions)
            share = (part["found"] * part["questions"]).sum() / part["questions"].sum()
            assert share == pytest.approx(item.questions.label.mean())


def test_brier_scores_are_those_of_the_stated_probabilities(made):
    table = perturbqa.calibrated(made).set_index(["line", "task", "rule"])
    item = made[0]
    asked = item.voter.ground.answers("de", signed=False)
    assert table.loc[("k562", "de", "mixed"), "trained"] == pytest.approx(asked[~np.isnan(asked)].mean())
    assert table.loc[("k562", "de", "mixed"), "positive"] == pytest.approx(item.questions.label.mean())
    expected = np.mean((item.probability["mixed"] - item.questions.label) ** 2)
    assert table.loc[("k562", "de", "mixed"), "brier"] == pytest.approx(expected)


def test_bins_of_neighbours_split_the_questions(made):
    table = perturbqa.by_neighbours(made, knowledge(), screen())
    for (line, task), part in table.groupby(["line", "task"]):
        item = next(m for m in made if (m.line, m.task, m.split) == (line, task, "strict"))
        assert part["questions"].sum() == len(item.questions)
        assert part["perturbations"].sum() == len(np.unique(item.questions.row))


def test_trust_is_told_for_every_test_perturbation_and_its_cover_counted():
    atlas = screen()
    told = perturbqa.trusted(atlas, NeighbourPredictor(GraphNeighbourhood(knowledge().graphs)))
    assert list(told.groupby("line", sort=False).size()) == [40, 40]
    table = perturbqa.covered(told).set_index("line")
    part = told[told["line"] == "k562"]
    inside = (part["reached"] >= part["low"]) & (part["reached"] <= part["high"])
    assert table.loc["k562", "covered"] == pytest.approx(inside.mean())
    text = [t.get_text() for t in figures.trust(told, "toy (simulated)").findobj(lambda a: hasattr(a, "get_text"))]
    assert "atlas: toy (simulated)" in text
    assert "K562 (n = 40)" in text


def test_trust_in_votes_is_told_by_line_and_task(made):
    told = perturbqa.trusted_votes(made, screen(), "weighted")
    table = perturbqa.covered(told).set_index(["line", "task"])
    assert len(table) == 4
    part = told[(told["line"] == "rpe1") & (told["task"] == "dir")]
    assert table.loc[("rpe1", "dir"), "n"] == len(part) > 0
    text = [t.get_text() for t in figures.trust(told, "toy", "p").findobj(lambda a: hasattr(a, "get_text"))]
    assert f"RPE1, does it rise? (n = {len(part)})" in text


def test_what_was_chosen_is_the_best_of_its_stage_and_the_next_lies_behind():
    table = perturbqa.chosen("strict")
    assert set(table["task"]) == {"de", "dir"}
    assert (table["behind"] >= 0).all()
    for task in ("de", "dir"):
        settings = load("strict", task)
        for said in ", ".join(table.loc[table["task"] == task, "chosen"]).split(", "):
            name, value = said.split(" ")
            assert float(value) == getattr(settings, name)


def test_figures_name_the_atlas_and_the_questions(made):
    steps, count = perturbqa.steps(made, "strict"), len(made[0].questions)
    for figure in (figures.ladder(steps, published(), "toy"), figures.reliability(perturbqa.reliability(made), "toy")):
        text = [t.get_text() for t in figure.findobj(lambda a: hasattr(a, "get_text"))]
        assert "atlas: toy" in text
        assert f"K562, does it change? (n = {count})" in text
