"""Answers that a trainer or an evaluation scored: read from Verifiers' traces, kept without the prompts.

A trace carries its row and with it the `Settings` of its reward, so that every reward can be computed again. What is
kept is one JSON object a line: gene, line, text and scores; prompts are rendered anew from the settings.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ValidationError

from kgpert_lib.errors import InputError
from kgpert_lib.files import write_text
from kgpert_lib.rl.tasks import EditTasks, Settings, Verdict

TRACES = "traces.jsonl"


@dataclass(frozen=True)
class ScoredAnswer:
    """One answer with the weighted parts of its reward as they were recorded.

    `text` is None where the model gave no answer; escape it on a page. `model` and `tokens` (of the answer) are None
    where the trace does not say.
    """

    line: str
    gene: str
    text: str | None
    rewards: Mapping[str, float]
    model: str | None = None
    tokens: int | None = None

    @property
    def total(self) -> float:
        """The reward."""
        return sum(self.rewards.values())


@dataclass(frozen=True)
class ScoredAnswers:
    """Answers to questions of one setting, in the order in which they were recorded."""

    settings: Settings
    answers: tuple[ScoredAnswer, ...]

    def repeats(self) -> list[list[ScoredAnswer]]:
        """First answers to every question, second answers, and so on."""
        count: Counter[tuple[str, str]] = Counter()
        repeats: list[list[ScoredAnswer]] = []
        for answer in self.answers:
            place = answer.line, answer.gene
            if count[place] == len(repeats):
                repeats.append([])
            repeats[count[place]].append(answer)
            count[place] += 1
        return repeats

    def verdicts(self) -> list[Verdict]:
        """The answers judged again."""
        return EditTasks.of(self.settings).judge_all((a.line, a.gene, a.text) for a in self.answers)

    def differences(self) -> NDArray[np.float64]:
        """(k,) rewards judged again minus those recorded."""
        return np.array([v.total - a.total for v, a in zip(self.verdicts(), self.answers, strict=True)])

    def table(self) -> pd.DataFrame:
        """One row for each answer: line, gene, reward and `Verdict.metrics`, judged again."""
        rows = [
            {"line": a.line, "gene": a.gene, "reward": v.total} | v.metrics
            for a, v in zip(self.answers, self.verdicts(), strict=True)
        ]
        return pd.DataFrame(rows)

    def save(self, path: str | Path) -> None:
        """Write them as JSON lines: first the settings, then one answer a line."""
        head = {"settings": self.settings.model_dump(mode="json")}
        lines = [json.dumps(head), *(json.dumps(asdict(answer)) for answer in self.answers)]
        write_text(path, "\n".join(lines) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> ScoredAnswers:
        """Read what `save` wrote; InputError names the first line that it did not write."""
        rows = list(_objects(Path(path), growing=False))
        number = 1
        try:
            settings = Settings.model_validate(rows[0][1]["settings"])
            answers = []
            for number, row in rows[1:]:  # noqa: B007 - the line that does not fit is named below
                answers.append(ScoredAnswer(**row))
        except (IndexError, KeyError, TypeError, ValidationError) as error:
            raise InputError(f"{path}, line {number} is no scored answer ({type(error).__name__}).") from None
        return cls(settings, tuple(answers))


def read_traces(run: str | Path) -> list[ScoredAnswers]:
    """The scored answers of a Verifiers run, one object for each setting among its rows.

    `run` is the folder of an evaluation or a ``traces.jsonl``. Traces that ended in an error before they were scored
    are left out. InputError where there is no such file, and for a line that is no trace of the taskset ``kgpert``.
    """
    path = Path(run)
    path = path / TRACES if path.is_dir() else path
    if not path.is_file():
        raise InputError(f"{run} holds no {TRACES}; name the folder of one run.")
    groups: dict[Settings, list[ScoredAnswer]] = {}
    for number, episode in _objects(path):
        for trace in episode.get("traces", [episode]):
            try:
                data = trace["task"]["data"]
                settings = Settings.model_validate(data["settings"])
                answer = _answer(trace, data["line"], data["gene"])
            except (KeyError, TypeError, ValidationError) as error:
                raise InputError(f"{path}, line {number} is no trace of kgpert ({type(error).__name__}).") from None
            if answer is not None:
                groups.setdefault(settings, []).append(answer)
    return [ScoredAnswers(settings, tuple(answers)) for settings, answers in groups.items()]


def _answer(trace: Mapping[str, Any], line: str, gene: str) -> ScoredAnswer | None:
    rewards = trace["rewards"]
    if not rewards or any(part is None for part in rewards.values()):
        return None
    replies = [node["message"] for node in trace["nodes"] if node["message"]["role"] == "assistant"]
    calls = trace.get("calls") or [{}]
    usage = calls[-1].get("usage") or {}
    return ScoredAnswer(
        line=line,
        gene=gene,
        text=_text(replies[-1].get("content")) if replies else None,
        rewards={name: part["score"] * part.get("weight", 1.0) for name, part in rewards.items()},
        model=calls[-1].get("model"),
        tokens=usage.get("completion_tokens"),
    )


def _text(content: str | Sequence[Mapping[str, Any]] | None) -> str:
    """The text of a message, whose content is a string or a list of parts."""
    if isinstance(content, str) or content is None:
        return content or ""
    return "".join(part.get("text", "") for part in content)


def _objects(path: Path, growing: bool = True) -> Iterator[tuple[int, dict[str, Any]]]:
    """The JSON objects of a file by the number of their line; in a growing one, a last line may be cut short."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({type(error).__name__}).") from None
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except ValueError:
            if growing and number == len(lines):
                return
            raise InputError(f"{path}, line {number} is no JSON.") from None
        if not isinstance(value, dict):
            raise InputError(f"{path}, line {number} is no JSON object.")
        yield number, value
