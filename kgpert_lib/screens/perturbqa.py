"""PerturbQA's calls of four CRISPRi screens as signed deltas.

For each cell line two tables with the columns ``pert, gene, label, split``: ``<line>-de.csv`` (1: the readout
gene changes) and ``<line>-dir.csv`` (for the pairs that change, 1: it rises). About 2 % of all pairs were
tested; there are no magnitudes, controls, replicates or validation split.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.downloads.fetch import LocalFiles, fetch_all
from kgpert_lib.downloads.registry import Registry, default_registry
from kgpert_lib.errors import InputError
from kgpert_lib.lines import LINES
from kgpert_lib.screens.atlas import Atlas, CellLine

COLUMNS = ["pert", "gene", "label", "split"]
NAME = "perturbqa"
COMMAND = "kgpert fetch perturbqa"


def files(line: str) -> tuple[str, str]:
    """File names of a line's two tables: differential expression and direction."""
    return f"{line}-de.csv", f"{line}-dir.csv"


def load(lines: Iterable[str] | None = None, download: bool = True, registry: Registry | None = None) -> Atlas:
    """The atlas of the lines that can be had; the others are in `Atlas.missing` with the reason.

    Parameters
    ----------
    lines : of `LINES`; None for all four.
    download : False to use only what is in the cache or the mirror.
    registry : where the files are; by default the one that comes with kgpert.

    Raises
    ------
    InputError
        For an unknown line, for a table that breaks the format, and when no line can be had.
    """
    registry = registry or default_registry()
    names = list(dict.fromkeys(LINES if lines is None else lines))
    unknown = [line for line in names if line not in LINES]
    if unknown or not names:
        what = f"no cell line {unknown[0]!r}" if unknown else "nothing to load without a cell line"
        raise InputError(f"PerturbQA has {what}; it has {', '.join(LINES)}.")
    tables = [table for line in names for table in files(line)]
    local = fetch_all(tables, registry, download)
    missing = {line: why for line in names if (why := _why_missing(line, local)) is not None}
    if len(missing) == len(names):
        raise InputError(f"No PerturbQA line can be had ({next(iter(missing.values()))}); run `{COMMAND}`.")
    cell_lines = {
        line: read_line(line, *(local[table] for table in files(line))) for line in names if line not in missing
    }
    entry = registry[tables[0]]
    return Atlas(
        name=NAME,
        kind="real",
        lines=cell_lines,
        missing=missing,
        provenance={
            "files": {table: registry[table].checksum for line in cell_lines for table in files(line)},
            "licence": entry.licence,
            "citation": entry.citation,
            "attribution": entry.attribution,
        },
    )


def read_line(name: str, de: str | Path, direction: str | Path) -> CellLine:
    """One cell line from its two tables.

    The delta is 0 where the gene does not change, +1 where it rises, -1 where it falls, NaN where the pair was
    not tested. Rows and columns are in alphabetical order.

    Raises InputError naming the file and the line or pair of the first fault: a missing column, an empty name, a label
    that is not 0 or 1, a split that is not train or test, a pair given twice, a perturbation in two splits, or
    a call without its direction and the reverse.
    """
    calls, signs = _read_table(Path(de)), _read_table(Path(direction))
    perturbations, row = _sorted_codes(calls["pert"])
    genes, column = _sorted_codes(calls["gene"])
    split = _split_by_perturbation(calls, row, perturbations, Path(de))

    delta = np.full((len(perturbations), len(genes)), np.nan, np.float32)
    delta[row, column] = calls["label"].to_numpy()
    i = perturbations.get_indexer(pd.Index(signs["pert"].astype(object)))
    j = genes.get_indexer(pd.Index(signs["gene"].astype(object)))
    stray = (i < 0) | (j < 0) | (delta[i, j] != 1)
    if stray.any():
        raise InputError(f"{direction}: {_pair(signs, stray)} has a direction but is no call in {Path(de).name}.")
    other = split[i] != signs["split"].to_numpy()
    if other.any():
        raise InputError(f"{direction}: {_pair(signs, other)} is in another split than in {Path(de).name}.")
    delta[i, j] = np.where(signs["label"].to_numpy() == 1, 2, -1)
    undirected = delta[row, column] == 1
    if undirected.any():
        raise InputError(f"{de}: {_pair(calls, undirected)} is a call without a direction in {Path(direction).name}.")
    delta[delta == 2] = 1
    return CellLine(name, perturbations.to_numpy(str), genes.to_numpy(str), delta, split.astype(str))


