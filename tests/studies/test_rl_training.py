"""One gene's way to its reward, what answers earn, and the figures, on a tiny simulation."""

import json

import matplotlib.pyplot as plt
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.reward import ALPHA, BETA, Weights
from kgpert_lib.rl.tasks import EditTasks, Settings
from kgpert_lib.rl.traces import ScoredAnswer, ScoredAnswers
from kgpert_lib.screens.simulated import simulation
from kgpert_lib.studies import reward, rl_training
from kgpert_lib.studies import rl_training_figures as figures


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    folder = simulation.write(tmp_path_factory.mktemp("screen") / "tiny", size="tiny", lines=["k562", "rpe1"])
    return Settings(atlas=str(folder / "atlas"), prompt="brief", room=900)


def edit(add=(), remove=()):
    return json.dumps({"add": list(add), "remove": list(remove)})


def answered(settings, text_of, most=12):
    """Two answers to each of the first questions; `text_of` takes the question and the number of the answer."""
    tasks = EditTasks.of(settings)
    answers = []
    for place in tasks.stream[:most]:
        for repeat in range(2):
            text = text_of(tasks.question(*place), repeat)
            weighted = dict(tasks.judge(*place, text).weighted)
            answers.append(ScoredAnswer(*place, text, weighted, "smol", 7))
    return ScoredAnswers(settings, tuple(answers))


def swap(question, repeat):
    """Adds a candidate and removes a neighbour where there are any, and names what is no gene."""
    return edit([*question.prompt.candidates[repeat : repeat + 1], "NOGENE1"], question.neighbours[:1])


@pytest.fixture(scope="module")
def answers(settings):
    return answered(settings, swap)


def test_the_example_is_the_first_answer_that_adds_and_removes_whatever_it_earns(settings, answers):
    shown = rl_training.example(answers)
    tasks = EditTasks.of(settings)
    first = next(a for a in answers.answers if (p := tasks.lines[a.line].read(a.gene, a.text)).added and p.removed)
    assert (shown.question.line, shown.question.gene, shown.answer.text) == (first.line, first.gene, first.text)
    assert shown.answer.verdict == tasks.judge(first.line, first.gene, first.text)
    assert shown.gold.verdict.gap >= 0


def test_every_gene_of_the_example_has_the_fate_that_its_set_shows(answers):
    shown = rl_training.example(answers)
    genes = shown.genes()
    for name, side in (("answer", shown.answer), ("gold", shown.gold)):
        assert tuple(genes.loc[genes[name] == "added", "gene"]) == side.verdict.added
        assert set(genes.loc[genes[name] == "removed", "gene"]) == set(side.verdict.removed)
        assert genes[name].isin(["kept", "added"]).sum() == side.verdict.size
    near = genes["gene"].isin(shown.question.neighbours)
    assert genes.loc[near, "graphs"].ne("").all()
    assert genes.loc[~near, "graphs"].eq("").all()


def test_where_no_answer_does_both_the_first_that_counts_is_shown_and_else_none(settings):
    only_added = answered(settings, lambda q, _: edit(q.prompt.candidates[:1]))
    assert rl_training.example(only_added).answer.text == only_added.answers[0].text
    with pytest.raises(InputError, match="has an edit that counts"):
        rl_training.example(answered(settings, lambda *_: "I do not know."))


def test_kinds_of_answers_earn_what_the_page_says(settings):
    table = rl_training.kinds_of_answers(settings).set_index("answer")["reward"]
    whole = table["edits that help"]
    assert whole > 0.5
    assert table["the same among markup"] == table["the same after an order to pay"] == whole
    assert 0.25 < table["the same with as many invented genes"] < whole
    for kind in ("no edit", "adds neighbours that are there", "adds the gene itself"):
        assert table[kind] == 0.25
    for kind in ("names 10,000 genes", "a list without its end", "no list"):
        assert table[kind] == 0.0


