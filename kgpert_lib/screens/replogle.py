"""Replogle 2022: normalised pseudobulk of K562 and RPE1, the mean z-score of each knock-down's cells.

The authors' files (figshare 20029387) hold one row for each gene and promoter, z-scored within each gemgroup against
the cells with non-targeting guides: a row is a delta in standard deviations of control cells. K562 was screened twice,
with essential genes (``k562``) and genome-wide (``k562_gw``); the second is loaded only where it is asked for.

A row is called ``<id>_<GENE>_<transcript>_<Ensembl id>``. Perturbations keep these symbols, which all files share, so
that a held-out gene is recognised in every file. A readout gene is called by its own ``gene_name``, or by the symbol
under which it is knocked down where that is another one and means no other readout gene.
"""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.downloads.fetch import available, fetch_all
from kgpert_lib.downloads.registry import Registry, default_registry
from kgpert_lib.errors import InputError
from kgpert_lib.graphs.symbols import match
from kgpert_lib.screens import perturbqa, txpert
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.types import FloatArray, NameArray

NAME = "replogle"
FIRST, SECOND = "k562", "k562_gw"  # two experiments on one cell line
FILES = {
    FIRST: "K562_essential_normalized_bulk_01.h5ad",
    "rpe1": "rpe1_normalized_bulk_01.h5ad",
    SECOND: "K562_gwps_normalized_bulk_01.h5ad",
}
LINES = tuple(line for line in FILES if line != SECOND)
CONTROL = "non-targeting"
MARK = "kgpert"  # key in `uns` of a file that `simulated.replogle_files` wrote
# The filter: rows with more cells than this, at most this part of the target's expression left, more changed genes.
FEWEST_CELLS, MOST_LEFT, FEWEST_CHANGED = 25, 0.7, 50
MEASURES = ("num_cells_filtered", "fold_expr", "anderson_darling_counts")
BLOCK = 1 << 21  # bytes of the matrix read at once: they stay in the processor's cache while they are looked at
_ROW = re.compile(r"^\d+_(.+)_[^_\n]+_([^_\n]+)$", re.MULTILINE)  # symbol and Ensembl id
_ENSEMBL = re.compile(r"^(ENSG\d{11})(?:\.\d+)?$", re.MULTILINE)  # without its version

Transcripts = Literal["most-cells", "mean", "weighted"]
SplitRule = Literal["perturbqa", "txpert", "rule"]


@dataclass(frozen=True)
class Options:
    """How the screen is read.

    Attributes
    ----------
    transcripts : what stands for a gene in several rows: the row with ``"most-cells"`` (ties: the first name), the
        ``"mean"`` of the rows, or the mean ``"weighted"`` by their cells.
    filtered : keep rows with more than 25 cells, at most 70 % of the target's expression left (unknown fails) and more
        than 50 changed genes (Anderson-Darling), as TxPert does; applied before `transcripts`.
    readouts : None for all readout genes, or how many: those whose z-scores vary most over training rows and controls
        (ties: the first name), in the file's order.
    split : ``"perturbqa"``: the test genes of PerturbQA's calls of this line, all others for training; ``"txpert"``:
        TxPert's published split of K562, elsewhere the rule; ``"rule"``: TxPert's rule (reconstructed), scikit-learn's
        ``train_test_split`` of the sorted genes.
    test, val, seed : of the rule: share of all genes for test, share of the rest for validation, and ``random_state``.

    Raises InputError for a value that is none of these.

    Examples
    --------
    >>> from kgpert_lib.screens.replogle import Options
    >>> Options.parse({"split": "rule", "readouts": "5000"}).readouts
    5000
    """

    transcripts: Transcripts = "most-cells"
    filtered: bool = True
    readouts: int | None = None
    split: SplitRule = "perturbqa"
    test: float = 0.25
    val: float = 0.1
    seed: int = 42

    def __post_init__(self) -> None:
        for key, values in (("transcripts", get_args(Transcripts)), ("split", get_args(SplitRule))):
            if getattr(self, key) not in values:
                raise InputError(f"The option {key} of {NAME} is {getattr(self, key)!r}; it is {', '.join(values)}.")
        if self.readouts is not None and self.readouts < 1:
            raise InputError(f"The option readouts of {NAME} is {self.readouts}; it is a number from 1, or all.")
        if not 0 < self.test < 1 or not 0 <= self.val < 1:
            raise InputError(f"The options test={self.test} and val={self.val} of {NAME} are no shares below 1.")
        if not 0 <= self.seed < 2**32:
            raise InputError(f"The option seed of {NAME} is {self.seed}; it is a number from 0 to {2**32 - 1}.")

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Options:
        """Options from texts by name, such as those of ``replogle:split=rule:filtered=no``."""
        known = [field.name for field in fields(cls)]
        values: dict[str, Any] = {}
        for key, text in texts.items():
            if key not in known:
                raise InputError(f"The atlas {NAME} has no option {key!r}; it has {', '.join(known)}.")
            read, kind = _FROM_TEXT.get(key, (str, ""))
            try:
                values[key] = read(text)
            except (KeyError, ValueError) as error:
                raise InputError(f"The option {key} of {NAME} is {text!r}; it is {kind}.") from error
        return cls(**values)


