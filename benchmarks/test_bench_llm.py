"""The language-model layer against what it stands on: the bare client, reading JSON lines, `json.loads`."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import openai
import pytest

from benchmarks.ratios import check, ratio
from kgpert_lib.llm.answers import parse, resolver
from kgpert_lib.llm.client import ask
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.record import Answer, Record, Request, answer_key, prompt_hash

REQUESTS, CONCURRENCY, ANSWERS, MEGABYTE = 500, 32, 10_000, 1_000_000
PROMPT = "Which of these genes act with PSMB5? " + ", ".join(f"GENE{i}" for i in range(300))

SERVER = """
import asyncio, json
REPLY = json.dumps({"id": "c", "object": "chat.completion", "created": 0, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": '{"genes": []}'}}],
    "usage": {"prompt_tokens": 900, "completion_tokens": 5, "total_tokens": 905}}).encode()
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(REPLY)
async def serve(reader, writer):
    try:
        while True:
            head = (await reader.readuntil(b"\\r\\n\\r\\n")).lower()
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\\r\\n")[0]))
            await asyncio.sleep(0.05)
            writer.write(HEAD + REPLY)
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A server, in a process of its own, that answers every request after 50 ms."""
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
        process.kill()


def test_asking_against_the_bare_client(base_url: str, tmp_path: Path) -> None:
    prompts = [[{"role": "user", "content": f"{i} {PROMPT}"}] for i in range(REQUESTS)]
    run = count()

    def ours() -> None:
        spec = ModelSpec(base_url=base_url, model="m", context=8192)
        with Record(tmp_path / f"{next(run)}.sqlite") as record:
            requests = [Request(f"q{i}", messages) for i, messages in enumerate(prompts)]
            assert None not in ask(requests, spec, record, concurrency=CONCURRENCY, progress=False).answers

    async def gather() -> None:
        gate = asyncio.Semaphore(CONCURRENCY)
        http = openai.DefaultAsyncHttpxClient(trust_env=False)
        async with openai.AsyncOpenAI(api_key="none", base_url=base_url, max_retries=0, http_client=http) as client:

            async def one(messages: list[dict[str, str]]) -> None:
                async with gate:
                    await client.chat.completions.create(model="m", messages=messages, max_tokens=1024)  # type: ignore[arg-type]

            await asyncio.gather(*map(one, prompts))

    value = ratio(ours, lambda: asyncio.run(gather()))
    check("500 recorded requests, 32 at once, 50 ms each / bare AsyncOpenAI", value, at_most=1.2)


def test_reading_answers_against_reading_json_lines(tmp_path: Path) -> None:
    path, lines_path = tmp_path / "r.sqlite", tmp_path / "r.jsonl"
    sampling = {"temperature": 0.7, "max_tokens": 1024}
    with Record(path) as record, lines_path.open("w", encoding="utf-8") as stream:
        for i in range(ANSWERS):
            messages = [{"role": "user", "content": f"{i} {PROMPT}"}]
            hashed = prompt_hash(messages)
            key, text = answer_key(hashed, "m", sampling, 0), json.dumps({"genes": [f"GENE{j}" for j in range(20)]})
            answer = Answer(key, f"q{i}", hashed, "m", sampling, 0, text, "stop", 900, 80, 1.5, 0.0, None, messages)
            record.add(answer)
            stream.write(json.dumps(answer._asdict()) + "\n")

    def ours() -> None:
        with Record(path) as again:
            assert sum(1 for _ in again) == ANSWERS

    def lines() -> None:
        with lines_path.open("rb") as stream:
            assert len([json.loads(line) for line in stream]) == ANSWERS

    check("10,000 recorded answers / the same answers as JSON lines", ratio(ours, lines), at_most=3)


@pytest.mark.parametrize(
    "piece",
    [
        '"add": [',
        '"add":["A"],"remove":[]',
        '{"gene":"A"},',
        '["A',
        "<add>",
        "<",
        "- A\n",
        "add:A\n",
        "\n",
        '"\n',
        "{",
        "é‑",
    ],
)
def test_an_adversarial_megabyte_against_json(piece: str) -> None:
    valid = json.dumps({"add": ["PSMB5"] * 55_000, "remove": ["PSMB6"] * 55_000})
    text, known = piece * (MEGABYTE // len(piece)), resolver(["PSMB5", "PSMB6", "A"])
    value = ratio(
        lambda: [parse(text, fields, known, prompt=PROMPT) for fields in (("add", "remove"), ("genes",))],
        lambda: [json.loads(valid) for _ in range(2)],
    )
    check(f"1 MB of {piece!r} parsed / json.loads of 1 MB", value, at_most=20)
