"""Graph neighbours answer PerturbQA's questions by six rules, each adding one idea to an earlier one.

``union``
    share of the training perturbations that STRING and GO (top 20 each) put beside the perturbed gene and that were
    asked about the readout gene, shrunk to the readout gene's base rate
``affinity``
    every training perturbation votes, weighted by its affinity to the perturbed gene, which is learnt from the line's
    training rows (`predictors.learning`), to a power that cross-validation chooses
``smoothed``
    the calls of a readout gene also count for readout genes with a similar profile, at a weight
``lines``
    the other lines' training perturbations vote too, at a weight
``completion``
    graph-regularised low-rank completion of the residuals from each readout gene's base rate
``mixed``
    completion and lines, and how much a gene's neighbours change at all

Every rule scores ``evidence``: its answer minus the readout gene's base rate. Nothing here sees a test row: a
`Voter` is fitted on a `TrainingView`. The settings are in `Choices`, set by cross-validation over training
perturbations in `tuning`. The rules are ours; the paper answers these questions with language models.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Literal, NamedTuple, get_args
from weakref import WeakKeyDictionary

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from scipy.special import expit, logit

from kgpert_lib.cache import cached_arrays
from kgpert_lib.errors import InputError
from kgpert_lib.files import digest
from kgpert_lib.graphs.affinity import Affinity, Feature, fixed_weights
from kgpert_lib.metrics.chunks import chunks
from kgpert_lib.metrics.targets import without_own_readouts
from kgpert_lib.perturbqa import content
from kgpert_lib.perturbqa.tasks import Questions, Task, labels
from kgpert_lib.predictors.completion import Factors, factorise, normalised
from kgpert_lib.predictors.learning import learn
from kgpert_lib.predictors.neighbourhoods import neighbourhoods
from kgpert_lib.screens.atlas import TrainingLine, TrainingView
from kgpert_lib.types import FloatArray, NameArray

Rule = Literal["union", "affinity", "smoothed", "lines", "completion", "mixed"]
RULES: tuple[Rule, ...] = get_args(Rule)
AFFINITIES_HELD = 4  # lists of perturbations whose affinity to training perturbations is held at once
COLUMNS_AT_ONCE = 1_024  # readout genes whose evidence is worked out at once
EVIDENCE_HELD = 300_000_000  # bytes of evidence that a voter keeps for its next answers
UNION_PRIOR = 1.0  # weight of the base rate in the plain union, in neighbours
PARTS = ("lines", "completion", "level")
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]


class Scale(NamedTuple):
    """``expit(offset + base * logit(base rate) + slope * evidence)``: from evidence to a probability."""

    offset: float = 0.0
    base: float = 1.0
    slope: float = 1.0


@dataclass(frozen=True)
class Choices:
    """Every setting of one split and task, chosen by cross-validation for all lines.

    base_prior : weight of the overall share in a readout gene's base rate.
    power, prior : weight ``affinity ** power`` and shrinkage of every vote.
    signed : directions also take votes from pairs that did not change, as one half.
    pull, pull_prior, rank, ridge : of the completion; its neighbours weigh ``affinity ** pull``, with this prior.
    gene_affinity : the factors of readout genes are pulled towards their graph neighbours too.
    joint : all lines are completed together.
    profile_power, smoothing : sharpness of the similarity of readout profiles, and its weight.
    other, same : weight of other lines' perturbations, and of the same gene's knock-down there (``per-line``).
    mix, level : weight of the completion, and of the neighbours' overall share of changes, in ``mixed``.
    deviation : standard deviation of the evidence of ``lines``, ``completion`` and the level, out of fold.
    scales : from evidence to probability, by rule, fitted out of fold.
    """

    base_prior: float = 1.0
    power: float = 1.0
    prior: float = 1.0
    signed: bool = False
    pull: float = 1.0
    pull_prior: float = 0.3
    rank: int = 16
    ridge: float = 1.0
    gene_affinity: bool = False
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
    """Residuals from the base rate of the training perturbations `names` (t,): `total` and `count` (k, t) of the
    readout genes they were worked out for.
    """

    names: NameArray
    total: FloatArray
    count: FloatArray


def base_rate(answers: FloatArray, prior: float = 1.0) -> FloatArray:
    """(m,) share of positive training labels of each readout gene, shrunk to the overall share by `prior`."""
    seen = ~np.isnan(answers)
    positive, count = np.nansum(answers, axis=0), seen.sum(axis=0)
    overall = positive.sum() / max(count.sum(), 1)
    return ((positive + prior * overall) / (count + prior)).astype(np.float32)


class VotingData:
    """Training rows of one view and what rules and tasks share; each quantity is computed once.

    With `cache`, fitted factors are kept on disk by content; folds, which are fitted once, go without. `weights` of the
    affinity are learnt unless they are given.
    """

    def __init__(
        self,
        view: TrainingView,
        affinity: Affinity,
        cache: bool = True,
        weights: Mapping[Feature, float] | None = None,
    ) -> None:
        self.view, self.affinity, self.cache = view, affinity, cache
        self.genes = view.target.genes
        self._weights = weights
        self._memo: dict[object, object] = {}
        self._affinities: dict[object, FloatArray] = {}
        self._training = np.unique(np.concatenate([line.perturbations for line in view.lines.values()]))

    @cached_property
    def content(self) -> str:
        """Digest of the training rows, the graphs and the code (`content.content_digest`)."""
        return content.content_digest(self.view, self.affinity)

    @cached_property
    def own_content(self) -> str:
        """The same of the view's own line alone, whose rows no split changes."""
        own = replace(self.view, split="strict", lines={self.view.line: self.view.target})
        return content.content_digest(own, self.affinity)

    @property
    def other_lines(self) -> list[str]:
        """The lines of the view besides its own, which vote too in the rules that let them."""
        return [name for name in self.view.lines if name != self.view.line]

    def line(self, name: str | None = None) -> TrainingLine:
        """A line's training rows over the target's readout genes, without the genes' readouts of themselves.

        Those of the view's own line are kept.
        """
        if name is not None:
            return _over(self.view.lines[name], self.genes)
        return self._once("line", lambda: _over(self.view.target, self.genes))

    def perturbations(self, name: str | None = None) -> NameArray:
        """(t,) training perturbations of a line; None is the view's own."""
        return self.view.lines[name or self.view.line].perturbations

    @cached_property
    def weights(self) -> Mapping[Feature, float]:
        """The affinity's weights: those that were given, or learnt from the line's own training rows."""
        return learn(self.affinity, [self.view.target]) if self._weights is None else self._weights

    @cached_property
    def scale(self) -> float:
        """Mean over the line's training perturbations of the affinity to the closest other one."""
        own = self.perturbations()
        return float(max(self.affinity.weight(own, own, self.weights).max(axis=1).mean(), 1e-6))

    def weight(self, perturbations: NameArray, power: float, name: str | None = None) -> FloatArray:
        """(n, t) affinity between `perturbations` and a line's training perturbations, over `scale`, to a power."""
        key = tuple(map(str, perturbations))
        if key not in self._affinities:
            while len(self._affinities) >= AFFINITIES_HELD:
                del self._affinities[next(iter(self._affinities))]
            weight = self.affinity.weight(perturbations, self._training, self.weights)
            self._affinities[key] = weight / np.float32(self.scale)
        columns = np.searchsorted(self._training, self.perturbations(name))
        return np.power(self._affinities[key][:, columns], np.float32(power))

    def answers(self, task: Task, signed: bool, name: str | None = None) -> FloatArray:
        """(t, m) labels; with `signed`, a direction's unchanged pairs are one half."""
        delta = self.line(name).delta
        return labels(delta, task) if task == "de" or not signed else ((delta + 1) / 2).astype(np.float32)

    def residual(self, task: Task, signed: bool, prior: float, name: str | None = None) -> sp.csr_matrix:
        """(t, m) CSR of labels minus each readout gene's base rate in that line."""

        def build() -> sp.csr_matrix:
            answers = self.answers(task, signed, name)
            row, column = np.nonzero(~np.isnan(answers))
            gap = (answers - base_rate(answers, prior))[row, column]
            return sp.csr_matrix((gap, (row, column)), shape=answers.shape, dtype=np.float32)

        return self._once(("residual", task, signed, prior, name), build)

    def factors(self, task: Task, signed: bool, joint: bool, c: Choices) -> tuple[NameArray, Factors]:
        """Completion of one line or (`joint`) of all: the row names and the factors."""
        lines = [None, *self.other_lines] if joint else [None]
        names = np.concatenate([self.perturbations(n) for n in lines])

        def fit() -> dict[str, NDArray[np.float32]]:
            pull: list[FloatArray] = []
            for line in lines:
                own = self.perturbations(line)
                weight = np.hstack([self.weight(own, c.pull, other) for other in lines])
                if joint:  # the same gene in another line is as close as two genes can be
                    same = own[:, None] == names[None, :]
                    first = sum(len(part) for part in pull)
                    same[np.arange(len(own)), first + np.arange(len(own))] = False
                    weight[same] = 1.0
                pull.append(normalised(weight, c.pull_prior))
            stacked = sp.vstack([self.residual(task, signed, c.base_prior, n) for n in lines], format="csr")
            genes = self._gene_pull() if c.gene_affinity else None
            return factorise(stacked, np.vstack(pull), c.rank, c.ridge, genes)._asdict()

        key = ("factors", task, signed, joint, _fit_settings(c))

        def build() -> tuple[NameArray, Factors]:
            if not self.cache:
                return names, Factors(**fit())
            rows = self.content if joint else self.own_content
            arrays = cached_arrays(content.FOLDER, digest(rows, repr(key)), fit)
            return names, Factors(arrays["rows"], arrays["columns"])

        return self._once(key, build)

    def similar_readouts(self, c: Choices, columns: NDArray[np.intp]) -> FloatArray:
        """(m, k) similarity of every readout gene to each of `columns`, 0 to itself; columns sum to 1.

        Cosine of their factors in calls and in signed calls, to a power, 0 where it is negative.
        """
        unit = self._profile_vectors(c)
        similar: FloatArray = np.maximum(unit @ unit[columns].T, 0) ** np.float32(c.profile_power)
        similar[columns, np.arange(len(columns))] = 0
        similar /= similar.sum(axis=0) + np.float32(1e-6)
        return similar

    def _profile_vectors(self, c: Choices) -> FloatArray:
        def build() -> FloatArray:
            parts = []
            kinds: tuple[tuple[Task, bool], ...] = (("de", False), ("dir", True))
            for task, signed in kinds:
                columns = self.factors(task, signed, False, c)[1].columns
                size = np.sqrt(np.square(columns).sum(axis=1).mean())
                parts.append(columns / max(size, 1e-6))
            both = np.hstack(parts)
            unit: FloatArray = both / (np.linalg.norm(both, axis=1, keepdims=True) + 1e-6)
            return unit

        return self._once(("profile vectors", _fit_settings(c)), build)

    def _gene_pull(self) -> FloatArray:
        """(m, m) what each readout gene is drawn to: others of the plain union's graphs at fixed weights, `normalised`.

        The last one is kept for all data of the affinity: the folds and splits of a line have the same.
        """
        key = digest("\n".join(self.genes))
        last = _GENE_PULL.pop(self.affinity, None)  # one at a time: 80 MB for a screen's 4,500 readout genes
        if last is None or last[0] != key:
            weight = self.affinity.weight(self.genes, self.genes, fixed_weights(self.affinity))
            last = key, normalised(weight)
        _GENE_PULL[self.affinity] = last
        return last[1]

    def _once(self, key, build):  # type: ignore[no-untyped-def]
        if key not in self._memo:
            self._memo[key] = build()
        return self._memo[key]