def test_random_edits_have_the_size_of_the_answers_and_all_of_them_count(settings, answers):
    tasks = EditTasks.of(settings)
    drawn = {}
    for line, gene, text in rl_training.random_edits(answers):
        drawn.setdefault((line, gene), []).append(tasks.judge(line, gene, text))
    for answer, verdict in zip(answers.answers, answers.verdicts(), strict=True):
        twin = drawn[answer.line, answer.gene].pop(0)
        assert (len(twin.added), len(twin.removed)) == (len(verdict.added), len(verdict.removed))
        assert not any(twin.dropped.values())
    assert rl_training.random_edits(answers) == rl_training.random_edits(answers)


def test_controls_stand_beside_the_model_on_the_same_questions(answers):
    table = rl_training.compared(answers)
    earned = rl_training.earned(table).set_index("who")
    assert list(earned.index) == [
        *("smol", "no edit", "random edits of the same size", "one random candidate added", "gold edit")
    ]
    assert set(earned["questions"]) == {12}
    assert earned.loc["no edit", ["gap", "reward", "reward_low"]].tolist() == [0, 0.25, 0.25]
    assert earned["gap"].idxmax() == "gold edit"
    own = table[table["who"] == "smol"]
    assert earned.loc["smol", "reward"] == pytest.approx(own["reward"].mean())
    assert own["reward"].tolist() == pytest.approx([a.total for a in sorted_like(own, answers)])


def sorted_like(table, answers):
    assert [(a.line, a.gene) for a in answers.answers] == list(zip(table["line"], table["gene"], strict=True))
    return answers.answers


def test_outcomes_and_fates_count_answers_and_proposals(settings, answers):
    silent = answered(settings, lambda *_: "I do not know.", most=4)
    held, free = rl_training.outcomes([answers, silent], ["lists", "free"]).to_dict("records")
    assert (held["answers"], held["read whole"], held["questions"], held["judged equal"]) == (24, 24, 12, 24)
    assert (free["answers"], free["read whole"], free["different rewards"], free["judged equal"]) == (8, 0, 0, 8)
    fates = rl_training.fates(answers).set_index("fate")["n"]
    verdicts = answers.verdicts()
    assert fates["counts"] == sum(len(v.added) + len(v.removed) for v in verdicts)
    assert fates["no human gene"] == 24
    assert rl_training.fates(answers)["share"].sum() == pytest.approx(1)


def test_a_tampered_reward_is_not_judged_equal(answers):
    first = answers.answers[0]
    higher = ScoredAnswer(first.line, first.gene, first.text, {"format": 1.0}, "smol", 7)
    tampered = ScoredAnswers(answers.settings, (higher, *answers.answers[1:]))
    assert rl_training.outcomes([tampered], ["lists"])["judged equal"].item() == 23


def test_a_prompt_is_escaped_and_whole(settings):
    question = next(EditTasks.of(settings).questions)
    html = rl_training.prompt(question)
    assert question.gene in html
    assert "&quot;add&quot;" in html
    assert html.count("<pre") == 1


def test_how_often_the_job_asks_each_question(settings):
    source = {"env": {"taskset": {"id": "kgpert", "atlas": settings.atlas}}, "group_size": 8}
    config = {"max_steps": 100, "orchestrator": {"batch_size": 16, "train": {"source": [source]}}}
    asked = rl_training.asked(config).iloc[0]
    assert asked["questions"] == len(EditTasks.of(job.task_settings(source)))
    assert asked["times each is asked"] == pytest.approx(100 * 2 / asked["questions"])


def test_figures_name_their_atlas_and_show_model_text_as_it_is(settings):
    strange = answered(settings, lambda q, _: f"$\\frac{{1}}{{2 <b>é</b> {edit(q.prompt.candidates[:1])}")
    shown = rl_training.example(strange)
    drawings = [figures.one_gene(shown)]
    groups = reward.random_groups(settings.model_copy(update={"room": 2048}), 6)
    shapes, shares = reward.shapes(groups, Weights()), reward.shares(groups, ALPHA, BETA)
    drawings.append(figures.signal(shapes, shares, "tiny", ALPHA, BETA, 0.5))
    for figure in drawings:
        figure.canvas.draw()
        texts = [text.get_text() for text in figure.findobj(plt.Text)]
        assert any(text.startswith("atlas: ") for text in texts)
    words = [text.get_text() for text in drawings[0].findobj(plt.Text)]
    assert any("<b>\\xe9</b>" in text.replace("\n", " ") for text in words)
    assert "added" in words
