"""The commands on the page of the command line, as the commands describe themselves."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from kgpert_lib.files import write_text

if TYPE_CHECKING:
    from kgpert_lib.book.generated import Staging

COMMANDS = "commands.txt"  # not a page: `book/cli.md` includes it


def write(staging: Staging) -> None:
    """Write the text of all commands into the staged book.

    The commands stand above the book, so another process, which may import them, prints it.
    """
    command = [sys.executable, "-m", "kgpert_lib.cli.reference"]
    text = subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    write_text(staging.folder / "book" / COMMANDS, text)