_FROM_TEXT: Mapping[str, tuple[Any, str]] = {
    "filtered": ({"yes": True, "no": False}.__getitem__, "yes or no"),
    "readouts": (lambda text: None if text == "all" else int(text), "a whole number or all"),
    "test": (float, "a share such as 0.25"),
    "val": (float, "a share such as 0.1"),
    "seed": (int, "a whole number"),
}


def load(
    lines: Iterable[str] | None = None,
    download: bool = True,
    registry: Registry | None = None,
    options: Options | None = None,
) -> Atlas:
    """The atlas of the lines that can be had; the others are in `Atlas.missing` with the reason.

    Parameters
    ----------
    lines : of `FILES`; None for ``k562`` and ``rpe1``. ``k562_gw`` (375 MB) is loaded and downloaded where it is named.
    download : False to use only what is in the cache or the mirror.
    registry : where the files are; by default `default_registry`.
    options : how they are read.

    A perturbation that is held out in ``k562`` is held out in ``k562_gw`` as well. A file that kgpert has simulated
    makes the atlas ``"simulated"``. Values that are not finite become gaps; a row of gaps is left out and named.

    Raises
    ------
    InputError
        For an unknown line, for a file that breaks the format, when no line can be had, and when the split needs
        a file that cannot be had.
    """
    registry, options = registry or default_registry(), options or Options()
    names = list(dict.fromkeys(LINES if lines is None else lines))
    unknown = [line for line in names if line not in FILES]
    if unknown or not names:
        what = f"no cell line {unknown[0]!r}" if unknown else "nothing to load without a cell line"
        raise InputError(f"The atlas {NAME} has {what}; it has {', '.join(FILES)}.")
    local = fetch_all([FILES[line] for line in names], registry, download)
    missing = {line: local.failed[FILES[line]].rstrip(".") for line in names if FILES[line] in local.failed}
    present = [line for line in names if line not in missing]
    if not present:
        command = f"kgpert fetch {registry[FILES[names[0]]].group}"
        raise InputError(f"No line of {NAME} can be had ({missing[names[0]]}); run `{command}`.")
    tables = {line: _read_table(local[FILES[line]], options) for line in present}
    if SECOND in tables and FIRST not in tables:  # a gene that is held out in the one has to be known in the other
        tables[FIRST] = _read_table(_needed(FILES[FIRST], "another line", download, registry), options)
    tables = _in_one_spelling(tables)
    cells, counts = {}, {}
    for line in present:
        labels, rule = _split(line, tables, options, download, registry)
        cells[line], counts[line] = _read_line(line, tables[line], labels, options)
        counts[line]["split"] = rule
    entry = registry[FILES[present[0]]]
    return Atlas(
        name=NAME,
        kind="simulated" if any(table.simulated for table in tables.values()) else "real",
        lines=cells,
        missing=missing,
        provenance={
            "files": {FILES[line]: registry[FILES[line]].checksum for line in present},
            "options": asdict(options),
            "lines": counts,
            "licence": entry.licence,
            "citation": entry.citation,
            "attribution": entry.attribution,
        },
    )


