"""Stored outputs of a chapter against a new run: words must be equal, numbers close.

The same code gives slightly other floats on another processor, BLAS or number of threads, and one of them now and
then rounds the other way. A number may therefore differ by one unit of the last decimal that is shown. Below 0.1
it may also differ by 1 %, and in scientific notation by 10 %: these are p-values and shares of ranks, where
differences near zero change places. Whole numbers are counts and must be equal. Pictures are not compared,
and neither are the numbers of figures as csv, which no notebook is stored with.
"""

from __future__ import annotations

import re
from typing import Any

from kgpert_lib.book import cells
from kgpert_lib.studies.numbers import MIME

_PASSING = re.compile(r"data:image/[\w+]+;base64,[A-Za-z0-9+/=\s]+|0x[0-9a-f]{6,}|T_[0-9a-f]{5,8}")
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.(?P<decimals>\d+))?(?P<power>e[-+]?\d+)?(?!\w)")
_MINUS = "−"


def same(stored: str, new: str) -> bool:
    """True when two texts have equal words and close numbers; white space does not count."""
    stored, new = (_PASSING.sub("", text).replace(_MINUS, "-") for text in (stored, new))
    if _NUMBER.sub("0", stored).split() != _NUMBER.sub("0", new).split():
        return False
    return all(map(_close, _NUMBER.finditer(stored), _NUMBER.finditer(new)))


def differences(stored: Any, executed: Any) -> list[str]:
    """What two notebooks with the same code cells print differently.

    A cell that could not run because there was no data has another source in the executed notebook; it is skipped. So
    is a cell that is stored without outputs, because most machines do not have its data.
    """
    reports = []
    for k, (before, after) in enumerate(zip(_code(stored), _code(executed), strict=True)):
        old, new = _texts(before), _texts(after)
        compared = before.source == after.source and not cells.never_stored(before)
        for kind in sorted(old | new) if compared else ():
            if kind not in old or kind not in new or not same(old[kind], new[kind]):
                texts = (texts.get(kind, "(nothing)") for texts in (old, new))
                reports.append(f"cell {k}: stored {kind}\n" + "\nnow\n".join(texts))
    return reports


def _close(a: re.Match[str], b: re.Match[str]) -> bool:
    x, y = (float(match[0].replace(",", "")) for match in (a, b))
    if x == y:
        return True
    if a["power"] and b["power"]:
        return abs(x - y) <= 0.1 * max(abs(x), abs(y))
    if not (a["decimals"] and b["decimals"]):
        return False
    unit = 10.0 ** -min(len(a["decimals"]), len(b["decimals"]))
    share = 0.01 if max(abs(x), abs(y)) < 0.1 else 0.0
    return abs(x - y) <= max(1.001 * unit, share * max(abs(x), abs(y)))


def _code(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _texts(cell: Any) -> dict[str, str]:
    """The texts of a cell by kind (``stdout``, ``text/html``), several of one kind in a row."""
    texts: dict[str, str] = {}
    for output in cell.outputs:
        parts = output.get("data", {}) | ({output.name: output.text} if output.output_type == "stream" else {})
        for kind, text in parts.items():
            if not kind.startswith("image/") and kind != MIME:
                texts[kind] = texts.get(kind, "") + "\n" + str(text)
    return texts
