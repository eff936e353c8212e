"""Cells of a chapter whose data is not on this machine, or whose atlas its parameter ``atlas`` does not name.

Three tags say what a cell needs. ``needs-data``: PerturbQA. ``dense``: an expression atlas, which is any other.
``simulated``: the simulated atlas. Cells of an atlas that is not named are not run, and neither they nor the text
with the same tags are on the page. Where PerturbQA is named and its files can be neither had nor downloaded, a box
that says how to fetch them stands in the place of its results.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from kgpert_lib.lines import LINES
from kgpert_lib.screens import perturbqa
from kgpert_lib.screens.load import SIMULATED, atlas_names

TAG = "needs-data"
NEEDS: Mapping[str, Callable[[list[str]], bool]] = {
    TAG: lambda names: "perturbqa" in names,
    "dense": lambda names: any(name != "perturbqa" for name in names),
    SIMULATED: lambda names: SIMULATED in names,
}
BOX = (
    '<div class="admonition warning"><p class="admonition-title">PerturbQA is not on this machine</p>'
    "<p>The results of this section come from real screens. Fetch them with <code>kgpert fetch perturbqa</code> "
    "(14 MB) and run <code>make book</code> again.</p></div>"
)


def needs_data(cell: Any) -> bool:
    """True for a code cell that uses downloaded data."""
    return cell is not None and cell.cell_type == "code" and _has(cell, {TAG})


def unused_tags(parameters: Mapping[str, Any]) -> set[str]:
    """The tags whose atlas the parameter ``atlas`` does not name; none for a chapter without that parameter."""
    if "atlas" not in parameters:
        return set()
    names = atlas_names(str(parameters["atlas"]))
    return {tag for tag, applies in NEEDS.items() if not applies(names)}


def without_unused(page: Any, parameters: Mapping[str, Any]) -> Any:
    """The page without the cells, text and code, of atlases that are not named; `page` itself is changed."""
    tags = unused_tags(parameters)
    page.cells = [cell for cell in page.cells if not _has(cell, tags)]
    return page


def data_files(notebook: Any, parameters: Mapping[str, Any]) -> list[str]:
    """The files of PerturbQA that the cells of a chapter need, by their names in the registry."""
    if TAG in unused_tags(parameters) or not any(map(needs_data, notebook.cells)):
        return []
    return [name for line in parameters.get("lines") or LINES for name in perturbqa.files(line)]


def runnable(notebook: Any, parameters: Mapping[str, Any], has_data: bool) -> Any:
    """A copy of the notebook in which the cells that cannot run are empty, or show `BOX` without their data."""
    unused = unused_tags(parameters)
    bare = empty_cells(notebook, unused)
    return bare if has_data or TAG in unused else empty_cells(bare, {TAG}, BOX)


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


def _has(cell: Any, tags: Collection[str]) -> bool:
    return not set(tags).isdisjoint(cell.metadata.get("tags", []))
