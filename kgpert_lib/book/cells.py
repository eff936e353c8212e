"""Cells of a chapter whose data is not on this machine, or whose atlas its parameter ``atlas`` does not name.

Five tags say what a cell needs. ``needs-data``: PerturbQA. ``needs-replogle``: Replogle's expression. ``dense``: an
expression atlas, which is any but PerturbQA. ``simulated``: the simulated atlas. ``example``: the example that a
chapter makes where its parameter ``file`` names none. Cells of an atlas that is not named
are not run, and neither they nor the text with the same tags are on the page. Where files cannot be had, a box that
says how to fetch them stands in the place of the results. PerturbQA is downloaded when the book is built; Replogle's
files are large, so that they are used where they are and never asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpert_lib.downloads.fetch import available
from kgpert_lib.lines import LINES
from kgpert_lib.screens import perturbqa, replogle
from kgpert_lib.screens.load import SIMULATED, atlas_names, named

TAG = "needs-data"
EXPRESSION = "needs-replogle"
DENSE = "dense"
EXAMPLE = "example"
PATHS = ("atlas", "file", "edges", "graph")  # parameters that may name a reader's own files
NEEDS: Mapping[str, Callable[[list[str]], bool]] = {
    TAG: lambda names: perturbqa.NAME in names,
    EXPRESSION: lambda names: any(name.partition(":")[0] == replogle.NAME for name in names),
    DENSE: lambda names: any(name != perturbqa.NAME for name in names),
    SIMULATED: lambda names: SIMULATED in names,
}


@dataclass(frozen=True)
class Box:
    """What stands in the place of results whose data is not here."""

    title: str
    command: str
    size: str

    @property
    def html(self) -> str:
        """The box as the page shows it."""
        return (
            f'<div class="admonition warning"><p class="admonition-title">{self.title} is not on this machine</p>'
            f"<p>The results of this section come from real screens. Fetch them with <code>{self.command}</code> "
            f"({self.size}) and run <code>make book</code> again.</p></div>"
        )


BOXES: Mapping[str, Box] = {
    TAG: Box("PerturbQA", "kgpert fetch perturbqa", "14 MB"),
    EXPRESSION: Box("Replogle\N{RIGHT SINGLE QUOTATION MARK}s expression", "kgpert fetch replogle", "175 MB"),
}


def needs_data(cell: Any) -> bool:
    """True for a code cell that uses downloaded data."""
    return cell is not None and cell.cell_type == "code" and _has(cell, BOXES)


def never_stored(cell: Any) -> bool:
    """True for a code cell whose outputs no notebook is stored with, because its data is an optional download."""
    return cell.cell_type == "code" and _has(cell, {EXPRESSION})


def unused_tags(parameters: Mapping[str, Any]) -> set[str]:
    """The tags whose atlas the parameter ``atlas`` does not name, and that of an example where there is a ``file``;
    none for a chapter without these parameters.
    """
    unused = {EXAMPLE} if parameters.get("file") else set()
    if "atlas" not in parameters:
        return unused
    names = atlas_names(str(parameters["atlas"]))
    return unused | {tag for tag, applies in NEEDS.items() if not applies(names)}


def without_unused(page: Any, parameters: Mapping[str, Any]) -> Any:
    """The page without the cells, text and code, of atlases that are not named; `page` itself is changed."""
    tags = unused_tags(parameters)
    page.cells = [cell for cell in page.cells if not _has(cell, tags)]
    return page


def data_files(notebook: Any, parameters: Mapping[str, Any]) -> list[str]:
    """The files of PerturbQA that the cells of a chapter need, by their names in the registry."""
    if not _uses(notebook, parameters, TAG):
        return []
    lines = dict.fromkeys([*(parameters.get("lines") or LINES), *parameters.get("graph_lines", ())])
    return [name for line in lines for name in perturbqa.files(line)]


def of_expression_alone(notebook: Any) -> bool:
    """Whether results come from expression atlases and none from PerturbQA."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return any(_has(cell, {DENSE}) for cell in code) and not any(_has(cell, {TAG}) for cell in code)


def own_files(parameters: Mapping[str, Any]) -> list[Path]:
    """The reader's files that parameters name: saved atlases, files of a screen, edge lists."""
    texts = [part for key in PATHS for part in re.split("[,+]", str(parameters.get(key) or ""))]
    paths = [Path(text.strip()) for text in texts if text.strip() and not named(text.strip())]
    folders = [p for path in paths if path.is_dir() for p in sorted(path.rglob("*"))]
    return [path for path in (*paths, *folders) if path.is_file()]


def work(notebook: Any, parameters: Mapping[str, Any]) -> int:
    """How many cells read PerturbQA, times the files that they read: the chapters with most take longest."""
    cells = sum(cell.cell_type == "code" and _has(cell, {TAG}) for cell in notebook.cells)
    return cells * len(data_files(notebook, parameters))


def expression_files(parameters: Mapping[str, Any]) -> list[str]:
    """The files of Replogle that are at hand, for a chapter whose parameters name that screen."""
    return [name for name in replogle.FILES.values() if available(name)] if _names_replogle(parameters) else []


def absent_tags(notebook: Any, parameters: Mapping[str, Any], failed: Collection[str]) -> set[str]:
    """The tags of `BOXES` whose data a chapter cannot have here; `failed` are files that could not be fetched."""
    absent = set() if set(failed).isdisjoint(data_files(notebook, parameters)) else {TAG}
    lines = [line for line in parameters.get("lines") or replogle.LINES if line in replogle.LINES]
    at_hand = expression_files(parameters)
    if _names_replogle(parameters) and not any(replogle.FILES[line] in at_hand for line in lines):
        absent.add(EXPRESSION)
    return absent


def runnable(notebook: Any, parameters: Mapping[str, Any], absent: Collection[str] = ()) -> Any:
    """A copy of the notebook in which the cells that cannot run are empty; the first below a heading shows the box.

    `absent` is `absent_tags`.
    """
    unused = unused_tags(parameters)
    bare = empty_cells(notebook, unused)
    for tag in BOXES:
        if tag in absent and tag not in unused:
            bare = empty_cells(bare, {tag}, BOXES[tag].html)
    return bare


def empty_cells(notebook: Any, tags: Collection[str], html: str = "") -> Any:
    """A copy with the code cells of these tags emptied; the first one below each heading shows `html`."""
    import nbformat

    bare = nbformat.from_dict(notebook)
    first = True
    for cell in bare.cells:
        if cell.cell_type == "markdown" and any(row.startswith("#") for row in cell.source.splitlines()):
            first = True
        if cell.cell_type == "code" and _has(cell, tags):
            cell.source = f"from IPython.display import HTML\nHTML({html!r})" if first and html else "None"
            first = False
    return bare


def _uses(notebook: Any, parameters: Mapping[str, Any], tag: str) -> bool:
    """Whether code cells of this tag run under these parameters."""
    code = (cell for cell in notebook.cells if cell.cell_type == "code")
    return tag not in unused_tags(parameters) and any(_has(cell, {tag}) for cell in code)


def _names_replogle(parameters: Mapping[str, Any]) -> bool:
    """Whether the parameter ``atlas``, or ``expression`` of a chapter that shows one real screen, names Replogle's."""
    return any(NEEDS[EXPRESSION](atlas_names(str(parameters.get(key, "")))) for key in ("atlas", "expression"))


def _has(cell: Any, tags: Collection[str]) -> bool:
    return not set(tags).isdisjoint(cell.metadata.get("tags", []))
