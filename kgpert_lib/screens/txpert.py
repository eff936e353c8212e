"""TxPert's published split of the K562 screen, read from its archive without running what a pickle may ask for.

The split is the Python pickle ``splits/train_test_split.pkl`` inside ``K562_single_cell_line.zip``: names of
conditions (``GENE+ctrl``) by split, or the same one level down by cell line. A plain unpickler would call any function
that the file names; this one builds containers, text and arrays of text, and nothing of NumPy's own is called.
"""

from __future__ import annotations

import io
import pickle
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kgpert_lib.errors import InputError

ARCHIVE = "K562_single_cell_line.zip"
MEMBER = "splits/train_test_split.pkl"
LARGEST = 1 << 26  # bytes of the unpacked pickle; names of a few thousand conditions take a hundredth of that
_SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
_CONTROL = "ctrl"


def read_split(archive: str | Path, line: str) -> dict[str, str]:
    """``"train"``, ``"val"`` or ``"test"`` by gene, for one cell line.

    Raises InputError for a file that is no such archive, for a pickle that asks for anything but containers and text,
    for a split of another name or without the line, and for a gene in two splits.
    """
    try:
        with zipfile.ZipFile(archive) as files:
            [member] = [item for item in files.infolist() if f"/{item.filename}".endswith(f"/{MEMBER}")]
            if member.file_size > LARGEST:
                raise pickle.UnpicklingError(f"it has {member.file_size:,} bytes, too many for a list of names")
            content = _Names(io.BytesIO(files.read(member))).load()
    except Exception as error:  # zipfile and damaged pickles raise many kinds
        raise InputError(f"{archive} is not TxPert's archive with a readable {MEMBER} ({error}).") from error
    where = f"{archive}: {MEMBER}"
    if not isinstance(content, dict) or not content:
        raise InputError(f"{where} holds no lists of conditions by split.")
    if all(isinstance(part, dict) for part in content.values()):
        by_line = {str(name).casefold(): part for name, part in content.items()}
        if line.casefold() not in by_line:
            raise InputError(f"{where} has no cell line {line}; it has {', '.join(map(str, content))}.")
        content = by_line[line.casefold()]
    labels: dict[str, str] = {}
    for name, conditions in content.items():
        if str(name).casefold() not in _SPLITS:
            raise InputError(f"{where} has the part {name!r}; expected train, val and test.")
        split = _SPLITS[str(name).casefold()]
        for gene in _genes(conditions, where):
            if labels.setdefault(gene, split) != split:
                raise InputError(f"{where} puts {gene} into both {labels[gene]} and {split}.")
    return labels


def _genes(conditions: Any, where: str) -> Iterable[str]:
    """The one gene of each condition; the control is none."""
    if isinstance(conditions, (str, Mapping)) or not isinstance(conditions, Iterable):
        raise InputError(f"{where} holds no plain lists of conditions.")
    for condition in conditions:
        if not isinstance(condition, str):
            raise InputError(f"{where} holds {condition!r} in the place of a condition.")
        genes = [part for part in condition.split("+") if part != _CONTROL]
        if len(genes) > 1 or "" in genes:
            raise InputError(f"{where} holds the condition {condition!r}; expected names such as GENE+ctrl.")
        yield from genes


class _Dtype:
    """What stands in a pickle for a NumPy type: text (``U12``) or objects (``O8``)."""

    def __init__(self, code: str, *_: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"U\d{1,6}|O8?", code):
            raise pickle.UnpicklingError(f"it holds an array of type {code!r}, where only text is read")
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple) -> None:
        self.order = ">" if state[1] == ">" else "<"

    def texts(self, content: Any) -> list[Any]:
        """The elements: from the bytes of fixed-width text, or the listed objects themselves."""
        if self.code.startswith("O"):
            return content if isinstance(content, list) else _refuse("numpy", "array of objects")
        return np.frombuffer(bytes(content), f"{self.order}{self.code}").tolist()


class _Array(list):
    """What stands in a pickle for a NumPy array: a list of its elements."""

    def __setstate__(self, state: tuple) -> None:
        _, _, dtype, _, content = state
        self[:] = dtype.texts(content)


def _refuse(module: str, name: str) -> Any:
    raise pickle.UnpicklingError(f"it asks for {module}.{name}, where only lists and arrays of text are read")


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _from_buffer(content: Any, dtype: _Dtype, *_: Any) -> _Array:
    return _Array(dtype.texts(content))


def _scalar(dtype: _Dtype, content: Any) -> str:
    return dtype.texts(content)[0]


def _latin(text: str, encoding: str) -> bytes:
    """How old protocols write bytes."""
    return text.encode("latin1") if encoding == "latin1" else _refuse("_codecs", f"encode to {encoding}")


_ALLOWED: dict[tuple[str, str], Callable[..., Any] | type] = {
    **{("builtins", kind.__name__): kind for kind in (dict, list, tuple, set, frozenset, str, bytearray)},
    ("_codecs", "encode"): _latin,
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _reconstruct for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
}


class _Names(pickle.Unpickler):
    """Builds what `_ALLOWED` names and refuses the rest by name, before anything of it is imported."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a global of the pickle; InputError for any that a list of names does not need."""
        module = module.replace("__builtin__", "builtins")  # protocol 2
        return _ALLOWED.get((module, name)) or _refuse(module, name)
