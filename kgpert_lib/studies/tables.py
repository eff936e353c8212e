"""Tables of a chapter: scores in a data frame become a table that people read.

A chapter ends a cell with ``tables.shown(frame, "What the table says, for whom.")``. The caption belongs to the
table (HTML's ``<caption>``), so no paragraph below the cell repeats it; words between backticks are set as code.
Columns that hold one value only (atlas, kind, split, task, the predictor compared with) leave the body and are
named at the end of the caption, unless it says them already. Pass the frame as the library returns it: no
``drop(columns=...)``, ``round`` or ``rename`` in the cell.

A figure has its caption, its name for references and its alternative text in the metadata of the cell, in the
script on one line::

    # %% mystnb={"figure": {"caption": "Gain by predictor {cite:p}`fawkes2026`, see {numref}`other`. n = 267 genes.", \
"name": "fig-gain"}, "image": {"alt": "Points with intervals, one panel for each cell line."}} tags=["needs-data"]

The caption is MyST: citations, references, code and formulas work (a backslash is written twice, as in every JSON
text). ``name`` must be unique in the book; text refers to it by ``{numref}`fig-gain```.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd
from pandas.io.formats.style import Styler
from pandas.io.formats.style_render import CSSDict

from kgpert_lib.errors import InputError
from kgpert_lib.files import digest
from kgpert_lib.lines import LINES
from kgpert_lib.studies.style import LABELS

HEADS: Mapping[str, str] = {
    **LABELS,
    "line": "cell line",
    "mse": "MSE",
    "mae": "MAE",
    "auroc": "AUROC",
    "brier": "Brier score",
    "fallback": "given the training mean",
    "method_a": "predictor",
    "method_b": "compared with",
    "n_pairs": "pairs",
    "n_nonzero": "pairs that differ",
    "p_holm": "p (Holm)",
    "n_neighbours": "neighbours",
    "n_genes": "readout genes",
    "control_likeness": "control-likeness",
    "spearman": "Spearman correlation",
    "pds_cosine": "PDS",
    "jaccard": "Jaccard",
    "nmae": "nMAE",
    "vendi": "Vendi, predicted",
    "vendi_measured": "Vendi, measured",
    "drf": "DRF",
    "bds": "BDS",
}
WORDS: Mapping[str, str] = {**LINES, "auroc": "AUROC", "de": "DE", "mse": "MSE", "mae": "MAE", "go": "GO"}
CELLS: Mapping[str, Mapping[str, str]] = {
    "atlas": {"perturbqa": "PerturbQA"},
    "line": LINES,
    "task": {"de": "differential expression", "dir": "direction"},
    "score": LABELS
    | {"mse": "MSE", "mae": "MAE", "pds_cosine": "PDS", "jaccard": "Jaccard", "nmae": "nMAE"}
    | {"direction_fidelity": "direction fidelity", "direction_reach": "direction reach"}
    | {"auroc": "AUROC for change", "sign_accuracy": "sign accuracy"},
    "trait": {"control_likeness": "control-likeness"},
}
CONSTANT = ("atlas", "kind", "split", "policy", "task", "method_b")
GROUPS = ("atlas", "claim", "measured", "line", "control", "task")
P_VALUES = ("p", "p_holm")
DIGITS: Mapping[str, int] = {"n_neighbours": 1, "genes each": 1, "genes added": 1, "genes removed": 1, "cells": 0}
NO_ROW = "There is nothing of it to show."
MINUS = "−"
NO_BREAK = "\u00a0"  # in a narrow column an interval goes below its mean and stays whole
_NUMERIC = re.compile(r"[-−\d.,e\[\]\s%/]*")


@dataclass(frozen=True)
class Table:
    """A table as text: `body` (its heads are the labels), `caption`, and which columns and rows are set apart.

    Notebooks show it as HTML; its ``repr`` is the same table in plain text.
    """

    body: pd.DataFrame
    caption: str
    numbers: tuple[bool, ...]  # which columns are aligned to the right
    rules: tuple[bool, ...]  # which rows begin a group

    def __repr__(self) -> str:
        text = self.body.to_string(index=False)
        return f"{self.caption}\n{text}" if self.caption else text

    def _repr_html_(self) -> str:
        return self.styler.to_html()

    @property
    def styler(self) -> Styler:
        """The pandas Styler behind the HTML: texts escaped, index hidden, one class for numbers and one for rules."""
        classes = pd.DataFrame(
            [[" ".join(w for w, on in (("number", n), ("rule", r)) if on) for n in self.numbers] for r in self.rules],
            index=self.body.index,
            columns=self.body.columns,
        )
        # The name depends on the words of the table only: the same table has the same HTML in every run.
        name = digest("\n".join([self.caption, *map(str, self.body.columns)]))[:8]
        styler = Styler(self.body, uuid=name, cell_ids=False, escape="html").hide(axis="index")
        styler = styler.format_index(escape="html", axis=1).set_td_classes(classes)
        heads: list[CSSDict] = [
            {"selector": f"th.col{k}", "props": "text-align: right"} for k, on in enumerate(self.numbers) if on
        ]
        styler = styler.set_table_attributes('class="dataframe scores"').set_table_styles(heads)
        if not self.caption:
            return styler
        return styler.set_caption(re.sub(r"`([^`]+)`", r"<code>\1</code>", html.escape(self.caption, quote=False)))


def shown(table: pd.DataFrame, caption: str = "", digits: int = 3, labels: Mapping[str, str] | None = None) -> Table:
    """The table as readers see it.

    ``x, x_low, x_high`` become one column ``x [95 %]`` (``low, high`` belong to ``mean_difference``); p-values have
    two digits; whole numbers have no decimals; a gap is blank; names of lines, scores and tasks are written out;
    repeated names of a line or task are blank, and a rule stands between lines. A named index becomes columns. The
    caption of a table without a row says so.

    Parameters
    ----------
    table : scores as the library returns them.
    caption : what the table holds, standing alone; plain text, backticks set code.
    digits : decimals of numbers that are neither counts nor p-values.
    labels : heads of this table where `HEADS` has none or another.

    Raises
    ------
    InputError
        Two columns would have the same head.
    """
    frame = table.reset_index() if any(name is not None for name in table.index.names) else table
    frame = frame.reset_index(drop=True)
    frame.columns = [
        ", ".join(str(part) for part in c if part != "") if isinstance(c, tuple) else str(c) for c in frame.columns
    ]
    constants = [c for c in CONSTANT if c in frame and len(frame) and frame[c].nunique(dropna=False) == 1]
    caption = _with_constants(caption, {c: str(frame[c].iloc[0]) for c in constants})
    if frame.empty:
        caption = f"{caption} {NO_ROW}".strip()
    frame = frame.drop(columns=constants)
    text = pd.DataFrame(index=frame.index)
    for column in frame.columns:
        if not _is_bound(column, frame):
            text[column] = _texts(frame, column, DIGITS.get(column, digits))
    rules = _group(text)
    numbers = tuple(all(_NUMERIC.fullmatch(cell) for cell in text[column]) for column in text)
    heads = {**HEADS, **(labels or {})}
    text.columns = [_head(c, heads) + (" [95 %]" if _bounds(c, frame) else "") for c in text.columns]
    if text.columns.has_duplicates:
        twice = text.columns[text.columns.duplicated()][0]
        raise InputError(f"Two columns of a table have the head {twice!r}; name one of them with `labels`.")
    return Table(text, caption, numbers, rules)


def number(value: float, digits: int = 3) -> str:
    """A number with `digits` decimals, commas between thousands, a true minus sign, none before 0; blank for NaN."""
    if pd.isna(value):
        return ""
    text = f"{value:,.{digits}f}"
    return text.replace("-", MINUS if float(text.replace(",", "")) else "")


def p_value(p: float) -> str:
    """Two significant digits, as a power of ten below 0.001; blank for NaN."""
    if pd.isna(p):
        return ""
    if p >= 1e-3 or p == 0:
        return f"{p:.2g}"
    mantissa, exponent = f"{p:.1e}".split("e")
    return f"{mantissa}e{MINUS}{abs(int(exponent))}"


def _texts(frame: pd.DataFrame, column: str, digits: int) -> list[str]:
    cells, bounds = frame[column], _bounds(column, frame)
    if bounds:
        low, high = (frame[name] for name in bounds)
        return [_interval(*row, digits) for row in zip(cells, low, high, strict=True)]
    if column in P_VALUES:
        return [p_value(p) for p in cells]
    if pd.api.types.is_bool_dtype(cells):
        return ["yes" if cell else "no" for cell in cells]
    if pd.api.types.is_numeric_dtype(cells):
        present = cells.dropna()
        whole = pd.api.types.is_integer_dtype(cells) or ((present % 1 == 0).all() and (present.abs() > 1).any())
        return [number(cell, 0 if whole else digits) for cell in cells]
    names = CELLS.get(column, {})
    return ["" if pd.isna(cell) else _typeset(names.get(str(cell), str(cell))) for cell in cells]


def _typeset(text: str) -> str:
    """The text; where all of it is numbers, with a true minus sign and intervals that stay whole."""
    return (
        text.replace("-", MINUS).replace(", ", f",{NO_BREAK}")
        if _NUMERIC.fullmatch(text) and re.search(r"\d", text)
        else text
    )


def _interval(mean: float, low: float, high: float, digits: int) -> str:
    if pd.isna(low) or pd.isna(high):
        return number(mean, digits)
    return f"{number(mean, digits)} [{number(low, digits)},{NO_BREAK}{number(high, digits)}]"


def _bounds(column: str, frame: pd.DataFrame) -> tuple[str, str] | None:
    """The columns that hold the interval of `column`, if there are."""
    low, high = ("low", "high") if column == "mean_difference" else (f"{column}_low", f"{column}_high")
    return (low, high) if low in frame and high in frame else None


def _is_bound(column: str, frame: pd.DataFrame) -> bool:
    """True for a column that is shown as part of another column's interval."""
    stem = "mean_difference" if column in ("low", "high") else re.sub("_(low|high)$", "", column)
    return stem != column and stem in frame and _bounds(stem, frame) is not None


