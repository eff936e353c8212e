"""The explorer's page in a real Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chromium import PATIENCE, browser
from tests.explorer.small_explorer import write_explorer

__all__ = ["browser"]


@pytest.fixture(scope="package")
def page(tmp_path_factory) -> Path:
    """The page of a small explorer."""
    return write_explorer(tmp_path_factory.mktemp("explorer"))


class Reader:
    """A reader with one tab, and what the browser reports meanwhile."""

    def __init__(self, browser, address: str, **view):
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | view))
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(PATIENCE)
        self.address = address
        self.faults: list[str] = []
        self.requests: list[str] = []
        for event in ("console", "pageerror"):
            self.tab.on(event, lambda report: self.faults.append(str(report)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))

    def open(self, query: str = "", shown: str = "INTS9 k562 union"):
        """The tab at this address, when it shows these genes, line and predictor."""
        self.tab.goto(self.address + query, wait_until="load")
        return self.wait(shown)

    def wait(self, shown: str):
        self.tab.locator(f'#kgpert-explorer[data-shown="{shown}"]').wait_for(state="attached")
        return self.tab

    def texts(self, selector: str) -> list[str]:
        return self.tab.locator(selector).all_inner_texts()


@pytest.fixture
def reader(browser, page, request) -> Iterator[Reader]:
    """A reader of the small explorer; nothing may be reported and no other host asked while it reads."""
    reader = Reader(browser, page.as_uri(), **getattr(request, "param", {}))
    yield reader
    reader.context.close()
    assert reader.faults == []
    assert {url.split(":")[0] for url in reader.requests} <= {"file", "data"}
