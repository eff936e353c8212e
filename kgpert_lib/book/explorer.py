"""The gene explorer's data and scripts for the book, kept under a digest of all that they depend on."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from kgpert_lib.explorer.shown import screen_or_simulated
from kgpert_lib.explorer.write import MARK, PAGE, Settings, state, write
from kgpert_lib.screens.load import atlas_names

if TYPE_CHECKING:
    from kgpert_lib.book.generated import Staging

KEPT = 3  # earlier explorers in _build


def write_explorer(staging: Staging) -> None:
    """Write the explorer beside the pages: of the atlas and lines that replace the chapters' own, if any do.

    Of a list of atlases it shows the first. A book to be passed on holds no measured delta.
    """
    atlas, lines = (staging.parameters.get(name) for name in ("atlas", "lines"))
    screen, note = screen_or_simulated(atlas_names(str(atlas))[0] if atlas else None, lines)
    settings = Settings(measured=not staging.publish, note=note)
    store = staging.root / "_build" / "explorer"
    folder = store / state(screen, settings)[:16]
    if (folder / MARK).is_file():
        folder.touch()
        staging.say("Gene explorer: unchanged")
    else:
        write(folder, screen, settings, lambda step: staging.say(f"Gene explorer: {step}"))
    for old in sorted(store.iterdir(), key=lambda path: -path.stat().st_mtime_ns)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(folder, staging.extra / "explorer", ignore=shutil.ignore_patterns(PAGE))