_GENE_PULL: WeakKeyDictionary[Affinity, tuple[str, FloatArray]] = WeakKeyDictionary()


def _fit_settings(c: Choices) -> tuple[float, ...]:
    """The settings that completion factors depend on."""
    return (c.base_prior, c.pull, c.pull_prior, c.rank, c.ridge, c.gene_affinity)


class Voter:
    """The rules for one line, split and task, fitted on training rows.

    >>> voter = Voter.fit(atlas.view("k562", "strict"), "de", affinity)  # doctest: +SKIP
    >>> voter.probability("mixed", ["INTS9"]).shape  # doctest: +SKIP
    (1, 4136)
    """

    def __init__(self, data: VotingData, task: Task, choices: Choices) -> None:
        self.data, self.task, self.choices = data, task, choices
        self.genes = data.genes
        self.base = base_rate(data.answers(task, signed=False), choices.base_prior)
        self._evidence: dict[tuple[bool, tuple[str | None, ...], bytes], list[Evidence]] = {}

    @classmethod
    def fit(cls, view: TrainingView, task: Task, affinity: Affinity, choices: Choices | None = None) -> Voter:
        """A voter for the view's line; `choices` None takes the defaults."""
        return cls(VotingData(view, affinity), task, choices or Choices())

    def evidence(self, rule: Rule, perturbations: Sequence[str] | NameArray, at: Pairs | None = None) -> FloatArray:
        """The rule's answer minus the readout gene's base rate; higher means more likely label 1.

        (n, m) over all readout genes, or (q,) for the places `at` (rows of `perturbations`, columns of the line's
        readout genes). A training perturbation's own row never votes for it in its own line. InputError for an
        unknown rule.
        """
        if rule not in EVIDENCE:
            raise InputError(f"Unknown rule {rule!r}; choose from {', '.join(EVIDENCE)}.")
        return EVIDENCE[rule](self, np.asarray(perturbations, dtype=str), at)

    def probability(self, rule: Rule, perturbations: Sequence[str] | NameArray, at: Pairs | None = None) -> FloatArray:
        """Probability of label 1 (`to_probability`); shapes as in `evidence`."""
        return self.to_probability(rule, self.evidence(rule, perturbations, at), at)

    def to_probability(self, rule: Rule, evidence: FloatArray, at: Pairs | None = None) -> FloatArray:
        """The rule's `evidence` as probability of label 1, on the scale that was fitted out of fold.

        Without a fitted scale it is the base rate plus the evidence, clipped to 0..1.
        """
        base = self.base if at is None else self.base[at[1]]
        scale = self.choices.scales.get(rule)
        if scale is None:
            return np.clip(base + evidence, 0.0, 1.0)
        return expit(scale.offset + scale.base * logit(np.clip(base, 1e-4, 1 - 1e-4)) + scale.slope * evidence)

    def answer(self, rule: Rule, questions: Questions, probability: bool = False) -> NDArray[np.floating]:
        """(q,) evidence (or probability) of each question."""
        if not np.array_equal(questions.genes, self.genes):
            raise InputError("The questions are about other readout genes than the voter's line has.")
        score = self.probability if probability else self.evidence
        return score(rule, questions.perturbations, (questions.row, questions.column))

    def union_edges(self, names: NameArray) -> sp.csr_matrix:
        """(n, t) 1 where a graph puts a training perturbation among the 20 strongest of a perturbation."""
        training = self.data.perturbations()
        near = neighbourhoods(self.data.affinity.graphs, names, training, limit=20, cut="after")
        return near.weights.astype(np.float32)

    def weight(self, names: NameArray, line: str | None = None, power: float | None = None) -> FloatArray:
        """(n, t) affinity with a line's training perturbations, at the chosen power unless another is given."""
        line = None if line == self.data.view.line else line
        return self.data.weight(names, self.choices.power if power is None else power, line)

    def other_weight(self, names: NameArray, line: str) -> FloatArray:
        """(n, t) weight of another line's training perturbations: `other` of the affinity; `same` for the same gene."""
        weight = np.float32(self.choices.other) * self.weight(names, line)
        weight[names[:, None] == self.data.perturbations(line)[None, :]] = self.choices.same
        return weight

    @property
    def voting_lines(self) -> list[str]:
        """The other lines that have any weight in ``lines``."""
        return self.data.other_lines if self.choices.other or self.choices.same else []

    def line_evidence(self, smooth: bool, lines: Sequence[str | None], columns: NDArray[np.intp]) -> list[Evidence]:
        """The evidence of each line's training rows on the readout genes `columns`; None is the voter's own line.

        With `smooth` it is spread over similar readout genes. What was worked out is kept up to `EVIDENCE_HELD`.
        """
        key = (smooth, tuple(lines), columns.tobytes())
        if key not in self._evidence:
            evidence = self._line_evidence(smooth, lines, columns)
            # The newest makes room: of a pass over more than fits, the first part stays for the next pass.
            while self._evidence and _bytes(evidence, *self._evidence.values()) > EVIDENCE_HELD:
                self._evidence.popitem()
            self._evidence[key] = evidence
        return self._evidence[key]

    def _line_evidence(self, smooth: bool, lines: Sequence[str | None], columns: NDArray[np.intp]) -> list[Evidence]:
        c, similar = self.choices, None
        if smooth and c.smoothing:
            similar = self.data.similar_readouts(c, columns) * np.float32(c.smoothing)
        evidence = []
        for line in lines:
            residual = self.data.residual(self.task, c.signed, c.base_prior, line)
            sums = []
            for part in (residual, _ones(residual)):  # residuals, and the number of them
                value = part[:, columns].T.toarray(order="C")
                if similar is not None:
                    value += (part @ similar).T
                sums.append(value)
            evidence.append(Evidence(self.data.perturbations(line), *sums))
        return evidence

    def level(self, names: NameArray) -> FloatArray:
        """(n, 1) mean residual of a perturbation's neighbours over all readout genes: how much they change at all."""
        residual = self.data.residual(self.task, False, self.choices.base_prior)
        mean = np.asarray(residual.sum(axis=1)).ravel() / (np.diff(residual.indptr) + 5.0)
        return (normalised(self.weight(names), self.choices.pull_prior) @ mean.astype(np.float32))[:, None]

    def parts(self, names: NameArray, at: Pairs | None) -> dict[str, FloatArray]:
        """The evidence (n, m), or (q,) at some pairs, of each part of the mixture, by the names in `PARTS`."""
        level = self.level(names)
        return {
            "lines": _lines(self, names, at),
            "completion": _completion(self, names, at),
            "level": level if at is None else level[at[0], 0],
        }


