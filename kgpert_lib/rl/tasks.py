"""Questions about edits of neighbourhoods with what their answers earn: one set of tasks for every trainer.

Prompts and parser are those of chapter 3; a trainer, an environment and an evaluation only pass texts on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Literal, get_args

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kgpert_lib.errors import InputError
from kgpert_lib.llm.answers import Dropped, Kind
from kgpert_lib.llm.edits import EditForm, edit_questions
from kgpert_lib.llm.proposals import Proposal, read_text
from kgpert_lib.llm.question_data import question_data
from kgpert_lib.llm.questions import Question, sample_genes, spellings
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods
from kgpert_lib.predictors.neighbours import NeighbourhoodSource
from kgpert_lib.rl.reward import ALPHA, BETA, TIE, Weights, rewards
from kgpert_lib.rl.scoring import EditScores, set_scores
from kgpert_lib.screens.atlas import CellLine, TrainingView
from kgpert_lib.screens.load import load_screen
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import FloatArray, NameArray

KINDS: tuple[Kind, ...] = get_args(Kind)
GOLD_MOVES = 3  # edits of an answer that the search on the answer itself gives
Half = Literal["all", "first", "second"]


class Settings(BaseModel):
    """All that a question and its reward depend on.

    Attributes
    ----------
    atlas, graphs : as in `load_screen`.
    lines : cell lines whose perturbations are asked about; empty: all of the atlas.
    evaluated_lines : lines whose test genes no training row of any line holds, asked about or not; empty: all.
    limit : cut of each graph's neighbourhood; None: no cut.
    prompt : ``"compact"`` offers the candidates closest in the graphs, ``"full"`` all training perturbations,
        ``"brief"`` asks for a list without thoughts, for small models.
    room : tokens that a compact or brief prompt may have, by the estimate of `kgpert_lib.llm.prompts`.
    split : ``"train"``: training perturbations, each asked about as if it had not been measured; ``"validation"``:
        those held out of them; ``"test"``: test perturbations, with the training rows of `Atlas.view` under ``strict``.
    validation : share of the training genes that neither ``"train"`` asks about nor any training row holds.
    seed : of the order of the questions, the choice of validation genes and the folds.
    fill : ``"lowrank"`` scores with gaps of calls filled, out of fold.
    readouts : the half of the readout genes that the gap is scored on; a search or a warm start may use the other.
    weights, alpha, beta : as in `kgpert_lib.rl.reward`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    atlas: str = "perturbqa"
    lines: tuple[str, ...] = ()
    evaluated_lines: tuple[str, ...] = ()
    graphs: str = "string+go"
    limit: int | None = Field(default=20, ge=1)
    prompt: Literal["compact", "full", "brief"] = "compact"
    room: int = Field(default=2048, ge=64)
    split: Literal["train", "validation", "test"] = "train"
    validation: float = Field(default=0.0, ge=0, lt=1)
    seed: int = Field(default=0, ge=0)
    fill: Literal["none", "lowrank"] = "none"
    readouts: Half = "all"
    weights: Weights = Weights()
    alpha: float = Field(default=ALPHA, gt=0, allow_inf_nan=False)
    beta: float = Field(default=BETA, ge=0, le=1)


@dataclass(frozen=True)
class Verdict:
    """What an answer earns.

    Attributes
    ----------
    format, validity, pearson : the parts, from 0 (Pearson: -1) to 1.
    weighted : the same times their shares.
    gap : Pearson delta of the edited neighbourhood minus that of the unedited one, `unedited`.
    size : genes in the edited neighbourhood.
    added, removed : the proposals that count.
    dropped : how many proposals do not count, for every kind of `answers.Kind`.
    """

    format: float
    validity: float
    pearson: float
    weighted: Mapping[str, float]
    gap: float
    unedited: float
    size: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    dropped: Mapping[str, int]

    @property
    def total(self) -> float:
        """The reward, from -1 to 1."""
        return sum(self.weighted.values())

    @property
    def metrics(self) -> dict[str, float]:
        """Parts, gap, sizes and dropped proposals by kind, as plain numbers."""
        counts = {f"dropped_{kind.replace(' ', '_')}": float(n) for kind, n in self.dropped.items()}
        parts = {"format": self.format, "validity": self.validity, "pearson": self.pearson, "gap": self.gap}
        sizes = {"size": float(self.size), "added": float(len(self.added)), "removed": float(len(self.removed))}
        return parts | {"unedited": self.unedited} | sizes | counts


