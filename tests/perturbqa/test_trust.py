"""Trust in votes: what a vote's probability of being right is, and that intervals told beforehand hold."""

import numpy as np
import pytest

from kgpert_lib.perturbqa.tasks import ask_all
from kgpert_lib.perturbqa.trust import FEWEST_QUESTIONS, rightness, told_and_reached, trust_in_votes
from kgpert_lib.perturbqa.voting import Choices, Scale, Voter
from tests.perturbqa.world import knowledge, screen, with_deltas

CHOICES = Choices(power=3.0, prior=0.3, rank=4, scales={"weighted": Scale(0.0, 1.0, 3.0)})


def test_rightness_is_the_mean_probability_given_to_the_truth():
    atlas = screen(asked=0.12)
    voter = Voter.fit(atlas.view("k562", "strict"), "de", knowledge(), CHOICES)
    asked = ask_all(atlas["k562"], "de")
    p = voter.answer("weighted", asked, probability=True)
    made = rightness(voter, "weighted", asked)
    few = 0
    for name in np.unique(asked.perturbation):
        mine = asked.perturbation == name
        if mine.sum() < FEWEST_QUESTIONS:
            few += 1
            assert name not in made
        else:
            assert made[name] == pytest.approx(
                np.mean([q if t else 1 - q for q, t in zip(p[mine], asked.label[mine], strict=True)])
            )
    assert 0 < few < len(made)


def test_what_is_told_of_a_gene_does_not_read_its_own_row():
    atlas, known = screen(), knowledge()
    name = atlas["k562"].names("test")[3]
    poisoned = with_deltas(atlas, lambda v: np.where((v.perturbations == name)[:, None], 1.0, v.delta))
    made = [
        trust_in_votes(Voter.fit(a.view("k562", "strict"), "de", known, CHOICES), "weighted", a).expect([name])
        for a in (atlas, poisoned)
    ]
    np.testing.assert_array_equal(made[0], made[1])


def test_intervals_of_exchangeable_genes_hold_their_share():
    atlas = screen(n=800, m=60, tests=400)
    voter = Voter.fit(atlas.view("k562", "strict"), "de", knowledge(800), CHOICES)
    told = told_and_reached(voter, "weighted", atlas)
    inside = (told["reached"] >= told["low"]) & (told["reached"] <= told["high"])
    assert inside.mean() == pytest.approx(0.8, abs=0.08)
