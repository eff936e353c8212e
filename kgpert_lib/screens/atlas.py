"""What a screen is: an atlas holds cell lines, a cell line holds deltas and a split.

Everything downstream reads deltas through these classes; no other module knows the file layout.
Predictors never receive an `Atlas`: they receive the `TrainingView` that `Atlas.view` cuts out of
it, and that view holds no delta of a test or validation perturbation.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.cards import Bar, Cell, Table, card
from kgpert_lib.errors import InputError
from kgpert_lib.files import commit_folder, free_names, is_empty, scratch_folder
from kgpert_lib.metrics.targets import without_own_readouts
from kgpert_lib.screens.h5ad import write_h5ad
from kgpert_lib.types import FloatArray, NameArray, Split

SPLITS = ("train", "val", "test")
CONTROL_NAMES = frozenset({"control", "ctrl", "non-targeting"})
FORMAT = 1
NOT_SCREENED = "not screened"
MOSTLY = 0.5  # share of readout genes measured under every perturbation, from which on deltas are expression
LARGEST = 1e15  # of a delta; sums of squares over a screen then stay inside float32

_MATRICES = ("delta", "control", "half_a", "half_b")
_DTYPES: Mapping[str, type[np.generic]] = {
    **dict.fromkeys(("perturbations", "genes", "split"), np.str_),
    **dict.fromkeys(_MATRICES, np.float32),
    "n_cells": np.int64,
}
_HEAD: Mapping[str, type] = {"name": str, "kind": str, "lines": dict, "missing": dict, "provenance": dict}


@dataclass(frozen=True, eq=False)
class CellLine:
    """One cell line of a screen.

    Attributes
    ----------
    name : lower-case name, such as ``"k562"``; also the name of its file.
    perturbations : (n,) symbols of the genes knocked down, unique.
    genes : (m,) symbols of the readout genes, unique.
    delta : (n, m) float32, mean expression of the perturbed cells minus that of their controls
        (log1p of normalised counts; on PerturbQA the signed call -1, 0, +1). NaN: not measured.
    split : (n,) ``"train"``, ``"val"`` or ``"test"``.
    control, half_a, half_b : optional (n, m) float32; mean expression of the matched controls, and
        the deltas of two disjoint halves of the cells.
    n_cells : optional (n,) number of cells with each perturbation.

    Raises
    ------
    InputError
        When an invariant does not hold; the message names the line, the array and the first offender.

    Examples
    --------
    >>> import numpy as np
    >>> from kgpert_lib import CellLine
    >>> delta = [[-1.0, 0.5], [0.25, np.nan], [0.0, 1.0]]
    >>> line = CellLine("k562", ["RPL3", "RPL4", "INTS9"], ["RPL3", "MYC"], delta, ["train", "train", "test"])
    >>> line.names("test"), line.dense, line.delta.shape
    (['INTS9'], False, (3, 2))
    >>> line.scored[0]
    array([nan, 0.5], dtype=float32)
    """

    name: str
    perturbations: NameArray
    genes: NameArray
    delta: FloatArray
    split: NameArray
    control: FloatArray | None = None
    half_a: FloatArray | None = None
    half_b: FloatArray | None = None
    n_cells: NDArray[np.int64] | None = None

    def __post_init__(self) -> None:
        for key, dtype in _DTYPES.items():
            values = getattr(self, key)
            if values is not None:
                object.__setattr__(self, key, _frozen(values, dtype, f"{self.name}: {key}"))
        _check_line(self)

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each perturbation."""
        return {str(p): i for i, p in enumerate(self.perturbations)}

    @cached_property
    def dense(self) -> bool:
        """True when every delta is measured."""
        return not bool(np.isnan(self.delta).any())

    @cached_property
    def scored(self) -> FloatArray:
        """(n, m) deltas that scores count: NaN at each perturbation's own readout; `delta` where none was measured."""
        return without_own_readouts(self.delta, self.perturbations, self.genes)

    @cached_property
    def _measured_always(self) -> NDArray[np.bool_]:
        """(m,) True for readout genes that were measured under every perturbation."""
        return np.logical_not(np.isnan(self.delta).any(axis=0))

    @property
    def expression(self) -> bool:
        """Whether these are expression deltas, nearly all of them measured, and not calls on a few pairs."""
        return bool(self._measured_always.mean() >= MOSTLY)

    def complete(self) -> CellLine:
        """The line with only the readout genes that were measured under every perturbation; InputError for calls."""
        keep = self._measured_always
        if keep.all():
            return self
        if not self.expression:
            raise InputError(
                f"{self.name}: {int(keep.sum())} of {len(self.genes)} readout genes were measured under every "
                "perturbation; this needs expression deltas, in which nearly all are."
            )
        parts = {key: value[:, keep] for key in _MATRICES if (value := getattr(self, key)) is not None}
        return replace(self, genes=self.genes[keep], **parts)

    def aligned(self, other: CellLine) -> FloatArray:
        """(n, m) deltas of another experiment in the rows and columns of this line; NaN where it has none."""
        rows = pd.Index(other.perturbations).get_indexer(pd.Index(self.perturbations))
        columns = pd.Index(other.genes).get_indexer(pd.Index(self.genes))
        delta = np.full(self.delta.shape, np.nan, np.float32)
        delta[np.ix_(rows >= 0, columns >= 0)] = other.delta[np.ix_(rows[rows >= 0], columns[columns >= 0])]
        return delta

    def names(self, split: str) -> list[str]:
        """Perturbations of one split, in row order."""
        return [str(p) for p in self.perturbations[self.split == split]]

    def rows(self, perturbations: Sequence[str]) -> NDArray[np.intp]:
        """(k,) rows of the k named perturbations; InputError names the first that was not screened."""
        unknown = [p for p in perturbations if p not in self.index]
        if unknown:
            raise InputError(
                f"{unknown[0]!r} was not perturbed in {self.name} ({len(unknown)} unknown of {len(perturbations)})."
            )
        return np.array([self.index[p] for p in perturbations], dtype=np.intp)

    def training(self, without: Iterable[str] = ()) -> TrainingLine:
        """The training rows minus the perturbations named in `without`."""
        keep = (self.split == "train") & ~np.isin(self.perturbations, list(without))
        control = None if self.control is None else self.control[keep]
        return TrainingLine(self.name, self.perturbations[keep], self.genes, self.delta[keep], control)

    def status(self, gene: str) -> str:
        """``"train"``, ``"val"`` or ``"test"`` of a perturbation, and `NOT_SCREENED` of a gene without a row."""
        return str(self.split[self.index[gene]]) if gene in self.index else NOT_SCREENED

    def _repr_html_(self) -> str:
        return card(f"Cell line {self.name}", [], [_lines_table([self])])


