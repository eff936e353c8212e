"""The parts of one vote: the share of each neighbour that measured the readout gene, and of every other part (ours).

A rule's evidence is a sum. A training perturbation that measured the readout gene adds its residual from the base
rate times its share; the base rate's weight, neighbours' other readout genes and other lines take the rest of the
shares. So shares and parts give the evidence back:

    evidence = sum over neighbours of share * residual  +  other readouts + other lines + completion + level
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from kgpert_lib.perturbqa.voting import UNION_PRIOR, Rule, Voter, mixture_factors
from kgpert_lib.types import FloatArray

Part = Literal["vote", "other readouts", "other lines", "completion", "level"]


@dataclass(frozen=True, eq=False)
class Contributions:
    """One question of one rule and task.

    Attributes
    ----------
    parts : evidence by part; their sum is the rule's evidence. ``vote``: neighbours that measured the readout gene;
        ``other readouts``: their calls of similar readout genes; ``other lines``: the same from other cell lines;
        ``completion`` and ``level`` as in `voting`.
    share : (t,) each training perturbation's share in ``vote``; 0 for one that did not measure the readout gene, and
        everywhere for a rule without a vote.
    residual : (t,) measured answer minus base rate, 0 where not measured: ``share @ residual`` is ``parts["vote"]``.
    """

    parts: dict[Part, float]
    share: FloatArray
    residual: FloatArray

    @property
    def evidence(self) -> float:
        """The rule's evidence: the sum of its parts."""
        return sum(self.parts.values())

    @property
    def largest(self) -> Part | None:
        """The part with the most evidence, whatever its sign; None where there is no evidence at all."""
        part = max(self.parts, key=lambda name: abs(self.parts[name]))
        return part if self.parts[part] else None


def contributions(voter: Voter, rule: Rule, perturbation: str, column: int) -> Contributions:
    """The parts of the rule's evidence on one perturbation and the readout gene in `column`."""
    names, at = np.array([perturbation]), (np.array([0]), np.array([column]))
    if rule == "completion":
        none = np.zeros(len(voter.data.perturbations()), np.float32)
        return Contributions({"completion": float(voter.evidence(rule, names, at)[0])}, none, none)
    if rule == "union":
        edges = voter.union_edges(names).toarray()[0]
        return _plain(voter, edges, False, column)
    if rule != "mixed":
        return _vote(voter, rule, names, column)
    factor, evidence = mixture_factors(voter.choices), voter.parts(names, at)
    vote = _vote(voter, "lines", names, column)
    parts = {name: factor["lines"] * value for name, value in vote.parts.items()}
    parts["completion"] = factor["completion"] * float(evidence["completion"][0])
    parts["level"] = factor["level"] * float(evidence["level"][0])
    return Contributions(parts, np.float32(factor["lines"]) * vote.share, vote.residual)


def _plain(voter: Voter, weight: FloatArray, signed: bool, column: int) -> Contributions:
    """Equal votes of the neighbours that measured the readout gene, and of the base rate."""
    residual, measured = _column(voter, signed, column)
    share = weight * measured / (weight @ measured + np.float32(UNION_PRIOR))
    return Contributions({"vote": float(share @ residual)}, share, residual)


def _vote(voter: Voter, rule: Rule, names: np.ndarray, column: int) -> Contributions:
    """The rules ``affinity``, ``smoothed`` and ``lines``."""
    smooth, others = rule != "affinity", voter.voting_lines if rule == "lines" else []
    own, *elsewhere = voter.line_evidence(smooth, [None, *others], np.array([column]))
    weight = voter.weight(names)[0]
    total, count = own.total[0] @ weight, own.count[0] @ weight
    total_elsewhere = 0.0
    for line, there in zip(others, elsewhere, strict=True):
        weight_there = voter.other_weight(names, line)[0]
        total_elsewhere += there.total[0] @ weight_there
        count += there.count[0] @ weight_there
    count += np.float32(voter.choices.prior)
    residual, measured = _column(voter, voter.choices.signed, column)
    share = weight * measured / count
    parts: dict[Part, float] = {"vote": float(share @ residual)}
    if smooth:
        parts["other readouts"] = float(total / count) - parts["vote"]
    if others:
        parts["other lines"] = float(total_elsewhere / count)
    return Contributions(parts, share, residual)


def _column(voter: Voter, signed: bool, column: int) -> tuple[FloatArray, FloatArray]:
    """(t,) residuals of one readout gene, and 1 where a training perturbation has an answer about it."""
    residual = voter.data.residual(voter.task, signed, voter.choices.base_prior)[:, [column]]
    measured = residual.copy()
    measured.data = np.ones_like(measured.data)
    return residual.toarray()[:, 0], measured.toarray()[:, 0]
