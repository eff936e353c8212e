"""Stored notebooks against a run: what is compared, and what is left out without downloaded data."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from kgpert_lib.book.chapters import read_notebook
from tests import stored_outputs
from tests.built_book import built_book

ROOT = Path(__file__).parent.parent


def cell(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), execution_count=1, metadata={"tags": list(tags)})


def printed(text):
    return new_output("stream", name="stdout", text=text)


def run_nbval(folder, cells, *options):
    """The report of ``pytest --nbval`` over one notebook of these cells, on a machine without data."""
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=kernel), folder / "chapter.ipynb")
    shutil.copy(ROOT / "notebooks" / "conftest.py", folder)
    environment = os.environ | {"KGPERT_CACHE": str(folder / "empty"), "PYTHONPATH": str(ROOT)}
    environment.pop("KGPERT_MIRROR", None)
    command = [sys.executable, "-m", "pytest", "--nbval", "--rootdir", str(folder), str(folder), *options]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True).stdout


@pytest.mark.parametrize("options", [[], ["-n", "1"]])
def test_text_is_compared_pictures_are_not_and_cells_on_absent_data_do_not_run(tmp_path, options):
    html = {"text/html": '<img src="data:image/png;base64,AAAA">', "text/plain": "<IPython.core.display.HTML object>"}
    svg = {"image/svg+xml": "<svg><g/></svg>", "text/plain": "<Figure>"}
    figure = svg | {"image/svg+xml": "<svg/>", "text/csv": "gain\n0.1\n"}
    show = "from IPython.display import HTML, display\ndisplay(HTML('<img src=\"data:image/png;base64,BBBB\">'))"
    cells = [
        cell("print('same')", printed("same\n")),
        cell("print('new')", printed("stored\n")),
        cell(show, new_output("display_data", data=html)),
        cell(f"display({figure!r}, raw=True)", new_output("display_data", data=svg)),
        cell("print('p = 0.0880')", printed("p = 0.0874\n")),
        cell("print('mean 0.595')", printed("mean 0.575\n")),
        cell("from pathlib import Path\nPath('ran').touch()", tags=["needs-data"]),
        cell("from pathlib import Path\nPath('ran').touch()", tags=["needs-replogle"]),
    ]
    report = run_nbval(tmp_path, cells, *options)
    assert "left out 1 cells in 1 notebooks that need downloaded data: `kgpert fetch perturbqa`" in report
    assert "2 failed, 4 passed" in report
    assert {name for name in ("Cell 1", "Cell 5") if f"FAILED chapter.ipynb::{name}" in report} == {"Cell 1", "Cell 5"}
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("stored", "new", "equal"),
    [
        ("p = 0.0874", "p = 0.0880", True),
        ("p = 0.0874", "p = 0.0974", False),
        ("3.9e-07", "4.0e−7", True),
        ("3.9e-07", "3.9e-08", False),
        ("0.575 [0.533, 0.613]", "0.576 [0.533, 0.612]", True),
        ("0.575 [0.533, 0.613]", "0.595 [0.533, 0.613]", False),
        ("-0.000", "0.000", True),
        ("−0.101", "0.101", False),
        ("n = 267", "n = 268", False),
        ("12,345 pairs", "12,346 pairs", False),
        ("K562  0.1", "K562 0.1", True),
        ("K562", "K563", False),
        ("string+go 0.5", "string 0.5", False),
        ("0.5", "0.5 0.5", False),
        ("<Axes at 0x7f00aa11>", "<Axes at 0x7f11bb22>", True),
    ],
)
def test_words_are_equal_and_numbers_close(stored, new, equal):
    assert stored_outputs.same(stored, new) is equal
    assert stored_outputs.same(new, stored) is equal


def test_notebooks_are_compared_output_by_output():
    picture = new_output("display_data", data={"image/svg+xml": "<svg/>", "text/plain": "<Figure>"})
    data = {"image/svg+xml": "<svg></svg>", "text/plain": "<Figure>", "text/csv": "gain\n0.1\n"}
    other = new_output("display_data", data=data)
    stored = new_notebook(cells=[cell("a", printed("0.5")), cell("b", picture), cell("c", printed("one"))])
    now = new_notebook(cells=[cell("a", printed("0.7")), cell("b", other), cell("c")])
    assert [text.splitlines()[0] for text in stored_outputs.differences(stored, now)] == [
        "cell 0: stored stdout",
        "cell 2: stored stdout",
    ]
    now.cells[0].source = now.cells[2].source = "None"  # left out of the run
    assert stored_outputs.differences(stored, now) == []
    assert stored_outputs.differences(stored, stored) == []
    optional = [new_notebook(cells=[cell("a", *out, tags=["needs-replogle"])]) for out in ([], [printed("real")])]
    assert stored_outputs.differences(*optional) == []


@pytest.fixture(scope="session")
def built():
    return built_book()


@pytest.mark.parametrize("name", [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))])
def test_the_run_of_the_book_prints_what_the_stored_notebook_holds(built, name):
    """The same comparison as ``pytest --nbval notebooks``, without executing the chapters a second time."""
    assert (
        stored_outputs.differences(
            read_notebook(ROOT / "notebooks" / f"{name}.ipynb"), read_notebook(built.pages[name])
        )
        == []
    )