@dataclass(frozen=True, eq=False)
class TrainingLine:
    """What a predictor may see of one cell line: training perturbations and their deltas.

    `perturbations` (t,), `genes` (m,), `delta` (t, m) float32 with NaN for gaps, `control` (t, m) or None.
    """

    name: str
    perturbations: NameArray
    genes: NameArray
    delta: FloatArray
    control: FloatArray | None = None

    @cached_property
    def index(self) -> dict[str, int]:
        """Row of each training perturbation."""
        return {str(p): i for i, p in enumerate(self.perturbations)}

    @cached_property
    def measured(self) -> NDArray[np.bool_]:
        """(t, m) True where the delta was measured."""
        return ~np.isnan(self.delta)

    @cached_property
    def dense(self) -> bool:
        """True when every delta is measured."""
        return bool(self.measured.all())

    @cached_property
    def scored(self) -> FloatArray:
        """(t, m) deltas that scores count, as in `CellLine.scored`."""
        return without_own_readouts(self.delta, self.perturbations, self.genes)

    @cached_property
    def filled(self) -> FloatArray:
        """(t, m) deltas with 0 in the gaps: the left factor of every masked sum."""
        return self.delta if self.dense else np.nan_to_num(self.delta, nan=0.0)

    @cached_property
    def mean(self) -> FloatArray:
        """(m,) mean training delta over the perturbations that measured each gene; 0 where none did."""
        count = self.measured.sum(axis=0)
        total = self.filled.sum(axis=0, dtype=np.float64)
        return (total / np.maximum(count, 1)).astype(np.float32)

    def mean_without(self, perturbations: Sequence[str] | NameArray) -> FloatArray:
        """(n, m) mean training delta for each of n perturbations, without its own row if it is a training one."""
        rows = np.array([self.index.get(str(p), -1) for p in perturbations], dtype=np.intp)
        own = rows[rows >= 0]
        means = np.tile(self.mean, (len(rows), 1))
        count = self.measured.sum(axis=0) - self.measured[own]
        total = self.filled.sum(axis=0, dtype=np.float64) - self.filled[own]
        means[rows >= 0] = total / np.maximum(count, 1)
        return means

    def over(self, genes: NameArray) -> TrainingLine:
        """The line over other readout genes (g,): deltas (t, g), NaN where it lacks the gene; controls are dropped."""
        place = pd.Index(self.genes).get_indexer(pd.Index(genes))
        delta = np.full((len(self.perturbations), len(genes)), np.nan, np.float32)
        delta[:, place >= 0] = self.delta[:, place[place >= 0]]
        return TrainingLine(self.name, self.perturbations, genes, delta)

    def without(self, perturbations: Iterable[str]) -> TrainingLine:
        """The same line with some training perturbations left out."""
        keep = ~np.isin(self.perturbations, list(perturbations))
        control = None if self.control is None else self.control[keep]
        return replace(self, perturbations=self.perturbations[keep], delta=self.delta[keep], control=control)


