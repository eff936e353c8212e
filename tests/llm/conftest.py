"""A small real HTTP server that speaks enough of the chat completions protocol, well or badly on demand."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from kgpert_lib.llm.client import Retry
from kgpert_lib.llm.models import ModelSpec, Sampling


def completion(text: str, prompt_tokens: int = 10, completion_tokens: int = 5, **usage: int) -> dict[str, Any]:
    total = {"total_tokens": prompt_tokens + completion_tokens}
    return {
        "id": "c",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens} | total | usage,
    }


class Chat:
    """The server: `script` gets the number of the request (from 0) and its body and returns what to do.

    A dict is sent as JSON; ``(status, headers, text)`` as it stands; ``"stall"``, ``"reset"``, ``"cut"``
    and ``"hang up"`` misbehave on the wire.
    """

    def __init__(self) -> None:
        self.script: Callable[[int, dict[str, Any]], Any] = lambda n, body: completion(
            "echo " + body["messages"][-1]["content"]
        )
        self.bodies: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.under_way = self.most_under_way = 0
        self.lock = threading.Lock()
        self.release = threading.Event()
        chat = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with chat.lock:
                    number = len(chat.bodies)
                    chat.bodies.append(body)
                    chat.headers.append({k.lower(): v for k, v in self.headers.items()})
                    chat.under_way += 1
                    chat.most_under_way = max(chat.most_under_way, chat.under_way)
                try:
                    self.act(chat.script(number, body))
                finally:
                    with chat.lock:
                        chat.under_way -= 1

            def act(self, action: Any) -> None:
                if action == "stall":
                    chat.release.wait(30)
                elif action == "reset":
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                elif action == "cut":
                    text = json.dumps(completion("never whole"))
                    self.reply(200, {"Content-Length": str(len(text))}, text[: len(text) // 2])
                elif isinstance(action, dict):
                    self.reply(200, {}, json.dumps(action))
                    return
                else:
                    self.reply(*action)
                    return
                self.close_connection = True
                self.connection.close()

            def reply(self, status: int, headers: dict[str, str], text: str) -> None:
                self.send_response(status)
                defaults = {"Content-Type": "application/json", "Content-Length": str(len(text.encode()))}
                for name, value in (defaults | headers).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())
                self.wfile.flush()

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, *_: Any) -> None:
                pass

        self.server = Quiet(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        self.thread.start()
        self.base_url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def spec(self, **fields: Any) -> ModelSpec:
        given = {"base_url": self.base_url, "model": "m", "context": 4096, "sampling": Sampling(max_tokens=64)}
        return ModelSpec(**{**given, **fields})

    def stop(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def chat() -> Iterator[Chat]:
    server = Chat()
    yield server
    server.stop()


@pytest.fixture
def quick() -> Retry:
    """Six attempts with waits of milliseconds; the time for one is long enough for a busy machine."""
    return Retry(attempts=6, first_wait=0.001, longest_wait=0.01, timeout=20.0)
