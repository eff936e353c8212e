"""Where committed tables, downloads and the mirror are."""

import os
from pathlib import Path

import pooch

_PACKAGED = Path(__file__).parent / "_data"
DATA = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "data"


def cache_dir() -> Path:
    """Folder for downloads and derived files: ``KGPERT_CACHE``, else the user's cache folder."""
    return Path(os.environ.get("KGPERT_CACHE") or pooch.os_cache("kgpert"))


def mirror_dir() -> Path | None:
    """Folder with exact copies of downloads, from ``KGPERT_MIRROR``; None where it is not set."""
    value = os.environ.get("KGPERT_MIRROR")
    return Path(value) if value else None
