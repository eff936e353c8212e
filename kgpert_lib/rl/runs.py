"""Recorded training runs: the settings, a row a step, and the answers to the test questions before and after.

Rehearsals and runs of Prime-RL have this one form, a folder under ``data/runs`` or anywhere else (`data/runs/README.md`
describes its files). Nothing here needs the packages that train.
"""

from __future__ import annotations

import json
import math
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

import kgpert_lib
from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.files import append_text, atomic, write_text
from kgpert_lib.rl.tasks import Settings
from kgpert_lib.rl.traces import ScoredAnswers

RUNS = paths.DATA / "runs"
CONFIG, STEPS, ANSWERS, WEIGHTS = "config.json", "steps.jsonl", "answers", "weights.safetensors"
STAGES = BASE, WARM, MATCHED, TRAINED = "base", "warm", "matched", "trained"  # in the order in which a run passes them
DRAWN, FRESH = "-drawn", "-fresh"  # after a stage: its drawn answers, and those about another atlas
STEP_COLUMNS = (
    "step", "questions", "reward", "reward_std", "format", "validity", "pearson", "gap", "added", "removed", "size",
    "tokens", "entropy", "loss", "grad_norm", "learning_rate", "seconds",
)  # fmt: skip
COUNTS = ("step", "questions")

