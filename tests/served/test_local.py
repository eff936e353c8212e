"""The bundled model, really served: questions at once, a server killed midway, nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.llm import prompts
from kgpert_lib.llm.answers import parse, resolver
from kgpert_lib.llm.client import Retry, ask
from kgpert_lib.llm.local import Server, find_gguf, serve
from kgpert_lib.llm.models import find_model
from kgpert_lib.llm.record import Record, Request

GENES = ["PSMB5", "PSMB6", "PSMA1", "RPL3", "RPL5", "MED1", "MED12", "INTS1", "INTS2", "POLR2A"]
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server():
    with serve(context=1024, parallel=8) as running:
        yield running


def questions(count: int) -> list[Request]:
    schema = prompts.answer_schema(("genes",), 3)
    text = "Name three human genes of the complex that {} belongs to, as JSON with the key genes."
    return [Request(f"t/{g}", [{"role": "user", "content": text.format(g)}], schema=schema) for g in GENES[:count]]


def test_eight_questions_at_once_with_a_schema_and_logprobs(server, tmp_path):
    spec = server.spec(max_tokens=40, top_logprobs=2)
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask(questions(8), spec, record, count=server.count)
        again = ask(questions(8), spec, record, count=server.count)
    assert outcome.failed == {}
    assert outcome.sent == 8
    assert again.sent == 0
    for answer in outcome.answers:
        assert len(answer.logprobs) == answer.completion_tokens
        assert all(value <= 0 and len(others) == 2 for _, value, others in answer.logprobs)
        if answer.finish == "stop":
            assert list(json.loads(answer.text)) == ["genes"]
            assert parse(answer.text, ("genes",), resolver(GENES)).complete


def test_the_server_is_what_it_says(server):
    assert server.process.poll() is None
    assert server.base_url.startswith("http://127.0.0.1:")
    assert server.model == find_model("smollm2").model
    assert not server.spec().reasoning
    connections = psutil.Process(server.process.pid).net_connections("tcp")
    assert {c.laddr.ip for c in connections if c.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_a_prompt_beyond_the_context_is_caught_before_and_by_the_server(server, tmp_path):
    long = [Request("long", [{"role": "user", "content": "PSMB5, " * 900}])]
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask(long, server.spec(max_tokens=8), record, count=server.count)
        assert "do not fit the context of 1024" in outcome.failed[0]
        assert outcome.sent == 0
        outcome = ask(long, server.spec(max_tokens=8), record, count=lambda messages: 0)
        assert "exceed" in outcome.failed[0]
    assert len(record) == 0


@pytest.mark.parametrize("n", [10, 200])
def test_the_estimate_of_tokens_is_on_the_safe_side(server, n):
    genes = [f"{name}{i}" for i in range(n // 5) for name in ("PSMB", "C1orf", "ZNF", "HLA-A", "MT-ND")]
    text = prompts.langpert("POLR2A", "k562", genes, names={"POLR2A": "RNA polymerase II subunit A"}).messages
    assert server.count(text) <= prompts.count_tokens(text) <= 1.6 * server.count(text)


def test_a_server_killed_midway_loses_no_answer_and_another_goes_on(tmp_path):
    retry = Retry(attempts=3, first_wait=0.01, longest_wait=0.05, timeout=120)
    record = Record(tmp_path / "r.sqlite")
    with serve(context=512, parallel=2) as first:
        spec = first.spec(max_tokens=12)

        def kill_after_two_answers() -> None:
            while len(record) < 2:
                time.sleep(0.01)
            os.killpg(first.process.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill_after_two_answers)
        killer.start()
        with pytest.raises(InputError, match=r"does not answer.*is recorded"):
            ask(questions(7), spec, record, retry=retry, concurrency=2)
        killer.join()
        assert first.process.wait(30) is not None
    had = len(record)
    assert 2 <= had < 7
    with serve(context=512, parallel=2) as second:
        outcome = ask(questions(7), second.spec(max_tokens=12), record, retry=retry)
    assert outcome.sent == 7 - had
    assert None not in outcome.answers
    assert len(record) == 7
    record.close()


SERVE_IN_A_PROCESS = """
import sys
from kgpert_lib.llm.local import serve
with serve(context=256, parallel=1) as server:
    print(server.process.pid, server.base_url, flush=True)
    sys.stdin.read()
"""


def serving_process(*folders: Path) -> subprocess.Popen[str]:
    """A process that serves until its standard input ends, with these folders on its path."""
    return subprocess.Popen(
        [sys.executable, "-c", SERVE_IN_A_PROCESS],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, [*folders, ROOT, *sys.path]))},
        text=True,
    )


@pytest.mark.parametrize("lost", ["starter", "nothing"])
def test_serving_works_where_the_system_has_no_process_groups(tmp_path, lost):
    """As on Windows; Python reads `sitecustomize` when it starts, here and in the server."""
    (tmp_path / "sitecustomize.py").write_text("import os\nfor name in ('killpg', 'getpgrp'):\n    delattr(os, name)\n")
    process = serving_process(tmp_path)
    child = psutil.Process(int(process.stdout.readline().split()[0]))
    if lost == "starter":
        process.kill()
    _, errors = process.communicate(timeout=60)
    psutil.wait_procs([child], timeout=30)
    assert "Error" not in errors
    assert process.returncode == (-signal.SIGKILL if lost == "starter" else 0)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_server_outlives_the_process_that_started_it(number):
    process = serving_process()
    pid, base_url = process.stdout.readline().split()
    child = psutil.Process(int(pid))
    assert child.is_running()
    process.send_signal(number)
    process.wait(30)
    psutil.wait_procs([child], timeout=30)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    port = int(base_url.rsplit(":", 1)[1].removesuffix("/v1"))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_the_block_ends_the_server_also_after_an_error():
    def fail_inside() -> Server:
        with serve(context=256, parallel=1) as server:
            seen.append(server)
            raise RuntimeError("in the block")

    seen: list[Server] = []
    with pytest.raises(RuntimeError, match="in the block"):
        fail_inside()
    assert seen[0].process.poll() is not None


def test_a_context_that_the_model_never_learned_is_refused():
    with pytest.raises(InputError, match="trained with a context of 8192"):
        serve(context=9000, parallel=1).__enter__()


def test_a_file_that_is_no_model_is_one_sentence(tmp_path):
    (tmp_path / "broken.gguf").write_bytes(b"no model")
    with pytest.raises(InputError, match="ended before it was ready"), serve(tmp_path):
        pass


def test_the_bundled_model_is_found():
    assert find_gguf(None).name == "SmolLM2-135M-Instruct.Q4_1.gguf"
