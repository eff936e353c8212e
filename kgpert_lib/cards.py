"""Cards: how a notebook shows an atlas, predictions or an explanation.

A card has a title, lines of text, and tables in which a cell may be a bar. Its colours are those of the page that it
stands in, so that it can be read on a dark ground, and all text is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class Bar:
    """A cell with its text and a bar.

    Attributes
    ----------
    text : what the bar stands for, such as its value.
    shares : lengths of the parts of the bar, one beside the other, as shares of the longest possible bar (0..1).
    """

    text: str
    shares: Sequence[float]


Cell: TypeAlias = str | Bar


@dataclass(frozen=True)
class Table:
    """A table of a card.

    Attributes
    ----------
    title : its caption.
    columns : heads of the columns.
    rows : cells, as many in a row as there are columns: text, or bars.
    legend : what the parts of the bars are, in their order; none where they have one part.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    legend: Sequence[str] = ()


def card(title: str, lines: Sequence[str], tables: Sequence[Table], notes: Sequence[str] = ()) -> str:
    """A card as HTML: the title, a paragraph for each of `lines`, the tables, and small print.

    Examples
    --------
    >>> from kgpert_lib.cards import Table, card
    >>> page = card("RPL3 < RPL4", ["one gene"], [Table("Genes", ["gene"], [["RPL3"]])])
    >>> "<b>RPL3 &lt; RPL4</b>" in page
    True
    """
    return _template().render(title=title, lines=lines, tables=tables, notes=notes)


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    source = Path(__file__).with_name("card.html.jinja").read_text(encoding="utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(source)