def second(
    line: str, download: bool = True, registry: Registry | None = None, options: Options | None = None
) -> CellLine | None:
    """The genome-wide experiment of K562 as the line ``k562_gw``, where its file is in the cache or the mirror.

    None for another line. It has all of its readout genes, whatever the options say, because only those that `line` has
    are looked at. `download` concerns the tables that the split needs. Raises InputError as `load`.
    """
    if line != FIRST or not at_hand([SECOND], registry):
        return None
    return load([SECOND], download, registry, replace(options or Options(), readouts=None))[SECOND]


def at_hand(lines: Iterable[str], registry: Registry | None = None) -> bool:
    """Whether verified files of all these lines are in the cache or the mirror; nothing is downloaded.

    Raises FetchError for a mirror whose copy is wrong.
    """
    registry = registry or default_registry()
    return all(line in FILES and available(FILES[line], registry) is not None for line in lines)


@dataclass(frozen=True, eq=False)
class _Table:
    """What a file says of its rows and columns.

    `rows` has one line for each row of the matrix, by its name: ``symbol``, ``ensembl`` ("" where there is none),
    ``control``, the `MEASURES`, and ``kept`` (a perturbation that passes the filter). `gene_names` and `ids` are
    the symbols and Ensembl ids of the m readout genes. `dropped` counts the rows that fail each criterion.
    """

    path: Path
    rows: pd.DataFrame
    gene_names: list[str]
    ids: list[str]
    simulated: bool
    dropped: dict[str, int]

    @cached_property
    def perturbations(self) -> NameArray:
        """(n,) symbols of the kept rows, sorted, each once."""
        return np.array(sorted(set(self.rows["symbol"][self.rows["kept"]].tolist())))


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """The HDF5 file; InputError with one sentence for whatever is wrong with its bytes."""
    with path.open("rb") as file:
        start = file.read(256)
    if start.lstrip()[:1] == b"<":
        raise InputError(f"{path} is a web page (HTML) and not HDF5; delete it and fetch the file again.")
    if not start.startswith(b"\x89HDF\r\n\x1a\n"):
        raise InputError(f"{path} is not an HDF5 file; delete it and fetch the file again.")
    try:
        with h5py.File(path, "r") as file:
            yield file
    except InputError:
        raise
    except Exception as error:  # h5py and anndata raise many kinds for damaged bytes
        raise InputError(f"{path} is cut short or damaged ({error}); delete it and fetch the file again.") from error


def _read_table(path: Path, options: Options) -> _Table:
    """Rows and columns, checked and filtered; the matrix is not read."""
    with _opened(path) as file:
        absent = [key for key in ("X", "obs", "var") if key not in file]
        if absent:
            raise InputError(f"{path} has no {absent[0]}; expected Replogle's normalised pseudobulk.")
        if not isinstance(file["X"], h5py.Dataset):
            raise InputError(f"{path} has a sparse X; the normalised pseudobulk is dense, so this is another file.")
        odd = [key for key in ("obs", "var") if "_index" not in file[key].attrs]
        if odd:
            raise InputError(f"{path} keeps {odd[0]} in another layout than anndata's tables; it is another release.")
        obs, var = _columns(file["obs"], MEASURES), _columns(file["var"], ("gene_name",))
        simulated = "uns" in file and MARK in file["uns"]
        shape, dtype = file["X"].shape, file["X"].dtype
    for part, table, columns in (("obs", obs, MEASURES), ("var", var, ("gene_name",))):
        lacking = [column for column in columns if column not in table]
        if lacking:
            raise InputError(f"{path} has no column {lacking[0]!r} in {part}; it is another release or another file.")
    if shape != (len(obs), len(var)) or dtype.kind != "f":
        raise InputError(
            f"{path} has X of shape {shape} and type {dtype}; expected real numbers in {len(obs)} rows and "
            f"{len(var)} columns."
        )
    ids = _ENSEMBL.findall("\n".join(map(str, var.index)))
    if len(ids) != len(var) or len(set(ids)) < len(ids):
        raise InputError(f"{path} has columns that are not Ensembl ids of genes, each once; it is another file.")
    names = zip(var["gene_name"].tolist(), ids, strict=True)
    gene_names = [name if isinstance(name, str) and name else identifier for name, identifier in names]
    rows = _rows(path, obs)
    passed = {
        "num_cells_filtered": rows["num_cells_filtered"] > FEWEST_CELLS,
        "fold_expr": np.isfinite(rows["fold_expr"]) & (rows["fold_expr"] <= MOST_LEFT),
        "anderson_darling_counts": rows["anderson_darling_counts"] > FEWEST_CHANGED,
    }
    perturbed = ~rows["control"]
    dropped = {name: int((perturbed & ~good).sum()) for name, good in passed.items()} if options.filtered else {}
    rows["kept"] = perturbed & np.logical_and.reduce(list(passed.values())) if options.filtered else perturbed
    if not rows["kept"].any():
        raise InputError(f"{path} has no row of a perturbation that is kept; read it with filtered=no, if it has any.")
    return _Table(path, rows, gene_names, ids, simulated, dropped)


