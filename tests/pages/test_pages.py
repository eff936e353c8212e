"""Every page of the table of contents, on a desktop in light mode and on a phone in dark mode."""

from urllib.parse import unquote, urldefrag, urlparse

import pytest

from tests.chromium import PATIENCE

from .conftest import PAGES, VIEWS, WIDTHS

pytestmark = pytest.mark.needs_chromium
every_page = pytest.mark.parametrize("page", PAGES)
every_view = pytest.mark.parametrize("view", ["desktop, light", "phone, dark"])


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
        assert min(picture["ground"]) == 255, picture


@every_page
def test_the_letters_of_a_figure_can_be_read_on_a_phone_and_the_rest_is_scrolled_to(visit, page):
    for picture in visit(page, "phone, dark")["images"]:
        assert picture["width"] > 600, picture
        assert picture["scrolls"], picture


@every_page
def test_captions_are_as_heavy_as_the_text(visit, page):
    assert set(visit(page, "desktop, light")["captions"]) <= {"400"}


@every_page
@pytest.mark.parametrize("view", list(WIDTHS))
def test_no_table_is_wider_than_its_column(visit, page, view):
    assert [table for table in visit(page, view)["tables"] if table["cut"] > 0] == []


@every_page
def test_a_table_that_a_phone_cuts_scrolls_shows_a_shadow_and_takes_the_keyboard(visit, page):
    for table in visit(page, "phone, dark")["tables"]:
        if table["cut"] > 0:
            assert table["scrolls"], table
            assert table["shadow"], table
            assert table["focus"], table


@every_page
def test_tables_of_scores_have_a_caption(visit, page):
    assert [
        table["head"] for table in visit(page, "screen")["tables"] if table["scores"] and not table["caption"]
    ] == []


@every_page
def test_printed_pages_cut_no_table_and_leave_code_out(html, browser, page):
    tab = browser.new_page(viewport={"width": 720, "height": 1000})  # A4 between its margins
    tab.goto((html / f"{page}.html").as_uri())
    tab.emulate_media(media="print")
    wide = tab.evaluate(
        """() => [...document.querySelectorAll(".bd-article table.dataframe")]
            .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
            .map((e) => e.innerText.slice(0, 80))"""
    )
    assert wide == []
    assert tab.locator("details.hide:visible").count() == 0
    tab.close()


def test_a_click_opens_a_figure_alone(html, browser):
    tab = browser.new_page()
    for page in PAGES:
        tab.goto((html / f"{page}.html").as_uri())
        if tab.locator("a.enlarge img").count():
            break
    source = tab.locator("a.enlarge img").first.evaluate("e => e.src")
    tab.locator("a.enlarge").first.click()
    tab.wait_for_url(source)
    tab.close()


@every_page
def test_pages_describe_themselves_and_link_to_no_address_that_does_not_exist(visit, html, page):
    text = (html / f"{page}.html").read_text(encoding="utf-8")
    assert 'name="description"' in text
    assert 'rel="icon"' in text
    assert not any("github.com/kgpert" in link or "mybinder.org" in link for link in visit(page, "screen")["links"])


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


@pytest.mark.parametrize("word", ["Integrator", "neighbor", "knockdown"])
def test_search_finds_a_word_in_either_spelling(browser, html, word):
    tab = browser.new_page()
    tab.goto((html / "search.html").as_uri() + f"?q={word}")
    hit = tab.locator("#search-results ul.search li a").first
    hit.wait_for()
    hit.click()
    tab.wait_for_load_state()
    assert word.lower() in tab.locator(".bd-article").inner_text().lower()
    tab.close()


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("load_screen", "book/api/screens.html#kgpert_lib.screens.load.load_screen"),
        ("Trust", "book/api/evaluation.html#kgpert_lib.evaluation.trust.Trust"),
    ],
)
def test_search_finds_names_of_the_library(browser, html, word, place):
    tab = browser.new_page()
    tab.goto((html / "search.html").as_uri() + f"?q={word}")
    tab.locator("#search-results ul.search li a").first.wait_for()
    links = tab.locator("#search-results ul.search li a").evaluate_all("links => links.map(link => link.href)")
    assert any(place in link for link in links)
    tab.close()


def test_search_finds_a_command(browser, html):
    tab = browser.new_page()
    tab.goto((html / "search.html").as_uri() + "?q=kgpert+vote")
    tab.locator("#search-results ul.search li a", has_text="Command line").first.wait_for()
    tab.close()


def test_a_gene_in_a_table_leads_to_its_page_in_the_explorer(browser, html):
    tab = browser.new_page()
    tab.set_default_timeout(PATIENCE)
    link = tab.locator("a[title='Open in the gene explorer']").first
    for page in PAGES:
        tab.goto((html / f"{page}.html").as_uri())
        tab.wait_for_load_state("networkidle")
        if link.count():
            break
    gene = link.inner_text()
    link.click()
    tab.locator(f"#kgpert-explorer[data-shown^='{gene} ']").wait_for(state="attached")
    assert tab.title().startswith(gene)
    tab.close()
