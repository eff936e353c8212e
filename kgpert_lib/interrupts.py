"""Whether the user has pressed Ctrl-C: an interrupted command leaves no result, whatever swallowed the interrupt.

Python raises KeyboardInterrupt wherever it happens to be. In a callback from C or in a module that is being imported
it can be dropped, or come out as another error, and the work goes on with half of its input. The signal itself is
therefore remembered: `kgpert_lib.files` asks `check` before an output appears, and the command looks at its end.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Any

_received = False


def watch() -> None:
    """From now on remember Ctrl-C, besides raising KeyboardInterrupt."""
    global _received
    _received = False
    signal.signal(signal.SIGINT, _remember)
    sys.unraisablehook = _report_unraisable


def end() -> bool:
    """Whether Ctrl-C was pressed since `watch`; from now on it is ignored, as the command is about to exit."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return _received


def check() -> None:
    """KeyboardInterrupt if Ctrl-C was pressed earlier."""
    if _received:
        raise KeyboardInterrupt


def _remember(signum: int, frame: FrameType | None) -> None:
    global _received
    _received = True
    raise KeyboardInterrupt


def _report_unraisable(unraisable: Any) -> None:
    """Errors that Python cannot raise are printed, but not the interrupt: the command says that itself."""
    if not _received:
        sys.__unraisablehook__(unraisable)
