"""The numbers that a figure draws: kept with it as one table, and shown as csv beside its picture in a notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MIME = "text/csv"
DRAWN = "drawn"
FIRST = (DRAWN, "atlas", "kind", "line")  # columns that stand first
DIGITS = 6  # significant, so that the last digits of another BLAS do not show

_TABLES: WeakKeyDictionary[Figure, pd.DataFrame] = WeakKeyDictionary()


def attach(figure: Figure, tables: pd.DataFrame | Mapping[str, pd.DataFrame], atlas: str) -> None:
    """Keep with a figure the tables that it draws.

    Parameters
    ----------
    figure : the figure.
    tables : one row for each mark. Several tables become one, whose column ``drawn`` has their keys.
    atlas : what the column ``atlas`` holds where the tables have none.
    """
    table = tables if isinstance(tables, pd.DataFrame) else _joined(tables)
    if "atlas" not in table:
        table = table.assign(atlas=atlas)
    heads = sorted(table.columns, key=lambda name: FIRST.index(name) if name in FIRST else len(FIRST))
    _TABLES[figure] = table[heads].reset_index(drop=True)


def numbers(figure: Figure) -> pd.DataFrame | None:
    """The table that a figure of this library draws, one row for each mark; None for a figure without one."""
    return _TABLES.get(figure)


def csv(table: pd.DataFrame) -> str:
    """The table as csv with a line of heads: numbers with six significant digits, counts whole, gaps blank."""
    with np.errstate(invalid="ignore"):  # no whole number is that large
        whole = table.convert_dtypes(convert_string=False, convert_floating=False)
    return whole.to_csv(index=False, float_format=f"%.{DIGITS}g", lineterminator="\n")


def bundle(figure: Figure) -> dict[str, Any]:
    """What a notebook shows of a figure besides its picture: its numbers as ``text/csv``, if it has some."""
    table = numbers(figure)
    return {} if table is None else {MIME: csv(table)}


def _joined(tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The tables that have a row below each other, each under its key in the column ``drawn``."""
    rows = [table.assign(**{DRAWN: name}) for name, table in tables.items() if len(table)]
    return pd.concat(rows) if rows else pd.DataFrame(columns=[DRAWN])
