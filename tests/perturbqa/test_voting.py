from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.auroc import compare, mean_auroc
from kgpert_lib.perturbqa import tuning
from kgpert_lib.perturbqa.tasks import ask_all, labels
from kgpert_lib.perturbqa.voting import RULES, Choices, Scale, Voter, VotingData, base_rate
from kgpert_lib.predictors.learning import learn
from kgpert_lib.screens.load import load_screen
from tests.conftest import MIRROR
from tests.perturbqa.world import affinity, screen, with_deltas

CHOICES = Choices(signed=True, other=0.5, same=1.0, gene_affinity=True, joint=True, level=0.3, rank=4)


def test_questions_are_the_tested_pairs_with_signed_labels():
    line = screen()["k562"]
    de, direction = ask_all(line, "de"), ask_all(line, "dir")
    test = line.delta[line.split == "test"]
    itself = line.perturbations[line.split == "test"][:, None] == line.genes
    assert len(de) + de.masked == (~np.isnan(test)).sum()
    assert de.masked == (~np.isnan(test) & itself).sum() > 0
    assert not (de.perturbation == de.readout).any()
    called = de.label == 1
    assert set(zip(direction.perturbation, direction.readout, strict=True)) == set(
        zip(de.perturbation[called], de.readout[called], strict=True)
    )
    np.testing.assert_array_equal(direction.label, test[direction.row, direction.column] > 0)


def test_labels_name_what_is_no_call():
    with pytest.raises(InputError, match=r"holds 0\.5"):
        labels(np.array([[0.5]]), "de")
    with pytest.raises(InputError, match="Unknown task 'up'"):
        labels(np.array([[1.0]]), "up")


def test_union_is_the_share_of_neighbours_shrunk_to_the_base_rate():
    atlas, known = screen(), affinity()
    view = atlas.view("k562", "strict")
    voter = Voter.fit(view, "de", known)
    name = atlas["k562"].names("test")[0]
    neighbours = {g for graph in known.graphs for g in list(graph.neighbours(name))} & set(view.target.perturbations)
    assert 0 < len(neighbours) <= 20
    answers = np.abs(view.target.delta[[view.target.index[g] for g in neighbours]])
    answers[np.array(list(neighbours))[:, None] == view.target.genes] = np.nan
    count, positive = (~np.isnan(answers)).sum(axis=0), np.nansum(answers, axis=0)
    expected = (positive + voter.base) / (count + 1)
    np.testing.assert_allclose(voter.probability("union", [name])[0], expected, atol=1e-6)


@pytest.mark.parametrize("task", ["de", "dir"])
@pytest.mark.parametrize("rule", RULES)
def test_every_rule_beats_chance_and_answers_pairs_as_it_answers_matrices(task, rule):
    atlas = screen()
    voter, questions = Voter.fit(atlas.view("k562", "strict"), task, affinity(), CHOICES), ask_all(atlas["k562"], task)
    whole = voter.evidence(rule, questions.perturbations)
    assert whole.shape == (40, 90)
    np.testing.assert_allclose(voter.answer(rule, questions), whole[questions.row, questions.column], atol=1e-5)
    assert mean_auroc(voter.answer(rule, questions), questions.label, questions.column) > 0.65
    values = voter.answer(rule, questions, probability=True)
    assert values.min() >= 0
    assert values.max() <= 1


@pytest.mark.parametrize("task", ["de", "dir"])
def test_test_deltas_change_no_answer(task):
    atlas, known = screen(), affinity()

    def corrupt(line):
        hidden = np.isin(line.perturbations, atlas["k562"].names("test"))
        return np.where(((line.split == "test") | hidden)[:, None], -1.0, line.delta)

    names = atlas["k562"].names("test")
    voters = [Voter.fit(a.view("k562", "strict"), task, known, CHOICES) for a in (atlas, with_deltas(atlas, corrupt))]
    for rule in RULES:
        np.testing.assert_array_equal(*(v.probability(rule, names) for v in voters))


def test_per_line_lets_the_other_line_vote_for_the_same_gene_and_strict_does_not():
    atlas, known = screen(), affinity()
    name = next(n for n in atlas["k562"].names("test") if n in atlas["rpe1"].names("train"))
    lone = atlas["rpe1"].index[name]

    def flip(line):
        delta = line.delta.copy()
        if line.name == "rpe1":
            delta[lone] = np.where(np.isnan(delta[lone]), np.nan, 1 - np.abs(delta[lone]))
        return delta

    for split, moved in (("per-line", True), ("strict", False)):
        values = [
            Voter.fit(a.view("k562", split), "de", known, CHOICES).evidence("lines", [name])
            for a in (atlas, with_deltas(atlas, flip))
        ]
        assert bool(np.abs(values[0] - values[1]).max() > 1e-3) is moved


