"""One chapter of the book: its parameters, the digest of all it depends on, its execution by papermill.

A chapter is a notebook named in ``_toc.yml``. It depends on its code cells, the parameters of the run, the
library's sources, the lock file, the Python version and the data at hand; `digest` is one hash over these.
`python -m kgpert_lib.book.chapters NOTEBOOK TARGET` executes one notebook in a process of its own.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from kgpert_lib import paths
from kgpert_lib.book import cells
from kgpert_lib.errors import InputError

KERNEL_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
SOURCE_HEAD = 6
_SETTING = re.compile(r"(?:^|\s+)([A-Za-z_]\w*)=")
_BARE_BOOLEANS = frozenset({"y", "n", "yes", "no", "on", "off"})


@dataclass(frozen=True)
class Chapter:
    """A notebook of the book; `path` is its file, `page` its name in ``_toc.yml``."""

    path: Path
    page: str

    @property
    def name(self) -> str:
        """File name without its ending, such as ``02_graph_neighbours``."""
        return self.path.stem

    @property
    def number(self) -> str:
        """What stands before the first underscore, such as ``02``."""
        return self.name.partition("_")[0]

    @cached_property
    def notebook(self) -> Any:
        """The notebook as nbformat reads it."""
        import nbformat

        try:
            return nbformat.read(self.path, as_version=4)
        except (nbformat.reader.NotJSONError, nbformat.ValidationError) as error:
            raise InputError(f"{self.path} is not a notebook; restore it or run `make sync`.") from error

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Parameters in the cell tagged ``parameters`` with their stored values (the text where it is no literal)."""
        from papermill import inspect_notebook

        def value(text: str) -> Any:
            try:
                return ast.literal_eval(text)
            except (ValueError, SyntaxError):
                return text

        found = inspect_notebook(str(self.path))
        return {name: value(entry["default"]) for name, entry in found.items()}

    def check_pairing(self) -> None:
        """InputError when the paired ``.py`` file holds other cells than the notebook."""
        script = self.path.with_suffix(".py")
        if not script.is_file():
            return
        import jupytext

        def cells(notebook: Any) -> list[tuple[str, str]]:
            return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]

        if cells(jupytext.read(script)) != cells(self.notebook):
            raise InputError(f"{self.path.name} and {script.name} hold different cells; run `make sync`.")


def toc_pages(toc: Mapping[str, Any]) -> list[str]:
    """The root and every ``file`` of a table of contents, in reading order."""
    pages: list[str] = []

    def walk(node: Any) -> None:
        if isinstance(node, Mapping):
            pages.extend(str(node[key]) for key in ("root", "file") if key in node)
            for child in node.values():
                walk(child)
        elif isinstance(node, Sequence) and not isinstance(node, str):
            for child in node:
                walk(child)

    walk(toc)
    return pages


def read_chapters(root: Path, toc: Mapping[str, Any]) -> list[Chapter]:
    """The notebooks among the pages of the table of contents."""
    return [
        Chapter(path, page.removesuffix(".ipynb"))
        for page in toc_pages(toc)
        if (path := root / f"{page.removesuffix('.ipynb')}.ipynb").is_file()
    ]


def choose(chapters: Sequence[Chapter], wanted: Sequence[str] | None) -> list[Chapter]:
    """The chapters named by number (``02``, ``2``) or name; all of them for None."""
    if wanted is None:
        return list(chapters)
    keys = {key: chapter for chapter in chapters for key in (chapter.name, chapter.number, chapter.number.lstrip("0"))}
    unknown = [name for name in wanted if name not in keys]
    if unknown:
        raise InputError(f"There is no chapter {unknown[0]!r}; the book has {', '.join(c.name for c in chapters)}.")
    chosen = {keys[name].name for name in wanted}
    return [chapter for chapter in chapters if chapter.name in chosen]