def _union(voter: Voter, names: NameArray, at: Pairs | None) -> FloatArray:
    edges = voter.union_edges(names)
    residual = voter.data.residual(voter.task, False, voter.choices.base_prior)
    total, count = edges @ residual, edges @ _ones(residual)
    share = (total.toarray() / (count.toarray() + np.float32(UNION_PRIOR))).astype(np.float32)
    return share if at is None else share[at]


def _affinity(voter: Voter, names: NameArray, at: Pairs | None) -> FloatArray:
    return _vote(voter, names, at, smooth=False, others=[])


def _smoothed(voter: Voter, names: NameArray, at: Pairs | None) -> FloatArray:
    return _vote(voter, names, at, smooth=True, others=[])


def _lines(voter: Voter, names: NameArray, at: Pairs | None) -> FloatArray:
    return _vote(voter, names, at, smooth=True, others=voter.voting_lines)


def _completion(voter: Voter, names: NameArray, at: Pairs | None) -> FloatArray:
    c, data = voter.choices, voter.data
    known, factors = data.factors(voter.task, c.signed, c.joint, c)
    lines = [data.view.line, *data.other_lines] if c.joint else [data.view.line]
    weight = np.hstack([voter.weight(names, n, c.pull) for n in lines])
    if c.joint:
        same = names[:, None] == known[None, :]
        same[:, : len(data.perturbations())] = False
        weight[same] = max(c.same, 1.0)
    rows: FloatArray = np.asarray(normalised(weight, c.pull_prior) @ factors.rows, dtype=np.float32)
    return rows @ factors.columns.T if at is None else (rows[at[0]] * factors.columns[at[1]]).sum(axis=1)


