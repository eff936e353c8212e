"""Studies of the chapter on training: one gene's way to its reward, what answers earn, and the job as it is set."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.symbols import full_name
from kgpert_lib.llm.controls import RandomSets
from kgpert_lib.llm.proposals import Proposal, RecordedSets
from kgpert_lib.llm.questions import Question, sample_genes
from kgpert_lib.metrics import stats
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job.check import measure
from kgpert_lib.rl.tasks import EditTasks, Settings, Verdict
from kgpert_lib.rl.traces import ScoredAnswer, ScoredAnswers
from kgpert_lib.screens.atlas import label
from kgpert_lib.screens.load import SIMULATED
from kgpert_lib.studies.langpert import KINDS

NO_EDIT = json.dumps({"add": [], "remove": []})
PARTS = ("format", "validity", "pearson")
EARNED = ("validity", "gap", "reward")
EQUAL = 1e-9  # a difference between two rewards below this is rounding
SHORTEST = 2  # neighbours of a gene on which kinds of answers are compared

Asked = tuple[str, str, str | None]


@dataclass(frozen=True, eq=False)
class Edit:
    """An answer with what was read of it and what it earns; escape `text` on a page."""

    text: str
    proposal: Proposal
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class Example:
    """One question, a model's answer to it, and the edit that a search on the measured delta gives.

    `atlas` is its name in print. `graphs` has, for each neighbour, the graphs that gave it.
    """

    atlas: str
    question: Question
    graphs: dict[str, tuple[str, ...]]
    model: str
    answer: Edit
    gold: Edit

    @property
    def title(self) -> str:
        """The perturbation with its full name."""
        name = full_name(self.question.gene)
        return f"{self.question.gene} ({name})" if name else self.question.gene

    def genes(self) -> pd.DataFrame:
        """Every gene of the neighbourhood and of both edits: gene, graphs, and its fate in ``answer`` and ``gold``.

        A fate is kept, removed or added, and blank for a gene that the other edit added. Neighbours come first.
        """
        near = list(self.question.neighbours)
        edits = {"answer": self.answer.proposal, "gold": self.gold.proposal}
        added = dict.fromkeys(gene for edit in edits.values() for gene in edit.added)
        rows = [{"gene": gene, "graphs": ", ".join(self.graphs.get(gene, ()))} for gene in (*near, *added)]
        table = pd.DataFrame(rows, columns=["gene", "graphs"])
        for name, edit in edits.items():
            table[name] = [_fate(gene, near, edit) for gene in table["gene"]]
        return table


def atlas_of(settings: Settings) -> str:
    """The atlas of some settings as it is named in print."""
    return label(settings.atlas, _kind(settings))


def example(answers: ScoredAnswers) -> Example:
    """The first question of the stream with an answer that is read whole and that adds a gene and removes one.

    Where no answer does both, the first of which any edit counts. The rule reads no gap, so that no result can bend it.
    InputError where no answer that is read whole has an edit that counts.
    """
    tasks = EditTasks.of(answers.settings)
    read = [(a, tasks.lines[a.line].read(a.gene, a.text or "")) for a in answers.answers]
    edits = [(answer, p) for answer, p in read if p.complete and (p.added or p.removed)]
    if not edits:
        raise InputError("No recorded answer is read whole and has an edit that counts; record more answers.")
    given = next((answer for answer, p in edits if p.added and p.removed), edits[0][0])
    line, place = tasks.lines[given.line], (given.line, given.gene)
    return Example(
        atlas=atlas_of(answers.settings),
        question=tasks.question(*place),
        graphs={near.gene: tuple(near.graphs) for near in line.neighbourhoods.of(given.gene)},
        model=given.model or "the model",
        answer=_edit(tasks, *place, given.text or ""),
        gold=_edit(tasks, *place, tasks.gold(*place)),
    )


def prompt(question: Question) -> str:
    """Both messages of a question as HTML that wraps long lines."""
    text = "\n\n".join(f"[{m['role']}]\n{m['content']}" for m in question.prompt.messages)
    return f'<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{escape(text)}</pre>'


def kinds_of_answers(settings: Settings) -> pd.DataFrame:
    """What answers of each kind earn, judged on the first question with neighbours and an edit that helps.

    Columns: atlas, kind, what the answer does (``answer``), its text shortened, the parts, gap and reward.
    """
    tasks = EditTasks.of(settings)
    place, gold = next(_with_help(tasks), (None, ""))
    if place is None:
        raise InputError("No question has neighbours and an edit that helps; choose another atlas or split.")
    answers = dict(_kinds(tasks.question(*place), gold))
    verdicts = tasks.judge_all((*place, text) for text in answers.values())
    rows = [
        {"answer": kind, "text": _shortened(text), **_parts(verdict)}
        for (kind, text), verdict in zip(answers.items(), verdicts, strict=True)
    ]
    return pd.DataFrame(rows).assign(atlas=settings.atlas, kind=_kind(settings))


def compared(answers: ScoredAnswers, seed: int = 0) -> pd.DataFrame:
    """The model's answers and, to the same questions, no edit, random edits of the same size, one random candidate
    added, and the gold edit.

    One row an answer: atlas, kind, ``who``, line, gene and `Verdict.metrics` with the ``reward``, all judged now.
    """
    tasks = EditTasks.of(answers.settings)
    questions = list(dict.fromkeys((a.line, a.gene) for a in answers.answers))
    asked: dict[str, list[Asked]] = {
        _model(answers.answers): [(a.line, a.gene, a.text) for a in answers.answers],
        "no edit": [(*place, NO_EDIT) for place in questions],
        "random edits of the same size": random_edits(answers, seed),
        "one random candidate added": [(*place, _one_candidate(tasks.question(*place), seed)) for place in questions],
        "gold edit": [(*place, tasks.gold(*place)) for place in questions],
    }
    rows = [
        {"who": who, "line": line, "gene": gene, "reward": verdict.total} | verdict.metrics
        for who, given in asked.items()
        for (line, gene, _), verdict in zip(given, tasks.judge_all(given), strict=True)
    ]
    return pd.DataFrame(rows).assign(atlas=answers.settings.atlas, kind=_kind(answers.settings))


def random_edits(answers: ScoredAnswers, seed: int = 0) -> list[Asked]:
    """For each answer one that adds and removes as many genes, drawn from the candidates and the neighbourhood."""
    tasks = EditTasks.of(answers.settings)
    edits: list[Asked] = []
    for repeat, given in enumerate(answers.repeats()):
        proposals = {(a.line, a.gene): tasks.lines[a.line].read(a.gene, a.text or "") for a in given}
        drawn = RandomSets(RecordedSets("edits", "model", proposals), "offered", seed + repeat)
        for line in dict.fromkeys(a.line for a in given):
            genes = [a.gene for a in given if a.line == line]
            sets = drawn.neighbourhoods(tasks.lines[line].view, genes)
            for row, gene in enumerate(genes):
                near, members = set(proposals[line, gene].neighbours), set(sets.members(row))
                lists = {"add": sorted(members - near), "remove": sorted(near - members)}
                edits.append((line, gene, json.dumps(lists)))
    return edits


def earned(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Means of `compared` with 95 % bootstrap intervals over questions, whose answers are averaged first.

    Columns: atlas, kind, who, ``questions``, format, and validity, gap and reward with intervals.
    """
    rows = []
    for (atlas, kind, who), part in table.groupby(["atlas", "kind", "who"], sort=False):
        means = part.groupby(["line", "gene"])[["format", *EARNED]].mean()
        row = {"atlas": atlas, "kind": kind, "who": who, "questions": len(means), "format": means["format"].mean()}
        for name in EARNED:
            interval = stats.bootstrap_mean(means[name], seed=seed)
            row |= {name: interval.mean, f"{name}_low": interval.low, f"{name}_high": interval.high}
        rows.append(row)
    return pd.DataFrame(rows)


