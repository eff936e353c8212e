"""The repository's address, and what the book shows once there is one.

It stands in one place, ``pyproject.toml``: ``[project.urls] Repository = "https://HOST/OWNER/NAME"``. Until it is
set nothing in the book points to a repository.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kgpert_lib.errors import InputError

BRANCH = "main"
PDF = "kgpert.pdf"
COLAB = "https://colab.research.google.com"
_ADDRESS = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?(/[\w.-]*\w){2,}", re.ASCII)
_LATEST = {"github": "releases/latest/download", "gitlab": "-/releases/permalink/latest/downloads"}


def repository(root: Path) -> str | None:
    """The address in the ``pyproject.toml`` of a folder; None where it names none or there is no such file.

    InputError for a file that is not TOML, and for anything but ``https://HOST/OWNER/NAME``.
    """
    path = root / "pyproject.toml"
    if not path.is_file():
        return None
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not TOML text; restore it.") from error
    try:
        address = project.get("project", {}).get("urls", {}).get("Repository")
    except AttributeError as error:
        raise InputError(
            f"{path}: project.urls is no table; write [project.urls] and one name = address a line."
        ) from error
    if address is None:
        return None
    if not isinstance(address, str) or not _ADDRESS.fullmatch(address) or address.endswith(".git"):
        raise InputError(
            f"{path}: Repository = {address!r} is no repository's address; write https://HOST/OWNER/NAME, "
            "without a slash or .git at the end."
        )
    return address


def release_file(repository: str, name: str) -> str | None:
    """Address of a file of the latest release; None on a host whose release addresses are not known here."""
    forge = _forge(repository)
    return f"{repository}/{_LATEST[forge]}/{name}" if forge else None


def link(config: dict[str, Any], repository: str) -> None:
    """Add to the book's settings what needs an address.

    Every page gets a footer with the repository and the PDF of the latest release, and buttons for the repository
    and a new issue; on github.com chapters can be opened in Colab besides. Hosts other than GitHub and GitLab get the
    link to the repository alone: the theme has no buttons for them.
    """
    links = {"Source": repository, "PDF": release_file(repository, PDF)}
    html = config["html"]
    html["extra_footer"] = " · ".join(f'<a href="{url}">{text}</a>' for text, url in links.items() if url)
    if _forge(repository) is None:
        return
    html.update(use_repository_button=True, use_issues_button=True)
    config["repository"] = {"url": repository, "branch": BRANCH, "path_to_book": ""}
    if urlsplit(repository).hostname == "github.com":
        config["launch_buttons"] = {"colab_url": COLAB}


def _forge(repository: str) -> str | None:
    """``github`` or ``gitlab``, as the theme tells them: by the name of the host."""
    return next((name for name in _LATEST if name in (urlsplit(repository).hostname or "")), None)
