"""Table 2: four lines against three, here two against one, on a tiny simulation."""

import json

import pytest

from kgpert_lib.studies import ablation
from kgpert_lib.studies import ablation_figures as figures
from kgpert_lib.studies.ablation import EQUAL_QUESTIONS, EQUAL_STEPS, FOUR, WARM_FOUR, WARM_THREE
from kgpert_lib.studies.run_scores import UNEDITED, RunGroup
from tests.studies.recorded import LINES, answers, group, record, settings, steps


def no_edit(*_):
    return json.dumps({"add": [], "remove": []})


def gold(tasks, line, gene):
    return tasks.gold(line, gene)


def gold_but_k562(tasks, line, gene):
    return tasks.gold(line, gene) if line != "k562" else no_edit()


@pytest.fixture(scope="module")
def trainings(tmp_path_factory):
    """One training on both lines and one without K562, which edits nothing there; half of its steps are equal."""
    folder = tmp_path_factory.mktemp("runs")
    both = settings(folder)
    fewer = both.model_copy(update={"lines": ("rpe1",)})
    idle = answers(both, no_edit)
    record(folder, "both-s0", both, {"warm": idle, "trained": answers(both, gold)}, rows=steps(8))
    later = {"warm": idle, "matched": idle, "trained": answers(both, gold_but_k562)}
    record(folder, "fewer-s0", fewer, later, rows=steps(8), answered={"matched": 4, "trained": 8})
    record(folder, "short-s0", fewer, {"trained": answers(both, gold_but_k562)}, rows=steps(8))
    return {name: group(folder, name) for name in ("both", "fewer", "short")}


@pytest.fixture(scope="module")
def scores(trainings):
    return ablation.scores(trainings["both"], trainings["fewer"])


def test_the_line_that_was_left_out_is_named(trainings, scores):
    assert ablation.left_out(trainings["both"], trainings["fewer"]) == ["k562"]
    assert scores.groupby("line")["asked"].unique().map(list).to_dict() == {"k562": [False], "rpe1": [True]}


def test_equal_questions_a_line_are_fewer_steps(trainings):
    table = ablation.amounts(trainings["both"], trainings["fewer"]).set_index("training")
    assert table.loc[FOUR, ["steps", "questions", "questions a line"]].tolist() == [8, 32, 16]
    assert table.loc[EQUAL_STEPS, ["steps", "questions a line"]].tolist() == [8, 32]
    assert table.loc[EQUAL_QUESTIONS, ["steps", "questions a line"]].tolist() == [4, 16]


def test_every_training_is_compared_with_the_union_and_with_its_own_warm_start(scores):
    table = ablation.over_base(scores).set_index(["line", "training", "compared with"])
    assert len(table) == len(LINES) * 3 * 2
    assert table.loc[("k562", EQUAL_STEPS, UNEDITED), "gain"] == pytest.approx(0, abs=1e-9)
    assert table.loc[("rpe1", EQUAL_STEPS, WARM_THREE), "gain_low"] > 0
    assert table.loc[("k562", FOUR, WARM_FOUR), "gain_low"] > 0
    assert table.loc[("rpe1", EQUAL_QUESTIONS, UNEDITED), "gain"] == pytest.approx(0, abs=1e-9)


def test_four_lines_against_three_at_both_moments(scores):
    table = ablation.four_against_three(scores).set_index(["line", "compared with"])
    assert table.loc[("rpe1", EQUAL_STEPS), "gain"] == pytest.approx(0, abs=1e-9)
    gains = [table.loc[place, "gain"] for place in (("k562", EQUAL_STEPS), ("k562", EQUAL_QUESTIONS))]
    assert gains[0] == pytest.approx(gains[1])
    assert gains[0] > 0


def test_the_table_has_a_column_for_each_line_and_ends_with_the_number_of_genes(scores):
    table = ablation.table(scores).set_index("training")
    assert list(table.index) == [UNEDITED, WARM_FOUR, WARM_THREE, EQUAL_QUESTIONS, EQUAL_STEPS, FOUR, "test genes"]
    assert table.loc[UNEDITED, "k562"] == table.loc[EQUAL_STEPS, "k562"]
    assert table.loc[FOUR, "rpe1"] == table.loc[EQUAL_STEPS, "rpe1"]
    counts = scores.groupby("line")["perturbation"].nunique()
    assert table.loc["test genes", list(LINES)].tolist() == [str(counts[line]) for line in LINES]


def test_stages_that_are_not_recorded_are_left_out(trainings):
    scores = ablation.scores(trainings["both"], trainings["short"])
    assert set(scores["predictor"]) == {UNEDITED, WARM_FOUR, FOUR, EQUAL_STEPS}
    assert set(ablation.four_against_three(scores)["compared with"]) == {EQUAL_STEPS}
    assert EQUAL_QUESTIONS not in set(ablation.amounts(trainings["both"], trainings["short"])["training"])


def test_a_training_that_is_not_recorded_gives_empty_tables_and_a_figure_that_says_so(trainings):
    pair = trainings["both"], RunGroup("nothing", ())
    scores = ablation.scores(*pair)
    empty = [scores, ablation.amounts(*pair), ablation.table(scores), ablation.over_base(scores)]
    assert all(table.empty for table in [*empty, ablation.four_against_three(scores)])
    assert "not recorded" in figures.gains(ablation.over_base(scores)).axes[0].texts[0].get_text()


def test_the_figure_marks_the_line_that_was_left_out(scores):
    titles = [axis.get_title() for axis in figures.gains(ablation.over_base(scores)).axes]
    assert [("left out" in title) for title in titles] == [True, False]
