"""The chapters of the book: notebooks that ``_toc.yml`` names, their parameters, and what the outside may set."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from kgpert_lib.errors import InputError

_SETTING = re.compile(r"(?:^|\s+)([A-Za-z_]\w*)=")
_POWER = re.compile(r"[-+]?\d+(\.\d*)?e[-+]?\d+", re.IGNORECASE)


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
        """The notebook. InputError for a file that is none."""
        return read_notebook(self.path)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Parameters in the cell tagged ``parameters`` with their stored values (the text where it is no literal)."""
        cells = [cell for cell in self.notebook.cells if "parameters" in cell.metadata.get("tags", [])]
        try:
            assignments = [node for cell in cells for node in ast.parse(cell.source).body]
        except SyntaxError as error:
            raise InputError(f"The cell of parameters in {self.path} is not Python: {error.msg}.") from error
        return {
            ast.unparse(node.targets[0]): _literal(node.value) for node in assignments if isinstance(node, ast.Assign)
        }

    def own(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Those of the parameters that this chapter has."""
        return {name: value for name, value in parameters.items() if name in self.defaults}

    def check_pairing(self) -> None:
        """InputError when the paired ``.py`` file holds other cells than the notebook, or cannot be read."""
        script = self.path.with_suffix(".py")
        if not script.is_file():
            return
        import jupytext

        def cells(notebook: Any) -> list[tuple[str, str]]:
            return [(cell.cell_type, cell.source.strip()) for cell in notebook.cells]

        try:
            pair = jupytext.read(script)
        except (ValueError, SyntaxError, yaml.YAMLError) as error:
            raise InputError(f"{script} cannot be read; save it as UTF-8 text in jupytext's percent format.") from error
        if cells(pair) != cells(self.notebook):
            raise InputError(f"{self.path.name} and {script.name} hold different cells; run `make sync`.")


def read_notebook(path: Path) -> Any:
    """A notebook, validated. InputError for a file that is none."""
    import nbformat

    try:
        notebook = nbformat.reads(path.read_text(encoding="utf-8"), as_version=4)
        nbformat.validate(notebook)
        return notebook
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        RecursionError,
        nbformat.ValidationError,
    ) as error:
        raise InputError(f"{path} is not a notebook; restore it or run `make sync`.") from error


def read_yaml(path: Path, sections: Sequence[str] = ()) -> dict[str, Any]:
    """A settings file of the book. InputError where it is missing, or it or one of its `sections` is no mapping."""
    if not path.is_file():
        raise InputError(f"{path} is missing; run this in the folder that holds the book.")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is not YAML text; restore it.") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} holds no settings (a YAML mapping); restore it.")
    for name in sections:
        if not isinstance(content.setdefault(name, {}), dict):
            raise InputError(f"{path}: {name} holds no settings (a YAML mapping); restore it.")
    return content


def toc_pages(toc: Any) -> Iterator[str]:
    """The root and every ``file`` of a table of contents without their endings, in reading order."""
    if isinstance(toc, Mapping):
        yield from (str(toc[key]).removesuffix(".ipynb") for key in ("root", "file") if key in toc)
        toc = list(toc.values())
    if isinstance(toc, list):
        for child in toc:
            yield from toc_pages(child)


def read_chapters(root: Path, toc: Mapping[str, Any]) -> list[Chapter]:
    """The notebooks among the pages of the table of contents. InputError where an alias puts a part inside itself."""
    try:
        return [Chapter(path, page) for page in toc_pages(toc) if (path := root / f"{page}.ipynb").is_file()]
    except RecursionError as error:
        raise InputError(f"{root / '_toc.yml'} holds a part that contains itself; restore it.") from error


def select(chapters: Sequence[Chapter], names: Sequence[str] | None) -> list[Chapter]:
    """The chapters with these numbers (``02``, ``2``) or names; all of them for None."""
    if names is None:
        return list(chapters)
    keys = {key: chapter for chapter in chapters for key in (chapter.name, chapter.number, chapter.number.lstrip("0"))}
    unknown = [name for name in names if name not in keys]
    if unknown:
        raise InputError(f"There is no chapter {unknown[0]!r}; the book has {', '.join(c.name for c in chapters)}.")
    return [chapter for chapter in chapters if chapter in [keys[name] for name in names]]


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


def check_parameters(chapters: Sequence[Chapter], parameters: Mapping[str, Any]) -> None:
    """InputError for a parameter that none of the chapters has, or of another type than the stored value."""
    known: dict[str, Any] = {name: value for chapter in chapters for name, value in chapter.defaults.items()}
    for name, value in parameters.items():
        if name not in known:
            have = ", ".join(sorted(known)) or "no parameters"
            raise InputError(
                f"There is no parameter {name!r} in {', '.join(c.name for c in chapters)}: they have {have}."
            )
        stored = known[name]
        types = (float, int) if type(stored) is float else (type(stored),)
        if stored is not None and value is not None and type(value) not in types:  # type(): True is no number here
            raise InputError(f"{name}={value!r} is not usable: the chapters store {name} = {stored!r}; give its like.")


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _value(name: str, raw: str) -> Any:
    try:
        value = yaml.safe_load(raw)
        if isinstance(value, bool) and raw.lower() not in ("true", "false"):
            return raw  # YAML 1.1 takes ``no`` and ``on`` for truth values
        return float(value) if isinstance(value, str) and _POWER.fullmatch(value) else value  # and 1e-3 for a word
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InputError(f"The value {raw[:60]!r} of {name} is not YAML; write such as 10 or [a, b].") from error
