"""Recorded training runs as chapters read them: runs that differ in their seed only stand together, and the edits of
their answers are neighbourhoods, which are scored as all others are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.llm.controls import RandomSets
from kgpert_lib.llm.proposals import Proposal, RecordedSets
from kgpert_lib.predictors.neighbours import NeighbourhoodSource
from kgpert_lib.rl.rehearsal.prompts import Words
from kgpert_lib.rl.runs import BASE, CONFIG, FRESH, MATCHED, RUNS, STAGES, TRAINED, WARM, Run, runs
from kgpert_lib.rl.tasks import EditTasks, LineTasks
from kgpert_lib.rl.traces import ScoredAnswer, ScoredAnswers
from kgpert_lib.screens.load import load_screen
from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies import objections

T = TypeVar("T")

UNEDITED, RANDOM = "union, unedited", "random edits"
TITLES = {BASE: "model as it came", WARM: "warm start", MATCHED: "after fewer steps", TRAINED: "trained"}
"""What the answers of each stage are called in print."""
POLICIES = {"gene": "gene-edit model", "smollm2": "SmolLM2", "prime": "model of Prime-RL"}


class Shown(NamedTuple):
    """The genes that a question shows: neighbours, and candidates that may be added."""

    neighbours: tuple[str, ...]
    candidates: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class RunGroup:
    """Runs of one training with several seeds.

    `name` is what was asked for; `runs` are empty where nothing of that name is recorded. `policy` is what was trained,
    in print; blank without a run. With `ending` the group is about the answers that the runs gave at the same stages
    to other questions, such as those of the stages ``<stage>-fresh``.
    """

    name: str
    runs: tuple[Run, ...]
    policy: str = ""
    ending: str = ""
    _draws: dict[str, list[RecordedSets]] = field(default_factory=dict, init=False, repr=False)

    @property
    def atlas(self) -> str:
        """The atlas that was trained on, as `load_screen` takes it; empty without a run."""
        return self.runs[0].config.settings.atlas if self.runs else ""

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of which every run has answers, in order."""
        return tuple(
            stage for stage in STAGES if self.runs and all(stage + self.ending in run.stages for run in self.runs)
        )

    def tasks(self, stage: str) -> EditTasks:
        """The questions that the answers of a stage are about, as the first run asked them."""
        return EditTasks.of(self.runs[0].answers(stage + self.ending).settings)

    def draws(self, stage: str) -> list[RecordedSets]:
        """The edited neighbourhoods of a stage: one for each run, and for each further answer to the same questions."""
        if stage not in self._draws:
            gene = self.runs[0].config.policy == "gene"
            self._draws[stage] = [
                sets for run in self.runs for sets in _sets(run.answers(stage + self.ending), TITLES[stage], gene)
            ]
        return self._draws[stage]

    def shown(self, stage: str, line: str) -> dict[str, Shown]:
        """What the questions of a stage about a line show, by gene: an edit can move no other genes."""
        return _shown(self.tasks(stage).lines[line], self.runs[0].config.policy == "gene")

    def genes(self, stages: Sequence[str]) -> dict[str, list[str]]:
        """Test genes by line that all draws of all of these stages were asked about."""
        every = [sets for stage in stages for sets in self.draws(stage)]
        return {
            line: [str(g) for g in tasks.genes if all((line, str(g)) in sets.by_gene for sets in every)]
            for line, tasks in self.tasks(stages[0]).lines.items()
        }

    @cached_property
    def screen(self) -> Screen:
        """The screen of the test questions, with the readout genes that every perturbation of a line measured."""
        tasks = self.tasks(self.stages[-1])
        return _screen(tasks.settings.atlas, tuple(tasks.lines), tasks.settings.graphs)


def run_groups(names: Sequence[str]) -> list[RunGroup]:
    """The runs of each name: a run, or all runs called so or ``<name>-s<seed>``, in ``data/runs`` or beside a path.

    A name without any run gives a group without runs, which `overview` shows. Where two names have the same policy and
    atlas, `policy` says the name too. InputError where runs of one name differ in policy or atlas.
    """
    recorded: list[RunGroup] = []
    for name in names:
        own = tuple(_runs(name))
        kinds = [(run.config.policy, run.config.settings.atlas) for run in own]
        if other := next((run.name for run, kind in zip(own, kinds, strict=True) if kind != kinds[0]), None):
            raise InputError(f"{own[0].name} and {other} differ in policy or atlas; name them apart.")
        policy = POLICIES[own[0].config.policy] if own else ""
        recorded.append(RunGroup(name, own, policy))
    labels = Counter((group.atlas, group.policy) for group in recorded)
    return [
        replace(group, policy=f"{group.policy}, {Path(group.name).name}")
        if group.runs and labels[group.atlas, group.policy] > 1
        else group
        for group in recorded
    ]


def each(parts: Iterable[T], study: Callable[[T], pd.DataFrame]) -> pd.DataFrame:
    """The tables that a study makes of groups, or of scores, below each other; an empty one where there is nothing."""
    tables = [table for table in (study(part) for part in parts if not _empty(part)) if len(table)]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()


def fresh(groups: Sequence[RunGroup]) -> list[RunGroup]:
    """The groups by their answers about another atlas (`RunConfig.fresh`), where they are recorded."""
    others = [RunGroup(group.name, group.runs, group.policy, FRESH) for group in groups]
    return [group for group in others if group.stages]


def of_atlas(groups: Sequence[RunGroup], atlas: str) -> list[RunGroup]:
    """The groups with runs on an atlas, whatever options follow its name, that have answers to test questions."""
    return [group for group in groups if group.stages and group.atlas.partition(":")[0] == atlas]


