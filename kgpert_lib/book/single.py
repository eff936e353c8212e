"""The rendered book as one page: the articles of its pages in reading order, behind a title and a table of contents.

The page is what `pdf` prints. Each rendered page is an article with the page's name as its id, and ids inside it
begin with that name, so that no two pages share one; links between pages become links within the page. A link to
what is not printed becomes plain text, code that the rendered page hides is left out, and what it folds is open.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import jinja2
from bs4 import BeautifulSoup
from bs4.element import Tag

from kgpert_lib.errors import InputError

# Pages that are only of use on a screen, with all pages below them; `make pdf` leaves them out.
SCREEN_ONLY = ("book/explorer", "book/api", "book/cli")
STYLE = "_static/print.css"
_REMOVED = "a.headerlink, details.hide, div.toctree-wrapper, script, button, iframe"
_ID = re.compile(r"#([\w-]+)")
_HTML = "html.parser"


@dataclass(frozen=True)
class Article:
    """One rendered page: its name, the caption of its part, its title, its sections (id, title), its body as html."""

    page: str
    part: str
    title: str
    sections: list[tuple[str, str]]
    body: str


def single_page(html: Path, toc: Mapping[str, Any], title: str, author: str, edition: str) -> str:
    """The book as the text of one html page.

    Parameters
    ----------
    html : folder of the rendered pages, which the page loads pictures, styles and MathJax from.
    toc : the table of contents; pages that `html` does not hold and those of `SCREEN_ONLY` are left out.
    title, author, edition : what the title page says; `edition` may be empty.

    Raises
    ------
    InputError
        A rendered page without an article.
    """
    parts = {page: part for page, part in _pages(toc) if (html / f"{page}.html").is_file() and not _screen_only(page)}
    rendered = {page: _read(html / f"{page}.html") for page in parts}
    ids = {page: {str(tag["id"]) for tag in _article(soup, page).select("[id]")} for page, soup in rendered.items()}
    head = _head(html, rendered)
    articles = [_printed(html, page, part, rendered[page], ids) for page, part in parts.items()]
    notice = next((text for soup in rendered.values() for text in soup.select(".bd-header-announcement")), None)
    template = jinja2.Environment(loader=jinja2.PackageLoader("kgpert_lib.book", "."), autoescape=True)
    return template.get_template("print.html.jinja").render(
        title=title,
        author=author,
        edition=edition,
        notice=notice.get_text(" ", strip=True) if notice else "",
        head=head,
        parts=[(part, list(some)) for part, some in groupby(articles, lambda article: article.part)],
        articles=articles,
    )


def _pages(toc: Any, part: str = "") -> Iterator[tuple[str, str]]:
    """Every page of the table of contents with the caption of the part that it is in."""
    if isinstance(toc, Mapping):
        part = str(toc.get("caption", part))
        yield from ((str(toc[key]).removesuffix(".ipynb"), part) for key in ("root", "file") if key in toc)
        toc = list(toc.values())
    if isinstance(toc, list):
        for child in toc:
            yield from _pages(child, part)


def _screen_only(page: str) -> bool:
    return any(page == name or page.startswith(f"{name}/") for name in SCREEN_ONLY)


def _read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text(encoding="utf-8"), _HTML)


def _article(soup: BeautifulSoup, page: str) -> Tag:
    article = soup.select_one("article.bd-article")
    if article is None or article.select_one("h1") is None:
        raise InputError(f"The rendered page {page}.html has no article; delete _build/html and build the book again.")
    return article


def _head(html: Path, rendered: Mapping[str, BeautifulSoup]) -> str:
    """The style sheets and MathJax of the pages, each once, and the style of the print, as html."""
    found: dict[str, None] = {}
    for page, soup in rendered.items():
        base = (html / f"{page}.html").as_uri()
        for tag in soup.select("link[rel=stylesheet], script"):
            address = str(tag.get("href") or tag.get("src") or "")
            if tag.name == "script" and "/mathjax/" not in address and "window.MathJax" not in tag.get_text():
                continue
            if address:
                tag["href" if tag.name == "link" else "src"] = urljoin(base, urlsplit(address).path)
            found[str(tag)] = None
    found[f'<link href="{(html / STYLE).as_uri()}" rel="stylesheet"/>'] = None
    return "\n".join(found)


def _printed(html: Path, page: str, part: str, soup: BeautifulSoup, ids: Mapping[str, set[str]]) -> Article:
    """The article of one rendered page with the ids, links and pictures of the single page."""
    article, base = _article(soup, page), (html / f"{page}.html").as_uri()
    for tag in article.select(_REMOVED):
        tag.decompose()
    for tag in article.select("details"):
        tag["open"] = ""
    for tag in article.select("[id]"):
        tag["id"] = _anchor(page, str(tag["id"]))
    for tag in article.select("style"):
        tag.string = _ID.sub(lambda m: f"#{_anchor(page, m[1])}" if m[1] in ids[page] else m[0], tag.get_text())
    for tag in article.select("img[src]"):
        tag["src"] = urljoin(base, str(tag["src"]))
    for tag in article.select("a[href]"):
        target = _target(html, urljoin(base, str(tag["href"])), ids)
        del tag["title"]
        if target:
            tag["href"] = target
        else:
            tag.unwrap()
    heading = article.select_one("h1")
    sections = [
        (str(h2.parent["id"]), _text(h2)) for h2 in article.select("section[id] > h2") if isinstance(h2.parent, Tag)
    ]
    return Article(_slug(page), part, _text(heading), sections, article.decode_contents())


def _target(html: Path, address: str, ids: Mapping[str, set[str]]) -> str | None:
    """Where a link leads on the single page: an address of the web as it is, None for what is not printed."""
    address, fragment = urldefrag(address)
    if urlsplit(address).scheme != "file":
        return f"{address}#{fragment}" if fragment else address
    path = Path(unquote(urlsplit(address).path))
    page = path.relative_to(html).with_suffix("").as_posix() if path.is_relative_to(html) else ""
    if page not in ids:
        return None
    return f"#{_anchor(page, fragment) if fragment in ids[page] else _slug(page)}"


def _slug(page: str) -> str:
    return page.replace("/", "-")


def _anchor(page: str, name: str) -> str:
    return f"{_slug(page)}--{name}"


def _text(tag: Tag | None) -> str:
    return tag.get_text().strip() if tag else ""
