"""The rendered book as one page: no id twice, every link inside it or to the web, nothing that is for screens only."""

from collections import Counter

import pytest
from bs4 import BeautifulSoup

from kgpert_lib.book.single import single_page
from kgpert_lib.errors import InputError
from tests.rendered_book import TOC, rendered_book


@pytest.fixture
def html(tmp_path):
    return rendered_book(tmp_path)


@pytest.fixture
def page(html):
    return BeautifulSoup(single_page(html, TOC, "Knock-downs", "Two people", "Version 1"), "html.parser")


def links(page):
    return {link.get_text(): link["href"] for link in page.select("main a")}


def test_pages_stand_in_the_order_of_the_contents_and_those_for_screens_are_left_out(page):
    assert [article["id"] for article in page.select("article")] == ["book-index", "notebooks-01_first", "book-data"]
    assert [part.get_text() for part in page.select(".part")] == ["Chapters", "Reference"]
    assert [link.get_text() for link in page.select(".book-contents a")] == [
        "A small book", "Result", "1 · First", "What was measured", "Data",
    ]  # fmt: skip
    assert "only on a screen" not in page.get_text()
    assert all(text in page.select_one("header").get_text() for text in ("Knock-downs", "Two people", "Version 1"))


def test_sections_of_one_name_on_two_pages_keep_their_own_links(page):
    assert max(Counter(tag["id"] for tag in page.select("[id]")).values()) == 1
    assert links(page)["the result"] == links(page)["above"] == "#notebooks-01_first--result"
    assert links(page)["the first result"] == "#book-index--result"
    assert links(page)["chapter 1"] == "#notebooks-01_first"


def test_every_link_leads_to_the_page_itself_or_to_the_web(page):
    ids = {tag["id"] for tag in page.select("[id]")}
    assert all(href[1:] in ids for link in page.select("a") if (href := link["href"]).startswith("#"))
    assert {name for name, href in links(page).items() if href[0] != "#"} == {"a page of the web"}
    assert links(page)["a page of the web"] == "https://example.org/a#b"
    assert "the explorer, its numbers" in " ".join(page.get_text().split())


def test_hidden_code_is_left_out_and_folded_text_is_open(page):
    assert "hidden_code" not in page.get_text()
    assert [details.has_attr("open") for details in page.select("details")] == [True]


def test_styles_of_a_table_follow_its_id_and_pictures_their_file(page, html):
    assert page.select_one("style").get_text() == "#notebooks-01_first--T_1 th.col0 {color: #abc}"
    assert page.select_one("table")["id"] == "notebooks-01_first--T_1"
    assert page.select_one("img")["src"] == (html / "_images/picture.svg").as_uri()
    assert [link["href"] for link in page.select("head link")] == [
        (html / "_static" / name).as_uri() for name in ("kgpert.css", "print.css")
    ]


def test_a_page_that_is_no_rendered_one_is_named(html):
    (html / "book/data.html").write_text("<p>cut off")
    with pytest.raises(InputError, match=r"book/data\.html has no article"):
        single_page(html, TOC, "", "", "")
