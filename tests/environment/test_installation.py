"""The environment beside Prime-RL: few packages, another Python, newer releases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOT_THERE = ("anndata", "h5py", "matplotlib", "scanpy", "seaborn", "sklearn", "statsmodels", "torch", "typer")
JUDGE_THE_FIRST = """
import asyncio, importlib.abc, json, sys

class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, NotInstalled())
from kgpert.taskset import EditConfig, EditTaskset
from tests.environment.traces import parts, scored

rows = list(EditTaskset(EditConfig(id="kgpert", **json.loads(sys.argv[1]))).load())
answer = json.dumps({"add": ["PSMA1", "MED12", "RPL3"], "remove": ["FOO"]})
first = scored(rows[0], answer)
print(json.dumps([sys.version_info[:2], len(rows), parts(first), first.metrics, rows[0].data.prompt]))
"""
ONE_LINE = {"atlas": "simulated", "lines": ["k562"], "evaluated_lines": ["k562"]}


def judged(python: str | Path, options: dict[str, object], path: list[str], absent: Iterable[str], **env: str) -> list:
    """What a Python makes of an answer to the first question: version, questions, reward parts, metrics, prompt."""
    ran = subprocess.run(
        [str(python), "-c", JUDGE_THE_FIRST, json.dumps(options), ",".join(absent)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "env" / "kgpert"), *path]), **env},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> str:
    """A cache for all processes of this module."""
    return str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def here(store) -> list:
    """The first question judged by this Python, which lacks the packages of the book."""
    return judged(sys.executable, ONE_LINE, sys.path, NOT_THERE, KGPERT_CACHE=store)


def test_it_loads_and_scores_where_the_packages_of_the_book_are_not_installed(here):
    _, count, parts, metrics, _ = here
    assert count > 100
    assert parts["format"] > 0
    assert metrics["dropped_absent"] + metrics["dropped_unknown"] >= 1


def test_python_312_with_newer_packages_gives_the_same_questions_and_rewards(python312, here, store):
    version, count, parts, metrics, prompt = judged(python312, ONE_LINE, [], [], KGPERT_CACHE=store)
    assert version == [3, 12]
    assert (count, prompt) == (here[1], here[4])
    assert (parts, metrics) == (pytest.approx(here[2]), pytest.approx(here[3]))


@pytest.mark.needs_mirror
def test_python_312_loads_the_calls_of_four_lines(python312, mirror, store):
    absent = [*NOT_THERE, "networkx"]
    _, count, parts, _, _ = judged(python312, {"prompt": "brief"}, [], absent, KGPERT_CACHE=store)
    assert count > 3_000
    assert parts["format"] > 0