def _columns(part: h5py.Group, names: Sequence[str]) -> pd.DataFrame:
    """Those of the named columns of ``obs`` or ``var`` that it has, by its index."""
    from anndata import OldFormatWarning
    from anndata.io import read_elem

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OldFormatWarning)  # the authors' files are of 2022
        if "__categories" in part:  # the layout of anndata before 0.8, whose columns cannot be read one by one
            return read_elem(part)
        index = read_elem(part[part.attrs["_index"]])
        return pd.DataFrame({name: read_elem(part[name]) for name in names if name in part}, index=index)


def _rows(path: Path, obs: pd.DataFrame) -> pd.DataFrame:
    """The columns of `_Table.rows` that do not depend on options."""
    parts = _ROW.findall("\n".join(map(str, obs.index)))
    if len(parts) != len(obs):
        name = next((str(name) for name in obs.index if not _ROW.fullmatch(str(name))), "")
        raise InputError(f"{path} has a row called {name!r}; expected <id>_<GENE>_<transcript>_<Ensembl id>.")
    symbols = np.array([symbol for symbol, _ in parts], dtype=object)
    control = symbols == CONTROL
    try:
        measures = obs[list(MEASURES)].astype(float)
    except (TypeError, ValueError) as error:
        raise InputError(f"{path} has no numbers in {', '.join(MEASURES)} ({error}); it is another file.") from error
    bare = ~control & ~(measures["num_cells_filtered"] >= 1).to_numpy()
    if bare.any():
        raise InputError(f"{path} has the row {obs.index[bare][0]} without a cell; expected 1 or more.")
    ensembl = [matched[1] if (matched := _ENSEMBL.match(name)) else "" for _, name in parts]
    return pd.DataFrame({"symbol": symbols, "ensembl": ensembl, "control": control, **measures}, index=obs.index)


def _in_one_spelling(tables: Mapping[str, _Table]) -> dict[str, _Table]:
    """The tables with one symbol for all rows of one Ensembl id: that of the first file in the order of `FILES`.

    In one file it is the first in the alphabet.
    """
    rows = {
        line: list(zip(table.rows["ensembl"].tolist(), table.rows["symbol"].tolist(), strict=True))
        for line, table in tables.items()
    }
    first: dict[str, str] = {}
    for line in filter(rows.__contains__, FILES):
        for ensembl, symbol in sorted(rows[line]):
            first.setdefault(ensembl, symbol)
    return {
        line: replace(table, rows=table.rows.assign(symbol=[first[e] if e else s for e, s in rows[line]]))
        for line, table in tables.items()
    }


def _readout_names(table: _Table) -> NameArray:
    """(m,) unique names of the readout genes (see the top of this module).

    Of several with one symbol the one that is knocked down under it keeps it, else the first; the others are called
    ``SYMBOL_ENSG...``. InputError where no perturbation is a readout gene.
    """
    target = dict(zip(table.rows["ensembl"].tolist(), table.rows["symbol"].tolist(), strict=True))
    ids, names = table.ids, list(table.gene_names)
    wanted = {i: target[e] for i, e in enumerate(ids) if e in target and target[e] != names[i]}
    times, known = Counter(wanted.values()), set(names)
    for i, symbol in wanted.items():
        if times[symbol] == 1 and symbol not in known:
            names[i] = symbol
    shared: dict[str, list[int]] = {name: [] for name, count in Counter(names).items() if count > 1}
    for i, name in enumerate(names):
        if name in shared:
            shared[name].append(i)
    for name, members in shared.items():
        keeper = next((i for i in members if target.get(ids[i]) == name), members[0])
        for i in set(members) - {keeper}:
            names[i] = f"{name}_{ids[i]}"
    if set(names).isdisjoint(table.perturbations.tolist()):
        raise InputError(f"{table.path} has no perturbed gene among its readout genes; obs or var is of another file.")
    return np.array(names)