def test_the_perturbed_gene_as_its_own_readout_never_votes():
    atlas, known = screen(), affinity()

    def shout(line):
        return np.where(line.perturbations[:, None] == line.genes, 1.0, line.delta)

    names = atlas["k562"].names("test")
    voters = [Voter.fit(a.view("k562"), "de", known, CHOICES) for a in (atlas, with_deltas(atlas, shout))]
    for rule in RULES:
        np.testing.assert_array_equal(*(v.evidence(rule, names) for v in voters))


def test_the_affinity_of_votes_is_learnt_from_the_lines_own_training_rows_and_scaled_to_the_closest_gene():
    atlas, known = screen(), affinity()
    data = VotingData(atlas.view("k562"), known)
    own, names = data.perturbations(), atlas["k562"].perturbations[::-1]
    assert data.weights == learn(known, [atlas.view("k562").target])
    plain = known.weight(own, own, data.weights)
    assert data.scale == pytest.approx(plain.max(axis=1).mean())
    assert data.weight(own, 1.0).max(axis=1).mean() == pytest.approx(1.0, abs=1e-5)
    for power, line in ((1.0, None), (0.35, None), (2.0, "rpe1")):
        expected = (known.weight(names, data.perturbations(line), data.weights) / data.scale) ** power
        np.testing.assert_allclose(data.weight(names, power, line), expected, rtol=1e-4, atol=1e-6)


def test_votes_by_affinity_are_a_weighted_share_shrunk_to_the_base_rate():
    atlas, known = screen(), affinity()
    settings = Choices(power=0.7, prior=2.0, base_prior=5.0)
    voter = Voter.fit(atlas.view("k562"), "de", known, settings)
    names = np.array(atlas["k562"].names("test")[:3])
    answers = voter.data.answers("de", signed=False)
    weight, seen = voter.data.weight(names, 0.7), ~np.isnan(answers)
    total = weight @ np.where(seen, np.nan_to_num(answers) - voter.base, 0)
    expected = total / (weight @ seen + 2.0)
    np.testing.assert_allclose(voter.evidence("affinity", names), expected, atol=1e-5)


def test_a_gene_in_no_graph_gets_the_base_rate():
    voter = Voter.fit(screen().view("k562"), "de", affinity())
    for rule in RULES:
        np.testing.assert_allclose(voter.probability(rule, ["NOBODY"])[0], voter.base, atol=1e-6)


def test_a_scale_does_not_reorder_perturbations_within_a_readout_gene():
    atlas = screen()
    questions = ask_all(atlas["k562"], "de")
    scaled = replace(CHOICES, scales={"smoothed": Scale(-0.3, 0.7, 4.0)})
    voter = Voter.fit(atlas.view("k562", "strict"), "de", affinity(), scaled)
    areas = [
        mean_auroc(voter.answer("smoothed", questions, p), questions.label, questions.column) for p in (False, True)
    ]
    assert areas[0] == pytest.approx(areas[1], abs=1e-3)


def test_base_rate_is_shrunk_to_the_overall_share():
    answers = np.array([[1, 0, np.nan], [1, 0, np.nan]], np.float32)
    np.testing.assert_allclose(base_rate(answers, 2.0), [(2 + 1) / 4, 1 / 4, 0.5])


def test_unknown_rule():
    with pytest.raises(InputError, match="Unknown rule 'guess'; choose from union, affinity"):
        Voter.fit(screen().view("k562"), "de", affinity()).evidence("guess", ["G001"])


@pytest.mark.needs_mirror
@pytest.mark.parametrize(
    ("line", "task", "at_least"),
    [("k562", "de", 0.71), ("rpe1", "de", 0.68), ("k562", "dir", 0.83), ("rpe1", "dir", 0.75)],
)
def test_rules_on_real_screens(line, task, at_least, real):
    atlas, known = real
    questions = ask_all(atlas[line], task)
    voter = Voter.fit(atlas.view(line, "strict"), task, known, tuning.load("strict", task))
    scores = {rule: voter.answer(rule, questions) for rule in RULES}
    table = compare(scores, questions.label, questions.column, questions.perturbation, draws=200).table.set_index(
        "rule"
    )
    assert table.loc["mixed", "auroc"] >= at_least
    assert (table.loc[["smoothed", "mixed"], "gain_low"] > 0).all()


@pytest.fixture(scope="module")
def real():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGPERT_MIRROR", str(MIRROR))
        screen = load_screen("perturbqa", ["k562", "rpe1"])
    return screen.atlas, screen.affinity