def parse_settings(text: str) -> dict[str, Any]:
    """Parameters from ``"atlas=perturbqa limit=10 lines=[k562, rpe1]"``; each value is read as YAML.

    A bare word stays a string, also ``on`` and ``no``. InputError names text that is no ``name=value``.
    """
    parts = _SETTING.split(text.strip())
    if parts[0].strip():
        raise InputError(
            f"{parts[0].strip()!r} is not a setting; write name=value, several of them with spaces between."
        )
    return {name: _value(name, raw.strip()) for name, raw in zip(parts[1::2], parts[2::2], strict=True)}


def _value(name: str, raw: str) -> Any:
    if raw.lower() in _BARE_BOOLEANS:
        return raw
    for number in (int, float):
        try:
            return number(raw)
        except ValueError:
            continue
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as error:
        raise InputError(
            f"The value {raw!r} of {name} cannot be read; write a YAML value such as 10 or [a, b]."
        ) from error


def check_parameters(chapters: Sequence[Chapter], parameters: Mapping[str, Any]) -> None:
    """InputError for a parameter that no chosen chapter has, or whose value is of another type than the stored one."""
    known: dict[str, Any] = {name: value for chapter in chapters for name, value in chapter.defaults.items()}
    for name, value in parameters.items():
        if name not in known:
            have = ", ".join(sorted(known)) or "no parameters"
            raise InputError(
                f"There is no parameter {name!r} in {', '.join(c.name for c in chapters)}: they have {have}."
            )
        stored = known[name]
        if stored is None or value is None or (isinstance(value, type(stored)) and not isinstance(value, bool)):
            continue
        fits = isinstance(value, bool) == isinstance(stored, bool) and (
            isinstance(value, type(stored)) or (isinstance(stored, float) and isinstance(value, int))
        )
        if not fits:
            raise InputError(f"{name}={value!r} is not usable: the chapters store {name} = {stored!r}; give its like.")