def _mixed(voter: Voter, names: NameArray, at: Pairs | None) -> FloatArray:
    return mixture(voter.parts(names, at), voter.choices)


EVIDENCE: Mapping[Rule, Callable[[Voter, NameArray, Pairs | None], FloatArray]] = {
    "union": _union,
    "affinity": _affinity,
    "smoothed": _smoothed,
    "lines": _lines,
    "completion": _completion,
    "mixed": _mixed,
}


def _vote(voter: Voter, names: NameArray, at: Pairs | None, smooth: bool, others: Sequence[str]) -> FloatArray:
    """Sum of weighted residuals over the sum of weights plus the prior, of the line itself and of `others`."""
    lines = [None, *others]
    weights = [voter.weight(names), *(voter.other_weight(names, line) for line in others)]

    def share(columns: NDArray[np.intp], pairs: Pairs | None) -> FloatArray:
        evidence = voter.line_evidence(smooth, lines, columns)
        total, count = zip(*(_products(w, e, pairs) for w, e in zip(weights, evidence, strict=True)), strict=True)
        votes: FloatArray = reduce(np.add, total) / (reduce(np.add, count) + np.float32(voter.choices.prior))
        return votes

    if at is None:
        every = np.arange(len(voter.genes))
        return np.hstack([share(every[block], None) for block in chunks(len(every), COLUMNS_AT_ONCE)])
    columns, place = np.unique(at[1], return_inverse=True)
    out = np.empty(len(place), np.float32)
    for block in chunks(len(columns), COLUMNS_AT_ONCE):
        here = np.flatnonzero((place >= block.start) & (place < block.stop))
        out[here] = share(columns[block], (at[0][here], place[here] - block.start))
    return out