@dataclass(frozen=True, eq=False)
class TrainingView:
    """What a predictor may see when one line is evaluated: training rows only, of every line.

    Under ``strict`` the test genes of the evaluated line are absent from every line's rows.

    Attributes
    ----------
    line : name of the evaluated line.
    split : ``"strict"`` or ``"per-line"`` (`Atlas.view`).
    lines : training rows by line.

    Examples
    --------
    >>> from kgpert_lib import load_screen
    >>> view = load_screen("simulated", ["k562"], size="tiny").view("k562")
    >>> view.target.delta.shape
    (40, 200)
    >>> view.without(["INTS1"]).target.delta.shape
    (39, 200)
    """

    line: str
    split: Split
    lines: Mapping[str, TrainingLine]

    @property
    def target(self) -> TrainingLine:
        """The training rows of the evaluated line."""
        return self.lines[self.line]

    def without(self, perturbations: Iterable[str]) -> TrainingView:
        """The view with some perturbations left out of every line (leave-one-out and out-of-fold fits)."""
        dropped = list(perturbations)
        return replace(self, lines={k: v.without(dropped) for k, v in self.lines.items()})

    def hiding(self, perturbations: Iterable[str]) -> TrainingView:
        """The view with some training perturbations hidden as its split hides test perturbations."""
        if self.split == "strict":
            return self.without(perturbations)
        return replace(self, lines={**self.lines, self.line: self.target.without(perturbations)})


