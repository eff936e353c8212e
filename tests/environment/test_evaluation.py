"""The environment run by the tools of Verifiers, against the bundled model where one is asked."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from kgpert_lib.llm.prompts import SYMBOL, answer_schema
from kgpert_lib.rl.tasks import EditTasks, Settings
from kgpert_lib.rl.traces import read_traces

TASKS, ROLLOUTS = 5, 2
OPTIONS = {
    "lines": ["k562", "rpe1"],
    "prompt": "brief",
    "room": 900,
    "split": "validation",
    "validation": 0.3,
    "weights": {"format": 1.0, "validity": 2.0, "pearson": 3.0},
}


@pytest.fixture(scope="module")
def tool(tmp_path_factory) -> Callable:
    """Runs a tool of Verifiers from this environment; the harness needs `uv`, which is installed beside it."""
    cache = tmp_path_factory.mktemp("tool-cache")
    scripts = Path(sys.executable).parent
    env = {**os.environ, "KGPERT_CACHE": str(cache), "LOCAL_API_KEY": "none"}
    env["PATH"] = os.pathsep.join([str(scripts), env["PATH"]])

    def run(name: str, *arguments: object, folder: Path) -> subprocess.CompletedProcess[str]:
        command = [str(scripts / name), *map(str, arguments), "--no-rich"]
        return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)

    return run


@pytest.fixture(scope="module")
def evaluated(tool, model, atlas, tmp_path_factory) -> Path:
    """The folder of a run of `vf-eval`."""
    folder = tmp_path_factory.mktemp("evaluation")
    schema = {"name": "edits", "schema": answer_schema(("add", "remove"), 3, SYMBOL)}
    config = {
        "model": model.model,
        "num_rollouts": ROLLOUTS,
        "max_concurrent": 4,
        "push": False,
        "output_dir": "runs",
        "select": {"limit": TASKS},
        "client": {"base_url": model.base_url, "api_key_var": "LOCAL_API_KEY"},
        "sampling": {
            "temperature": 0.7,
            "max_tokens": 96,
            "response_format": {"type": "json_schema", "json_schema": schema},
        },
        "env": {
            "taskset": {"id": "kgpert", "atlas": str(atlas), **OPTIONS},
            "agent": {"harness": {"id": "null"}, "runtime": {"type": "subprocess"}},
        },
    }
    (folder / "eval.json").write_text(json.dumps(config), encoding="utf-8")
    ran = tool("vf-eval", "@", "eval.json", folder=folder)
    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    [run] = (folder / "runs").iterdir()
    return run


def test_every_reward_in_the_traces_is_that_of_the_judge(evaluated, atlas):
    [run] = read_traces(evaluated)
    assert run.settings == Settings.model_validate({"atlas": str(atlas), **OPTIONS})
    assert len(run.answers) == TASKS * ROLLOUTS
    assert len({(answer.line, answer.gene) for answer in run.answers}) == TASKS
    assert [answer.rewards for answer in run.answers] == [verdict.weighted for verdict in run.verdicts()]
    assert any(answer.total for answer in run.answers)


def test_the_model_reads_the_question_of_the_stream_and_answers_once(evaluated):
    for episode in (evaluated / "traces.jsonl").read_text(encoding="utf-8").splitlines():
        [trace] = json.loads(episode)["traces"]
        row = trace["task"]["data"]
        edits = EditTasks.of(Settings.model_validate(row["settings"]))
        question = edits.question(row["line"], row["gene"])
        *asked, reply = [node["message"] for node in trace["nodes"]]
        assert [(message["role"], message["content"]) for message in asked] == [
            (message["role"], message["content"]) for message in question.prompt.messages
        ]
        assert reply["role"] == "assistant"
        verdict = edits.judge(row["line"], row["gene"], reply["content"])
        assert trace["metrics"].items() >= verdict.metrics.items()
        assert trace["errors"] == []


def test_a_replay_gives_the_same_rewards(evaluated, tool, tmp_path):
    ran = tool("vf-replay", evaluated, "--output-dir", tmp_path / "replay", folder=tmp_path)
    assert ran.returncode == 0, ran.stderr[-2000:]
    [first], [second] = read_traces(evaluated), read_traces(tmp_path / "replay")
    assert Counter(map(repr, first.answers)) == Counter(map(repr, second.answers))


@pytest.mark.parametrize("check", ["gold", "noop"])
def test_the_gold_answer_passes_and_an_untouched_task_earns_nothing(tool, atlas, tmp_path, check):
    options = ["--taskset.atlas", atlas, "--taskset.lines", '["jurkat"]', "--runtime.type", "subprocess"]
    ran = tool("vf-validate", "kgpert", f"--only-{check}", *options, "-n", 12, "-o", tmp_path, folder=tmp_path)
    assert ran.returncode == 0, ran.stderr[-2000:]
    [run] = tmp_path.iterdir()
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["total"], summary["outcomes"]["valid"]) == (12, 12)
    rows = [json.loads(line) for line in (run / "results.jsonl").read_text().splitlines()]
    assert all(row.get("reward", 0.0) == 0.0 for row in rows)


def test_a_wrong_option_ends_without_a_traceback(tool, tmp_path):
    options = ["--taskset.atlas", "perturbq", "--runtime.type", "subprocess", "-n", 1, "-o", tmp_path]
    ran = tool("vf-validate", "kgpert", *options, folder=tmp_path)
    assert ran.returncode != 0
    assert "kgpert: Unknown atlas 'perturbq'" in ran.stderr
    assert "Traceback" not in ran.stderr