def _bytes(*held: Sequence[Evidence]) -> int:
    return sum(evidence.total.nbytes + evidence.count.nbytes for lines in held for evidence in lines)


def mixture(parts: Mapping[str, FloatArray], choices: Choices) -> FloatArray:
    """The rule ``mixed`` from its parts, each divided by its deviation, on the scale of ``lines``."""
    factor = mixture_factors(choices)
    terms = [np.float32(factor[name]) * parts[name] for name in PARTS]
    return terms[0] + terms[1] + terms[2]


def mixture_factors(choices: Choices) -> dict[str, float]:
    """What each part's evidence is multiplied by in ``mixed``."""
    weight = {"lines": 1 - choices.mix, "completion": choices.mix, "level": choices.level}
    spread = {name: max(choices.deviation[name], 1e-6) for name in PARTS}
    return {name: weight[name] * spread["lines"] / spread[name] for name in PARTS}


def _products(weight: FloatArray, evidence: Evidence, at: Pairs | None) -> tuple[FloatArray, FloatArray]:
    """``weight @ total`` and ``weight @ count``, whole or at some pairs only."""
    if at is None:
        return weight @ evidence.total.T, weight @ evidence.count.T
    row, column = at
    order = np.argsort(row, kind="stable")
    total, count = np.empty(len(row), np.float32), np.empty(len(row), np.float32)
    starts = np.flatnonzero(np.r_[True, np.diff(row[order]) != 0]) if len(row) else np.array([], int)
    for group in np.split(order, starts[1:]) if len(row) else []:
        neighbours, genes = weight[row[group[0]]], column[group]
        total[group], count[group] = evidence.total[genes] @ neighbours, evidence.count[genes] @ neighbours
    return total, count


def _over(line: TrainingLine, genes: NameArray) -> TrainingLine:
    """The line over `genes` (`TrainingLine.over`), with a gap for a gene's readout of itself."""
    over = line.over(genes)
    return replace(over, delta=without_own_readouts(over.delta, over.perturbations, genes))


def _ones(matrix: sp.csr_matrix) -> sp.csr_matrix:
    """1 at every stored entry, explicit zeros included."""
    return sp.csr_matrix((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
