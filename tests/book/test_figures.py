"""Figures in the book: each has a file of its numbers and a link to it."""

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from kgpert_lib.book import figures
from kgpert_lib.book.chapters import Chapter, read_notebook
from tests.built_book import ROOT, built_book

CSV = "atlas,gain\ntoy,0.1\n"


def picture(csv=CSV):
    data = {"image/svg+xml": "<svg/>", "text/plain": "<Figure>"} | ({"text/csv": csv} if csv else {})
    return new_output("display_data", data=data)


def figure(*outputs, name=None, key="abc"):
    cell = new_code_cell("draw()", outputs=list(outputs), id=key)
    if name:
        cell.metadata["mystnb"] = {"figure": {"caption": "A gain.", "name": name}}
    return cell


def linked(tmp_path, *cells, page="notebooks/01_table"):
    notebook = new_notebook(cells=list(cells))
    before = nbformat.writes(notebook)
    result = figures.with_links(notebook, Chapter(tmp_path / "01_table.ipynb", page), tmp_path / "extra")
    assert nbformat.writes(notebook) == before
    nbformat.validate(result)
    assert "text/csv" not in nbformat.writes(result)
    return result.cells, {path.name: path.read_text() for path in (tmp_path / "extra").rglob("*.csv")}


def test_a_figure_gets_a_file_named_after_it_and_a_link_below(tmp_path):
    cells, files = linked(tmp_path, figure(picture(), name="fig-gain"))
    assert files == {"01_table-fig-gain.csv": CSV}
    assert cells[1].source == (
        '<p class="figure-numbers"><a href="../numbers/01_table-fig-gain.csv" download>'
        "Numbers of this figure (csv)</a></p>"
    )


@pytest.mark.parametrize(("page", "top"), [("01_table", ""), ("a/b/01_table", "../../")])
def test_the_link_leads_from_the_page_to_the_top_of_the_book(tmp_path, page, top):
    cells, _ = linked(tmp_path, figure(picture(), name="fig-gain"), page=page)
    assert f'href="{top}numbers/' in cells[1].source


def test_two_figures_of_a_cell_have_two_files_and_a_name_that_is_no_file_name_is_changed(tmp_path):
    cells, files = linked(tmp_path, figure(picture(), picture("gain\n2\n"), name="../gain <b>"))
    assert files == {"01_table--gain-b-.csv": CSV, "01_table--gain-b--2.csv": "gain\n2\n"}
    assert [f"part {k} (csv)" in cells[1].source for k in (1, 2, 3)] == [True, True, False]


def test_a_figure_without_a_name_is_named_after_its_cell_and_one_without_numbers_has_no_link(tmp_path):
    cells, files = linked(tmp_path, figure(picture(None), name="fig-empty"), figure(picture(), key="def"))
    assert list(files) == ["01_table-def.csv"]
    assert [cell.cell_type for cell in cells] == ["code", "code", "markdown"]


def test_a_book_that_is_passed_on_has_no_file_of_measured_calls(tmp_path):
    calls = figure(picture("atlas,gene,call\nperturbqa,INTS9,-1\n"), name="fig-calls")
    chapter = Chapter(tmp_path / "02_calls.ipynb", "notebooks/02_calls")
    for publish, files in (
        (True, ["02_calls-fig-gain.csv"]),
        (False, ["02_calls-fig-calls.csv", "02_calls-fig-gain.csv"]),
    ):
        page = new_notebook(cells=[calls, figure(picture(), name="fig-gain", key="def")])
        linked = figures.with_links(page, chapter, tmp_path / str(publish), publish)
        assert sorted(path.name for path in (tmp_path / str(publish)).rglob("*.csv")) == files
        assert sum("figure-numbers" in cell.source for cell in linked.cells) == len(files)


@pytest.fixture(scope="session")
def built():
    """The book, brought up to date before the environment is that of a test."""
    return built_book()


def test_every_figure_of_the_book_has_its_numbers_as_csv(built):
    without = []
    for name, executed in built.pages.items():
        page = (built.html / "notebooks" / f"{name}.html").read_text(encoding="utf-8")
        for cell in read_notebook(executed).cells:
            if not any("image/svg+xml" in output.get("data", {}) for output in cell.get("outputs", ())):
                continue
            file = built.html / "numbers" / f"{name}-{cell.metadata.mystnb.figure.name}.csv"
            if not file.is_file() or f'href="../numbers/{file.name}"' not in page:
                without.append(file.name)
            elif (table := pd.read_csv(file)).empty or "atlas" not in table:
                without.append(f"{file.name} (no rows)")
    assert without == []
    landing = pd.read_csv(built.html / "_static" / "finding.csv")
    assert set(landing["line"]) == {"k562", "rpe1", "hepg2", "jurkat"}
    assert 'href="../_static/finding.csv"' in (built.html / "book" / "index.html").read_text(encoding="utf-8")
    assert (ROOT / "book/_static/finding.csv").is_file()
