"""Pages of the API reference: one for each room of the library, and the tables of the page that leads to them.

A page holds directives of Sphinx' autodoc, which reads the docstrings when the book is rendered, and a digest of the
modules that it shows, so that the book is rendered anew when one of them changes.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import kgpert_lib
from kgpert_lib.files import digest, write_text

if TYPE_CHECKING:
    from kgpert_lib.book.generated import Staging

TABLES = "tables.txt"  # not a page: `book/api.md` includes it


@dataclass(frozen=True)
class Room:
    """Part of the library with a page of its own.

    Attributes
    ----------
    page : name of the page below ``book/api``.
    title : its title, and that of its table.
    packages : packages and modules below `kgpert_lib`; a package stands for all modules in it.
    without : packages below them that are left out.
    """

    page: str
    title: str
    packages: tuple[str, ...]
    without: tuple[str, ...] = ()

    @cached_property
    def modules(self) -> tuple[ModuleType, ...]:
        """The modules that define a public name, a package before what is in it."""
        without = {f"kgpert_lib.{package}" for package in self.without}
        modules = chain.from_iterable(_modules(f"kgpert_lib.{package}", without) for package in self.packages)
        return tuple(module for module in modules if public_names(module))


ROOMS = (
    Room("screens", "Screens", ("screens",)),
    Room("graphs", "Graphs", ("graphs",)),
    Room("predictors", "Predictors", ("predictors",)),
    Room("evaluation", "Evaluation", ("evaluation",)),
    Room("metrics", "Metrics", ("metrics",)),
    Room("llm", "Language models", ("llm",)),
    Room("perturbqa", "PerturbQA's questions", ("perturbqa",)),
    Room("rl", "Rewards and recorded runs", ("rl",), ("rl.job", "rl.rehearsal")),
    Room("files", "Errors, files and downloads", ("errors", "types", "lines", "paths", "files", "cache", "downloads")),
)


def public_names(module: ModuleType) -> list[str]:
    """Classes and functions that a module defines under a name without an underscore, in their order."""
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(inspect.unwrap(value)))
        and value.__module__ == module.__name__
    ]


def home(name: str) -> str:
    """The full name under which an exported name of the library is defined."""
    value = getattr(kgpert_lib, name)
    return f"{value.__module__}.{value.__qualname__}"


def write(staging: Staging) -> None:
    """Write the rooms' pages and the tables into the staged book."""
    folder = staging.folder / "book" / "api"
    folder.mkdir(exist_ok=True)
    exports = [name for name in kgpert_lib.__all__ if not name.startswith("_")]
    own = f".. automodule:: kgpert_lib\n\n.. currentmodule:: None\n\n{_table(home(name) for name in exports)}"
    tables = ["## Names of `kgpert_lib` itself", _rest(own)]
    for room in ROOMS:
        write_text(folder / f"{room.page}.rst", _page(room))
        tables.append(f"## [{room.title}](api/{room.page}.rst)")
        for module in room.modules:
            names = (f"{module.__name__}.{name}" for name in public_names(module))
            tables.append(_rest(f"`{module.__name__}`: {_summary(module)}\n\n{_table(names)}"))
    write_text(folder / TABLES, "\n\n".join(tables) + "\n")


def _modules(name: str, without: Collection[str]) -> Iterator[ModuleType]:
    """A module or package and all modules below it; those named in `without` are not imported."""
    if name not in without:
        module = import_module(name)
        yield module
        for info in pkgutil.iter_modules(getattr(module, "__path__", []), f"{name}."):
            yield from _modules(info.name, without)


def _page(room: Room) -> str:
    """A room's page in reStructuredText."""
    about = f".. meta::\n   :description lang=en: Reference of the Python library kgpert_lib: {room.title.lower()}."
    parts = [f".. {_state(room)}", about, _heading(room.title, "=")]
    for module in room.modules:
        parts += [_heading(module.__name__, "-"), f".. automodule:: {module.__name__}"]
        for name in public_names(module):
            full = f"{module.__name__}.{name}"
            is_class = inspect.isclass(getattr(module, name))
            parts.append(f".. autoclass:: {full}\n   :members:" if is_class else f".. autofunction:: {full}")
    return "\n\n".join(parts) + "\n"


def _state(room: Room) -> str:
    """A digest of the source of the room's modules."""
    return digest(*(Path(str(module.__file__)) for module in room.modules))


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"


def _summary(module: ModuleType) -> str:
    """The first paragraph of a module's docstring in one line."""
    return " ".join((inspect.getdoc(module) or "").partition("\n\n")[0].split())


def _table(names: Iterable[str]) -> str:
    """A table of names with the first sentences of their docstrings, in reStructuredText."""
    rows = "\n".join(f"   ~{name}" for name in names)
    return f".. autosummary::\n   :nosignatures:\n\n{rows}"


def _rest(text: str) -> str:
    """reStructuredText inside a page of Markdown."""
    return f"```{{eval-rst}}\n{text}\n```"
