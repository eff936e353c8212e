"""The record: every answer of a model, kept once, under a key made of what was asked.

A record is an SQLite file, so that several processes may write at once and a killed one loses only what was in
flight. What is committed under ``data/answers/`` are the same answers as compressed JSON lines, without their
prompts: a prompt is rendered again from graphs and gene names when its answer is read.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from kgpert_lib import files, paths
from kgpert_lib.errors import InputError
from kgpert_lib.llm.models import ModelSpec

Messages = Sequence[Mapping[str, str]]

LOCAL, OLDER = "record.sqlite", "record.jsonl"  # files in the cache folder; the second is of earlier versions

# One row per answer: its key, and the answer as the line of JSON that an export would hold.
_TABLE = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL)"
_ADD = "INSERT INTO answers VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
_REPLACE = "INSERT INTO answers VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET answer = excluded.answer"


@dataclass(frozen=True)
class Request:
    """One question to a model.

    `question` names it for people (``"langpert/k562/PSMB5"``); `messages` are role and content;
    `sample` numbers repeated draws; `schema` is a JSON schema, sent to servers that honour one.
    """

    question: str
    messages: Messages
    sample: int = 0
    schema: Mapping[str, Any] | None = None


def printable(value: Any) -> Any:
    """Text whose lone surrogates, which no file or screen takes, are U+FFFD; other values as they are."""
    return re.sub(r"[\ud800-\udfff]", "\ufffd", value) if isinstance(value, str) else value


Text = Annotated[str, BeforeValidator(printable)]


class Answer(NamedTuple):
    """One recorded answer.

    `finish` is the server's reason for the end (``"length"``: cut off at the token limit);
    `completion_tokens` counts every billed token, hidden reasoning included; `cost` is in US dollars,
    `seconds` the time of the request that was answered; `logprobs` holds, for each token,
    ``[token, logprob, {other token: logprob}]``. `messages` is None in what was exported.
    """

    key: str
    question: str
    prompt_hash: str
    model: str
    sampling: dict[str, Any]
    sample: int
    text: Text
    finish: str | None
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float
    logprobs: list[Any] | None = None
    messages: list[dict[str, str]] | None = None


_ANSWER = TypeAdapter(Answer)


def prompt_hash(messages: Messages) -> str:
    """SHA-256 of the messages in a canonical form, in hexadecimal."""
    return _sha256([[m["role"], m["content"]] for m in messages])


def answer_key(prompt: str, model: str, sampling: Mapping[str, Any], sample: int) -> str:
    """SHA-256 of prompt hash, model, sampling and sample number: the name of one answer."""
    return _sha256([prompt, model, dict(sampling), sample])


def sampling_of(request: Request, spec: ModelSpec) -> dict[str, Any]:
    """Everything besides prompt, model and sample number that shapes the answer."""
    sampling = spec.sampling.model_dump(exclude_defaults=True) | {"max_tokens": spec.sampling.max_tokens}
    if not spec.logprobs:
        sampling.pop("top_logprobs", None)
    if request.schema is not None and spec.json_schema:
        sampling["schema"] = dict(request.schema)
    return sampling


def request_key(request: Request, spec: ModelSpec) -> str:
    """The key under which a model's answer to a request is recorded."""
    return answer_key(prompt_hash(request.messages), spec.model, sampling_of(request, spec), request.sample)


class Record:
    """Answers by key: one SQLite file that is added to, over committed answers that are only read.

    Parameters
    ----------
    path : the file of this machine; None gives a record that is only read.
    committed : exported files, or folders of them (``*.jsonl.gz``); what they hold is never asked again.

    `notices` lists, in sentences, what had to be skipped.

    Raises
    ------
    InputError
        When the file cannot be opened, is no record, or a committed file is broken.
    """

    def __init__(self, path: str | Path | None, committed: Iterable[str | Path] = ()) -> None:
        self.path = None if path is None else Path(path)
        self.notices: list[str] = []
        self._committed: dict[str, Answer] = {}
        self._base: sqlite3.Connection | None = None
        for source in committed:
            folder = Path(source)
            for file in sorted(folder.glob("*.jsonl.gz")) if folder.is_dir() else [folder]:
                self._committed.update((answer.key, answer) for answer in read_export(file))
        if self.path is not None:
            self._base = _open(self.path)

    def __len__(self) -> int:
        rows = self._rows("SELECT key FROM answers")
        return len(self._committed.keys() | {key for (key,) in rows})

    def __iter__(self) -> Iterator[Answer]:
        local = dict(self._rows("SELECT key, answer FROM answers ORDER BY rowid"))
        yield from (answer for key, answer in self._committed.items() if key not in local)
        yield from (answer for key, line in local.items() if (answer := self._read(key, line)))

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.get(key) is not None

    def get(self, key: str) -> Answer | None:
        """The answer under a key, or None."""
        for (line,) in self._rows("SELECT answer FROM answers WHERE key = ?", key):
            return self._read(key, line) or self._committed.get(key)
        return self._committed.get(key)

    def add(self, answer: Answer, replace: bool = False) -> bool:
        """Write an answer; False, and nothing written, when some process recorded that key already.

        With `replace` the answer is written all the same and counts from now on.

        Raises
        ------
        InputError
            When the record is only read, or the disk takes no more.
        """
        if self._base is None:
            raise InputError("This record is only read; give it a path to write to.")
        if answer.key in self._committed and not replace:
            return False
        row = (answer.key, _line(answer))
        with _sentences(f"The record {self.path} cannot be written"):
            return self._base.execute(_REPLACE if replace else _ADD, row).rowcount > 0

    def take_over(self, path: Path) -> None:
        """Add the answers of a record in the older form, a file of JSON lines, and rename it to ``*.imported``.

        Of several answers under one key the last counts; what the record holds already stays. `notices` says how
        many answers came and how many lines were none.
        """
        if self._base is None:
            raise InputError("This record is only read; give it a path to write to.")
        try:
            parsed = [_parse(line) for line in path.read_bytes().splitlines()]
        except OSError as error:
            raise InputError(f"The older record {path} cannot be read ({error.strerror}).") from None
        answers = {answer.key: _line(answer) for answer in parsed if answer is not None}
        with _sentences(f"The record {self.path} cannot be written"), self._base:
            self._base.execute("BEGIN IMMEDIATE")
            self._base.executemany(_ADD, answers.items())
        imported = path.with_name(f"{path.name}.imported")
        os.replace(path, imported)
        self.notices.append(
            f"{len(answers)} answers of {path} were taken over into {self.path}, {parsed.count(None)} lines that are "
            f"no answers were skipped, and the file is now called {imported.name}."
        )

    def close(self) -> None:
        """Release the file."""
        if self._base is not None:
            self._base.close()
            self._base = None

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        if self._base is None:
            return []
        with _sentences(f"The record {self.path} cannot be read"):
            return self._base.execute(query, values).fetchall()

    def _read(self, key: str, line: object) -> Answer | None:
        """The answer of a row; None, and a notice, where the row holds none or that of another key."""
        answer = _parse(line) if isinstance(line, str | bytes) else None
        if answer is not None and answer.key == key:
            return answer
        notice = f"{self.path}: the row {str(key)[:80]!r} is no answer and was skipped."
        if notice not in self.notices:
            self.notices.append(notice)
        return None


