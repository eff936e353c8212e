"""Cells of a chapter whose data is not on this machine: a box that says how to fetch it stands in their place.

A cell tagged ``needs-data`` uses PerturbQA. Where its files can be neither found nor downloaded, or where the
chapter's parameter ``atlas`` does not name it, such cells are not run.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kgpert_lib.downloads.fetch import fetch_all
from kgpert_lib.sources import perturbqa

TAG = "needs-data"
BOX = (
    '<div class="admonition warning"><p class="admonition-title">PerturbQA is not on this machine</p>'
    "<p>The results of this section come from real screens. Fetch them with <code>kgpert fetch perturbqa</code> "
    "(13 MB) and run <code>make book</code> again.</p></div>"
)


def tagged(cell: Any) -> bool:
    """True for a code cell that uses downloaded data."""
    return cell is not None and cell.cell_type == "code" and TAG in cell.metadata.get("tags", [])


def reason(notebook: Any, parameters: Mapping[str, Any]) -> str | None:
    """Why the tagged cells cannot run, as HTML for the page: a box, or nothing to show; None when they can.

    Downloads what is missing where the network allows it.
    """
    if not any(map(tagged, notebook.cells)):
        return None
    if "perturbqa" not in str(parameters.get("atlas", "perturbqa")).split(","):
        return ""
    lines = parameters.get("lines") or perturbqa.LINES
    files = fetch_all([name for line in lines for name in perturbqa.files(line)])
    return BOX if files.failed else None


def without(notebook: Any, html: str) -> Any:
    """The notebook with every tagged cell emptied; the first one below each heading shows `html`."""
    import nbformat

    bare = nbformat.from_dict(notebook)
    fresh = True
    for cell in bare.cells:
        if cell.cell_type == "markdown" and any(row.startswith("#") for row in cell.source.splitlines()):
            fresh = True
        if tagged(cell):
            show = fresh and html
            cell.source = f"from IPython.display import HTML\nHTML({html!r})" if show else "None"
            fresh = False
    return bare


def readied(source: Path, scratch: Path, notebook: Any, parameters: Mapping[str, Any]) -> Path:
    """The file to execute: `source` itself, or `scratch` holding its copy without the cells that cannot run."""
    import nbformat

    html = reason(notebook, parameters)
    if html is None:
        return source
    nbformat.write(without(notebook, html), scratch)
    return scratch