def data_state(root: Path) -> dict[str, str]:
    """What data there is: content hashes of committed tables; size and time of downloads and mirrored files."""
    state = {}
    for path in _files(root / "data"):
        if path.suffix != ".md":
            state[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    for folder in (paths.mirror_dir(), paths.cache_dir()):
        for path in _files(folder) if folder else ():
            found = path.stat()
            state[str(path)] = f"{found.st_size} {found.st_mtime_ns}"
    return state


def code_state(root: Path) -> dict[str, str]:
    """Content hashes of the library's sources and the lock file, and the Python version."""
    state = {"python": ".".join(map(str, sys.version_info[:2]))}
    for path in (*_files(root / "kgpert_lib"), root / "requirements.lock"):
        if path.is_file() and "_data" not in path.parts:
            state[str(path.relative_to(root))] = hashlib.sha256(path.read_bytes()).hexdigest()
    return state


def digest(chapter: Chapter, parameters: Mapping[str, Any], code: Mapping[str, str], data: Mapping[str, str]) -> str:
    """Sixteen hex digits over all that the chapter's outputs depend on; the text of the chapter is not among it."""
    cells = [
        (cell.source, cell.metadata.get("tags", [])) for cell in chapter.notebook.cells if cell.cell_type == "code"
    ]
    return hash_of([cells, parameters, code, data])


def hash_of(value: Any) -> str:
    """Sixteen hex digits of the SHA-256 of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def page_of(chapter: Chapter, executed: Any) -> Any:
    """The chapter as it stands with the outputs of an executed copy: current prose, no times, no papermill metadata.

    The cell of parameters that papermill put in stays, after the chapter's own.
    """
    page = copy.deepcopy(chapter.notebook)
    results = [cell for cell in executed.cells if cell.cell_type == "code"]
    injected = [cell for cell in results if "injected-parameters" in cell.metadata.get("tags", [])]
    own = [cell for cell in results if cell not in injected]
    for cell, result in zip((cell for cell in page.cells if cell.cell_type == "code"), own, strict=True):
        cell.outputs = result.outputs
        cell.execution_count = result.execution_count
    for cell in injected:
        cell.id = "injected-parameters"
        cell.metadata = {"tags": ["injected-parameters"]}
        after = next(i for i, own_cell in enumerate(page.cells) if "parameters" in own_cell.metadata.get("tags", []))
        page.cells.insert(after + 1, cell)
    return page


def asks_for_data(executed: Any) -> bool:
    """True when an output tells the reader to fetch data: the chapter did without it."""
    outputs = [cell.outputs for cell in executed.cells if cell.cell_type == "code"]
    return "kgpert fetch" in json.dumps(outputs)


def execute(source: Path, target: Path, parameters: Mapping[str, Any], bar: Mapping[str, Any] | None = None) -> None:
    """Run a notebook with papermill and write its page to `target`, whole or not at all.

    Cells whose data cannot be had are left out, and a box says so (`absent`).
    While it runs, and after a failure, the copy being executed lies beside `target` as ``<name>.running.ipynb``.

    Raises
    ------
    papermill.PapermillExecutionError
        When a cell raises.
    """
    import nbformat
    import papermill

    running = target.with_name(f"{source.stem}.running.ipynb")
    chapter = Chapter(source, source.stem)
    ready = cells.readied(source, running, chapter.notebook, chapter.defaults | dict(parameters))
    papermill.execute_notebook(
        str(ready),
        str(running),
        parameters=dict(parameters),
        kernel_name="python3",
        cwd=str(source.parent),
        progress_bar={"desc": source.stem, "dynamic_ncols": True} | dict(bar or {}),
    )
    page = page_of(chapter, nbformat.read(running, as_version=4))
    whole = target.with_name(f"{source.stem}.whole.ipynb")
    nbformat.write(page, whole)
    whole.replace(target)
    running.unlink()


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute one notebook.

    With ``--attached`` it stops as soon as standard input closes, an error goes to ``<target>.error``, and standard
    error is left to the progress bar: what the kernel itself writes goes to standard output.
    """
    parser = argparse.ArgumentParser(prog="python -m kgpert_lib.book.chapters", description="Execute one notebook.")
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--parameters", type=json.loads, default={}, help="a JSON object")
    parser.add_argument("--position", type=int, default=0, help="row of the progress bar")
    parser.add_argument("--attached", action="store_true", help="stop when standard input closes")
    options = parser.parse_args(arguments)
    os.environ.update(KERNEL_ENVIRONMENT)
    source, target = options.source.absolute(), options.target.absolute()
    bar: dict[str, Any] = {"position": options.position}
    if options.attached:
        threading.Thread(target=_stop_with_parent, daemon=True).start()
        bar["file"] = os.fdopen(os.dup(2), "w")
        os.dup2(1, 2)
    try:
        execute(source, target, options.parameters, bar)
    except Exception as error:
        text = describe(error)
        target.with_suffix(".error").write_text(text, encoding="utf-8") if options.attached else print(text)
        return 1
    return 0


def describe(error: Exception) -> str:
    """Which cell failed, the head of its source, and the error; for a dead kernel only the error."""
    from papermill import PapermillExecutionError

    if not isinstance(error, PapermillExecutionError):
        return f"{type(error).__name__}: {error}"
    lines = error.source.strip().splitlines()
    head = [*lines[:SOURCE_HEAD], "..."] if len(lines) > SOURCE_HEAD else lines
    source = "\n".join(f"    {line}" for line in head)
    return f"cell In [{error.exec_count}]:\n{source}\n{error.ename}: {error.evalue}"


def _stop_with_parent() -> None:
    """Wait for the parent's end, however it comes; nbclient stops the kernel on SIGTERM."""
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    os._exit(1)


def _files(folder: Path) -> list[Path]:
    found = [p for p in folder.rglob("*") if p.is_file() and not p.name.startswith(".")] if folder.is_dir() else []
    return sorted(p for p in found if "__pycache__" not in p.parts)


if __name__ == "__main__":
    sys.exit(main())
