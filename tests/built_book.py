"""The book brought up to date, in the reader's own environment."""

from pathlib import Path

from kgpert_lib.book.build import BuildResult, build
from kgpert_lib.files import locked

ROOT = Path(__file__).parents[1]


def built_book() -> BuildResult:
    """A build; a second one at the same time is refused, so the workers of pytest-xdist wait for one another."""
    with locked(ROOT / "_build" / "tests"):
        return build(ROOT)