@dataclass(frozen=True, eq=False)
class LineTasks:
    """The questions of one cell line: what is asked, what edits are averaged over, and what they are scored against.

    Attributes
    ----------
    view : training rows.
    genes : (p,) perturbations asked about.
    truth : (p, m) their measured deltas.
    union, wider : what gives the neighbourhoods and orders the candidates (`QuestionData`).
    form : of the questions.
    """

    view: TrainingView
    genes: NameArray
    truth: FloatArray
    union: NeighbourhoodSource
    wider: NeighbourhoodSource
    form: EditForm
    settings: Settings

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each perturbation asked about."""
        return {str(gene): row for row, gene in enumerate(self.genes)}

    @cached_property
    def neighbourhoods(self) -> Neighbourhoods:
        """The unedited neighbourhood of each perturbation."""
        return self.union.neighbourhoods(self.view, list(map(str, self.genes)))

    @cached_property
    def questions(self) -> list[Question]:
        """The question about each perturbation."""
        return edit_questions(self.view, self.neighbourhoods, self.wider, self.form)

    @cached_property
    def scores(self) -> EditScores:
        """Scores of edits on the readout genes of `Settings.readouts`."""
        line, settings = self.view.target, self.settings
        near = self.neighbourhoods.weights.astype(bool).astype(np.float64)
        completion = None
        if settings.fill == "lowrank" and not line.dense:
            completion = self.union.neighbourhoods(self.view, list(line.index)).weights
        readouts = readout_half(line.genes, settings.readouts, settings.seed)
        return EditScores(near, set_scores(line, self.genes, self.truth, readouts, completion, settings.seed))

    @cached_property
    def _spelling(self) -> dict[str, str]:
        return spellings(self.view)

    def read(self, gene: str, text: str) -> Proposal:
        """What an answer proposes, and what of it counts."""
        return read_text(self.questions[self.row(gene)], text, self.view.target.index, self._spelling)

    def row(self, gene: str) -> int:
        """Row of a perturbation; InputError where it is not asked about."""
        if gene not in self.index:
            raise InputError(f"{gene} is no {self.settings.split} perturbation of {self.view.line}.")
        return self.index[gene]

    def judge(self, asked: Sequence[tuple[str, str | None]]) -> list[Verdict]:
        """Verdicts on answers, each with the gene that it is about; None is no answer."""
        proposals = [self.read(gene, text or "") for gene, text in asked]
        targets = np.array([self.row(p.gene) for p in proposals], dtype=np.intp)
        added, removed = self._edits([p.added for p in proposals]), self._edits([p.removed for p in proposals])
        sets = self.scores.edited(targets, added, removed)
        gap = self.scores.gaps(targets, sets)
        valid = [len(p.added) + len(p.removed) for p in proposals]
        proposed = [n + _distinct(p.dropped) for n, p in zip(valid, proposals, strict=True)]
        readable = [p.complete for p in proposals]
        settings = self.settings
        parts, _ = rewards(readable, valid, proposed, gap, settings.weights, settings.alpha, settings.beta)
        shares = settings.weights.shares()
        sizes, unedited = np.diff(sets.indptr), self.scores.unedited[targets]
        verdicts = []
        for i, proposal in enumerate(proposals):
            kinds = Counter(dropped.kind for dropped in proposal.dropped)
            own = dict(zip(shares, parts[i].tolist(), strict=True))
            verdicts.append(
                Verdict(
                    **own,
                    weighted={part: shares[part] * value for part, value in own.items()},
                    gap=float(gap[i]),
                    unedited=float(unedited[i]),
                    size=int(sizes[i]),
                    added=proposal.added,
                    removed=proposal.removed,
                    dropped={kind: kinds[kind] for kind in KINDS},
                )
            )
        return verdicts

    def gold(self, gene: str) -> str:
        """An answer of at most `GOLD_MOVES` edits that raise the Pearson delta, by `search`; it uses the answer.

        The lists are empty where no single edit helps.
        """
        added, removed = self.search(gene)
        return json.dumps({"add": added, "remove": removed})

    def search(
        self, gene: str, among: Iterable[str] | None = None, most: int = GOLD_MOVES
    ) -> tuple[list[str], list[str]]:
        """Genes to add and to remove, at most `most`, that raise the Pearson delta: a greedy search on the answer.

        `among` are the genes that may be moved; by default all training perturbations. No move without a gain.
        """
        row, place = self.row(gene), self.view.target.index
        near = np.zeros(len(place), dtype=bool)
        near[self.scores.base[[row]].indices] = True
        others = np.array([place[name] for name in (place if among is None else among) if name != gene], dtype=np.intp)
        inside, best = near, float(self.scores.unedited[row])
        for _ in range(most):
            moved = np.eye(len(place), dtype=bool)[others] ^ inside
            reached = self.scores.scores.set_pearson(sp.csr_matrix(moved.astype(np.float64)), np.full(len(others), row))
            if not reached.max(initial=best) > best + TIE:
                break
            inside, best = moved[reached.argmax()], float(reached.max())
        names = self.view.target.perturbations
        return list(map(str, names[inside & ~near])), list(map(str, names[near & ~inside]))

    def _edits(self, sets: Sequence[Sequence[str]]) -> sp.csr_matrix:
        """(k, t) CSR of ones at the training perturbations of each set."""
        place = self.view.target.index
        columns = [place[gene] for genes in sets for gene in genes]
        pointer = np.concatenate([[0], np.cumsum([len(genes) for genes in sets])])
        return sp.csr_matrix((np.ones(len(columns)), columns, pointer), shape=(len(sets), len(place)))


@dataclass(frozen=True, eq=False)
class EditTasks:
    """All questions of some cell lines in one shuffled stream, and the judge of their answers.

    `lines` by name; `stream` holds line and gene of each question in order.
    """

    settings: Settings
    lines: Mapping[str, LineTasks]
    stream: tuple[tuple[str, str], ...]

    @classmethod
    def of(cls, settings: Settings) -> EditTasks:
        """The tasks of some settings; those of the last few are kept.

        InputError as `load_screen`, for a line that cannot be had, and where nothing is left to ask about.
        """
        return _tasks(settings)

    @classmethod
    def on(cls, screen: Screen, settings: Settings) -> EditTasks:
        """The tasks of a screen that is at hand; `Settings.atlas` and `graphs` are not read."""
        lines = _line_tasks(screen, settings)
        order = sorted((name, str(gene)) for name, tasks in lines.items() for gene in tasks.genes)
        if not order:
            raise InputError(
                f"There is no {settings.split} perturbation to ask about; give validation a share above 0."
            )
        shuffled = np.random.default_rng(settings.seed).permutation(len(order))
        return cls(settings, lines, tuple(order[i] for i in shuffled))

    @property
    def questions(self) -> Iterator[Question]:
        """The questions in the order of the stream."""
        return (self.question(line, gene) for line, gene in self.stream)

    def __len__(self) -> int:
        return len(self.stream)

    def question(self, line: str, gene: str) -> Question:
        """The question about one gene in one line."""
        tasks = self._line(line)
        return tasks.questions[tasks.row(gene)]

    def judge(self, line: str, gene: str, text: str | None) -> Verdict:
        """The verdict on one answer; None is no answer."""
        return self._line(line).judge([(gene, text)])[0]

    def judge_all(self, asked: Iterable[tuple[str, str, str | None]]) -> list[Verdict]:
        """Verdicts on answers (line, gene, text), in their order."""
        answers = list(asked)
        verdicts: dict[int, Verdict] = {}
        for line in dict.fromkeys(line for line, _, _ in answers):
            which = [i for i, (name, _, _) in enumerate(answers) if name == line]
            verdicts |= zip(which, self._line(line).judge([answers[i][1:] for i in which]), strict=True)
        return [verdicts[i] for i in range(len(answers))]

    def gold(self, line: str, gene: str) -> str:
        """An answer that helps, by a search that uses the measured delta (`LineTasks.gold`)."""
        return self._line(line).gold(gene)

    def _line(self, line: str) -> LineTasks:
        if line not in self.lines:
            raise InputError(
                f"No question is about the line {line!r}; there are questions about {', '.join(self.lines)}."
            )
        return self.lines[line]


def readout_half(genes: NameArray, half: Half, seed: int = 0) -> NDArray[np.bool_]:
    """(m,) True for the readout genes of a half; which gene is in which depends on its name and the seed only."""
    if half == "all":
        return np.ones(len(genes), dtype=bool)
    first = np.isin(genes, sample_genes(map(str, genes), len(genes) // 2, seed))
    return first if half == "first" else ~first


def _distinct(dropped: Iterable[Dropped]) -> int:
    """Proposals that do not count, each once for its list; repeats of one that counts are none."""
    return len({(d.field, d.text.upper()) for d in dropped if d.kind != "duplicate"})


def _scorable(line: CellLine, genes: Sequence[str], settings: Settings) -> list[str]:
    """Those of the perturbations with a measured readout gene besides their own in the half that is scored."""
    readouts = readout_half(line.genes, settings.readouts, settings.seed)
    gaps = np.isnan(line.scored[line.rows(genes)][:, readouts])
    return list(np.asarray(genes, dtype=str)[np.logical_not(gaps.all(axis=1))])


def perturbations(settings: Settings) -> list[str]:
    """Every perturbation of the atlas of some settings, sorted: all that a question can ever name."""
    return _screen(settings.atlas, _every_line(settings), settings.graphs).perturbations()


@lru_cache(maxsize=4)
def _screen(atlas: str, lines: tuple[str, ...] | None, graphs: str) -> Screen:
    screen = load_screen(atlas, lines, graphs)
    missing = [line for line in lines or () if line in screen.atlas.missing]
    if missing:
        raise InputError(f"The line {missing[0]} cannot be had here: {screen.atlas.missing[missing[0]]}")
    return screen


@lru_cache(maxsize=8)
def _tasks(settings: Settings) -> EditTasks:
    return EditTasks.on(_screen(settings.atlas, _every_line(settings), settings.graphs), settings)


def _every_line(settings: Settings) -> tuple[str, ...] | None:
    """The lines that settings name; None where they mean all."""
    asked, evaluated = _lower(settings.lines), _lower(settings.evaluated_lines)
    return tuple(dict.fromkeys(asked + evaluated)) if asked and evaluated else None


def _lower(lines: Iterable[str]) -> tuple[str, ...]:
    return tuple(line.lower() for line in lines)


def _line_tasks(screen: Screen, settings: Settings) -> dict[str, LineTasks]:
    """The tasks of each line that is asked about; the docstring of `Settings` says what is hidden from whom."""
    cells = {name: line.complete() if line.expression else line for name, line in screen.lines.items()}
    atlas = replace(screen.atlas, lines=cells)
    asked = _lower(settings.lines) or tuple(atlas.lines)
    evaluated = _lower(settings.evaluated_lines) or tuple(atlas.lines)
    test = {gene for line in evaluated for gene in atlas[line].names("test")}
    train = {gene for line in atlas.lines.values() for gene in line.names("train")} - test
    held_out = set(sample_genes(train, round(settings.validation * len(train)), settings.seed))
    form = EditForm(settings.prompt != "brief", None if settings.prompt == "full" else settings.room)
    data = question_data(screen, 0, settings.limit, seed=settings.seed)
    lines: dict[str, LineTasks] = {}
    for name in asked:
        line = atlas[name]
        if settings.split == "test":
            hidden, genes = set(), line.names("test")
        else:
            hidden, own = test | held_out, [gene for gene in line.names("train") if gene not in test]
            genes = [gene for gene in own if (gene in held_out) == (settings.split == "validation")]
        view = TrainingView(name, "strict", {name: line.training(hidden)})  # edits draw on the line's own rows only
        genes = _scorable(line, genes, settings)
        truth = line.delta[line.rows(genes)]
        lines[name] = LineTasks(view, np.array(genes, dtype=str), truth, data.union, data.wider, form, settings)
    return lines