Policy = Literal["gene", "smollm2", "prime"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MAY_DIFFER = {"code", "versions", "seconds"}  # between the start of a run and its going on


class RunConfig(BaseModel):
    """All that a run was started with, and how long it took.

    Attributes
    ----------
    name : of the run and of its folder.
    policy : ``"gene"`` (the gene-edit model), ``"smollm2"`` or ``"prime"`` (a model trained in Prime-RL).
    model : the pretrained model that it began with; None: it began with none.
    settings : of the training questions and their reward.
    evaluated : lines whose test genes are asked about.
    seed : of all that is drawn.
    steps : GRPO steps that were asked for.
    questions, rollouts : questions a step, and answers to each (the size of a group).
    learning_rate, temperature : of GRPO.
    max_tokens : most tokens of an answer; None: no limit.
    warm : settings of the supervised warm start; empty: there was none.
    answered : after which step the test questions were answered, by stage; 0 is before the first step.
    fresh : another atlas whose test questions are answered as well, at each stage that follows the warm start; its
        answers are the stages ``<stage>-fresh``.
    asked : how many test genes of a line were asked about, by `sample_genes`; None: all.
    code : commit of this repository, with ``+`` where files differed from it, else the version of the package; of a
        run that went on under other code, each in turn; of a run of Prime-RL, of the code that read it.
    versions : of Python and of the packages that trained, by name.
    seconds : wall time of the whole run; None while it runs, and where it is not known.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=f"^{_NAME.pattern}$")
    policy: Policy
    model: str | None = None
    settings: Settings
    evaluated: tuple[str, ...]
    seed: int = Field(ge=0)
    steps: int = Field(ge=1)
    questions: int = Field(ge=1)
    rollouts: int = Field(ge=1)
    learning_rate: float = Field(gt=0, allow_inf_nan=False)
    temperature: float = Field(ge=0, allow_inf_nan=False)
    max_tokens: int | None = Field(default=None, ge=1)
    warm: dict[str, Any] = {}
    answered: dict[str, int] = {}
    fresh: str | None = None
    asked: int | None = Field(default=None, ge=1)
    code: str
    versions: dict[str, str] = {}
    seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)


@dataclass(frozen=True)
class Run:
    """A recorded run: its folder and what it was started with."""

    folder: Path
    config: RunConfig

    @classmethod
    def load(cls, run: str | Path) -> Run:
        """The run of a name in ``data/runs``, or in a folder named by its path.

        InputError for neither, naming the recorded runs, and for a configuration that cannot be read.
        """
        if _NAME.fullmatch(str(run)) and (RUNS / run / CONFIG).is_file():
            folder = RUNS / run
        elif (Path(run) / CONFIG).is_file():
            folder = Path(run)
        else:
            names = ", ".join(folder.name for folder in _folders(RUNS)) or "none"
            raise InputError(f"There is no run {run}; name a folder with a {CONFIG} or a recorded run ({names}).")
        return cls(folder, _config(folder))

    @property
    def name(self) -> str:
        """The name of the run."""
        return self.config.name

    @property
    def weights(self) -> Path | None:
        """The file of weights that the recorded answers were given with; None where the run keeps none."""
        path = self.folder / WEIGHTS
        return path if path.is_file() else None

    @property
    def stages(self) -> tuple[str, ...]:
        """Moments of the run at which test questions were answered, in order (`STAGES`, then others by name)."""
        there = {path.stem for path in (self.folder / ANSWERS).glob("*.jsonl")}
        return (*(stage for stage in STAGES if stage in there), *sorted(there - set(STAGES)))

    def steps(self) -> pd.DataFrame:
        """One row a step with `STEP_COLUMNS`, NaN for what the run does not say; no row before the first step.

        ``step`` counts from 1 and ``questions`` those asked so far. The others are means over the answers of the step,
        given before its update: ``reward``, its parts ``format``, ``validity`` and ``pearson`` before they are
        weighted, ``gap``, ``added``, ``removed`` and ``size`` as in `rl.tasks.Verdict`, ``reward_std`` (standard
        deviation inside a group), ``tokens`` and ``entropy`` (nats a token); of the update ``loss``, ``grad_norm`` and
        ``learning_rate``; ``seconds`` for all of it. A last line that was cut off is left out.
        InputError names the first line that is no step.
        """
        frame = pd.DataFrame(_rows(self.folder / STEPS), columns=list(STEP_COLUMNS))
        return frame.astype({name: "int64" if name in COUNTS else "float64" for name in STEP_COLUMNS})

    def answers(self, stage: str) -> ScoredAnswers:
        """The answers of a stage; InputError for one that the run does not have, and for a damaged file."""
        if stage not in self.stages:
            there = ", ".join(self.stages) or "none"
            raise InputError(f"The run {self.name} has no answers of the stage {stage!r}; it has {there}.")
        return ScoredAnswers.load(_answers_file(self.folder, stage))


def runs(
    atlas: str | None = None, policy: Policy | None = None, prefix: str = "", folder: Path | None = None
) -> list[Run]:
    """The runs in a folder, ``data/runs`` by default, of an atlas, a policy and a prefix of the name; sorted by name.

    InputError for a configuration that cannot be read.
    """
    every = [Run(path, _config(path)) for path in _folders(folder or RUNS) if path.name.startswith(prefix)]
    return [run for run in every if atlas in (None, run.config.settings.atlas) and policy in (None, run.config.policy)]


def listing(every: Iterable[Run]) -> pd.DataFrame:
    """One row a run: name, policy, atlas, ``lines`` trained on, ``steps`` recorded, ``first reward`` and ``last
    reward`` (means of those steps, NaN before the first step) and ``stages``.
    """
    rows = []
    for run in every:
        settings, rewards = run.config.settings, run.steps()["reward"].dropna()
        rows.append(
            {
                "run": run.name,
                "policy": run.config.policy,
                "atlas": settings.atlas,
                "lines": ", ".join(settings.lines) or "all",
                "steps": len(run.steps()),
                "first reward": rewards.iloc[0] if len(rewards) else math.nan,
                "last reward": rewards.iloc[-1] if len(rewards) else math.nan,
                "stages": ", ".join(run.stages),
            }
        )
    columns = ["run", "policy", "atlas", "lines", "steps", "first reward", "last reward", "stages"]
    return pd.DataFrame(rows, columns=columns)


class RunWriter:
    """The record of a run while it is trained; each row is on the disk when `append` returns.

    A trainer appends the row of a step before it writes the checkpoint of that step, so that a run which was killed
    has a row for every step of its last checkpoint; `resume` drops the rows after it.
    """

    def __init__(self, folder: Path, config: RunConfig) -> None:
        """Begin a record in a new or empty folder, or open that of the same run.

        InputError where the folder holds the record of another run or something else, and as `files.atomic`.
        """
        self.folder = folder
        if (folder / CONFIG).is_file():
            config = _continued(folder, _config(folder), config)
        elif folder.is_dir() and any(folder.iterdir()):
            raise InputError(f"{folder} holds no run and is not empty; name another folder.")
        self._write(config)
        self._keep(_rows(folder / STEPS))

    @property
    def run(self) -> Run:
        """What is recorded so far."""
        return Run(self.folder, self.config)

    def resume(self, step: int) -> None:
        """Go on after the checkpoint of `step` (0: from the start): rows of later steps are dropped.

        InputError where rows up to the step are missing.
        """
        rows = [row for row in _rows(self.folder / STEPS) if row["step"] <= step]
        if len(rows) != step:
            raise InputError(
                f"{self.folder / STEPS} has {len(rows)} of the {step} steps before the checkpoint; record the run anew "
                "in another folder."
            )
        self._keep(rows)
        self._write(self.config.model_copy(update={"seconds": None}))

    def append(self, row: Mapping[str, float]) -> None:
        """Record a step: `row` has ``step``, one more than the last, ``questions``, and any of `STEP_COLUMNS`."""
        text = _lines([row])
        if row["step"] != self._last + 1:
            raise ValueError(f"step {row['step']} follows step {self._last}")
        append_text(self.folder / STEPS, text)
        self._last += 1

    def write_answers(self, stage: str, answers: ScoredAnswers) -> None:
        """Record the answers of a stage, in place of earlier ones."""
        answers.save(_answers_file(self.folder, stage))

    def finish(self, seconds: float) -> None:
        """Record that the run came to its end, and its wall time."""
        self._write(self.config.model_copy(update={"seconds": seconds}))

    def _keep(self, rows: Sequence[Mapping[str, float]]) -> None:
        write_text(self.folder / STEPS, _lines(rows))
        self._last = int(rows[-1]["step"]) if rows else 0

    def _write(self, config: RunConfig) -> None:
        self.config = config
        _write_config(self.folder, config)


def save(
    folder: Path, config: RunConfig, steps: Iterable[Mapping[str, float]], answers: Mapping[str, ScoredAnswers]
) -> Run:
    """Write a whole run at once, its rows in order and its answers by stage; the folder appears whole or not at all.

    InputError where the folder is there and not empty, and as `files.atomic`.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"{folder} is there already; name another folder.")
    with atomic(folder) as scratch:
        _write_config(scratch, config)
        write_text(scratch / STEPS, _lines(steps))
        for stage, given in answers.items():
            given.save(_answers_file(scratch, stage))
    return Run(folder, config)


