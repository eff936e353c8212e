"""A real HTTP server on 127.0.0.1 that can misbehave, and registries that point at it."""

import hashlib
import json
import socket
import struct
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import chain, repeat

import pytest

from kgpert_lib.downloads import download
from kgpert_lib.downloads.registry import Registry

ENDLESS = {
    "trickle-headers": (b"HTTP/1.1 200 OK\r\nX-Long: ", b"x"),
    "trickle-chunk": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", b"x"),
    "trickle-continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


class FileServer:
    """Serves `files` by path with Range support; `faults[path]` is a queue with one fault for each request.

    Faults: an HTTP status such as ``"500"``; ``"truncate"`` and ``"reset"`` break off after half of the body;
    ``"stall"`` does so until `release` is set; ``"wrong"`` flips the bytes; ``"whole"`` ignores Range;
    ``"half-whole"`` ignores Range and breaks off; ``"page"`` answers with HTML; ``"trickle"`` sends one byte at a
    time until the client gives up, and those of `ENDLESS` do so before the body; ``"lengthless"`` gives a
    Content-Length that is no number; a fault that starts with ``"->"`` redirects to the rest of it.
    """

    def __init__(self):
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[str]] = defaultdict(list)
        self.requests: list[tuple[str, int]] = []
        self.sent: dict[str, int] = defaultdict(int)
        self.stalled, self.release = threading.Event(), threading.Event()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    @property
    def address(self):
        return f"http://127.0.0.1:{self.httpd.server_port}"

    def answer(self, handler):
        path, body = handler.path, self.files.get(handler.path)
        fault = self.faults[path].pop(0) if self.faults[path] else ""
        tag = '"' + hashlib.md5(body or b"").hexdigest() + '"'
        start = 0
        wanted = handler.headers.get("Range", "")
        if wanted and "whole" not in fault and handler.headers.get("If-Range", tag) == tag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        self.requests.append((path, start))
        if body is None or fault.isdigit():
            handler.send_error(int(fault) if fault else 404)
            return
        if fault.startswith("->"):
            handler.send_response(302)
            handler.send_header("Location", fault.removeprefix("->"))
            handler.end_headers()
            return
        if fault in ENDLESS:
            self.trickle(handler, chain([ENDLESS[fault][0]], repeat(ENDLESS[fault][1])))
            return
        rest = body[start:]
        if fault == "wrong":
            rest = bytes(255 - b for b in rest)
        handler.send_response(206 if start else 200)
        handler.send_header("Content-Type", "text/html" if fault == "page" else "application/octet-stream")
        handler.send_header("Content-Length", "many" if fault == "lengthless" else str(len(rest)))
        handler.send_header("ETag", tag)
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        handler.end_headers()
        if fault in ("truncate", "half-whole", "reset", "stall"):
            self.send(handler, path, rest[: len(rest) // 2])
            rest = rest[len(rest) // 2 :]
        if fault == "reset":
            handler.wfile.flush()
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            handler.connection.close()
        elif fault == "stall":
            self.stalled.set()
            self.release.wait()
            self.send(handler, path, rest)
        elif fault == "trickle":
            self.trickle(handler, (bytes([byte]) for byte in rest))
        elif fault not in ("truncate", "half-whole"):
            self.send(handler, path, rest)

    def send(self, handler, path, data):
        try:
            handler.wfile.write(data)
            self.sent[path] += len(data)
        except OSError:
            pass

    def trickle(self, handler, pieces):
        try:
            for piece in pieces:
                handler.wfile.write(piece)
                if self.release.wait(0.001):
                    return
        except OSError:
            pass

    def close(self):
        self.release.set()
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join()


@pytest.fixture
def server():
    """The misbehaving server, started and stopped."""
    running = FileServer()
    yield running
    running.close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch):
    monkeypatch.setattr(download, "WAIT_SECONDS", 0)


@pytest.fixture
def write_registry(tmp_path):
    """Writes a registry.toml: ``write_registry({"a.bin": {"urls": [...], "checksum": ..., "bytes": ...}})``."""

    def write(files, group="lab"):
        lines = [f"[groups.{group}]"]
        lines += [f'{key} = "made up"' for key in ("title", "licence", "citation", "attribution")]
        for name, fields in files.items():
            lines.append(f'[groups.{group}.files."{name}"]')
            lines += [f"{key} = {json.dumps(value)}" for key, value in fields.items()]
        path = tmp_path / "registry.toml"
        path.write_text("\n".join(lines))
        return path

    return write


@pytest.fixture
def make_registry(write_registry):
    """As `write_registry`, read back."""
    return lambda files, group="lab": Registry.read(write_registry(files, group))
