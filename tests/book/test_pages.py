"""Every page of the table of contents, on a desktop in light mode and on a phone in dark mode."""

from urllib.parse import unquote, urldefrag, urlparse

import pytest

from .conftest import PAGES, VIEWS

every_page = pytest.mark.parametrize("page", PAGES)
every_view = pytest.mark.parametrize("view", list(VIEWS))


@every_page
@every_view
def test_page_loads_from_disk_alone_and_without_a_fault(visit, page, view):
    seen = visit(page, view)
    assert seen["faults"] == []
    assert {urlparse(url).scheme for url in seen["requests"]} <= {"file", "data", "blob"}


@every_page
def test_page_has_a_title_one_heading_and_text(visit, page):
    seen = visit(page, "desktop, light")
    assert len(seen["headings"]) == 1
    assert seen["title"].strip()
    assert seen["words"] > 20


@every_page
def test_formulas_are_typeset(visit, page):
    seen = visit(page, "desktop, light")
    assert seen["typeset"] >= seen["maths"]


@every_page
@every_view
def test_text_and_captions_stand_out_from_their_ground(visit, page, view):
    seen = visit(page, view)
    assert seen["theme"] == view.split(", ")[1]
    assert seen["faint"] == []


@every_page
def test_nothing_is_wider_than_a_phone(visit, page):
    seen = visit(page, "phone, dark")
    assert seen["scroll"] <= seen["width"] == VIEWS["phone, dark"]["viewport"]["width"]
    assert seen["overflow"] == []


@every_page
def test_pictures_load_say_what_they_show_and_keep_a_light_ground_in_the_dark(visit, page):
    for picture in visit(page, "phone, dark")["images"]:
        assert picture["loaded"], picture
        assert len(picture["alt"]) > 10, picture
        assert "_images/" not in picture["alt"], picture
        assert min(picture["ground"]) > 200, picture


def test_links_between_pages_lead_somewhere(visit, html):
    anchors = {html / f"{page}.html": set(visit(page, "desktop, light")["ids"]) for page in PAGES}
    broken = []
    for page in PAGES:
        for link in visit(page, "desktop, light")["links"]:
            address, anchor = urldefrag(link)
            if urlparse(link).scheme != "file":
                continue
            target = type(html)(unquote(urlparse(address).path))
            if not target.is_file():
                broken.append(f"{page}: {link} (no such page)")
            elif anchor and target in anchors and unquote(anchor) not in anchors[target]:
                broken.append(f"{page}: {link} (no such place)")
    assert broken == []


def test_search_finds_integrator(browser, html):
    tab = browser.new_page()
    tab.goto((html / "search.html").as_uri() + "?q=Integrator")
    hit = tab.locator("#search-results ul.search li a").first
    hit.wait_for()
    hit.click()
    tab.wait_for_load_state()
    assert "integrator" in tab.locator(".bd-article").inner_text().lower()
    tab.close()
