"""How far to trust the votes on a gene that was never knocked down (ours): the probability that its votes are right.

A vote that states the probability p of label 1 is right with p where the label is 1 and with 1 - p where it is 0;
the mean over a gene's questions is its score. Learned by leave-one-out: a training perturbation's own row never
votes for it. What is seen of a gene is its neighbourhood in the plain union of the graphs (`trust.describe`).
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from kgpert_lib.evaluation.trust import Trust, neighbourhood_features
from kgpert_lib.perturbqa.tasks import Questions, ask_all
from kgpert_lib.perturbqa.voting import Rule, Voter
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas

PRIOR = 1.0
FEWEST_QUESTIONS = 10


def rightness(voter: Voter, rule: Rule, asked: Questions) -> pd.Series:
    """Mean probability given to the answer that the screen gives, by name of the perturbation.

    Perturbations with fewer than `FEWEST_QUESTIONS` are left out: the mean of a few says little.
    """
    p = voter.answer(rule, asked, probability=True)
    right = pd.Series(np.where(asked.label == 1, p, 1 - p)).groupby(asked.perturbation, sort=False)
    return right.mean()[right.size() >= FEWEST_QUESTIONS]


def trust_in_votes(voter: Voter, rule: Rule, atlas: Atlas, level: float = 0.8, seed: int = 0) -> Trust:
    """Expected `rightness`, with an interval, of the votes on any gene; InputError as in `Trust.learn`."""
    view = voter.ground.view
    features = neighbourhood_features(
        view, NeighbourPredictor(GraphNeighbourhood(voter.ground.knowledge.graphs), PRIOR)
    )
    score = rightness(voter, rule, ask_all(atlas[view.line], voter.task, "train"))
    table = features([str(name) for name in score.index]).assign(score=score)
    return Trust.learn(table, features, (0.0, 1.0), level, seed)


def told_and_reached(voter: Voter, rule: Rule, atlas: Atlas, seed: int = 0) -> pd.DataFrame:
    """Expected and reached `rightness` of the test perturbations, as in `Trust.against`."""
    reached = rightness(voter, rule, ask_all(atlas[voter.ground.view.line], voter.task))
    return trust_in_votes(voter, rule, atlas, seed=seed).against(reached)
