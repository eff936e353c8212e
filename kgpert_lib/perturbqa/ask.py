"""Answers to questions about one cell line, one at a time or many at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.trust import Trust
from kgpert_lib.graphs import symbols
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.graphs.ranking import strongest_first
from kgpert_lib.perturbqa.contributions import Contributions, Part, contributions
from kgpert_lib.perturbqa.tasks import Task
from kgpert_lib.perturbqa.trust import TooFewPerturbationsError, trust_in_votes
from kgpert_lib.perturbqa.voting import Choices, Pairs, Rule, Voter, VotingData
from kgpert_lib.screens.atlas import NOT_SCREENED, Atlas
from kgpert_lib.types import FloatArray, NameArray, Split

BLOCK = 3_000  # perturbations that are answered at once
NO_GRAPH = "gene in no graph: the readout gene's base rate is the answer"
SHARES: Mapping[Task, str] = {"de": "share_changes", "dir": "share_rises"}


@dataclass(frozen=True, eq=False)
class Answer:
    """One answered question.

    Attributes
    ----------
    perturbation, readout, line, rule : the question, in the atlas' spelling, and the rule that answers.
    p_changes : probability that the readout gene changes.
    p_rises : probability that it rises, given that it changes.
    answer : ``"unchanged"``, ``"up"`` or ``"down"``.
    p_right : probability of that answer, if both probabilities are right.
    status : ``"test"``, ``"val"``, ``"train"`` or ``"not screened"``.
    measured : the screen's own call -1, 0, +1; None where the pair was not tested.
    note : one sentence where the answer needs one, else empty.
    trust : by task, expected probability that the votes give the measured answer of the perturbed gene's questions,
        with its 80 % interval (`trust.trust_in_votes`); a task is missing where the line has too few training
        perturbations.
    base_rate : by task, the readout gene's share of label 1 among training perturbations.
    parts : by task, the evidence of each part of the rule (`contributions.Contributions`); their sum moves the base
        rate.
    decided_by : by task, the part with the most evidence; None where there is none.
    voting_lines : the cell lines whose training perturbations have a say.
    neighbours : one row for each neighbour that measured the readout gene, strongest first: gene, its share of the vote
        on change and on direction (NaN: the rule has no direct vote), measured call.
    """

    perturbation: str
    readout: str
    line: str
    rule: str
    p_changes: float
    p_rises: float
    answer: str
    p_right: float
    status: str
    measured: int | None
    note: str
    trust: dict[str, dict[str, float]]
    base_rate: dict[str, float]
    parts: dict[str, dict[Part, float]]
    decided_by: dict[str, Part | None]
    voting_lines: list[str]
    neighbours: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [
            {key: None if pd.isna(value) else value for key, value in row.items()}
            for row in self.neighbours.to_dict("records")
        ]
        return {**{k: v for k, v in self.__dict__.items() if k != "neighbours"}, "neighbours": rows}


@dataclass(eq=False)
class Asker:
    """Answers questions about one line of an atlas with one rule, from training rows only."""

    atlas: Atlas
    line: str
    affinity: Affinity
    voters: Mapping[Task, Voter]
    rule: Rule = "mixed"

    @classmethod
    def fit(
        cls,
        atlas: Atlas,
        line: str,
        affinity: Affinity,
        choices: Mapping[str, Choices] | None = None,
        split: Split = "strict",
        rule: Rule = "mixed",
    ) -> Asker:
        """Fit both tasks; `choices` by task (``"de"``, ``"dir"``), None for the defaults.

        InputError for an unknown line.
        """
        data = VotingData(atlas.view(line, split), affinity)
        tasks: tuple[Task, ...] = get_args(Task)
        voters = {task: Voter(data, task, (choices or {}).get(task, Choices())) for task in tasks}
        return cls(atlas, line, affinity, voters, rule)

    @property
    def data(self) -> VotingData:
        """The training rows, which both tasks share."""
        return self.voters["de"].data

    @property
    def voting_lines(self) -> list[str]:
        """The cell lines whose training perturbations have a say in the rule."""
        return voting_lines(self.voters.values(), self.rule)

    def ask(self, perturbation: str, readout: str, top: int = 20) -> Answer:
        """One question; `top` neighbours at most.

        InputError for an unknown gene, a readout gene that the line lacks, and a gene's readout of itself.
        """
        cells = self.atlas[self.line]
        gene = symbols.resolve(perturbation, self._spellings)
        target = symbols.resolve(readout, [str(g) for g in cells.genes])
        if gene == target:
            raise InputError(f"{gene} is the perturbed gene itself; ask about another readout gene.")
        column = int(np.flatnonzero(cells.genes == target)[0])
        evidence = {task: contributions(voter, self.rule, gene, column) for task, voter in self.voters.items()}
        at = (np.array([0]), np.array([column]))
        p = np.array(
            [
                voter.to_probability(self.rule, np.array([evidence[task].evidence]), at)[0]
                for task, voter in self.voters.items()
            ]
        )
        call = self._calls(np.array([gene]), np.array([column]))[0]
        status = cells.status(gene)
        measured = None if np.isnan(call) else int(call)
        answer, right = _answers(p[:1], p[1:])
        return Answer(
            perturbation=gene,
            readout=target,
            line=self.line,
            rule=self.rule,
            p_changes=float(p[0]),
            p_rises=float(p[1]),
            answer=str(answer[0]),
            p_right=float(right[0]),
            status=status,
            measured=measured,
            note=self._note(gene, target, status, measured),
            trust={task: trust.expect([gene]).first() for task, trust in self._trusts.items()},
            base_rate={task: float(voter.base[column]) for task, voter in self.voters.items()},
            parts={task: item.parts for task, item in evidence.items()},
            decided_by={task: item.largest for task, item in evidence.items()},
            voting_lines=self.voting_lines,
            neighbours=self._neighbours(gene, column, evidence, top),
        )

    def answer_pairs(self, perturbation: Sequence[str], readout: Sequence[str]) -> pd.DataFrame:
        """One row per pair: p_changes, p_rises, answer, status, measured, note.

        A pair that cannot be answered has NaN and says why in ``note``.
        """
        pairs = pd.DataFrame({"perturbation": perturbation, "readout": readout}, dtype=object)
        cells = self.atlas[self.line]
        gene = pairs["perturbation"].map(self._respell(list(pairs["perturbation"].unique()), self._spellings))
        target = pairs["readout"].map(self._respell(list(pairs["readout"].unique()), [str(g) for g in cells.genes]))
        note = pd.Series("", index=pairs.index, dtype=object)
        note[gene == target] = "the readout gene is the perturbed gene itself"
        note[target.isna()] = f"no readout gene of {self.line}: " + pairs.loc[target.isna(), "readout"].map(repr)
        note[gene.isna()] = "unknown gene: " + pairs.loc[gene.isna(), "perturbation"].map(repr)
        good = np.flatnonzero(note == "")
        table = pd.DataFrame(
            {"p_changes": np.nan, "p_rises": np.nan, "answer": "", "status": "", "measured": np.nan}, index=pairs.index
        )
        if len(good):
            names, row = np.unique(gene.iloc[good].to_numpy(str), return_inverse=True)
            column = pd.Index(cells.genes).get_indexer(pd.Index(target.iloc[good]))
            p = np.empty((2, len(good)), np.float32)
            for start in range(0, len(names), BLOCK):
                here = np.flatnonzero((row >= start) & (row < start + BLOCK))
                p[:, here] = self._probabilities(names[start : start + BLOCK], (row[here] - start, column[here]))
            splits = {str(n): str(s) for n, s in zip(cells.perturbations, cells.split, strict=True)}
            status = np.array([splits.get(str(n), NOT_SCREENED) for n in names])[row]
            measured = self._calls(names[row], column)
            table.iloc[good, :2] = p.T
            table.iloc[good, 2] = _answers(p[0], p[1])[0]
            table.iloc[good, 3] = status
            table.iloc[good, 4] = measured
            remark = np.where(~self.affinity.known(names)[row], NO_GRAPH, "").astype(object)
            remark[(status == "train") & ~np.isnan(measured)] = "measured in training"
            note[note == ""] = remark
        return table.assign(note=note)

    @cached_property
    def _trusts(self) -> dict[Task, Trust]:
        """Trust in the votes by task; a task is missing where too few training perturbations have questions."""
        trusts = {}
        for task, voter in self.voters.items():
            try:
                trusts[task] = trust_in_votes(voter, self.rule)
            except TooFewPerturbationsError:
                continue
        return trusts

    @cached_property
    def _spellings(self) -> list[str]:
        return sorted({*self.affinity.symbols, *self.atlas.perturbations()})

    def _respell(self, names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
        """The spelling used here of every name that has one."""
        have = set(known)
        same = {n: n for n in names if n in have}
        other = [n for n in names if n not in have and n]
        return same | (symbols.match(have, other).resolved if other else {})

    def _probabilities(self, names: NameArray, at: Pairs) -> FloatArray:
        """(2, q) probabilities of change and of a rise, given change, at pairs of perturbation and readout gene."""
        return np.stack([v.probability(self.rule, names, at) for v in self.voters.values()]).astype(np.float32)

    def _calls(self, names: NameArray, column: NDArray[np.intp]) -> NDArray[np.float32]:
        cells = self.atlas[self.line]
        row = pd.Index(cells.perturbations).get_indexer(pd.Index(names))
        return np.where(row >= 0, cells.delta[np.maximum(row, 0), column], np.float32(np.nan))

    def _note(self, gene: str, target: str, status: str, measured: int | None) -> str:
        if status == "train" and measured is not None:
            return f"{gene} and {target} were measured in training (call {measured:+d}): the screen itself answers."
        if not self.affinity.known(np.array([gene]))[0]:
            return f"{gene} is in no graph, so the base rate of {target} is the answer."
        return ""

    def _neighbours(self, gene: str, column: int, evidence: Mapping[Task, Contributions], top: int) -> pd.DataFrame:
        """The neighbours that measured the readout gene, by their share of the vote on change."""
        line, voter = self.data.line(), self.voters["de"]
        names = np.array([gene])
        weight = voter.union_edges(names).toarray()[0] if self.rule == "union" else voter.weight(names)[0]
        measured = line.delta[:, column]
        order = strongest_first(weight, line.perturbations)
        order = order[(weight[order] > 0) & ~np.isnan(measured[order])][:top]
        has_vote = self.rule != "completion"
        shares = {SHARES[t]: item.share[order] if has_vote else np.nan for t, item in evidence.items()}
        return pd.DataFrame({"gene": line.perturbations[order], **shares, "measured": measured[order]})


def voting_lines(voters: Iterable[Voter], rule: Rule) -> list[str]:
    """The cell lines whose training perturbations have a say in a rule of any of the voters; the line itself first."""
    lines: list[str] = []
    for voter in voters:
        own, others = voter.data.view.line, voter.data.other_lines
        say = [own]
        if rule in ("lines", "mixed") and voter.voting_lines:
            say += others
        if rule in ("completion", "mixed") and voter.choices.joint:
            say += others
        lines += say
    return list(dict.fromkeys(lines))


def _answers(changes: FloatArray, rises: FloatArray) -> tuple[NDArray[np.str_], FloatArray]:
    """The most probable of unchanged, up and down, and its probability."""
    three = np.stack([1 - changes, changes * rises, changes * (1 - rises)])
    best = three.argmax(axis=0)
    return np.array(["unchanged", "up", "down"])[best], three[best, np.arange(three.shape[1])]