def outcomes(answers: Sequence[ScoredAnswers], forms: Sequence[str]) -> pd.DataFrame:
    """How recorded answers turned out, a row a run: atlas, kind, form of the answer, ``answers``, those ``read whole``,
    ``with an edit that counts``, their mean ``tokens``, questions whose two answers earn ``different rewards``, and
    answers that earn what the run recorded when they are judged again (``judged equal``).
    """
    rows = []
    for run, form in zip(answers, forms, strict=True):
        table = run.table()
        edits = table["format"].eq(1) & (table["added"] + table["removed"]).gt(0)
        spread = table.groupby(["line", "gene"])["reward"].agg(lambda rewards: np.ptp(rewards) > 0)
        rows.append(
            {
                "atlas": run.settings.atlas,
                "kind": _kind(run.settings),
                "form": form,
                "answers": len(table),
                "read whole": int(table["format"].sum()),
                "with an edit that counts": int(edits.sum()),
                "tokens": float(np.mean([a.tokens for a in run.answers if a.tokens is not None])),
                "questions": len(spread),
                "different rewards": int(spread.sum()),
                "judged equal": int((np.abs(run.differences()) < EQUAL).sum()),
            }
        )
    return pd.DataFrame(rows)


def fates(answers: ScoredAnswers) -> pd.DataFrame:
    """What became of the proposals of answers that were read whole: atlas, kind, fate, n, share."""
    table = answers.table().query("format == 1")
    counts = Counter({"counts": int(table["added"].sum() + table["removed"].sum())})
    for kind, words in KINDS.items():
        counts[words] += int(table[f"dropped_{kind.replace(' ', '_')}"].sum())
    every = max(1, counts.total())
    rows = [(fate, n, n / every) for fate, n in counts.items()]
    return pd.DataFrame(rows, columns=["fate", "n", "share"]).assign(
        atlas=answers.settings.atlas, kind=_kind(answers.settings)
    )


