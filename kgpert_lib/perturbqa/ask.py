"""Answers to single questions and to tables of questions about one cell line."""

from __future__ import annotations

import csv
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.trust import Trust
from kgpert_lib.graphs import symbols
from kgpert_lib.graphs.affinity import Affinity
from kgpert_lib.perturbqa.trust import trust_in_votes
from kgpert_lib.perturbqa.voting import Choices, Ground, Pairs, Rule, Voter
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.types import FloatArray, NameArray, Split

COLUMNS = ("perturbation", "readout")
ADDED = ("p_changes", "p_rises", "answer", "status", "measured", "note")
CHUNK = 50_000
BLOCK = 3_000
NO_GRAPH = "gene in no graph: the readout gene's base rate is the answer"


@dataclass(frozen=True, eq=False)
class Answer:
    """One answered question.

    Attributes
    ----------
    perturbation, readout, line, rule : what was asked, in the atlas' spelling, and of which rule.
    p_changes : probability that the readout gene changes.
    p_rises : probability that it rises, given that it changes.
    answer : ``"unchanged"``, ``"up"`` or ``"down"``.
    p_right : probability of that answer, if both probabilities are right.
    status : ``"test"``, ``"val"``, ``"train"`` or ``"not screened"``.
    measured : the screen's own call -1, 0, +1; None where the pair was not tested.
    note : one sentence where the answer needs one, else empty.
    trust : by task, expected probability that the votes on the perturbed gene are right, with its 80 % interval
        (`confidence.trust_in_votes`); empty where the line has too few training perturbations.
    neighbours : a row a training perturbation, strongest first: gene, share of the weight,
        measured call (NaN: not tested).
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
    neighbours: pd.DataFrame

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        rows = [
            {key: None if pd.isna(value) else value for key, value in row.items()}
            for row in self.neighbours.to_dict("records")
        ]
        return {**{k: v for k, v in self.__dict__.items() if k != "neighbours"}, "neighbours": rows}


class Report(NamedTuple):
    """What became of a table: rows `answered`, rows `broken`, the first three broken ones in words, rows `resumed`."""

    answered: int
    broken: int
    examples: list[str]
    resumed: int


@dataclass(eq=False)
class Asker:
    """Answers questions about one line of an atlas with one rule, from training rows only."""

    atlas: Atlas
    line: str
    knowledge: Affinity
    changes: Voter
    rises: Voter
    rule: Rule = "mixed"

    @classmethod
    def fit(
        cls,
        atlas: Atlas,
        line: str,
        knowledge: Affinity,
        choices: Mapping[str, Choices] | None = None,
        split: Split = "strict",
        rule: Rule = "mixed",
    ) -> Asker:
        """Fit both tasks; `choices` by task (``"de"``, ``"dir"``), None for the defaults.

        InputError for an unknown line.
        """
        ground = Ground(atlas.view(line, split), knowledge)
        made = choices or {}
        voters = [Voter(ground, task, made.get(task, Choices())) for task in ("de", "dir")]
        return cls(atlas, line, knowledge, voters[0], voters[1], rule)

    def ask(self, perturbation: str, readout: str, top: int = 20) -> Answer:
        """One question.

        InputError for an unknown gene, a readout gene that the line lacks, and a gene's readout of itself.
        """
        cells = self.atlas[self.line]
        gene = symbols.resolve(perturbation, self._spellings())
        target = symbols.resolve(readout, [str(g) for g in cells.genes])
        if gene == target:
            raise InputError(f"{gene} is the perturbed gene itself; ask about another readout gene.")
        column = int(np.flatnonzero(cells.genes == target)[0])
        p = self._probabilities(np.array([gene]), (np.array([0]), np.array([column])))[:, 0]
        measured = self._measured(np.array([gene]), np.array([column]))[0]
        status = str(cells.split[cells.index[gene]]) if gene in cells.index else "not screened"
        called = None if np.isnan(measured) else int(measured)
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
            measured=called,
            note=self._note(gene, target, status, called),
            trust={task: trust.expect([gene]).first() for task, trust in self._trusts.items()},
            neighbours=self._neighbours(gene, column, top),
        )

    def answer_pairs(self, perturbation: Sequence[str], readout: Sequence[str]) -> pd.DataFrame:
        """A row a pair with the columns `ADDED`; a pair that cannot be answered has NaN and says why in ``note``."""
        asked, wanted = pd.Series(perturbation, dtype=object), pd.Series(readout, dtype=object)
        cells = self.atlas[self.line]
        gene = asked.map(self._respell(list(asked.unique()), self._spellings()))
        target = wanted.map(self._respell(list(wanted.unique()), [str(g) for g in cells.genes]))
        note = pd.Series("", index=asked.index, dtype=object)
        note[gene == target] = "the readout gene is the perturbed gene itself"
        note[target.isna()] = f"no readout gene of {self.line}: " + wanted[target.isna()].map(repr)
        note[gene.isna()] = "unknown gene: " + asked[gene.isna()].map(repr)
        good = np.flatnonzero(note == "")
        out = pd.DataFrame(
            {"p_changes": np.nan, "p_rises": np.nan, "answer": "", "status": "", "measured": np.nan}, index=asked.index
        )
        if len(good):
            names, row = np.unique(gene.iloc[good].to_numpy(str), return_inverse=True)
            column = pd.Index(cells.genes).get_indexer(pd.Index(target.iloc[good]))
            p = np.empty((2, len(good)), np.float32)
            for start in range(0, len(names), BLOCK):
                here = np.flatnonzero((row >= start) & (row < start + BLOCK))
                p[:, here] = self._probabilities(names[start : start + BLOCK], (row[here] - start, column[here]))
            splits = {str(n): str(s) for n, s in zip(cells.perturbations, cells.split, strict=True)}
            status = np.array([splits.get(str(n), "not screened") for n in names])[row]
            bare = ~self.knowledge.known(names)
            out.iloc[good, :2] = p.T
            out.iloc[good, 2] = _answers(p[0], p[1])[0]
            out.iloc[good, 3] = status
            measured = self._measured(names[row], column)
            out.iloc[good, 4] = measured
            said = np.where(bare[row], NO_GRAPH, "").astype(object)
            said[(status == "train") & ~np.isnan(measured)] = "measured in training"
            note[note == ""] = said
        return out.assign(note=note)

    @cached_property
    def _trusts(self) -> dict[str, Trust]:
        """Trust in the votes by task; empty where the line has too few training perturbations to learn it from."""
        try:
            return {v.task: trust_in_votes(v, self.rule, self.atlas) for v in (self.changes, self.rises)}
        except InputError:
            return {}

    def _spellings(self) -> list[str]:
        if not hasattr(self, "_names"):
            self._names = sorted({*self.knowledge.symbols, *self.atlas.perturbations()})
        return self._names

    def _respell(self, names: Sequence[str], known: Sequence[str]) -> dict[str, str]:
        """The spelling used here of every name that has one."""
        have = set(known)
        same = {n: n for n in names if n in have}
        other = [n for n in names if n not in have and n]
        return same | (symbols.match(have, other).resolved if other else {})

    def _probabilities(self, names: NameArray, at: Pairs) -> FloatArray:
        """(2, q) probabilities of change and of a rise, given change, at pairs of perturbation and readout gene."""
        return np.stack([v.probability(self.rule, names, at) for v in (self.changes, self.rises)]).astype(np.float32)

    def _measured(self, names: NameArray, column: NDArray[np.intp]) -> NDArray[np.float32]:
        cells = self.atlas[self.line]
        row = pd.Index(cells.perturbations).get_indexer(pd.Index(names))
        return np.where(row >= 0, cells.delta[np.maximum(row, 0), column], np.float32(np.nan))

    def _note(self, gene: str, target: str, status: str, called: int | None) -> str:
        if status == "train" and called is not None:
            return f"{gene} and {target} were measured in training (call {called:+d}): the screen answers this itself."
        if not self.knowledge.known(np.array([gene]))[0]:
            return f"{gene} is in no graph, so the base rate of {target} is the answer."
        return ""

    def _neighbours(self, gene: str, column: int, top: int) -> pd.DataFrame:
        ground, c = self.changes.ground, self.changes.choices
        line = ground.line()
        weight = ground.ties(np.array([gene]), c.power, c.string)[0]
        best = np.lexsort((line.perturbations, -np.round(weight, 6)))[:top]
        best = best[weight[best] > 0]
        share = weight[best] / max(float(weight.sum()), 1e-9)
        return pd.DataFrame({"gene": line.perturbations[best], "share": share, "measured": line.delta[best, column]})


def ask_csv(asker: Asker, source: str | Path, target: str | Path, chunk: int = CHUNK) -> Report:
    """Answer a csv table row by row: its columns, then `ADDED`.

    The table needs the columns ``perturbation`` and ``readout``; others are copied. A row with another number of
    cells, an empty name or a gene that cannot be asked is kept without an answer and says why in ``note``. The answers
    collect in ``<target>.part`` and take their name at the end; a run that was cut off goes on after the last whole
    chunk when the same table is asked again. InputError when the file is missing or lacks a column.
    """
    source, target = Path(source), Path(target)
    part, state = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.json")
    if not source.is_file():
        raise InputError(f"{source} does not exist.")
    key = _identity(asker, source)
    done = _resume(part, state, key)
    answered, broken, examples = done["answered"], done["broken"], list(done["examples"])
    with source.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
        reader = csv.reader(handle)
        header = next(reader, [])
        missing = [c for c in COLUMNS if c not in header]
        if missing:
            raise InputError(f"{source} has no column {missing[0]!r}; it has {', '.join(header) or 'none'}.")
        clash = [c for c in header if c in ADDED]
        if clash:
            raise InputError(
                f"{source} already has a column {clash[0]!r}, which the answers would overwrite; rename it."
            )
        with part.open("r+" if done["rows"] else "w", encoding="utf-8", newline="") as out:
            out.truncate(done["bytes"])
            out.seek(done["bytes"])
            writer = csv.writer(out)
            if not done["rows"]:
                writer.writerow([*header, *ADDED])
            at = done["rows"]
            for rows in _chunks(reader, at, chunk):
                table = _answer_rows(asker, header, rows)
                writer.writerows(table)
                failed = [i for i, row in enumerate(table) if row[len(header)] == ""]
                examples += [f"row {at + i + 2}: {table[i][-1]}" for i in failed][: max(0, 3 - len(examples))]
                at, broken, answered = at + len(rows), broken + len(failed), answered + len(rows) - len(failed)
                out.flush()
                os.fsync(out.fileno())
                counts = {"rows": at, "bytes": out.tell(), "answered": answered, "broken": broken}
                _remember(state, {"key": key, "examples": examples, **counts})
    os.replace(part, target)
    state.unlink(missing_ok=True)
    return Report(answered, broken, examples, done["rows"])


def _answer_rows(asker: Asker, header: list[str], rows: list[list[str]]) -> list[list[str]]:
    """The rows with the cells of `ADDED` appended."""
    width = len(header)
    whole = [i for i, row in enumerate(rows) if len(row) == width]
    p, r = (header.index(c) for c in COLUMNS)
    made = asker.answer_pairs([rows[i][p].strip() for i in whole], [rows[i][r].strip() for i in whole])
    text = pd.DataFrame(
        {
            **{c: [f"{v:.4f}" if v == v else "" for v in made[c].tolist()] for c in ("p_changes", "p_rises")},
            "answer": made["answer"],
            "status": made["status"],
            "measured": [f"{v:.0f}" if v == v else "" for v in made["measured"].tolist()],
            "note": made["note"],
        }
    )
    cells = iter(text.to_numpy(dtype=object).tolist())
    empty = [""] * (len(ADDED) - 1)
    return [
        [*row, *next(cells)]
        if len(row) == width
        else [*row[:width], *[""] * (width - len(row)), *empty, f"{len(row)} cells where the header has {width}"]
        for row in rows
    ]


def _answers(changes: FloatArray, rises: FloatArray) -> tuple[NDArray[np.str_], FloatArray]:
    """The most probable of unchanged, up and down, and its probability."""
    three = np.stack([1 - changes, changes * rises, changes * (1 - rises)])
    best = three.argmax(axis=0)
    return np.array(["unchanged", "up", "down"])[best], three[best, np.arange(three.shape[1])]


def _chunks(reader: Iterator[list[str]], skip: int, size: int) -> Iterator[list[list[str]]]:
    next(islice(reader, skip, skip), None)
    while rows := list(islice(reader, size)):
        yield rows


def _identity(asker: Asker, source: Path) -> str:
    """A hash of the table and of everything that decides its answers."""
    digest = hashlib.sha256()
    with source.open("rb") as handle:
        while block := handle.read(1 << 20):
            digest.update(block)
    view = asker.changes.ground.view
    digest.update(
        repr(
            (asker.atlas.name, asker.line, view.split, asker.rule, asker.changes.choices, asker.rises.choices)
        ).encode()
    )
    return digest.hexdigest()


def _resume(part: Path, state: Path, key: str) -> dict[str, Any]:
    """Where an earlier run of the same table stopped; the beginning where there is none."""
    fresh = {"rows": 0, "bytes": 0, "answered": 0, "broken": 0, "examples": []}
    try:
        found = json.loads(state.read_text(encoding="utf-8"))
        return found if found["key"] == key and part.stat().st_size >= found["bytes"] else fresh
    except (OSError, ValueError, KeyError, TypeError):
        return fresh


def _remember(path: Path, value: Mapping[str, Any]) -> None:
    scratch = path.with_name(path.name + ".new")
    scratch.write_text(json.dumps(value), encoding="utf-8")
    os.replace(scratch, path)