@dataclass(frozen=True, eq=False)
class Atlas:
    """A screen in one or more cell lines.

    Attributes
    ----------
    name : ``"simulated"``, ``"perturbqa"``, ``"perturbseq"`` or a user's own.
    kind : ``"real"`` or ``"simulated"``: printed beside every figure and table.
    lines : cell lines by name.
    missing : lines that the source has but that could not be had here, with the reason.
    provenance : free text by key: files, checksums, licence, seed.

    Examples
    --------
    >>> from kgpert_lib import Atlas, CellLine
    >>> line = CellLine("k562", ["RPL3", "INTS9"], ["MYC"], [[0.5], [1.0]], ["train", "test"])
    >>> atlas = Atlas("mine", "real", {"k562": line}, provenance={"licence": "CC BY 4.0"})
    >>> atlas.label, atlas.perturbations()
    ('mine (real)', ['INTS9', 'RPL3'])
    >>> atlas.view("k562").target.perturbations.tolist()
    ['RPL3']
    """

    name: str
    kind: Literal["real", "simulated"]
    lines: Mapping[str, CellLine]
    missing: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in ("real", "simulated"):
            raise InputError(f"Atlas {self.name!r} has kind {self.kind!r}; it is 'real' or 'simulated'.")
        if not self.lines:
            raise InputError(f"Atlas {self.name!r} holds no cell line.")
        for key, line in self.lines.items():
            if key != line.name:
                raise InputError(f"Atlas {self.name!r} files the line {line.name!r} under {key!r}; use its own name.")
        if len({key.casefold() for key in self.lines}) < len(self.lines):
            raise InputError(f"Atlas {self.name!r} has line names that differ in case only: {', '.join(self.lines)}.")

    def __getitem__(self, line: str) -> CellLine:
        if line in self.lines:
            return self.lines[line]
        why = f" ({self.missing[line]})" if line in self.missing else ""
        raise InputError(f"Atlas {self.name!r} has no cell line {line!r}{why}; it has {', '.join(self.lines)}.")

    @property
    def label(self) -> str:
        """Name and kind in print (`label`)."""
        return label(self.name, self.kind)

    def perturbations(self) -> list[str]:
        """Every perturbation of every line, sorted."""
        return sorted({str(p) for line in self.lines.values() for p in line.perturbations})

    def select(self, lines: Sequence[str]) -> Atlas:
        """The atlas with only the named lines, in that order."""
        return replace(self, lines={name: self[name] for name in lines})

    def view(self, line: str, split: Split = "strict") -> TrainingView:
        """What predictors may see when `line` is evaluated (methods page, splits).

        ``strict`` leaves the test genes of `line` out of the training rows of every line; ``per-line`` leaves every
        other line all of its own training rows.
        """
        if split not in ("per-line", "strict"):
            raise InputError(f"Unknown split {split!r}; it is 'per-line' or 'strict'.")
        hidden = self[line].names("test") if split == "strict" else []
        return TrainingView(line, split, {k: v.training(hidden) for k, v in self.lines.items()})

    def card_parts(self) -> tuple[Table, list[str]]:
        """The table of the cell lines, and in sentences what is missing and where the rest comes from."""
        missing = [f"{line} is missing: {reason}." for line, reason in self.missing.items()]
        origin = [
            f"{key}: {', '.join(map(str, value))}"  # of a mapping, such as checksums by file, the keys
            if isinstance(value, (Mapping, list, tuple))
            else f"{key}: {value}"
            for key, value in self.provenance.items()
        ]
        return _lines_table(list(self.lines.values())), [*missing, *origin]

    def _repr_html_(self) -> str:
        lines, notes = self.card_parts()
        return card(f"Atlas {self.label}", [], [lines], notes)

    def save(self, path: str | Path) -> Path:
        """Write the atlas as a directory: ``atlas.json`` and one ``<line>.h5ad`` each.

        Everything is written under a temporary name beside `path` first. A new directory then appears by
        one rename; in an existing atlas the new line files take free names (``<line>-2.h5ad``) and the rename
        of ``atlas.json``, which names the files, makes the switch. A save that is interrupted at any
        point, also by the loss of power, leaves the previous atlas, if any, whole.

        Raises InputError for a directory that holds something else, and where `path` cannot be written.
        """
        with scratch_folder(path) as (folder, target):
            if target.exists() and not (target / "atlas.json").is_file() and not is_empty(target):
                raise InputError(f"{path} exists and is not an atlas; choose another directory.")
            scratch = folder / "atlas"
            scratch.mkdir()
            files = free_names(self.lines, ".h5ad", target)
            for name, file in files.items():
                _write_line(self.lines[name], scratch / file)
            head = {
                "format": FORMAT,
                "name": self.name,
                "kind": self.kind,
                "lines": files,
                "missing": dict(self.missing),
                "provenance": dict(self.provenance),
            }
            text = json.dumps(head, indent=2, default=str) + "\n"
            (scratch / "atlas.json").write_text(text, encoding="utf-8")
            commit_folder(scratch, target, "atlas.json", files, _files_of(target))
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Atlas:
        """Read an atlas that `save` wrote; InputError names a missing, foreign or cut-short file."""
        folder = Path(path)
        head = _read_head(_head_of(folder))
        lines = {name: _read_line(name, folder / Path(file).name) for name, file in head["lines"].items()}
        return cls(head["name"], head["kind"], lines, head["missing"], head["provenance"])


