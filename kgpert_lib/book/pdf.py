"""The PDF of the book: the single page of `single`, printed by Chromium."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pypdf

from kgpert_lib import __version__
from kgpert_lib.book.address import PDF
from kgpert_lib.book.build import STAMP
from kgpert_lib.book.chapters import read_yaml
from kgpert_lib.book.single import single_page
from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic, digest, locked

if TYPE_CHECKING:
    from playwright.sync_api import Page

COLUMN, ACROSS = 657, 986  # CSS pixels: A4 upright and across, without the margins that print.css sets
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APPLICATIONS = [f"/Applications/{name}.app/Contents/MacOS/{name}" for name in ("Chromium", "Google Chrome")]
_ARGUMENTS = ("--no-sandbox", "--disable-background-networking", "--font-render-hinting=none")
_PATIENCE = 300_000  # milliseconds, for a page or a print on a slow machine
_TIME = re.compile(rb"(?<=Date \(D:)\d{14}")
_EPOCH = b"20260101000000"
_FIT = resources.files("kgpert_lib.book").joinpath("print.js").read_text(encoding="utf-8")
_PRINT: Any = {"prefer_css_page_size": True, "print_background": True}
_NUMBER = """(numbers) => {
  for (const link of document.querySelectorAll(".book-contents a")) link.dataset.page = numbers[link.hash.slice(1)];
  document.body.style.display = "none";  // lay out anew, so that no line keeps the place that an earlier layout gave it
  document.body.getBoundingClientRect();
  document.body.style.display = "";
}"""
_READY = """async () => {
  await (window.MathJax?.startup?.promise);
  await document.fonts.ready;
  const pictures = [...document.images];
  await Promise.all(pictures.map((picture) => picture.decode().catch(() => null)));
  return pictures.filter((picture) => !picture.naturalWidth).map((picture) => picture.src);
}"""


def print_book(root: Path, html: Path) -> Path:
    """Print a rendered book into ``pdf/kgpert.pdf`` beside the folder of its pages, and return the path.

    The same pages give the same file on the same Chromium, and a file that is there already is not printed again:
    its last line is a comment with the digest of all that it depends on.

    Parameters
    ----------
    root : folder of the book's sources.
    html : folder of its rendered pages, as `build` leaves it.

    Raises
    ------
    InputError
        No Chromium or no Playwright, a picture that cannot be loaded, or a build under way.
    """
    root, html = root.resolve(), html.resolve()
    config, toc = read_yaml(root / "_config.yml"), read_yaml(root / "_toc.yml")
    target = html.parent / "pdf" / PDF
    with locked(root / "_build" / "book", wait=False), tempfile.TemporaryDirectory() as folder, opened() as page:
        text = single_page(html, toc, str(config.get("title", "")), str(config.get("author", "")), _edition(root))
        browser = page.context.browser
        state = digest(text, _FIT, html / STAMP, browser.version if browser else "")
        mark = f"% kgpert {state}\n".encode()
        if target.is_file() and target.read_bytes().endswith(mark):
            return target
        source = Path(folder) / "book.html"
        source.write_text(text, encoding="utf-8")
        load(page, source)
        page.evaluate(_NUMBER, page_numbers(page.pdf(**_PRINT)))
        content = _TIME.sub(_EPOCH, page.pdf(**_PRINT, outline=True, tagged=True))
        with atomic(target) as scratch:
            scratch.write_bytes(content.rstrip(b"\n") + b"\n" + mark)
    return target


def page_numbers(content: bytes) -> dict[str, int]:
    """The page, from 1 on, of every place of a PDF that a link leads to, by the id of that place."""
    reader = pypdf.PdfReader(io.BytesIO(content))
    return {
        name.removeprefix("/"): (reader.get_destination_page_number(place) or 0) + 1
        for name, place in reader.named_destinations.items()
    }


def load(page: Page, source: Path) -> None:
    """Open the single page as it is printed: at the width of its column, formulas and pictures there, tables fitted.

    InputError where a picture cannot be loaded.
    """
    page.emulate_media(media="print", color_scheme="light")
    page.goto(source.as_uri())
    broken = page.evaluate(_READY)
    if broken:
        raise InputError(f"{broken[0]} is no picture that Chromium can show; build the book again.")
    page.evaluate(_FIT, [COLUMN, ACROSS])


@contextmanager
def opened() -> Iterator[Page]:
    """An empty page of a Chromium without a window.

    InputError where Playwright or the browser is not installed, and where the browser does not start or ends early.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as error:
        raise InputError("The PDF needs Playwright; install it with `pip install playwright`.") from error
    with sync_playwright() as playwright:
        path = chromium() or playwright.chromium.executable_path
        if not Path(path).is_file():
            raise InputError(
                "The PDF needs Chromium; install it with `apt-get install chromium` or `playwright install chromium`, "
                "or name one in KGPERT_CHROMIUM."
            )
        try:
            with playwright.chromium.launch(executable_path=path, args=list(_ARGUMENTS)) as browser:
                page = browser.new_page(viewport={"width": COLUMN, "height": 932})
                page.set_default_timeout(_PATIENCE)
                yield page
        except Error as error:
            raise InputError(f"{path} did not print the book: {error.message.splitlines()[0]}.") from error


def chromium() -> str | None:
    """The Chromium that ``KGPERT_CHROMIUM`` names, or one that is installed; None without one."""
    if named := os.environ.get("KGPERT_CHROMIUM"):
        return named
    return next((path for name in [*_BROWSERS, *_APPLICATIONS] if (path := shutil.which(name))), None)


def _edition(root: Path) -> str:
    """The version and, in a clone of the repository, the date of its last commit."""
    version = f"Version {__version__}"
    if shutil.which("git") is None:
        return version
    command = ["git", "-C", str(root), "log", "-1", "--format=%cs"]
    date = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return f"{version}, {date}" if date else version
