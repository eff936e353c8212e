"""The stored notebooks' comparison: what is compared, and what is left out without downloaded data."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).parent.parent


def cell(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), execution_count=1, metadata={"tags": list(tags)})


def printed(text):
    return new_output("stream", name="stdout", text=text)


def test_text_is_compared_pictures_are_not_and_cells_on_absent_data_do_not_run(tmp_path):
    html = {"text/html": '<img src="data:image/png;base64,AAAA">', "text/plain": "<IPython.core.display.HTML object>"}
    picture = new_output("display_data", data=html)
    show = "from IPython.display import HTML, display\ndisplay(HTML('<img src=\"data:image/png;base64,BBBB\">'))"
    cells = [
        cell("print('same')", printed("same\n")),
        cell("print('new')", printed("stored\n")),
        cell(show, picture),
        cell("from pathlib import Path\nPath('ran').touch()", tags=["needs-data"]),
    ]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), tmp_path / "chapter.ipynb")
    for name in ("conftest.py", "nbval.cfg"):
        shutil.copy(ROOT / "notebooks" / name, tmp_path)
    environment = os.environ | {"KGPERT_CACHE": str(tmp_path / "empty"), "PYTHONPATH": str(ROOT)}
    environment.pop("KGPERT_MIRROR", None)
    command = [sys.executable, "-m", "pytest", "--nbval", "--rootdir", str(tmp_path), str(tmp_path)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "left out 1 cells in 1 notebooks that need downloaded data: `kgpert fetch perturbqa`" in done.stdout
    assert "1 failed, 2 passed, 1 deselected" in done.stdout
    assert "chapter.ipynb::Cell 1" in done.stdout
    assert not (tmp_path / "ran").exists()
