"""Where committed tables, downloads and the mirror are."""

import os
from pathlib import Path

from kgpert_lib.errors import InputError

_PACKAGED = Path(__file__).parent / "_data"
DATA = _PACKAGED if _PACKAGED.is_dir() else Path(__file__).parent.parent / "data"
LICENCES = Path(__file__).parent / "screens" / "licences"  # LICENSE.<atlas> goes with what is made from its rows


def cache_dir() -> Path:
    """Folder for downloads and derived files: ``KGPERT_CACHE``, else the user's cache folder.

    InputError for a user without a home folder, as in some containers.
    """
    try:
        folder = Path(os.environ.get("KGPERT_CACHE") or _user_cache_dir())
    except RuntimeError as error:
        raise InputError("This user has no home folder; set KGPERT_CACHE to a folder for downloads.") from error
    if folder.parts[:1] == ("~",):  # older releases of platformdirs hand the sign back
        raise InputError(f"{folder} needs a home folder, which this user lacks; set KGPERT_CACHE to another folder.")
    return folder


def _user_cache_dir() -> Path:
    import platformdirs  # only where KGPERT_CACHE is not set

    return Path(platformdirs.user_cache_dir("kgpert"))


def mirror_dir() -> Path | None:
    """Folder with exact copies of downloads, from ``KGPERT_MIRROR``; None where it is not set."""
    value = os.environ.get("KGPERT_MIRROR")
    return Path(value) if value else None


def registry_file() -> Path | None:
    """A registry of downloads in place of the packaged one, from ``KGPERT_REGISTRY``; None where it is not set."""
    value = os.environ.get("KGPERT_REGISTRY")
    return Path(value) if value else None
