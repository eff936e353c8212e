"""Trust in votes: what the probability of the measured answer is, and that its intervals hold on unseen genes."""

from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.perturbqa import content, voting
from kgpert_lib.perturbqa.evaluate import evaluate_rules
from kgpert_lib.perturbqa.tasks import ask_all
from kgpert_lib.perturbqa.trust import (
    FEWEST_QUESTIONS,
    TooFewPerturbationsError,
    expected_and_reached,
    measured_answer_probability,
    out_of_fold,
    trust_in_votes,
)
from kgpert_lib.perturbqa.voting import Choices, Scale, Voter
from kgpert_lib.predictors.learning import learn
from tests.perturbqa.world import affinity, screen, with_deltas

CHOICES = Choices(power=3.0, prior=0.3, rank=4, scales={"affinity": Scale(0.0, 1.0, 3.0)})


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "cache"))


def test_it_is_the_mean_probability_given_to_the_measured_answer():
    atlas = screen(tested=0.12)
    voter = Voter.fit(atlas.view("k562", "strict"), "de", affinity(), CHOICES)
    questions = ask_all(atlas["k562"], "de")
    p = voter.answer("affinity", questions, probability=True)
    mean = measured_answer_probability(voter, "affinity", questions)
    few = 0
    for name in np.unique(questions.perturbation):
        rows = questions.perturbation == name
        if rows.sum() < FEWEST_QUESTIONS:
            few += 1
            assert name not in mean
        else:
            assert mean[name] == pytest.approx(
                np.mean([q if t else 1 - q for q, t in zip(p[rows], questions.label[rows], strict=True)])
            )
    assert 0 < few < len(mean)


@pytest.mark.parametrize("rule", ["affinity", "completion", "mixed"])
@pytest.mark.parametrize(("weights", "within"), [("fixed", 1e-5), ("learnt", 0.02)])
def test_out_of_fold_votes_on_a_training_gene_do_not_read_its_own_row(rule, weights, within, monkeypatch):
    """Completion factors, readout profiles and base rates are fitted without the gene, not only its vote left out.

    The affinity's weights are those of all training genes, each without its own row, and move a vote by little.
    """
    atlas, known = screen(m=60), affinity()
    name = atlas["k562"].names("train")[3]
    if weights == "fixed":
        of_all = learn(known, [atlas.view("k562", "strict").target])
        monkeypatch.setattr(voting, "learn", lambda affinity, lines: of_all)

    def reverse(line):
        return np.where((line.perturbations == name)[:, None] & (line.name == "k562"), -line.delta, line.delta)

    def rest_of_fold(changed):
        """Votes on the gene, from the labels that the gene has in the unchanged atlas."""
        voter = Voter.fit(changed.view("k562", "strict"), "dir", known, CHOICES)
        return out_of_fold(voter, rule)[name]

    # With every call of the gene reversed, an honest vote stays, and its probability of the measured answer is 1 - p.
    before, after = rest_of_fold(atlas), rest_of_fold(with_deltas(atlas, reverse))
    assert after == pytest.approx(1 - before, abs=within)


def test_what_is_expected_of_a_gene_does_not_read_its_own_row():
    atlas, known = screen(), affinity()
    name = atlas["k562"].names("test")[3]
    poisoned = with_deltas(atlas, lambda v: np.where((v.perturbations == name)[:, None], 1.0, v.delta))
    expected = [
        trust_in_votes(Voter.fit(a.view("k562", "strict"), "de", known, CHOICES), "affinity").expect([name])
        for a in (atlas, poisoned)
    ]
    np.testing.assert_array_equal(expected[0], expected[1])


def test_intervals_of_exchangeable_genes_hold_their_share():
    atlas = screen(n=800, m=60, tests=400)
    scores = evaluate_rules(atlas, "k562", "strict", affinity(800), ["affinity"], ["de"], {"de": CHOICES}, draws=2)[0]
    table = expected_and_reached(scores, "affinity")
    inside = (table["reached"] >= table["low"]) & (table["reached"] <= table["high"])
    assert inside.mean() == pytest.approx(0.8, abs=0.08)


def test_too_few_perturbations_have_an_error_of_their_own():
    voter = Voter.fit(screen(n=50, tests=10).view("k562", "strict"), "de", affinity(50), CHOICES)
    with pytest.raises(TooFewPerturbationsError, match="k562 has 40 training perturbations"):
        trust_in_votes(voter, "affinity")


def test_fitted_votes_are_kept_by_content_and_a_damaged_file_is_made_again(tmp_path):
    atlas, known = screen(m=60), affinity()
    view = atlas.view("k562", "strict")
    genes = atlas["k562"].names("test")[:5]
    first = Voter.fit(view, "de", known, CHOICES).evidence("mixed", genes)
    files = sorted((tmp_path / "cache" / "votes").glob("*.npz"))
    assert len(files) == 2
    np.testing.assert_array_equal(Voter.fit(view, "de", known, CHOICES).evidence("mixed", genes), first)
    content = files[0].read_bytes()
    files[0].write_bytes(content[: len(content) // 2])
    np.testing.assert_array_equal(Voter.fit(view, "de", known, CHOICES).evidence("mixed", genes), first)
    assert files[0].stat().st_size == len(content)
    Voter.fit(view, "de", known, replace(CHOICES, ridge=2.0)).evidence("mixed", genes)
    assert len(list((tmp_path / "cache" / "votes").glob("*.npz"))) == 4


def test_the_digest_follows_calls_and_graphs():
    atlas, known = screen(), affinity()
    flipped = with_deltas(atlas, lambda line: -line.delta)
    other = affinity(seed=1)
    digests = {content.content_digest(a.view("k562"), k) for a, k in ((atlas, known), (flipped, known), (atlas, other))}
    assert len(digests) == 3
    assert content.content_digest(screen().view("k562"), affinity()) in digests
