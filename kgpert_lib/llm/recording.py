"""Ask a model the questions of the language-model chapter, and export its answers for the book."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kgpert_lib import paths
from kgpert_lib.llm.client import Asked, Retry, ask, request_key
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.proposals import open_record
from kgpert_lib.llm.record import Answer, Record, export, read_export
from kgpert_lib.llm.setting import Setting


def local_record() -> Record:
    """The record of this machine in the cache folder, over the committed answers."""
    return open_record(str(paths.cache_dir() / "answers" / "record.jsonl"))


def record_answers(
    setting: Setting,
    line: str,
    task: str,
    spec: ModelSpec,
    record: Record,
    *,
    budget: float | None = None,
    fresh: bool = False,
    retry: Retry | None = None,
    progress: bool | None = None,
) -> Asked:
    """Ask a model about every test gene of one line; what the record holds is not asked again unless `fresh`."""
    requests = setting.predictor(task, spec, record).requests(
        setting.atlas.view(line), setting.atlas[line].names("test")
    )
    return ask(requests, spec, record, budget=budget, fresh=fresh, retry=retry, progress=progress)


def export_name(atlas: str, line: str, task: str, model: str) -> str:
    """File name of one task's exported answers."""
    return f"{atlas}-{line}-{task}-{model}.jsonl.gz"


def export_answers(answers: Iterable[Answer | None], path: str | Path) -> int:
    """Add answers to an exported file, without their prompts; returns how many it holds then.

    An answer that the file has under the same key is replaced. Delete the file to start over.
    """
    held = read_export(path) if Path(path).exists() else []
    return export([*held, *(answer for answer in answers if answer is not None)], path)


def missing(setting: Setting, line: str, task: str, spec: ModelSpec, record: Record) -> int:
    """How many questions have no recorded answer."""
    view, names = setting.atlas.view(line), setting.atlas[line].names("test")
    requests = setting.predictor(task, spec, record).requests(view, names)
    return sum(request_key(request, spec) not in record for request in requests)