def _lines_table(lines: Sequence[CellLine]) -> Table:
    """One row per cell line: perturbations by split, readout genes, share of the deltas that was measured."""
    most = max(len(line.perturbations) for line in lines)
    rows: list[list[Cell]] = []
    for line in lines:
        counts = [len(line.names(split)) for split in SPLITS]
        bar = Bar(str(len(line.perturbations)), [count / most for count in counts])
        measured = 1 - float(np.isnan(line.delta).mean())
        rows.append([line.name, bar, *map(str, counts), str(len(line.genes)), f"{100 * measured:.3g} %"])
    columns = ["line", "perturbations", *SPLITS, "readout genes", "measured"]
    return Table("Cell lines", columns, rows, SPLITS)


def saved_lines(folder: str | Path) -> list[str]:
    """Names of the cell lines of a saved atlas, in its order; InputError as `Atlas.load`, whose files are not read."""
    return list(_read_head(_head_of(Path(folder)))["lines"])


def label(name: str, kind: str) -> str:
    """An atlas as it is named in print, such as ``"perturbqa (real)"``; `kind` is left out where the name says it."""
    return name if name == kind else f"{name} ({kind})"


def _frozen(values: Any, dtype: type[np.generic], what: str) -> NDArray[Any]:
    """A read-only array of type `dtype`; copies only when the type has to change."""
    try:
        with np.errstate(over="ignore"):
            array = np.asarray(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise InputError(f"{what} cannot be read as {dtype.__name__} ({error}).") from error
    if array.flags.writeable:
        array = array.view()
        array.flags.writeable = False
    return array


def _check_line(line: CellLine) -> None:
    if not line.name.isprintable() or not line.name.strip() or line.name[0] == "." or set(line.name) & set("/\\"):
        raise InputError(f"A cell line cannot be called {line.name!r}: its name is also a file name.")
    for key in ("perturbations", "genes"):
        if getattr(line, key).ndim != 1:
            raise InputError(
                f"{line.name}: {key} has shape {getattr(line, key).shape}; expected a plain list of names."
            )
    n, m = len(line.perturbations), len(line.genes)
    if n == 0 or m == 0:
        raise InputError(f"{line.name}: {n} perturbations and {m} readout genes; both need at least one.")
    for what, names in (("perturbation", line.perturbations), ("readout gene", line.genes)):
        distinct = set(names.tolist())
        if len(distinct) < len(names):
            values, counts = np.unique(names, return_counts=True)
            raise InputError(f"{line.name}: {what} {str(values[counts > 1][0])!r} appears {counts.max()} times.")
        if "" in distinct:
            raise InputError(f"{line.name}: a {what} has an empty name.")
        if not "".join(distinct).isprintable():
            odd = min(name for name in distinct if not name.isprintable())
            raise InputError(f"{line.name}: {what} {odd!r} holds a character that cannot be printed.")
    controls = sorted(CONTROL_NAMES.intersection(map(str, line.perturbations)))
    if controls:
        raise InputError(f"{line.name}: {controls[0]!r} is a control, not a perturbation; keep it out of the rows.")
    for key in _MATRICES:
        values = getattr(line, key)
        if values is None:
            continue
        if values.shape != (n, m):
            raise InputError(f"{line.name}: {key} has shape {values.shape}; expected ({n}, {m}).")
        # reductions that pass over NaN, row by row: nothing of the matrix' size is made on the way
        low, high = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
        huge = (low < -LARGEST) | (high > LARGEST)
        if huge.any():
            i = int(np.argmax(huge))
            j = int(np.argmax(np.abs(values[i]) > LARGEST))
            what = "infinite" if np.isinf(values[i, j]) else f"{values[i, j]:.2g}, larger than any expression,"
            raise InputError(f"{line.name}: {key} is {what} for {line.perturbations[i]} at gene {line.genes[j]}.")
        if key == "delta" and np.isnan(low).any():
            raise InputError(f"{line.name}: perturbation {line.perturbations[np.isnan(low)][0]} has no measured gene.")
    if line.split.shape != (n,):
        raise InputError(f"{line.name}: {line.split.size} split labels for {n} perturbations.")
    unknown = sorted(set(map(str, line.split)) - set(SPLITS))
    if unknown:
        raise InputError(f"{line.name}: split {unknown[0]!r} is none of {', '.join(SPLITS)}.")
    if not (line.split == "train").any():
        raise InputError(f"{line.name}: no training perturbation.")
    if line.n_cells is not None and (line.n_cells.shape != (n,) or (line.n_cells < 1).any()):
        raise InputError(f"{line.name}: n_cells needs one positive count for each of the {n} perturbations.")
    if (line.half_a is None) != (line.half_b is None):
        raise InputError(f"{line.name}: half_a and half_b come together.")


def _files_of(folder: Path) -> list[str]:
    """Line files that the atlas in a folder names; none where there is no atlas or its header is damaged."""
    try:
        head = _read_head(folder / "atlas.json")
    except InputError:
        return []
    return [Path(file).name for file in head["lines"].values()]


def _head_of(folder: Path) -> Path:
    """The ``atlas.json`` of a saved atlas; InputError where there is none."""
    path = folder / "atlas.json"
    if not path.is_file():
        raise InputError(f"{folder} is not an atlas: it holds no atlas.json.")
    return path


def _read_head(path: Path) -> dict[str, Any]:
    """The content of an ``atlas.json``, every part of the type that `Atlas.save` writes."""
    try:
        head = json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise InputError(f"{path} is not a valid atlas header (it is nested too deeply).") from error
    except (OSError, ValueError) as error:  # bytes that are no UTF-8 and text that is no JSON are ValueErrors
        raise InputError(f"{path} is not a valid atlas header ({error}).") from error
    if not isinstance(head, dict) or "format" not in head:
        raise InputError(f"{path} is not a valid atlas header (it names no format).")
    if head["format"] != FORMAT:
        raise InputError(f"{path} has format {head['format']}; this version reads format {FORMAT}.")
    for key, types in _HEAD.items():
        if not isinstance(head.get(key), types):
            raise InputError(f"{path} is not a valid atlas header ({key!r} is missing or of the wrong type).")
    for key in ("lines", "missing"):
        if not all(isinstance(value, str) for value in head[key].values()):
            raise InputError(f"{path} is not a valid atlas header ({key!r} holds something other than text).")
    return head


def _write_line(line: CellLine, path: Path) -> None:
    import anndata as ad

    obs = pd.DataFrame({"split": line.split.astype(object)}, index=line.perturbations.astype(object))
    if line.n_cells is not None:
        obs["n_cells"] = line.n_cells
    layers = {k: np.asarray(v) for k in ("control", "half_a", "half_b") if (v := getattr(line, k)) is not None}
    data = ad.AnnData(
        X=np.asarray(line.delta), obs=obs, var=pd.DataFrame(index=line.genes.astype(object)), layers=layers
    )
    write_h5ad(data, path)


def _read_line(name: str, path: Path) -> CellLine:
    import anndata as ad

    if not path.is_file():
        raise InputError(f"The atlas lists {name!r}, but {path} is missing.")
    try:
        data = ad.read_h5ad(path)
        arrays: dict[str, Any] = {
            "perturbations": data.obs_names.to_numpy(str),
            "genes": data.var_names.to_numpy(str),
            "delta": np.asarray(data.X),
            "split": data.obs["split"].to_numpy(str),
            "n_cells": data.obs["n_cells"].to_numpy() if "n_cells" in data.obs else None,
            **{k: np.asarray(v) for k, v in data.layers.items() if k in _MATRICES},
        }
    except Exception as error:  # h5py and anndata raise many kinds for damaged bytes
        raise InputError(f"{path} is cut short or not an atlas file; save the atlas again.") from error
    return CellLine(name=name, **arrays)