def pair_of_atlas(first: Sequence[RunGroup], second: Sequence[RunGroup], atlas: str) -> tuple[RunGroup, RunGroup]:
    """The first group of either list that is recorded on an atlas; a group without runs where none is."""
    nothing = RunGroup("", ())
    one, other = (next(iter(of_atlas(groups, atlas)), nothing) for groups in (first, second))
    return one, other


def overview(groups: Sequence[RunGroup]) -> pd.DataFrame:
    """What is recorded, one row for each name that was asked for.

    Columns: runs (the name), policy, atlas, ``trained on`` and ``evaluated on`` (lines), seeds, steps, ``questions a
    step``, ``answers each``, ``minutes`` a run (mean; NaN where it is not known), and ``answers of``: the stages that
    every run has. Of a name that nothing is recorded of, the last column says so.
    """
    rows = []
    for group in groups:
        row: dict[str, object] = {"runs": Path(group.name).name, "answers of": "not recorded"}
        if group.runs:
            config = group.runs[0].config
            seconds = pd.Series([run.config.seconds for run in group.runs], dtype="float64")
            row = {
                "runs": Path(group.name).name,
                "policy": group.policy,
                "atlas": group.atlas,
                "trained on": ", ".join(config.settings.lines) or "all",
                "evaluated on": ", ".join(config.evaluated),
                "seeds": len(group.runs),
                "steps": min(len(run.steps()) for run in group.runs),
                "questions a step": config.questions,
                "answers each": config.rollouts,
                "minutes": seconds.mean() / 60,
                "answers of": ", ".join(TITLES[stage] for stage in group.stages) or "no stage",
            }
        rows.append(row)
    columns = [
        "runs",
        "policy",
        "atlas",
        "trained on",
        "evaluated on",
        "seeds",
        "steps",
        "questions a step",
        "answers each",
    ]
    return pd.DataFrame(rows, columns=[*columns, "minutes", "answers of"])


def unedited(group: RunGroup, stage: str) -> list[NeighbourhoodSource]:
    """The neighbourhoods that the answers of a stage edit, for each of `RunGroup.draws`."""
    return [
        RecordedSets(
            UNEDITED, "", {place: replace(p, added=(), removed=(), dropped=()) for place, p in sets.by_gene.items()}
        )
        for sets in group.draws(stage)
    ]


def random_edits(group: RunGroup, stage: str, draws: int = 3, seed: int = 0) -> list[NeighbourhoodSource]:
    """Edits of the same sizes as those of a stage, drawn from candidates and neighbours, `draws` times for each run."""
    return [
        RandomSets(sets, "offered", seed + draws * number + draw, RANDOM)
        for number, sets in enumerate(group.draws(stage))
        for draw in range(draws)
    ]


def scores(group: RunGroup, stages: Sequence[str] = STAGES, draws: int = 3, seed: int = 0) -> pd.DataFrame:
    """Pearson delta on every test gene, means over seeds: of the unedited union, of the edits of each of `stages` that
    is recorded, and of random edits of the size of the trained ones.

    Predictors are called as in `TITLES`; columns as in `objections.scores`, and ``policy``.
    """
    there = [stage for stage in group.stages if stage in stages]
    last = there[-1]
    sources: dict[str, Sequence[NeighbourhoodSource]] = {UNEDITED: unedited(group, last)}
    if draws:
        sources[RANDOM] = random_edits(group, last, draws, seed)
    sources |= {TITLES[stage]: group.draws(stage) for stage in there}
    table = objections.scores(group.screen.atlas, sources, None, "strict", group.genes(there))
    return table.assign(policy=group.policy)


@lru_cache(maxsize=2)
def _screen(atlas: str, lines: tuple[str, ...], graphs: str) -> Screen:
    screen = load_screen(atlas, lines, graphs)
    cells = {name: line.complete() if line.expression else line for name, line in screen.lines.items()}
    return replace(screen, atlas=replace(screen.atlas, lines=cells))


def _empty(part: object) -> bool:
    return isinstance(part, pd.DataFrame) and part.empty


def _runs(name: str) -> list[Run]:
    """The run of a name or path, and those that have a seed after it, by seed."""
    folder = Path(name) if len(Path(name).parts) > 1 else RUNS / name
    if (folder / CONFIG).is_file() and re.search(r"-s\d+$", folder.name):
        return [Run.load(folder)]
    seeded = re.compile(re.escape(folder.name) + r"(-s\d+)?")
    own = [run for run in runs(folder=folder.parent) if seeded.fullmatch(run.folder.name)]
    return sorted(own, key=lambda run: (run.config.seed, run.name))


@lru_cache(maxsize=16)
def _shown(tasks: LineTasks, gene: bool) -> dict[str, Shown]:
    """What questions show by gene; those of the gene-edit model are shorter than the others'."""
    if gene:
        # which genes it shows does not depend on the words that a run writes them with
        return {name: Shown(p.neighbours, p.candidates) for name, p in Words({}, (), (), ()).prompts(tasks).items()}
    return {question.gene: Shown(question.neighbours, question.prompt.candidates) for question in tasks.questions}


def _sets(answers: ScoredAnswers, title: str, gene: bool) -> list[RecordedSets]:
    """First answers to every question, second answers, and so on, as neighbourhoods; `gene`: of the gene-edit model."""
    tasks = EditTasks.of(answers.settings)

    def proposal(answer: ScoredAnswer) -> Proposal:
        line = tasks.lines[answer.line]
        return replace(line.read(answer.gene, answer.text or ""), offered=_shown(line, gene)[answer.gene].candidates)

    return [
        RecordedSets(title, given[0].model or "", {(a.line, a.gene): proposal(a) for a in given})
        for given in answers.repeats()
    ]
