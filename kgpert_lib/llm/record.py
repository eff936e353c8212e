"""The record: every answer of a model, kept once, under a key made of what was asked.

A record is a file of JSON lines to which whole lines are appended under a lock, so that a killed
process loses only what was in flight and several processes may write at once. What is committed
under ``data/answers/`` is the same lines, compressed and without prompts (DESIGN: licence).
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from kgpert_lib.errors import InputError

Messages = Sequence[Mapping[str, str]]


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
    text: str
    finish: str | None
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cost: float
    logprobs: list[Any] | None = None
    messages: list[dict[str, str]] | None = None


def prompt_hash(messages: Messages) -> str:
    """SHA-256 of the messages in a canonical form, in hexadecimal."""
    return _sha256([[m["role"], m["content"]] for m in messages])


def answer_key(prompt: str, model: str, sampling: Mapping[str, Any], sample: int) -> str:
    """SHA-256 of prompt hash, model, sampling and sample number: the name of one answer."""
    return _sha256([prompt, model, dict(sampling), sample])


class Record:
    """Answers by key: one file that is appended to, over committed answers that are only read.

    Parameters
    ----------
    path : the file of this machine; None gives a record that is only read.
    committed : exported files, or folders of them (``*.jsonl.gz``); what they hold is never asked again.

    `notices` lists, in sentences, what had to be repaired or passed over.
    """

    def __init__(self, path: str | Path | None, committed: Iterable[str | Path] = ()) -> None:
        self.path = None if path is None else Path(path)
        self.notices: list[str] = []
        self._answers: dict[str, Answer] = {}
        self._read_to = 0
        self._file: int | None = None
        for source in committed:
            folder = Path(source)
            for file in sorted(folder.glob("*.jsonl.gz")) if folder.is_dir() else [folder]:
                self._answers.update((answer.key, answer) for answer in read_export(file))
        if self.path is not None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            except OSError as error:
                raise InputError(f"The record {self.path} cannot be opened ({error.strerror}).") from None
            with _Lock(self._file):
                self._repair()
                self._catch_up()

    def __len__(self) -> int:
        return len(self._answers)

    def __iter__(self) -> Iterator[Answer]:
        return iter(self._answers.values())

    def __contains__(self, key: object) -> bool:
        return key in self._answers

    def get(self, key: str) -> Answer | None:
        """The answer under a key, or None."""
        return self._answers.get(key)

    def add(self, answer: Answer, replace: bool = False) -> bool:
        """Append an answer; False, and nothing written, when some process recorded that key already.

        With `replace` the answer is appended all the same and counts from now on.

        Raises
        ------
        InputError
            When the record is only read, or the disk takes no more.
        """
        if self._file is None:
            raise InputError("This record is only read; give it a path to write to.")
        line = (_dump({k: v for k, v in answer._asdict().items() if v is not None}) + "\n").encode()
        with _Lock(self._file):
            self._repair()
            self._catch_up()
            if answer.key in self._answers and not replace:
                return False
            try:
                written = os.write(self._file, line)
                while written < len(line):
                    written += os.write(self._file, line[written:])
            except OSError as error:
                self._repair()
                raise InputError(f"The record {self.path} cannot be written ({error.strerror}).") from None
            self._read_to += len(line)
        self._answers[answer.key] = answer
        return True

    def close(self) -> None:
        """Bring what was written to the disk and release the file."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Record:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _repair(self) -> None:
        """End the file with a whole line: a last line without its end is completed, or cut off if it is torn."""
        assert self._file is not None
        size = os.fstat(self._file).st_size
        if size == 0 or os.pread(self._file, 1, size - 1) == b"\n":
            return
        start, tail = size, b""
        while start > 0 and b"\n" not in tail:
            step = min(start, 1 << 16)
            start -= step
            tail = os.pread(self._file, step, start) + tail
        tail = tail[tail.rfind(b"\n") + 1 :]
        if _parse(tail) is not None:
            os.write(self._file, b"\n")
            return
        os.ftruncate(self._file, size - len(tail))
        self.notices.append(
            f"{self.path}: the last line was torn ({len(tail)} bytes, a write that was killed) and was cut off."
        )

    def _catch_up(self) -> None:
        """Read the lines that were appended, here or by another process, since the last look."""
        assert self._file is not None
        size = os.fstat(self._file).st_size
        if size == self._read_to:
            return
        with open(self._file, "rb", closefd=False) as stream:
            stream.seek(self._read_to)
            for line in stream.read(size - self._read_to).splitlines():
                answer = _parse(line)
                if answer is None:
                    self.notices.append(f"{self.path}: a line that is no answer was passed over ({line[:40]!r}).")
                else:
                    self._answers[answer.key] = answer
        self._read_to = size


def export(answers: Iterable[Answer], path: str | Path) -> int:
    """Write answers without their prompts as compressed JSON lines; returns how many.

    Sorted by key and without times of day, so that the same answers give the same bytes.
    """
    target = Path(path)
    chosen = {answer.key: answer for answer in answers}
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(prefix=f".{target.name}-", dir=target.parent)
    try:
        with open(handle, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
            for key in sorted(chosen):
                kept = {k: v for k, v in chosen[key]._asdict().items() if v is not None and k != "messages"}
                packed.write((_dump(kept) + "\n").encode())
        os.chmod(scratch, 0o644)
        os.replace(scratch, target)
    finally:
        Path(scratch).unlink(missing_ok=True)
    return len(chosen)


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


def import_answers(path: str | Path, record: Record) -> int:
    """Add the answers of an exported file that a record does not hold; returns how many were new."""
    return sum(record.add(answer) for answer in read_export(path))


class _Lock:
    """Exclusive lock on an open file, held by no other process (or other `Record`) meanwhile."""

    def __init__(self, file: int) -> None:
        self.file = file

    def __enter__(self) -> None:
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        fcntl.flock(self.file, fcntl.LOCK_UN)


def _parse(line: bytes) -> Answer | None:
    try:
        return Answer(**json.loads(line))
    except (ValueError, TypeError, RecursionError):
        return None


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _sha256(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()