def read_split(de: str | Path) -> dict[str, str]:
    """``"train"`` or ``"test"`` by perturbation, from a line's table of differential expression alone.

    InputError for a table without these columns, for another split and for a perturbation in both.
    """
    stat = Path(de).stat()
    return dict(_read_split(Path(de), stat.st_size, stat.st_mtime_ns))


@lru_cache(maxsize=8)
def _read_split(de: Path, size: int, modified: int) -> dict[str, str]:
    """`read_split` of a table as it is now: a file is read once in a process."""
    try:
        table = pd.read_csv(de, usecols=["pert", "split"], dtype="category", keep_default_na=False)
    except (ValueError, UnicodeDecodeError) as error:  # pandas' errors of parsing are ValueErrors
        raise InputError(f"{de} is not a table of {', '.join(COLUMNS)} ({error}).") from error
    table = table.drop_duplicates()
    odd = sorted(set(table["split"]) - {"train", "test"})
    if odd:
        raise InputError(f"{de}: split is {odd[0]!r}; expected train or test.")
    both = table["pert"][table["pert"].duplicated()]
    if len(both):
        raise InputError(f"{de}: perturbation {both.iloc[0]!r} is in both train and test.")
    return dict(zip(table["pert"].astype(str), table["split"].astype(str), strict=True))


def _read_table(path: Path) -> pd.DataFrame:
    """The checked table: pert and gene as categories, split as objects, label as int8; row k is line k + 2."""
    try:
        columns = list(pd.read_csv(path, nrows=0, keep_default_na=False).columns)
        if sorted(columns) != sorted(COLUMNS):
            raise InputError(f"{path} has the columns {', '.join(columns)}; expected {', '.join(COLUMNS)}.")
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            table = pd.read_csv(path, dtype="category", keep_default_na=False, skip_blank_lines=False, index_col=False)
    except (pd.errors.ParserError, pd.errors.ParserWarning, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a table of {', '.join(COLUMNS)} ({error}).") from error
    if table.empty:
        raise InputError(f"{path} has no row.")
    for column, allowed in (("pert", None), ("gene", None), ("label", ("0", "1")), ("split", ("train", "test"))):
        values = table[column]
        bad = values == "" if allowed is None else ~values.isin(allowed)
        if bad.any():
            at = int(np.argmax(bad.to_numpy()))
            expected = "a gene symbol" if allowed is None else " or ".join(allowed)
            raise InputError(f"{path}, line {at + 2}: {column} is {values.iloc[at]!r}; expected {expected}.")
    twice = table.duplicated(["pert", "gene"]).to_numpy()
    if twice.any():
        raise InputError(f"{path}, line {int(np.argmax(twice)) + 2}: {_pair(table, twice)} was given before.")
    return table.astype({"split": object, "label": np.int8})


def _sorted_codes(values: pd.Series) -> tuple[pd.Index, NDArray[np.intp]]:
    """The distinct names in alphabetical order, and for each row the position of its name."""
    order = np.argsort(values.cat.categories.to_numpy(str))
    position = np.empty(len(order), np.intp)
    position[order] = np.arange(len(order))
    return values.cat.categories[order], position[values.cat.codes]


def _split_by_perturbation(
    calls: pd.DataFrame, row: NDArray[np.intp], perturbations: pd.Index, path: Path
) -> NDArray[np.object_]:
    """(n,) split of each perturbation; InputError when its rows do not agree."""
    labels = calls["split"].to_numpy()
    split = np.empty(len(perturbations), dtype=object)
    split[row] = labels
    mixed = split[row] != labels
    if mixed.any():
        at = int(np.argmax(mixed))
        raise InputError(f"{path}, line {at + 2}: perturbation {calls['pert'].iloc[at]!r} is in both train and test.")
    return split


def _pair(table: pd.DataFrame, mask: NDArray[np.bool_]) -> str:
    """The first masked pair, in words."""
    first = table.iloc[int(np.argmax(mask))]
    return f"the pair {first['pert']}, {first['gene']}"


def _why_missing(line: str, local: LocalFiles) -> str | None:
    return next((local.failed[name].rstrip(".") for name in files(line) if name in local.failed), None)
