"""Graph neighbours answer PerturbQA's questions: a ladder of rules, each adding one idea to the one below.

``union``       share of the training perturbations that STRING and GO (top 20 each) put beside the perturbed
                gene and that were asked about the readout gene, shrunk to the readout gene's base rate
``weighted``    every training perturbation votes, weighted by the affinity of the predictor of that name
                (`graphs.affinity`), its power and scale chosen by cross-validation
``smoothed``    what is known of a readout gene also speaks for readout genes with a similar profile
``lines``       the other lines' training perturbations vote too, at a weight
``completion``  graph-regularised low-rank completion of the residuals from each readout gene's base rate
``mixed``       completion and lines, and how much a gene's neighbours change at all

Every rule scores ``evidence``: its answer less the readout gene's base rate. Nothing here sees a test row: a
`Voter` is fitted on a `TrainingView`. What is to be chosen is in `Choices`, set by cross-validation over training
perturbations in `questions.tune`. The rules are ours; the paper answers these questions with language models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, get_args

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit, logit

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.affinity import Affinity, combine
from kgpert_lib.perturbqa.tasks import Questions, Task, labels, own_readout
from kgpert_lib.predictors.completion import Factors, factorise, normalised
from kgpert_lib.predictors.neighbours import neighbourhoods
from kgpert_lib.screens.atlas import TrainingLine, TrainingView
from kgpert_lib.types import FloatArray, NameArray

Rule = Literal["union", "weighted", "smoothed", "lines", "completion", "mixed"]
RULES: tuple[Rule, ...] = get_args(Rule)
TIES_KEPT = 4  # lists of perturbations whose ties to training perturbations are held at once
PARTS = ("lines", "completion", "level")
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


class Scale(NamedTuple):
    """``expit(offset + base * logit(base rate) + slope * evidence)``: from evidence to a probability."""

    offset: float = 0.0
    base: float = 1.0
    slope: float = 1.0


@dataclass(frozen=True)
class Choices:
    """Everything that cross-validation chooses for one line, split and task.

    base_prior : weight of the overall share in a readout gene's base rate.
    power, string, prior : weight ``similarity ** power + string * two_step`` and shrinkage of every vote.
    signed : directions also take votes from pairs that did not change, as one half.
    pull, rank, ridge : of the completion; its neighbours weigh ``similarity ** pull + string * two_step``.
    kin : the factors of readout genes are pulled towards their graph neighbours too.
    joint : all lines are completed together.
    profile_power, smoothing : sharpness of the similarity of readout profiles, and its weight.
    other, same : weight of other lines' perturbations, and of the same gene's knock-down there (``per-line``).
    mix, level : weight of the completion, and of the neighbours' overall share of changes, in ``mixed``.
    deviation : standard deviation of the evidence of ``lines``, ``completion`` and the level, out of fold.
    scales : from evidence to probability, by rule, fitted out of fold.
    """

    base_prior: float = 1.0
    power: float = 1.0
    string: float = 1.0
    prior: float = 1.0
    signed: bool = False
    pull: float = 1.0
    rank: int = 16
    ridge: float = 1.0
    kin: bool = False
    joint: bool = False
    profile_power: float = 1.0
    smoothing: float = 1.0
    other: float = 0.0
    same: float = 0.0
    mix: float = 0.5
    level: float = 0.0
    deviation: Mapping[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.1))
    scales: Mapping[str, Scale] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Evidence:
    """Residuals from the base rate of the training perturbations `names` (t,): `total` and `count` (m, t)."""

    names: NameArray
    total: FloatArray
    count: FloatArray


def base_rate(answers: FloatArray, prior: float = 1.0) -> FloatArray:
    """(m,) share of positive training labels of each readout gene, shrunk to the overall share by `prior`."""
    seen = ~np.isnan(answers)
    positive, count = np.nansum(answers, axis=0), seen.sum(axis=0)
    overall = positive.sum() / max(count.sum(), 1)
    return ((positive + prior * overall) / (count + prior)).astype(np.float32)


class Ground:
    """Training rows of one view and the quantities that rules and tasks share; each is computed once."""

    def __init__(self, view: TrainingView, knowledge: Affinity) -> None:
        self.view, self.knowledge = view, knowledge
        self.genes = view.target.genes
        self._kept: dict[object, object] = {}
        self._parts: dict[object, tuple[FloatArray, FloatArray]] = {}
        self._trained = np.unique(np.concatenate([line.perturbations for line in view.lines.values()]))

    def line(self, name: str | None = None) -> TrainingLine:
        """A line's training rows over the target's readout genes, without the genes' readouts of themselves."""
        return self._once(("line", name), lambda: _over(self.view.lines[name or self.view.line], self.genes))

    def ties(self, perturbations: NameArray, power: float, string: float, name: str | None = None) -> FloatArray:
        """(n, t) knowledge weights between `perturbations` and a line's training perturbations."""
        key = tuple(map(str, perturbations))
        if key not in self._parts:
            while len(self._parts) >= TIES_KEPT:
                del self._parts[next(iter(self._parts))]
            known = self.knowledge
            self._parts[key] = known.similarity(perturbations, self._trained), known.steps(perturbations, self._trained)
        columns = np.searchsorted(self._trained, self.line(name).perturbations)
        similarity, steps = self._parts[key]
        return combine(similarity[:, columns], steps[:, columns], power, string)

    def answers(self, task: Task, signed: bool, name: str | None = None) -> FloatArray:
        """(t, m) labels; with `signed`, a direction's unchanged pairs are one half."""
        delta = self.line(name).delta
        return labels(delta, task) if task == "de" or not signed else ((delta + 1) / 2).astype(np.float32)

    def residual(self, task: Task, signed: bool, prior: float, name: str | None = None) -> sp.csr_matrix:
        """(t, m) CSR of labels less each readout gene's base rate in that line."""

        def make() -> sp.csr_matrix:
            answers = self.answers(task, signed, name)
            row, column = np.nonzero(~np.isnan(answers))
            gap = (answers - base_rate(answers, prior))[row, column]
            return sp.csr_matrix((gap, (row, column)), shape=answers.shape, dtype=np.float32)

        return self._once(("residual", task, signed, prior, name), make)

    def factors(self, task: Task, signed: bool, joint: bool, c: Choices) -> tuple[NameArray, Factors]:
        """Completion of one line or (`joint`) of all: the row names and the factors."""

        def make() -> tuple[NameArray, Factors]:
            lines = [self.view.line, *(n for n in self.view.lines if n != self.view.line)] if joint else [None]
            names = np.concatenate([self.line(n).perturbations for n in lines])
            ties = np.vstack(
                [np.hstack([self.ties(self.line(a).perturbations, c.pull, c.string, b) for b in lines]) for a in lines]
            )
            if joint:
                twin = (names[:, None] == names[None, :]) & ~np.eye(len(names), dtype=bool)
                ties[twin] = 1.0
            stacked = sp.vstack([self.residual(task, signed, c.base_prior, n) for n in lines], format="csr")
            kin = None
            if c.kin:
                kin = normalised(self.knowledge.weight(self.genes, self.genes, c.pull, c.string), c.prior)
            return names, factorise(stacked, normalised(ties, c.prior), c.rank, c.ridge, kin)

        key = (c.base_prior, c.string, c.prior, c.pull, c.rank, c.ridge, c.kin)
        return self._once(("factors", task, signed, joint, key), make)

    def profiles(self, c: Choices) -> FloatArray:
        """(m, m) similarity of readout genes: cosine of their factors in calls and signed calls, to a power."""
        parts = []
        for task, signed in (("de", False), ("dir", True)):
            _, found = self.factors(task, signed, False, c)  # type: ignore[arg-type]
            size = np.sqrt(np.square(found.columns).sum(axis=1).mean())
            parts.append(found.columns / max(size, 1e-6))
        both = np.hstack(parts)
        both /= np.linalg.norm(both, axis=1, keepdims=True) + 1e-6
        similar: FloatArray = np.maximum(both @ both.T, 0) ** np.float32(c.profile_power)
        np.fill_diagonal(similar, 0)
        similar /= similar.sum(axis=1, keepdims=True) + np.float32(1e-6)
        return similar

    def _once(self, key, make):  # type: ignore[no-untyped-def]
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]


