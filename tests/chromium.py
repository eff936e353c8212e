"""The real browser of tests that open pages; they carry the marker `needs_chromium`."""

from collections.abc import Iterator

import pytest

from kgpert_lib.book import pdf

PATIENCE = 20_000


@pytest.fixture(scope="package")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=pdf.chromium(), args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()