def open_record(path: str | Path | None = None) -> Record:
    """The committed answers under ``data/answers/``, and those of a record of this machine if one is named."""
    committed = paths.DATA / "answers"
    return Record(path, [committed] if committed.is_dir() else [])


def read_only_record() -> Record:
    """The committed answers and those of this machine, in memory; nothing is written and no file stays open."""
    record = open_record()
    folder = _local_folder()
    if (folder / LOCAL).exists() or (folder / OLDER).exists():
        with local_record() as local:
            record._committed.update((answer.key, answer) for answer in local)
    return record


def local_record() -> Record:
    """The record of this machine in the cache folder, over the committed answers; an older one is taken over once."""
    folder = _local_folder()
    record = open_record(folder / LOCAL)
    older = folder / OLDER
    with files.locked(older):
        if older.exists():
            record.take_over(older)
    return record


def _local_folder() -> Path:
    return paths.cache_dir() / "answers"


def export(answers: Iterable[Answer], path: str | Path) -> int:
    """Write answers without their prompts as compressed JSON lines; returns how many.

    Sorted by key and without times of day, so that the same answers give the same bytes.
    """
    lines = {answer.key: _line(answer._replace(messages=None)) for answer in answers}
    with files.atomic(path) as scratch, scratch.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        packed.writelines(f"{lines[key]}\n".encode() for key in sorted(lines))
    return len(lines)


def add_to_export(answers: Iterable[Answer | None], path: str | Path) -> int:
    """Add answers to an exported file, without their prompts; returns how many it holds then.

    An answer that the file has under the same key is replaced. Delete the file to start over.
    """
    earlier = read_export(path) if Path(path).exists() else []
    return export([*earlier, *(answer for answer in answers if answer is not None)], path)


def read_export(path: str | Path) -> list[Answer]:
    """The answers of an exported file; InputError names a missing, cut-short or foreign one."""
    try:
        with gzip.open(path, "rb") as packed:
            lines = packed.read().splitlines()
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path} is missing or not a file of recorded answers ({error}).") from None
    answers = [_parse(line) for line in lines]
    if None in answers:
        raise InputError(f"{path}, line {answers.index(None) + 1}: not a recorded answer.")
    return [answer for answer in answers if answer is not None]


def _open(path: Path) -> sqlite3.Connection:
    """The record's connection, in autocommit mode: each answer is a transaction of its own."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The record {path} cannot be opened ({error.strerror}).") from None
    with _sentences(f"The record {path} cannot be opened"):
        # A run inside a notebook asks from a thread of its own; never two threads at once.
        base = sqlite3.connect(path, timeout=60.0, isolation_level=None, check_same_thread=False)
        try:
            # With a write-ahead log a commit waits for no disk; a killed process loses nothing that it had added.
            base.execute("PRAGMA journal_mode = WAL")
            base.execute("PRAGMA synchronous = NORMAL")
            base.execute(_TABLE)
        except sqlite3.Error:
            base.close()
            raise
    return base


@contextmanager
def _sentences(what: str) -> Iterator[None]:
    """Turn an error of SQLite into an InputError: ``<what> (<SQLite's own words>).``"""
    try:
        yield
    except sqlite3.Error as error:
        raise InputError(f"{what} ({error}).") from None


def _parse(line: str | bytes) -> Answer | None:
    """The answer that a line of JSON holds; None where it is anything else, however deep or long."""
    try:
        return _ANSWER.validate_python(json.loads(line))
    except (ValidationError, ValueError, RecursionError):
        return None


def _line(answer: Answer) -> str:
    fields = {name: value for name, value in answer._asdict().items() if value is not None}
    return json.dumps(fields, ensure_ascii=True, separators=(",", ":"))


def _sha256(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return files.digest(text)
