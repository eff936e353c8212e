"""The page on predictions to download: where a release carries them, once the repository has an address."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kgpert_lib.book.address import release_file, repository

if TYPE_CHECKING:
    from kgpert_lib.book.generated import Staging

ARCHIVE = "kgpert-predictions.zip"
PLACE = "% release\n"


def write(staging: Staging) -> None:
    """Put the address of the archive into the staged page; without one the page says nothing of releases."""
    address = repository(staging.root)
    url = release_file(address, ARCHIVE) if address else None
    page = staging.folder / "book" / "downloads.md"
    sentence = f"Each release has this folder, packed: [{ARCHIVE}]({url}).\n" if url else ""
    page.write_text(page.read_text(encoding="utf-8").replace(PLACE, sentence), encoding="utf-8", newline="")
