"""The rendered book in a real Chromium, opened from disk as a reader opens it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from kgpert_lib.book import pdf
from kgpert_lib.book.chapters import toc_pages
from tests.built_book import built_book

ROOT = Path(__file__).parents[2]
PAGES = list(toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text())))
WIDTHS = {"tablet": 1024, "screen": 1440}
VIEWS = {
    "desktop, light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone, dark": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark", "has_touch": True},
    **{name: {"viewport": {"width": width, "height": 900}} for name, width in WIDTHS.items()},
}
PATIENCE = 20_000
LEFT_OUT = pytest.StashKey[int]()


def pytest_collection_modifyitems(config, items):
    mine = [item for item in items if item.path.parent == Path(__file__).parent]
    if mine and pdf.chromium() is None:
        config.stash[LEFT_OUT] = len(mine)
        if hasattr(config, "workeroutput"):  # a worker of pytest-xdist tells the process that prints the summary
            config.workeroutput["without_chromium"] = len(mine)
        config.hook.pytest_deselected(items=mine)
        items[:] = [item for item in items if item not in mine]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[LEFT_OUT] = getattr(node, "workeroutput", {}).get("without_chromium", 0)


def pytest_terminal_summary(terminalreporter, config):
    count = config.stash.get(LEFT_OUT, 0)
    if count:
        terminalreporter.write_line(
            f"left out {count} tests of the rendered book: no Chromium was found; install one or set KGPERT_CHROMIUM"
        )


@pytest.fixture(scope="session")
def html() -> Path:
    """The folder of the rendered book, brought up to date."""
    return built_book().html


@pytest.fixture(scope="package")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=pdf.chromium(), args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


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
