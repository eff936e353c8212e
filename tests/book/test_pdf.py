"""The print of the book: of three small pages, and of the book itself."""

import re
from pathlib import Path

import pypdf
import pytest
import yaml
from bs4 import BeautifulSoup

from kgpert_lib.book import pdf
from kgpert_lib.book.single import single_page
from kgpert_lib.errors import InputError
from kgpert_lib.files import locked
from tests.built_book import built_book
from tests.rendered_book import rendered_book

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.needs_chromium
MEASURE = """() => [...document.querySelectorAll("main :is(table, pre, img, mjx-math)")].map((element) => ({
  right: element.getBoundingClientRect().right,
  across: element.closest(".across") !== null,
  text: element.textContent.trim().slice(0, 80) || element.src,
}))"""


def annotations(reader):
    """The links of a PDF: names of places in it, and addresses."""
    every = [link.get_object() for page in reader.pages for link in page.get("/Annots", [])]
    return {a["/Dest"].removeprefix("/") for a in every if "/Dest" in a}, {a["/A"]["/URI"] for a in every if "/A" in a}


def titles(outline):
    """The entries of an outline in reading order, with single blanks."""
    for entry in outline:
        yield from titles(entry) if isinstance(entry, list) else [" ".join(entry["/Title"].split())]


@pytest.fixture
def small(tmp_path):
    return tmp_path, rendered_book(tmp_path)


def test_the_same_pages_give_the_same_file_which_is_printed_once(small):
    root, html = small
    path = pdf.print_book(root, html)
    first, written = path.read_bytes(), path.stat().st_mtime_ns
    assert pdf.print_book(root, html).stat().st_mtime_ns == written
    path.unlink()
    assert pdf.print_book(root, html).read_bytes() == first
    (html / ".kgpert-book.json").write_text("another digest")
    assert pdf.print_book(root, html).stat().st_mtime_ns != written
    assert [path.name for path in path.parent.iterdir()] == ["kgpert.pdf"]


def test_contents_name_the_page_of_each_chapter_and_a_wide_table_lies_across(small):
    reader = pypdf.PdfReader(pdf.print_book(*small))
    texts = [page.extract_text() for page in reader.pages]
    shape = [page.mediabox.width > page.mediabox.height for page in reader.pages]
    assert shape.count(True) == 1
    assert all(str(10**12 + k) in texts[shape.index(True)] for k in range(60))
    first = next(k for k, text in enumerate(texts, start=1) if "what was folded" in text)
    assert re.search(rf"1 · First\s*{first}\b", texts[1])
    assert list(titles(reader.outline)) == ["A small book", "Result", "1 · First", "What was measured", "Data"]


def test_a_missing_browser_and_a_missing_picture_are_named_and_leave_no_file(small, monkeypatch):
    root, html = small
    (html / "_images/picture.svg").unlink()
    with pytest.raises(InputError, match=r"picture\.svg is no picture"):
        pdf.print_book(root, html)
    monkeypatch.setenv("KGPERT_CHROMIUM", str(root / "nowhere"))
    with pytest.raises(InputError, match="needs Chromium; install it with"):
        pdf.print_book(root, html)
    assert not (root / "_build/pdf/kgpert.pdf").exists()


@pytest.fixture(scope="module")
def html() -> Path:
    """The folder of the rendered book, brought up to date."""
    return built_book().html


@pytest.fixture(scope="module")
def printed(html) -> pypdf.PdfReader:
    """The print of the book; one worker prints it, the others find it there."""
    with locked(ROOT / "_build" / "tests"):
        return pypdf.PdfReader(pdf.print_book(ROOT, html))


@pytest.fixture(scope="module")
def single(html) -> str:
    return single_page(html, yaml.safe_load((ROOT / "_toc.yml").read_text()), "", "", "")


def test_the_outline_names_every_heading_and_figures_are_numbered_through(printed, single):
    page = BeautifulSoup(single, "html.parser")
    headings = page.select("article :is(h1, h2, h3, h4, h5, h6)")
    assert list(titles(printed.outline)) == [" ".join(heading.get_text().split()) for heading in headings]
    numbers = [int(re.sub(r"\D", "", n.get_text())) for n in page.select("figcaption .caption-number")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 5  # without any download a third of the figures is left
    assert len(printed.pages) > 3 * len(page.select("article"))
    assert len(printed.stream.getvalue()) < 30e6


def test_every_link_leads_to_a_place_in_the_print_or_to_the_web(printed):
    places, addresses = annotations(printed)
    assert len(places) > 200
    assert places <= {name.removeprefix("/") for name in printed.named_destinations}
    assert {address.partition(":")[0] for address in addresses} <= {"https", "http", "mailto"}


def test_no_table_code_formula_or_figure_is_wider_than_its_page(single, tmp_path):
    source = tmp_path / "book.html"
    source.write_text(single, encoding="utf-8")
    with pdf.opened() as page:
        pdf.load(page, source)
        measured = page.evaluate(MEASURE)
        formulas = page.evaluate("document.querySelectorAll('main mjx-math').length")
    assert formulas > 50
    assert [part for part in measured if part["right"] > (pdf.ACROSS if part["across"] else pdf.COLUMN) + 1] == []
