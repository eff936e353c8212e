"""Drawn answers weighed by their reward: known answers, and a group with and without draws."""

import json

import numpy as np
import pytest

from kgpert_lib.rl.traces import ScoredAnswers
from kgpert_lib.studies.rehearsal_posterior import posterior, tilt, tilted
from tests.studies.recorded import answers, group, record, settings

NOTHING = json.dumps({"add": [], "remove": []})


def no_edit(*_):
    return NOTHING


def one_candidate(tasks, line, gene):
    return json.dumps({"add": list(tasks.question(line, gene).prompt.candidates[:1]), "remove": []})


def test_two_answers_of_rewards_0_and_1_have_the_odds_of_the_logistic_function():
    reward = np.tile([0.0, 1.0], (3, 1))
    beta = tilt(reward, 0.8)
    assert beta == pytest.approx(1 / np.log(0.8 / 0.2))
    assert tilted(reward, beta)[:, 1] == pytest.approx([0.8] * 3)


@pytest.mark.parametrize("mean", [0.4, 1.2])
def test_no_beta_gives_less_than_the_mean_of_the_draws_or_more_than_their_best(mean):
    assert np.isnan(tilt(np.tile([0.0, 1.0], (3, 1)), mean))


def test_the_posterior_has_the_reward_of_the_trained_policy_and_no_row_is_made_without_draws(tmp_path):
    training = settings(tmp_path)
    nothing, adds = answers(training, no_edit), answers(training, one_candidate)
    pairs = [a for both in zip(nothing.answers, adds.answers, strict=True) for a in both]
    mixed = ScoredAnswers(nothing.settings, tuple(pairs))
    three = [a for a in pairs for _ in range(1 + (a.text != NOTHING))]  # the edit has two draws of three
    sharper = ScoredAnswers(nothing.settings, tuple(three))
    greedy = {"warm": nothing, "trained": adds}
    record(tmp_path, "drawn-s0", training, greedy | {"warm-drawn": mixed, "trained-drawn": sharper})
    record(tmp_path, "greedy-s0", training, greedy)
    assert posterior(group(tmp_path, "greedy")).empty
    table = posterior(group(tmp_path, "drawn")).set_index(["line", "answers"])
    for line in ("k562", "rpe1"):
        before, same, after = (table.loc[line, who] for who in table.loc[line].index)
        assert (before["draws"], after["draws"]) == (2, 3)
        assert before["likeliest edit"] == pytest.approx(0.5)
        assert after["likeliest edit"] == pytest.approx(2 / 3)
        assert same["reward"] == pytest.approx(after["reward"])
        assert before["moves"] < same["moves"]