def _split(
    line: str, tables: Mapping[str, _Table], options: Options, download: bool, registry: Registry
) -> tuple[NameArray, str]:
    """(n,) label of each perturbation of a line, and by which rule; `SECOND` has the labels of `FIRST`."""
    source = FIRST if line == SECOND else line
    rule: SplitRule = options.split
    described: str = rule
    if rule == "txpert" and source != FIRST:
        rule, described = "rule", f"rule (TxPert published a split of {FIRST} only)"
    if rule == "rule":
        labels = split_rule(tables[source].perturbations, options)
    elif rule == "txpert":
        labels = txpert.read_split(_needed(txpert.ARCHIVE, "split=perturbqa or split=rule", download, registry), source)
    else:
        table = perturbqa.files(source)[0]
        labels = perturbqa.read_split(_needed(table, "split=rule or split=txpert", download, registry))
    return _spread(labels, tables[line].perturbations), described


def _needed(name: str, others: str, download: bool, registry: Registry) -> Path:
    """A file that the split needs; InputError says which other splits there are."""
    local = fetch_all([name], registry, download)
    if name in local.failed:
        why, command = local.failed[name].rstrip("."), f"kgpert fetch {registry[name].group}"
        raise InputError(f"The split of {NAME} needs {name} ({why}); run `{command}`, or choose {others}.")
    return local[name]


def split_rule(perturbations: Iterable[str], options: Options) -> dict[str, str]:
    """TxPert's rule (reconstructed): a share of the sorted genes for test, then one of the rest for validation."""
    from sklearn.model_selection import train_test_split

    names = sorted(map(str, perturbations))
    val: list[str] = []
    try:
        train, test = train_test_split(names, test_size=options.test, random_state=options.seed)
        if options.val:
            train, val = train_test_split(train, test_size=options.val, random_state=options.seed)
    except ValueError as error:
        raise InputError(f"{len(names)} perturbations cannot be split by the rule ({error}).") from error
    parts = {"train": train, "val": val, "test": test}
    return {name: part for part, members in parts.items() for name in members}


def _spread(labels: Mapping[str, str], perturbations: NameArray) -> NameArray:
    """(n,) labels of the perturbations: by the same symbol or by an alias; whatever is not named is for training.

    A held-out name that may mean several perturbations holds all of them out.
    """
    report = match(perturbations.tolist(), (name for name, label in labels.items() if label != "train"))
    named = {symbol: labels[name] for name, spellings in report.ambiguous.items() for symbol in spellings}
    named |= {symbol: labels[name] for name, symbol in report.resolved.items()}
    named |= labels
    return np.array([named.get(name, "train") for name in perturbations.tolist()])


def _read_line(line: str, table: _Table, split: NameArray, options: Options) -> tuple[CellLine, dict[str, Any]]:
    """The matrix of one file as a cell line, and what was counted on the way."""
    rows, perturbations, genes = table.rows, table.perturbations, _readout_names(table)
    control = rows["control"].to_numpy()
    if options.readouts is not None and not control.any():
        raise InputError(f"{table.path} has no row of a control, which readouts={options.readouts} needs.")
    weights = _weights(rows, options.transcripts)
    place = {name: i for i, name in enumerate(perturbations.tolist())}
    row = np.where(weights > 0, [place.get(symbol, -1) for symbol in rows["symbol"].tolist()], -1)
    with _opened(table.path) as file:
        delta, gaps = _read_rows(file["X"], row, weights, len(perturbations))
        if options.readouts is not None:
            silent, _ = _read_rows(file["X"], np.where(control, np.cumsum(control) - 1, -1), None, int(control.sum()))
    with_gaps = np.flatnonzero(gaps)
    empty = np.zeros(len(delta), bool)
    if len(with_gaps) == len(gaps):  # or no row is all gaps
        empty = np.isnan(np.fmax.reduce(delta, axis=1))
    if empty.all():
        raise InputError(f"{table.path} has no finite value in any row of a perturbation; fetch the file again.")
    cells = np.bincount(row[row >= 0], rows["num_cells_filtered"].to_numpy()[row >= 0], len(perturbations))
    if empty.any():
        delta, split, cells = delta[~empty], split[~empty], cells[~empty]
    kept = perturbations[~empty]
    counts = {
        "rows": len(rows),
        "controls": int(control.sum()),
        "dropped": table.dropped,
        "genes_in_several_rows": sum(n > 1 for n in Counter(rows["symbol"][rows["kept"]].tolist()).values()),
        "gaps": int(gaps.sum()),
        "readouts_with_gaps": genes[with_gaps].tolist(),
        "rows_of_gaps": perturbations[empty].tolist(),
        "targets_without_readout": len(set(kept.tolist()).difference(genes.tolist())),
    }
    if options.readouts is not None:
        top = np.sort(np.lexsort((genes, -_variance(delta[split == "train"], silent)))[: options.readouts])
        delta, genes = delta[:, top], genes[top]
    return CellLine(line, kept, genes, delta, split, n_cells=np.rint(cells).astype(np.int64)), counts