def code_version() -> str:
    """The commit of the clone that this code is in, with ``+`` where code or data differ; else the package's version.

    Recorded runs are no part of what may differ: writing one would change the code's version.
    """
    clone = paths.DATA.parent
    commit = _git(clone, "rev-parse", "--short=12", "HEAD") if (clone / ".git").exists() else None
    if commit is None:
        return kgpert_lib.__version__
    parts = ("kgpert_lib", "data", f":(exclude)data/{RUNS.name}")
    return commit + ("+" if _git(clone, "status", "--porcelain", "--", *parts) else "")


def _git(folder: Path, *words: str) -> str | None:
    """What git prints; None where there is no git, or it refuses."""
    try:
        end = subprocess.run(["git", "-C", str(folder), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return end.stdout.strip()


def _folders(folder: Path) -> list[Path]:
    return sorted(path.parent for path in folder.glob(f"*/{CONFIG}"))


def _answers_file(folder: Path, stage: str) -> Path:
    if not _NAME.fullmatch(stage):
        raise InputError(f"{stage!r} cannot name a stage; use letters, digits, dots, dashes and underscores.")
    return folder / ANSWERS / f"{stage}.jsonl"


def _config(folder: Path) -> RunConfig:
    path = folder / CONFIG
    try:
        return RunConfig.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{path} is no configuration of a run ({where}{': ' * bool(where)}{first['msg']}).") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}).") from None


def _write_config(folder: Path, config: RunConfig) -> None:
    write_text(folder / CONFIG, config.model_dump_json(indent=2) + "\n")


def _continued(folder: Path, old: RunConfig, new: RunConfig) -> RunConfig:
    """The configuration of a run that goes on, with the code and the versions of both; InputError for another run."""
    there, here = old.model_dump(exclude=_MAY_DIFFER), new.model_dump(exclude=_MAY_DIFFER)
    if other := [name for name in there if there[name] != here[name]]:
        raise InputError(f"{folder} holds a run with another configuration ({', '.join(other)}); name another folder.")
    packages = {**old.versions, **new.versions}
    versions = {name: _in_turn(old.versions.get(name), new.versions.get(name)) for name in packages}
    return old.model_copy(update={"code": _in_turn(old.code, new.code), "versions": versions})


def _in_turn(old: str | None, new: str | None) -> str:
    """Versions that a run had one after the other."""
    before = old.split(", ") if old else []
    return ", ".join([*before, *([new] if new and before[-1:] != [new] else [])])


def _rows(path: Path) -> list[dict[str, float]]:
    """The rows of a table of steps; no file is no row."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}).") from None
    rows: list[dict[str, float]] = []
    whole = text[: text.rfind("\n") + 1]  # what follows was cut off when the run was killed
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            row = json.loads(line)
            _checked(row)
        except (TypeError, ValueError) as error:
            raise InputError(f"{path}, line {number} is no step ({error}).") from None
        if rows and row["step"] <= rows[-1]["step"]:
            raise InputError(f"{path}, line {number} has step {row['step']} after step {rows[-1]['step']}.")
        rows.append(row)
    return rows


def _checked(row: Any) -> None:
    """ValueError for what is no row of a step."""
    if not isinstance(row, dict):
        raise ValueError("no JSON object")
    if unknown := row.keys() - set(STEP_COLUMNS):
        raise ValueError(f"unknown column {min(unknown)}")
    for name in COUNTS:
        if not isinstance(row.get(name), int) or row[name] < 0:
            raise ValueError(f"{name} has to be a whole number")
    for name, value in row.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
            raise ValueError(f"{name} is no number")


def _lines(rows: Iterable[Mapping[str, float]]) -> str:
    """Rows as JSON lines with columns in order; null stands for a number that is not finite."""
    return "".join(json.dumps(_plain(row)) + "\n" for row in rows)


def _plain(row: Mapping[str, float]) -> dict[str, float | None]:
    values = {name: int(row[name]) if name in COUNTS else _number(row[name]) for name in STEP_COLUMNS if name in row}
    _checked({**row, **values})
    return values


def _number(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None
