"""The environment as `vf-eval` runs it against the bundled model (ours); a committed record holds the answers.

`python -m kgpert_lib.studies.environment` serves the model, asks it and writes ``data/environment/``; names of runs
after it ask those only. It needs the extras ``llm`` and ``rl``, the bundled model and the taskset of ``env/kgpert``;
reading the record needs none of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.llm.local import Server, serve
from kgpert_lib.llm.prompts import SYMBOL, answer_schema
from kgpert_lib.llm.questions import SHORT
from kgpert_lib.rl.tasks import EditTasks, Settings
from kgpert_lib.rl.traces import ScoredAnswers, read_traces

COMMAND = "vf-eval"
ROLLOUTS = 2
CONTEXT, PARALLEL, THREADS = 1024, 4, 1
SAMPLING = {"temperature": 0.7, "max_tokens": 96}
KEY = "KGPERT_LOCAL_KEY"  # the server asks for none; the client wants the name of a variable


@dataclass(frozen=True)
class Run:
    """What one evaluation asks: the first `tasks` questions of some settings, `ROLLOUTS` answers each.

    With `schema` the server lets the model write nothing but the two lists.
    """

    settings: Settings
    tasks: int
    schema: bool


_SIMULATED = Settings(atlas="simulated", prompt="brief", room=512, split="validation", validation=0.2)
_PERTURBQA = Settings(atlas="perturbqa", prompt="brief", room=512, split="validation", validation=0.05)
RUNS: Mapping[str, Run] = {
    "simulated": Run(_SIMULATED, 64, schema=True),
    "perturbqa": Run(_PERTURBQA, 64, schema=True),
    "simulated-free": Run(_SIMULATED, 24, schema=False),
    "perturbqa-free": Run(_PERTURBQA, 24, schema=False),
}


def recorded(name: str) -> ScoredAnswers:
    """The committed answers of a run; InputError for one that is not there."""
    path = _path(name)
    if not path.is_file():
        raise InputError(f"{path} is missing; make it with `python -m kgpert_lib.studies.environment {name}`.")
    return ScoredAnswers.load(path)


def config(run: Run, model: Server) -> dict[str, Any]:
    """The configuration of `vf-eval`: nothing is uploaded, an answer has one turn and no tools."""
    schema = {"name": "edits", "schema": answer_schema(("add", "remove"), SHORT.add, SYMBOL)}
    form = {"response_format": {"type": "json_schema", "json_schema": schema}} if run.schema else {}
    return {
        "model": model.model,
        "num_rollouts": ROLLOUTS,
        "max_concurrent": model.parallel,
        "push": False,
        "output_dir": "runs",
        "select": {"limit": run.tasks},
        "client": {"base_url": model.base_url, "api_key_var": KEY},
        "sampling": SAMPLING | form,
        "env": {
            "taskset": {"id": "kgpert", **run.settings.model_dump(mode="json")},
            "agent": {"harness": {"id": "null"}, "runtime": {"type": "subprocess"}},
        },
    }


def evaluate(run: Run, model: Server) -> ScoredAnswers:
    """The answers of a run of `vf-eval`, in the order of the questions.

    InputError where the command is missing or fails, and where an answer is missing.
    """
    scripts = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    command = shutil.which(COMMAND, path=scripts)
    if command is None:
        raise InputError(f"{COMMAND} is missing; install the extra: pip install 'kgpert-lib[rl]' and env/kgpert.")
    with tempfile.TemporaryDirectory(prefix="kgpert-eval-") as folder:
        (Path(folder) / "eval.json").write_text(json.dumps(config(run, model)), encoding="utf-8")
        ended = subprocess.run(
            [command, "@", "eval.json", "--no-rich"],
            cwd=folder,
            env={**os.environ, KEY: "none", "PATH": scripts},
            capture_output=True,
            text=True,
        )
        if ended.returncode:
            raise InputError(f"{COMMAND} ended with {ended.returncode}: {_last_line(ended.stderr)}")
        [results] = (Path(folder) / "runs").iterdir()
        [answers] = read_traces(results)
    if len(answers.answers) != run.tasks * ROLLOUTS:
        raise InputError(f"{COMMAND} scored {len(answers.answers)} of {run.tasks * ROLLOUTS} answers; run it again.")
    place = {asked: i for i, asked in enumerate(EditTasks.of(answers.settings).stream)}
    return replace(answers, answers=tuple(sorted(answers.answers, key=lambda a: place[a.line, a.gene])))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it wrote no error"])[-1]


def _path(name: str) -> Path:
    return paths.DATA / "environment" / f"{name}.jsonl"


def main(names: Sequence[str] = ()) -> None:
    """Ask the bundled model again and write the record of the named runs, of all where none is named."""
    unknown = set(names) - set(RUNS)
    if unknown:
        raise InputError(f"There is no run {min(unknown)!r}; there are {', '.join(RUNS)}.")
    with serve(context=CONTEXT, parallel=PARALLEL, threads=THREADS) as model:
        for name in names or RUNS:
            evaluate(RUNS[name], model).save(_path(name))
            print(f"{name}: written to {_path(name)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
