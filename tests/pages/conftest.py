"""The rendered book in a real Chromium, opened from disk as a reader opens it."""

from pathlib import Path

import pytest
import yaml

from kgpert_lib.book.chapters import toc_pages
from tests.built_book import built_book
from tests.chromium import PATIENCE, browser

__all__ = ["browser"]

ROOT = Path(__file__).parents[2]
PAGES = list(toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text())))
WIDTHS = {"tablet": 1024, "screen": 1440}
VIEWS = {
    "desktop, light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone, dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True},
    **{name: {"viewport": {"width": width, "height": 900}} for name, width in WIDTHS.items()},
}


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the rendered book, brought up to date."""
    return built_book().html


@pytest.fixture(scope="package")
def visit(html, browser):
    """`visit(page, view)`: what a reader of that page meets, seen once."""
    look = (Path(__file__).parent / "look.js").read_text()
    seen = {}

    def once(page: str, view: str) -> dict:
        if (page, view) not in seen:
            seen[page, view] = _look(browser, html / f"{page}.html", VIEWS[view], look)
        return seen[page, view]

    return once


def _look(browser, path: Path, view: dict, look: str) -> dict:
    context = browser.new_context(**view)
    tab = context.new_page()
    tab.set_default_timeout(PATIENCE)
    faults: list[str] = []
    requests: list[str] = []
    tab.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("requestfailed", lambda request: faults.append(f"failed: {request.url}"))
    tab.goto(path.as_uri(), wait_until="load")
    tab.evaluate("async () => { await window.MathJax?.startup?.promise }")
    result = tab.evaluate(look)
    context.close()
    return result | {"faults": faults, "requests": requests}
