"""A folder that vLLM can serve, from the weights that a step of a run left and the base model's other files."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path

from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic, writing
from kgpert_lib.rl.job.config import read_json
from kgpert_lib.rl.job.launch import steps

MARKER = "STABLE"  # Prime-RL writes it when the weights of a step are whole
NAME = "kgpert"  # under which the server answers
INDEX = "model.safetensors.index.json"
ADAPTER, ADAPTER_CONFIG = "adapter_model.safetensors", "adapter_config.json"
BASE_FILES = (
    "config.json", "generation_config.json", "tokenizer*", "vocab.json", "merges.txt", "special_tokens_map.json",
    "added_tokens.json", "chat_template*",
)  # fmt: skip
TIED = "lm_head.weight"  # the same numbers as the embedding where the base ties them; may be left out of either
LONGEST_HEADER = 100_000_000  # bytes, as in the safetensors library
LORA_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)  # that vLLM has room for


@dataclass(frozen=True)
class Served:
    """What was assembled: the folder, the command that serves it, and notes on what could not be checked."""

    folder: Path
    command: str
    notes: tuple[str, ...] = ()


def assemble(run: Path, step: int, output: Path, base: str | None = None) -> Served:
    """Make a folder of the weights of a step and of the base model's configuration and tokenizer.

    Weights are hard links where the file system allows it, and copies elsewhere: Prime-RL removes its own files
    later. A LoRA run leaves adapters, which are served beside the base model.

    Parameters
    ----------
    run : folder of the run. step : of the weights; ``broadcasts/step_N``.
    output : the folder to make; it appears whole or not at all.
    base : folder or hub name of the base model. Default: what the run was started from.

    Raises
    ------
    InputError
        For a step without whole weights (naming those there are), a base model that cannot be had, a damaged file,
        weights that are not those of the base model, and as `files.atomic`.
    """
    weights = _weights(run, step)
    name = base or _base_of(run)
    adapter = (weights / ADAPTER).is_file()
    folder = _base_folder(name)
    tensors = tensor_names(weights)
    notes = _compared(tensors, folder, name, adapter)
    output = output.absolute()
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise InputError(f"{output} is there already; name another folder.")
    with atomic(output) as scratch, writing(output):
        scratch.mkdir()
        for path in sorted(weights.iterdir()):
            if path.suffix == ".safetensors" or path.name in (INDEX, ADAPTER_CONFIG):
                _link(path, scratch / path.name)
        for path in [] if adapter else _base_files(folder):
            shutil.copyfile(path, scratch / path.name)
    return Served(output, _command(output, name, run, weights if adapter else None), notes)


def tensor_names(folder: Path) -> set[str]:
    """Names of the tensors in the safetensors files of a folder, from their headers; every file has to be whole.

    InputError where there is no file, one is damaged or cut off, or the index names others.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"{folder} holds no weights (*.safetensors); name another step.")
    by_file = {path.name: _header(path) for path in files}
    names = {tensor for tensors in by_file.values() for tensor in tensors}
    if (folder / INDEX).is_file():
        listed = _index(folder / INDEX)
        if any(tensor not in by_file.get(file, ()) for tensor, file in listed.items()) or set(listed) != names:
            raise InputError(f"The files in {folder} are not those that its {INDEX} lists; name another step.")
    elif len(files) > 1:
        raise InputError(f"{folder} holds {len(files)} files of weights and no {INDEX}; name another step.")
    return names


def _weights(run: Path, step: int) -> Path:
    if not run.is_dir():
        raise InputError(f"{run} is no folder; name the folder of a run, such as outputs/kgpert.")
    broadcasts = steps(run / "broadcasts")
    whole = [number for number, path in broadcasts.items() if (path / MARKER).exists()]
    if step in whole:
        return broadcasts[step]
    there = f"those of the steps {', '.join(map(str, whole))} are" if whole else "no step has any"
    what = "were not written to the end" if step in broadcasts else "are not there"
    hint = "" if broadcasts else '; a run keeps them with [weight_broadcast] type = "filesystem"'
    raise InputError(f"The weights of step {step} of {run} {what}; {there}{hint}.")


def _base_of(run: Path) -> str:
    """The model that the run was started from, of the configuration that Prime-RL resolved."""
    for file in ("trainer.json", "rl.json"):
        path = run / "configs" / file
        model = read_json(path).get("model") if path.is_file() else None
        if isinstance(model, dict) and isinstance(model.get("name"), str):
            return model["name"]
    raise InputError(f"{run / 'configs'} does not say which model the run was started from; name it with --base.")


