"""Tables of questions: a csv file in, the same rows with their answers out; resumes where it stopped."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import NamedTuple, TextIO

import numpy as np
import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.files import OutputError, digest, flush_file, scratch_folder, write_text, writing
from kgpert_lib.perturbqa.ask import Asker

COLUMNS = ("perturbation", "readout")
ADDED = ("p_changes", "p_rises", "answer", "status", "measured", "note")
CHUNK = 50_000  # rows between two points from which a run can go on
EXAMPLES = 3


class Report(NamedTuple):
    """What became of a table: rows `answered`, rows `broken`, the first three broken ones in words, rows `resumed`."""

    answered: int
    broken: int
    examples: list[str]
    resumed: int


@dataclass
class Progress:
    """How far a run has come: whole rows and bytes in the part file, and what `Report` counts."""

    key: str
    rows: int = 0
    bytes: int = 0
    answered: int = 0
    broken: int = 0
    examples: list[str] = field(default_factory=list)


def ask_csv(asker: Asker, source: str | Path, target: str | Path, chunk: int = CHUNK) -> Report:
    """Answer a csv table row by row: its columns, then `ADDED`.

    The table needs the columns ``perturbation`` and ``readout``; others are copied. A row with another number of
    cells, an empty name or a gene that cannot be asked about is kept without an answer and says why in ``note``. The
    answers collect in ``<target>.part`` and take their name at the end; a run that was cut off goes on after the last
    whole chunk when the same table is put to the same data, graphs and settings again.

    Raises
    ------
    InputError
        The table is missing, lacks a column, or is no csv.
    OutputError
        The answers cannot be written.
    """
    source = Path(source)
    if not source.is_file():
        raise InputError(f"{source} does not exist.")
    with scratch_folder(target):  # says at once where nothing can be written
        target = Path(os.path.realpath(target))
    if target.is_dir():
        raise OutputError(f"{target} cannot be written (it is a folder); choose another path.")
    part, state = target.with_name(target.name + ".part"), target.with_name(target.name + ".part.json")
    progress = _progress(part, state, _key(asker, source))
    resumed = progress.rows
    try:
        with source.open(encoding="utf-8-sig", errors="replace", newline="") as handle:
            _answer(asker, csv.reader(handle), source, part, state, progress, chunk)
    except csv.Error as error:
        _drop(part, state)
        raise InputError(
            f"{source} cannot be read as csv ({error}; a cell holds at most {csv.field_size_limit():,} characters)."
        ) from error
    except OutputError:
        if not progress.rows:  # there is nothing to go on from
            _drop(part, state)
        raise
    with writing(target):
        os.replace(part, target)
        state.unlink(missing_ok=True)
    return Report(progress.answered, progress.broken, progress.examples, resumed)


def _answer(
    asker: Asker, reader: Iterator[list[str]], source: Path, part: Path, state: Path, progress: Progress, chunk: int
) -> None:
    """Answer the rows that `progress` has not; the part file and the state are on the disk after every chunk."""
    header = _header(reader, source)
    next(islice(reader, progress.rows, progress.rows), None)
    with writing(part):
        out = part.open("r+" if progress.rows else "w", encoding="utf-8", newline="")
    try:
        with writing(part):
            out.truncate(progress.bytes)
            out.seek(progress.bytes)
            if not progress.rows:
                csv.writer(out).writerow([*header, *ADDED])
        while rows := list(islice(reader, chunk)):
            table = _answer_rows(asker, header, rows)
            failures = [i for i, row in enumerate(table) if row[len(header)] == ""]
            examples = [f"row {progress.rows + i + 2}: {table[i][-1]}" for i in failures]
            with writing(part):
                csv.writer(out).writerows(table)
                _flush(out, part)
            progress.examples += examples[: EXAMPLES - len(progress.examples)]
            progress.rows += len(rows)
            progress.bytes = out.tell()
            progress.broken += len(failures)
            progress.answered += len(rows) - len(failures)
            write_text(state, json.dumps(asdict(progress)))
        with writing(part):
            _flush(out, part)
    finally:
        with writing(part):
            out.close()


def _header(reader: Iterator[list[str]], source: Path) -> list[str]:
    header = next(reader, [])
    missing = [c for c in COLUMNS if c not in header]
    if missing:
        raise InputError(f"{source} has no column {missing[0]!r}; it has {', '.join(header) or 'none'}.")
    clash = [c for c in header if c in ADDED]
    if clash:
        raise InputError(f"{source} already has a column {clash[0]!r}, which the answers would overwrite; rename it.")
    return header


def _answer_rows(asker: Asker, header: list[str], rows: list[list[str]]) -> list[list[str]]:
    """The rows with the cells of `ADDED` appended."""
    width = len(header)
    whole = [i for i, row in enumerate(rows) if len(row) == width]
    p, r = (header.index(c) for c in COLUMNS)
    answers = asker.answer_pairs([rows[i][p].strip() for i in whole], [rows[i][r].strip() for i in whole])
    text = pd.DataFrame(
        {
            **{c: [f"{v:.4f}" if v == v else "" for v in answers[c].tolist()] for c in ("p_changes", "p_rises")},
            "answer": answers["answer"],
            "status": answers["status"],
            "measured": [f"{v:.0f}" if v == v else "" for v in answers["measured"].tolist()],
            "note": answers["note"],
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


def _key(asker: Asker, source: Path) -> str:
    """Digest of the table and of everything that decides its answers: training rows, calls, graphs, settings, code."""
    cells = asker.atlas[asker.line]
    arrays = [np.ascontiguousarray(a).tobytes() for a in (cells.perturbations, cells.genes, cells.split, cells.delta)]
    settings = {task: voter.choices for task, voter in asker.voters.items()}
    return digest(source, asker.data.content, repr((asker.line, asker.rule, settings)), *arrays)


def _progress(part: Path, state: Path, key: str) -> Progress:
    """Where an earlier run of the same table stopped; the beginning where there is none or its state is damaged."""
    try:
        progress = Progress(**json.loads(state.read_text(encoding="utf-8")))
        counts = (progress.rows, progress.bytes, progress.answered, progress.broken)
        sound = all(type(n) is int and n >= 0 for n in counts) and progress.answered + progress.broken == progress.rows
        sound &= isinstance(progress.examples, list) and all(isinstance(text, str) for text in progress.examples)
        if sound and progress.key == key and part.stat().st_size >= progress.bytes:
            return progress
    except (OSError, ValueError, TypeError, RecursionError):
        pass
    return Progress(key)


def _flush(out: TextIO, path: Path) -> None:
    out.flush()
    flush_file(path)


def _drop(*paths: Path) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