class Voter:
    """The ladder for one line, split and task, fitted on training rows.

    >>> voter = Voter.fit(atlas.view("k562", "strict"), "de", knowledge)  # doctest: +SKIP
    >>> voter.probability("mixed", ["INTS9"]).shape  # doctest: +SKIP
    (1, 4136)
    """

    def __init__(self, ground: Ground, task: Task, choices: Choices) -> None:
        self.ground, self.task, self.choices = ground, task, choices
        self.genes = ground.genes
        self.base = base_rate(ground.answers(task, signed=False), choices.base_prior)
        self._evidence: dict[tuple[bool, str | None], Evidence] = {}

    @classmethod
    def fit(cls, view: TrainingView, task: Task, knowledge: Affinity, choices: Choices | None = None) -> Voter:
        """A voter for the view's line; `choices` None takes the defaults."""
        return cls(Ground(view, knowledge), task, choices or Choices())

    def evidence(self, rule: Rule, perturbations: Sequence[str] | NameArray, at: Pairs | None = None) -> FloatArray:
        """The rule's answer less the readout gene's base rate; higher means more likely label 1.

        (n, m) over all readout genes, or (q,) for the places `at` (rows of `perturbations`, columns of the line's
        readout genes). A training perturbation's own row never votes for it in its own line. InputError for an
        unknown rule.
        """
        if rule not in RULES:
            raise InputError(f"Unknown rule {rule!r}; choose from {', '.join(RULES)}.")
        return getattr(self, f"_{rule}")(np.asarray(perturbations, dtype=str), at)

    def probability(self, rule: Rule, perturbations: Sequence[str] | NameArray, at: Pairs | None = None) -> FloatArray:
        """Probability of label 1 (`stated`); shapes as in `evidence`."""
        return self.stated(rule, self.evidence(rule, perturbations, at), at)

    def stated(self, rule: Rule, found: FloatArray, at: Pairs | None = None) -> FloatArray:
        """The rule's evidence `found` as probability of label 1, on the scale that was fitted out of fold.

        Without a fitted scale it is the base rate plus the evidence, clipped to 0..1.
        """
        base = self.base if at is None else self.base[at[1]]
        scale = self.choices.scales.get(rule)
        if scale is None:
            return np.clip(base + found, 0.0, 1.0)
        return expit(scale.offset + scale.base * logit(np.clip(base, 1e-4, 1 - 1e-4)) + scale.slope * found)

    def answer(self, rule: Rule, questions: Questions, probability: bool = False) -> NDArray[np.floating]:
        """(q,) evidence (or probability) of each question."""
        if not np.array_equal(questions.genes, self.genes):
            raise InputError("The questions are about other readout genes than the voter's line has.")
        made = self.probability if probability else self.evidence
        return made(rule, questions.perturbations, (questions.row, questions.column))

    def _union(self, names: NameArray, at: Pairs | None) -> FloatArray:
        graphs, line = self.ground.knowledge.graphs, self.ground.line()
        ties = neighbourhoods(graphs, names, line.perturbations, limit=20, cut="after").weights.astype(np.float32)
        residual = self.ground.residual(self.task, False, self.choices.base_prior)
        total, count = ties @ residual, ties @ _ones(residual)
        made = (total.toarray() / (count.toarray() + 1.0)).astype(np.float32)
        return made if at is None else made[at]

    def _weighted(self, names: NameArray, at: Pairs | None) -> FloatArray:
        return self._vote(names, at, smooth=False, others=False)

    def _smoothed(self, names: NameArray, at: Pairs | None) -> FloatArray:
        return self._vote(names, at, smooth=True, others=False)

    def _lines(self, names: NameArray, at: Pairs | None) -> FloatArray:
        return self._vote(names, at, smooth=True, others=True)

    def _completion(self, names: NameArray, at: Pairs | None) -> FloatArray:
        c = self.choices
        known, factors = self.ground.factors(self.task, c.signed, c.joint, c)
        own = [self.ground.view.line]
        lines = [*own, *(n for n in self.ground.view.lines if n not in own)] if c.joint else own
        ties = np.hstack([self._ties(names, n, c.pull) for n in lines])
        if c.joint:
            twin = names[:, None] == known[None, :]
            twin[:, : len(self.ground.line().perturbations)] = False
            ties[twin] = max(c.same, 1.0)
        rows: FloatArray = np.asarray(normalised(ties, c.prior) @ factors.rows, dtype=np.float32)
        return rows @ factors.columns.T if at is None else (rows[at[0]] * factors.columns[at[1]]).sum(axis=1)

    def _mixed(self, names: NameArray, at: Pairs | None) -> FloatArray:
        level = self.level(names)
        parts = {
            "lines": self._lines(names, at),
            "completion": self._completion(names, at),
            "level": level if at is None else level[at[0], 0],
        }
        return mixture(parts, self.choices)

    def level(self, names: NameArray) -> FloatArray:
        """(n, 1) mean residual of a perturbation's neighbours over all readout genes: how much they change at all."""
        residual = self.ground.residual(self.task, False, self.choices.base_prior)
        mean = np.asarray(residual.sum(axis=1)).ravel() / (np.diff(residual.indptr) + 5.0)
        return (normalised(self._ties(names), self.choices.prior) @ mean.astype(np.float32))[:, None]

    def _ties(self, names: NameArray, line: str | None = None, power: float | None = None) -> FloatArray:
        line = None if line == self.ground.view.line else line
        return self.ground.ties(names, self.choices.power if power is None else power, self.choices.string, line)

    def _vote(self, names: NameArray, at: Pairs | None, smooth: bool, others: bool) -> FloatArray:
        c = self.choices
        own = self._speaking(smooth, None)
        ties = self._ties(names)
        total, count = _products(ties, own, at)
        if others and (c.other or c.same):
            for line in (n for n in self.ground.view.lines if n != self.ground.view.line):
                there = self._speaking(smooth, line)
                ties = np.float32(c.other) * self._ties(names, line)
                ties[names[:, None] == there.names[None, :]] = c.same
                more, counted = _products(ties, there, at)
                total, count = total + more, count + counted
        return total / (count + np.float32(c.prior))

    def _speaking(self, smooth: bool, line: str | None) -> Evidence:
        """The evidence of one line's training rows, spread over similar readout genes if asked."""
        if (smooth, line) not in self._evidence:
            c = self.choices
            residual = self.ground.residual(self.task, c.signed, c.base_prior, line)
            total, count = residual.toarray(), _ones(residual).toarray()
            if smooth and c.smoothing:
                similar = self.ground.profiles(c).T * np.float32(c.smoothing)
                total, count = total + residual @ similar, count + _ones(residual) @ similar
            by_gene = (np.ascontiguousarray(values.T) for values in (total, count))
            self._evidence[smooth, line] = Evidence(self.ground.line(line).perturbations, *by_gene)
        return self._evidence[smooth, line]