def _base_folder(name: str) -> Path:
    """The folder of the base model: as named, else in the cache of the Hugging Face hub, else downloaded to it."""
    if Path(name).is_dir():
        folder = Path(name)
    else:
        from huggingface_hub import snapshot_download

        wanted = [*BASE_FILES, INDEX]
        try:
            folder = Path(snapshot_download(name, allow_patterns=wanted, local_files_only=True))
            cached = not _missing(folder)
        except Exception:  # not in the cache; its reasons have no class in common
            cached = False
        try:
            folder = folder if cached else Path(snapshot_download(name, allow_patterns=wanted))
        except Exception as error:  # a wrong name, no network, no access
            reason = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
            raise InputError(
                f"The base model {name} is no folder here and cannot be had from the hub ({reason}); name its folder "
                "with --base."
            ) from error
    if missing := _missing(folder):
        raise InputError(f"{folder} holds no {missing[0]}; name the folder of the base model with --base.")
    return folder


def _missing(folder: Path) -> list[str]:
    """Files without which nothing can be served."""
    return [name for name in ("config.json", "tokenizer_config.json") if not (folder / name).is_file()]


def _base_files(folder: Path) -> list[Path]:
    return sorted({path for pattern in BASE_FILES for path in folder.glob(pattern) if path.is_file()})


def _compared(tensors: set[str], base: Path, name: str, adapter: bool) -> tuple[str, ...]:
    """Nothing where the tensors are those of the base model; a note where its own names are not at hand."""
    if (base / INDEX).is_file():
        known = set(_index(base / INDEX))
    elif any(base.glob("*.safetensors")):
        known = tensor_names(base)
    else:
        return (f"{name} has no {INDEX}, so the names of the weights were not compared.",)
    if adapter:
        modules = {_adapted(tensor) for tensor in tensors}
        if other := sorted(module for module in modules if f"{module}.weight" not in known):
            raise InputError(f"The adapter changes {other[0]}, which {name} lacks; name its own base with --base.")
        return ()
    tied = {TIED} if read_json(base / "config.json").get("tie_word_embeddings") else set()
    missing, more = sorted(known - tensors - tied), sorted(tensors - known - tied)
    if missing or more:
        which = f"{missing[0]} is missing" if missing else f"{more[0]} is not in it"
        raise InputError(
            f"The weights are not those of {name}: {len(missing)} tensors are missing and {len(more)} are others "
            f"({which}); name their own base with --base."
        )
    return ()


def _adapted(tensor: str) -> str:
    """The module that a tensor of an adapter belongs to."""
    return re.sub(r"\.lora_(A|B)(\.\w+)*$", "", tensor.removeprefix("base_model.model."))


def _command(output: Path, base: str, run: Path, adapter: Path | None) -> str:
    file = run / "configs" / "inference.json"
    vllm = read_json(file).get("vllm", {}) if file.is_file() else {}
    length = vllm.get("max_model_len") if isinstance(vllm, dict) else None
    limit = ["--max-model-len", str(length)] if isinstance(length, int) else []
    if adapter is None:
        return shlex.join(["vllm", "serve", str(output), "--served-model-name", NAME, *limit])
    rank = read_json(adapter / ADAPTER_CONFIG).get("r", LORA_RANKS[0]) if (adapter / ADAPTER_CONFIG).is_file() else None
    if not isinstance(rank, int):
        raise InputError(f"{adapter} has no {ADAPTER_CONFIG} with the rank of the adapter; name another step.")
    room = next((r for r in LORA_RANKS if r >= rank), rank)
    lora = ["--enable-lora", "--max-lora-rank", str(room), "--lora-modules", f"{NAME}={output}"]
    return shlex.join(["vllm", "serve", base, *lora, *limit])


def _header(path: Path) -> list[str]:
    """Names of the tensors of a safetensors file: 8 bytes with the length of the header, the header as JSON, the data.

    InputError for a damaged file and one that is shorter than its header says.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length)) if 0 < length <= min(size, LONGEST_HEADER) else None
        tensors = {name: entry for name, entry in header.items() if name != "__metadata__"}  # type: ignore[union-attr]
        end = max((int(entry["data_offsets"][1]) for entry in tensors.values()), default=0)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); name another step.") from error
    except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
        raise InputError(f"{path} is no safetensors file, or damaged; name another step.") from error
    if size != 8 + length + end:
        raise InputError(f"{path} has {size:,} bytes and should have {8 + length + end:,}; name another step.")
    return list(tensors)


def _index(path: Path) -> dict[str, str]:
    listed = read_json(path).get("weight_map")
    if not isinstance(listed, dict):
        raise InputError(f"{path} has no weight_map; it is no index of safetensors.")
    return listed


def _link(source: Path, target: Path) -> None:
    """A hard link, or a copy where the file system has none or another one is meant."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.EACCES):
            raise
        shutil.copyfile(source, target)
