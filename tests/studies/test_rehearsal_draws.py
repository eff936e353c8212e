"""Drawn answers before and after training: how they spread, and the beta of the posterior that earns as much."""

import json

import numpy as np
import pytest

from kgpert_lib.rl.tasks import EditTasks
from kgpert_lib.rl.traces import ScoredAnswer, ScoredAnswers
from kgpert_lib.studies import rehearsal_draws as draws
from tests.studies.recorded import answers, drawn_screen, group, record, settings

NOTHING = json.dumps({"add": [], "remove": []})


def several(training, texts_of, genes=6):
    """Several answers to each of the first test questions; `texts_of` takes tasks, line and gene."""
    whole = answers(training, lambda *_: NOTHING)

    tasks = EditTasks.of(whole.settings)
    asked = [
        (line, str(gene), text)
        for line, part in tasks.lines.items()
        for gene in part.genes[:genes]
        for text in texts_of(tasks, line, str(gene))
    ]
    given = [
        ScoredAnswer(*own, dict(v.weighted), "toy", 5) for own, v in zip(asked, tasks.judge_all(asked), strict=True)
    ]
    return ScoredAnswers(whole.settings, tuple(given))


def half_gold(tasks, line, gene):
    return [NOTHING] * 2 + [tasks.gold(line, gene)] * 2


def all_gold(tasks, line, gene):
    return [tasks.gold(line, gene)] * 4


def all_idle(*_):
    return [NOTHING] * 4


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    return settings(tmp_path_factory.mktemp("screen"))


def recorded(training, folder, before, after):
    stages = {"warm": answers(training, lambda *_: NOTHING), "trained": answers(training, lambda t, *at: t.gold(*at))}
    drawn = {"warm-drawn": several(training, before), "trained-drawn": several(training, after)}
    record(folder, "tiny", training, stages | drawn)
    own = group(folder, "tiny")
    own.__dict__["screen"] = drawn_screen()
    return own


def test_the_shares_of_drawn_edits_are_counted_for_each_question(training, tmp_path):
    own = recorded(training, tmp_path, half_gold, all_gold)
    table = draws.spread(own).set_index(["line", "predictor"])
    for line in ("k562", "rpe1"):
        before, after = table.loc[(line, "warm start")], table.loc[(line, "trained")]
        helped = np.mean(
            [
                json.loads(a.text) != json.loads(NOTHING)
                for a in own.runs[0].answers("trained-drawn").answers
                if a.line == line
            ]
        )
        assert after[["draws", "different edits", "greedy", "helps", "hurts"]].tolist() == pytest.approx(
            [4, 1, 1, helped, 0]
        )
        assert before["different edits"] == pytest.approx(1 + helped)
        assert before["helps"] == pytest.approx(helped / 2)
        assert before["greedy"] == pytest.approx(1 - helped / 2)
        assert before["gap"] == pytest.approx(after["gap"] / 2)


def test_beta_is_zero_at_the_best_draw_and_infinite_where_nothing_moved(training, tmp_path):
    best = draws.implied_beta(recorded(training, tmp_path / "best", half_gold, all_gold))
    assert (best["beta"] == 0).all()
    assert best["after"].tolist() == pytest.approx(best["best draw"].tolist())
    worse = draws.implied_beta(recorded(training, tmp_path / "same", half_gold, all_idle))
    assert np.isinf(worse["beta"]).all()


def test_beta_is_that_of_a_posterior_that_was_made():
    rng = np.random.default_rng(0)
    rewards = rng.uniform(0, 1, (40, 16))
    weight = np.exp(rewards / 0.2)
    reached = (weight * rewards).sum(axis=1) / weight.sum(axis=1)
    curves = np.array([draws._tilted(own) for own in rewards])
    assert 1 / draws._tilt(*curves.T, reached) == pytest.approx(0.2, rel=0.01)


def test_runs_that_drew_nothing_have_no_row(training, tmp_path):
    record(tmp_path, "tiny", training, {"warm": answers(training, lambda *_: NOTHING)})
    own = group(tmp_path, "tiny")
    assert draws.drawn(own).empty
    assert draws.spread(own).empty
    assert draws.implied_beta(own).empty