def mixture(parts: Mapping[str, FloatArray], choices: Choices) -> FloatArray:
    """The rule ``mixed`` from its parts, each divided by its deviation, on the scale of ``lines``."""
    weight = {"lines": 1 - choices.mix, "completion": choices.mix, "level": choices.level}
    spread = {name: max(choices.deviation[name], 1e-6) for name in PARTS}
    scaled = [np.float32(weight[n] * spread["lines"] / spread[n]) * parts[n] for n in PARTS]
    return scaled[0] + scaled[1] + scaled[2]


def _products(ties: FloatArray, said: Evidence, at: Pairs | None) -> tuple[FloatArray, FloatArray]:
    """``ties @ total`` and ``ties @ count``, whole or at some pairs only."""
    if at is None:
        return ties @ said.total.T, ties @ said.count.T
    row, column = at
    order = np.argsort(row, kind="stable")
    total, count = np.empty(len(row), np.float32), np.empty(len(row), np.float32)
    starts = np.flatnonzero(np.r_[True, np.diff(row[order]) != 0]) if len(row) else np.array([], int)
    for group in np.split(order, starts[1:]) if len(row) else []:
        tie, genes = ties[row[group[0]]], column[group]
        total[group], count[group] = said.total[genes] @ tie, said.count[genes] @ tie
    return total, count


def _over(line: TrainingLine, genes: NameArray) -> TrainingLine:
    """The line over `genes`; NaN where it has no such readout gene, and for a gene's readout of itself."""
    place = {str(g): i for i, g in enumerate(line.genes)}
    source = np.array([place.get(str(g), -1) for g in genes])
    delta = np.full((len(line.perturbations), len(genes)), np.nan, np.float32)
    delta[:, source >= 0] = line.delta[:, source[source >= 0]]
    delta[own_readout(line.perturbations, genes)] = np.nan
    return TrainingLine(line.name, line.perturbations, genes, delta)


def _ones(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """1 at every stored entry, explicit zeros included."""
    return sp.csr_matrix((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
