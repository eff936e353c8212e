"""Cells of a chapter whose data is not on this machine, or whose atlas its parameter ``atlas`` does not name.

Three tags say what a cell needs. ``needs-data``: PerturbQA. ``dense``: an expression atlas, which is any other.
``simulated``: the simulated atlas. Cells of an atlas that is not named are not run, and `fitting` leaves them and
the text with the same tags off the page. Where PerturbQA is named and its files can be neither found nor
downloaded, a box that says how to fetch them stands in the place of its results.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from kgpert_lib.downloads.fetch import fetch_all
from kgpert_lib.screens import perturbqa

TAG = "needs-data"
WANTED: Mapping[str, Callable[[list[str]], bool]] = {
    TAG: lambda names: "perturbqa" in names,
    "dense": lambda names: any(name != "perturbqa" for name in names),
    "simulated": lambda names: "simulated" in names,
}
BOX = (
    '<div class="admonition warning"><p class="admonition-title">PerturbQA is not on this machine</p>'
    "<p>The results of this section come from real screens. Fetch them with <code>kgpert fetch perturbqa</code> "
    "(13 MB) and run <code>make book</code> again.</p></div>"
)


def needs_data(cell: Any) -> bool:
    """True for a code cell that uses downloaded data."""
    return cell is not None and cell.cell_type == "code" and _has(cell, {TAG})


def unnamed(parameters: Mapping[str, Any]) -> set[str]:
    """The tags whose atlas the parameter ``atlas`` does not name; none for a chapter without that parameter."""
    if "atlas" not in parameters:
        return set()
    names = [name.strip() for name in str(parameters["atlas"]).split(",") if name.strip()]
    return {tag for tag, wanted in WANTED.items() if not wanted(names)}


def fitting(page: Any, parameters: Mapping[str, Any]) -> Any:
    """The page without the cells, text and code, of atlases that are not named; `page` itself is changed."""
    tags = unnamed(parameters)
    page.cells = [cell for cell in page.cells if not _has(cell, tags)]
    return page


def missing(notebook: Any, parameters: Mapping[str, Any]) -> bool:
    """True when cells want PerturbQA and it can be neither found nor downloaded (what can be, is)."""
    if TAG in unnamed(parameters) or not any(map(needs_data, notebook.cells)):
        return False
    lines = parameters.get("lines") or perturbqa.LINES
    return bool(fetch_all([name for line in lines for name in perturbqa.files(line)]).failed)


def without(notebook: Any, tags: Collection[str], html: str = "") -> Any:
    """The notebook with the code cells of these tags emptied; the first one below each heading shows `html`."""
    import nbformat

    bare = nbformat.from_dict(notebook)
    fresh = True
    for cell in bare.cells:
        if cell.cell_type == "markdown" and any(row.startswith("#") for row in cell.source.splitlines()):
            fresh = True
        if cell.cell_type == "code" and _has(cell, tags):
            show = fresh and html
            cell.source = f"from IPython.display import HTML\nHTML({html!r})" if show else "None"
            fresh = False
    return bare


def readied(source: Path, scratch: Path, notebook: Any, parameters: Mapping[str, Any]) -> Path:
    """The file to execute: `source` itself, or `scratch` holding its copy without the cells that cannot run."""
    import nbformat

    ready = without(notebook, unnamed(parameters))
    if missing(notebook, parameters):
        ready = without(ready, {TAG}, BOX)
    if ready == notebook:
        return source
    nbformat.write(ready, scratch)
    return scratch


def _has(cell: Any, tags: Collection[str]) -> bool:
    return not set(tags).isdisjoint(cell.metadata.get("tags", []))
