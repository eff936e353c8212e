"""The committed record of the environment's evaluation, and the command that makes it."""

import json
import os
import stat

import pytest

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.llm.local import Server
from kgpert_lib.rl.tasks import EditTasks
from kgpert_lib.studies import environment
from kgpert_lib.studies.environment import ROLLOUTS, RUNS, Run, recorded

NEEDS = {"perturbqa": [pytest.mark.needs_mirror]}
every_run = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=NEEDS.get(run.settings.atlas, [])) for name, run in RUNS.items()]
)
SERVER = Server("http://127.0.0.1:1/v1", "smol", 1024, 4, None)


@every_run
def test_the_record_is_of_the_questions_that_the_command_asks(name, request):
    if RUNS[name].settings.atlas == "perturbqa":
        request.getfixturevalue("mirror")
    run, answers = RUNS[name], recorded(name)
    assert answers.settings == run.settings
    asked = [(a.line, a.gene) for a in answers.answers]
    assert asked[::ROLLOUTS] == asked[1::ROLLOUTS] == list(EditTasks.of(run.settings).stream[: run.tasks])


@every_run
def test_recorded_rewards_are_those_of_the_judge(name, request):
    if RUNS[name].settings.atlas == "perturbqa":
        request.getfixturevalue("mirror")
    assert abs(recorded(name).differences()).max() < 1e-9


@pytest.mark.parametrize("name", list(RUNS))
def test_no_prompt_and_no_delta_is_in_the_record(name):
    lines = (paths.DATA / "environment" / f"{name}.jsonl").read_text().splitlines()
    fields = {"line", "gene", "text", "rewards", "model", "tokens"}
    assert {frozenset(json.loads(line)) for line in lines[1:]} == {frozenset(fields)}
    assert not any("You are a cell biologist" in line for line in lines)


def test_nothing_is_uploaded_and_free_answers_have_no_schema():
    held, free = (environment.config(RUNS[name], SERVER) for name in ("simulated", "simulated-free"))
    assert held["push"] is free["push"] is False
    assert held["sampling"]["response_format"]["json_schema"]["schema"]["required"] == ["add", "remove"]
    assert "response_format" not in free["sampling"]


def command(folder, body):
    path = folder / environment.COMMAND
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_a_missing_or_failing_command_and_a_missing_answer_are_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    run = RUNS["simulated"]
    with pytest.raises(InputError, match="vf-eval is missing; install"):
        environment.evaluate(run, SERVER)
    monkeypatch.setenv("PATH", os.defpath)
    command(tmp_path, "echo the port is taken >&2; exit 3")
    with pytest.raises(InputError, match=r"vf-eval ended with 3: .*the port is taken"):
        environment.evaluate(run, SERVER)


def trace(gene, line):
    return {
        "task": {"data": {"line": line, "gene": gene, "settings": RUNS["simulated"].settings.model_dump(mode="json")}},
        "nodes": [{"message": {"role": "assistant", "content": "no list"}}],
        "rewards": {"format": {"score": 0.0, "weight": 1.0}},
    }


def test_answers_come_back_in_the_order_of_the_questions_or_not_at_all(monkeypatch, tmp_path):
    settings = RUNS["simulated"].settings
    (line, gene), (other, last) = EditTasks.of(settings).stream[:2]
    rows = [trace(last, other), trace(gene, line), trace(last, other), trace(gene, line)]
    results = "".join(json.dumps({"traces": [row]}) + "\n" for row in rows)
    (tmp_path / "traces.jsonl").write_text(results)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    command(tmp_path, f"mkdir -p runs/one && cp {tmp_path}/traces.jsonl runs/one/")
    answers = environment.evaluate(Run(settings, 2, schema=True), SERVER).answers
    assert [(a.line, a.gene) for a in answers] == [(line, gene)] * 2 + [(other, last)] * 2
    with pytest.raises(InputError, match="scored 4 of 6 answers"):
        environment.evaluate(Run(settings, 3, schema=True), SERVER)


def test_an_unknown_run_and_a_missing_record_are_one_sentence(monkeypatch, tmp_path):
    with pytest.raises(InputError, match="There is no run 'other'; there are simulated, perturbqa"):
        environment.main(["other"])
    monkeypatch.setattr(paths, "DATA", tmp_path)
    with pytest.raises(InputError, match="is missing; make it with"):
        recorded("simulated")