def _weights(rows: pd.DataFrame, transcripts: Transcripts) -> NDArray[np.float64]:
    """(rows,) what each row of the matrix counts in its gene's delta; 0 for rows that are not used."""
    kept, cells = rows["kept"].to_numpy(), rows["num_cells_filtered"].to_numpy()
    if transcripts == "weighted":
        return np.where(kept, cells, 0.0)
    if transcripts == "mean":
        return kept.astype(float)
    best: dict[str, tuple[float, str, int]] = {}
    symbols, names = rows["symbol"].tolist(), rows.index.tolist()
    for i in np.flatnonzero(kept).tolist():
        candidate = (-cells[i], names[i], i)
        best[symbols[i]] = min(candidate, best.get(symbols[i], candidate))
    weights = np.zeros(len(rows))
    weights[[i for *_, i in best.values()]] = 1.0
    return weights


def _read_rows(
    matrix: h5py.Dataset, row: NDArray[np.intp], weights: NDArray[np.float64] | None, n: int
) -> tuple[FloatArray, NDArray[np.int64]]:
    """(n, m) weighted means of the file's rows that go to the same `row` (-1: to none), and (m,) values not finite.

    One pass in blocks of whole rows, so that nothing of the matrix' size is held but the result. A value that is not
    finite does not count in its mean; where no value counts, the result has a gap.
    """
    m = matrix.shape[1]
    several = np.bincount(row[row >= 0], minlength=n) > 1
    out, gaps = np.empty((n, m), np.float32), np.zeros(m, np.int64)
    sums = {int(i): np.zeros((2, m)) for i in np.flatnonzero(several)}
    step = max(1, BLOCK // (4 * m))
    buffer = np.empty((step, m), np.float32)
    for start in range(0, len(row), step):
        target = row[start : start + step]
        used = np.flatnonzero(target >= 0)
        if not len(used):
            continue
        block = buffer[: len(target)]
        matrix.read_direct(block, np.s_[start : start + len(target)])
        for i, j in zip(used.tolist(), target[used].tolist(), strict=True):
            if j in sums:
                measured = np.isfinite(block[i])
                gaps += ~measured
                weight = 1.0 if weights is None else weights[start + i]
                sums[j] += weight * np.stack([np.where(measured, block[i], 0.0), measured])
            else:
                out[j] = block[i]
    for j, (total, weight) in sums.items():
        out[j] = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan)
    for j in np.flatnonzero(~np.isfinite(out.sum(axis=1))):  # what is not finite stays so in a sum
        hole = ~np.isfinite(out[j])
        out[j, hole] = np.nan
        if j not in sums:
            gaps += hole
    return out, gaps


def _variance(*matrices: FloatArray) -> NDArray[np.float64]:
    """(m,) variance of the measured values of each column over the rows of all matrices; -inf where there is none."""
    count, total, square = np.zeros((3, matrices[0].shape[1]))
    for matrix in matrices:
        for start in range(0, len(matrix), 64):
            part = matrix[start : start + 64].astype(np.float64)
            measured = ~np.isnan(part)
            part[~measured] = 0.0
            count += measured.sum(axis=0)
            total += part.sum(axis=0)
            square += (part * part).sum(axis=0)
    mean = total / np.maximum(count, 1)
    return np.where(count > 0, square / np.maximum(count, 1) - mean**2, -np.inf)
