"""Notebooks to download: they run alone, and get a library that is missing."""

import importlib.util
import subprocess
import sys

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kgpert_lib.book import notebooks
from kgpert_lib.book.chapters import read_notebook
from tests.built_book import ROOT

ADDRESS = "https://example.org/owner/name"


def install_cell(repository):
    page = new_notebook(cells=[new_markdown_cell("# Title"), new_code_cell("1", metadata={"tags": ["parameters"]})])
    with_cell = notebooks.with_install(page, repository)
    nbformat.validate(with_cell)
    assert [cell.metadata.get("tags") for cell in with_cell.cells] == [None, ["install"], ["parameters"]]
    assert notebooks.without_install(with_cell) == page
    assert notebooks.with_install(with_cell, repository) == with_cell
    assert len(with_cell.cells[1].source.splitlines()) <= 15
    return with_cell.cells[1].source


@pytest.fixture
def run(monkeypatch):
    """Run a cell's source with or without the library; the commands that it started."""

    def run(source, here):
        commands = []
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if here else None)
        monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command))
        exec(source, {})
        return commands

    return run


@pytest.mark.parametrize("repository", [None, ADDRESS])
def test_the_cell_does_nothing_where_the_library_is(run, repository):
    assert run(install_cell(repository), here=True) == []


def test_the_cell_installs_from_the_repository(run):
    (command,) = run(install_cell(ADDRESS), here=False)
    assert command == [sys.executable, "-m", "pip", "install", "--quiet", f"kgpert-lib @ git+{ADDRESS}"]


def test_without_an_address_the_cell_says_how_to_install(run):
    with pytest.raises(ModuleNotFoundError, match=r"`pip install \.` in a clone of this book's repository"):
        run(install_cell(None), here=False)


def test_a_chapter_runs_where_it_lands(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    page = notebooks.with_install(read_notebook(ROOT / "notebooks" / "A3_compare.ipynb"), None)
    parameters = next(cell for cell in page.cells if "parameters" in cell.metadata.get("tags", []))
    parameters.source += '\nsize = "tiny"'
    for cell in page.cells:
        cell.pop("outputs", None) if cell.cell_type == "markdown" else cell.update(outputs=[])
    NotebookClient(page, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any("<table" in str(output) for cell in page.cells for output in cell.get("outputs", ()))
    assert list(tmp_path.iterdir()) == []
