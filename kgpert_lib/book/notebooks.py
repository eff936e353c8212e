"""Chapters as notebooks to download: the first code cell gets a library that is missing, so that they run alone."""

from __future__ import annotations

from typing import Any

import nbformat

TAG = "install"
_HEAD = """# For a notebook that was downloaded alone; does nothing where the library is.
from importlib.util import find_spec
"""
_FROM_REPOSITORY = """import subprocess
import sys

if find_spec("kgpert_lib") is None:
    library = "kgpert-lib @ git+{repository}"
    command = [sys.executable, "-m", "pip", "install", "--quiet", library]
    subprocess.run(command, check=True)"""
_FROM_CLONE = """
if find_spec("kgpert_lib") is None:
    raise ModuleNotFoundError(
        "Run `pip install .` in a clone of this book's repository, "
        "and then this cell again."
    )"""


def with_install(page: Any, repository: str | None) -> Any:
    """A copy of a chapter whose first code cell, tagged ``install``, gets the library where it is missing.

    From `repository`, its https address; without one the cell says how to install the library from a clone. Jupyter
    shows the cell collapsed.
    """
    page = without_install(page)
    body = _FROM_REPOSITORY.format(repository=repository) if repository else _FROM_CLONE
    metadata = {"tags": [TAG], "jupyter": {"source_hidden": True}}
    cell = nbformat.v4.new_code_cell(_HEAD + body, metadata=metadata, id=TAG)
    place = next((k for k, other in enumerate(page.cells) if other.cell_type == "code"), len(page.cells))
    page.cells.insert(place, cell)
    return page


def without_install(page: Any) -> Any:
    """A copy of a chapter without the cell that `with_install` adds."""
    page = nbformat.from_dict(page)
    page.cells = [cell for cell in page.cells if TAG not in cell.metadata.get("tags", [])]
    return page