def _head(column: str, heads: Mapping[str, str]) -> str:
    return heads.get(column) or " ".join(WORDS.get(word, word) for word in column.replace("_", " ").split(" "))


def _with_constants(caption: str, values: Mapping[str, str]) -> str:
    """The caption with a last sentence that names the values which the body no longer holds."""
    names = {column: CELLS.get(column, {}).get(value, value) for column, value in values.items()}
    if names.get("kind") == names.get("atlas"):
        names.pop("kind", None)
    missing = [
        f"{HEADS.get(column, column)}: {name}"
        for column, name in names.items()
        if not re.search(rf"\b{re.escape(name)}\b", caption, re.IGNORECASE)
    ]
    if not missing:
        return caption
    sentence = "; ".join(missing)
    return f"{caption} {sentence[0].upper()}{sentence[1:]}.".strip()


def _group(text: pd.DataFrame) -> tuple[bool, ...]:
    """Blank repeated names in the leading columns of groups; True for rows that begin another block."""
    rules = [False] * len(text)
    ruled = ("atlas", "claim") if "claim" in text else ("atlas", "line", "control")
    same = pd.Series(True, index=text.index)
    for column in text.columns:
        if column not in GROUPS:
            break
        values = text[column].copy()
        same &= values.eq(values.shift())
        if column in ruled:
            rules = [k > 0 and not s for k, s in enumerate(same)]
        text[column] = values.mask(same, "")
    return tuple(rules)