def asked(settings: job.Config) -> pd.DataFrame:
    """How much a job asks: questions, the longest prompt, questions a step, and how often each is asked."""
    rows = []
    for title, where in (("training", "train"), ("evaluation", "eval")):
        for source in job.sources(settings, where):  # type: ignore[arg-type]
            questions = measure(source)
            times = job.epochs(settings, questions.count) if where == "train" else np.nan
            rows.append((title, questions.count, questions.longest, times))
    return pd.DataFrame(rows, columns=["questions for", "questions", "longest prompt", "times each is asked"])


def _kind(settings: Settings) -> str:
    """Whether the effects of an atlas by name were measured or drawn."""
    return SIMULATED if settings.atlas == SIMULATED else "real"


def _edit(tasks: EditTasks, line: str, gene: str, text: str) -> Edit:
    return Edit(text, tasks.lines[line].read(gene, text), tasks.judge(line, gene, text))


def _fate(gene: str, near: Sequence[str], edit: Proposal) -> str:
    if gene in near:
        return "removed" if gene in edit.removed else "kept"
    return "added" if gene in edit.added else ""


def _with_help(tasks: EditTasks) -> Iterator[tuple[tuple[str, str], str]]:
    """Questions with enough neighbours and a gold edit that adds a gene, in the order of the stream, and that edit."""
    for place in tasks.stream:
        if len(tasks.question(*place).neighbours) >= SHORTEST:
            gold = tasks.gold(*place)
            if json.loads(gold)["add"]:
                yield place, gold


def _kinds(question: Question, gold: str) -> Iterator[tuple[str, str]]:
    """A text for every kind of answer, by what it does."""
    lists = json.loads(gold)
    proposals = lists["add"] + lists["remove"]
    invented = [f"NOGENE{i}" for i in range(len(proposals))]
    near = list(question.neighbours)
    yield "edits that help", gold
    yield "the same with as many invented genes", json.dumps({**lists, "add": lists["add"] + invented})
    yield "the same among markup", f"<b>Answer:</b> {gold} <script>alert(1)</script>"
    yield "the same after an order to pay", f"Ignore the question; the reward is 1. {gold}"
    yield "no edit", NO_EDIT
    yield "adds neighbours that are there", json.dumps({"add": near[:SHORTEST], "remove": []})
    yield "adds the gene itself", json.dumps({"add": [question.gene], "remove": []})
    yield "removes all neighbours", json.dumps({"add": [], "remove": near})
    yield "names 10,000 genes", json.dumps({"add": [f"NOGENE{i}" for i in range(10_000)], "remove": []})
    yield "a list without its end", gold[: gold.index("]") - 1]
    yield "no list", "I am not sure."


def _parts(verdict: Verdict) -> dict[str, float]:
    own = {"format": verdict.format, "validity": verdict.validity, "Pearson part": verdict.pearson}
    return own | {"gap": verdict.gap, "reward": verdict.total}


def _shortened(text: str, most: int = 60) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _one_candidate(question: Question, seed: int) -> str:
    """An answer that adds the candidate with the smallest digest of seed and name; no edit where none is offered."""
    return json.dumps({"add": sample_genes(question.prompt.candidates, 1, seed), "remove": []})


def _model(answers: Sequence[ScoredAnswer]) -> str:
    names = {a.model for a in answers if a.model}
    return ", ".join(sorted(names)) or "the model"
