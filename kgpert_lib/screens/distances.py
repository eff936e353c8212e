"""Screens that are known by the distances between their perturbations only (ours; data/edistance/README.md).

The E-distance of two groups of cells with means mu_i and mu_j (in principal components of log1p expression, under
squared Euclidean distances) is ``E_ij = 2 |mu_i - mu_j|^2``. A table of all pairs with a control c therefore holds the
inner products of the deltas, ``(mu_i - c) . (mu_j - c) = (E_ic + E_jc - E_ij) / 4``, and with them every cosine between
measured deltas and means of measured deltas, but no delta itself.

Two kinds of tables. In an uncorrected one the means are those of the sampled cells: it is an exact table of squared
distances, and a squared length holds the noise of both means beside the effect. A sample-corrected one subtracts that
noise on average, so that an entry can be negative and no points have these distances; `Distances.gram` then takes
the nearest matrix that is one of inner products, as classical scaling does.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.types import NameArray

Matrix = NDArray[np.float64]

ROUNDING = 1e-6  # of the largest distance: what symmetry, the diagonal and negative eigenvalues may be off by
STRAY = "*"  # label of cells to which no guide was assigned


class Source(NamedTuple):
    """One committed table: what it is of and how its labels are read.

    `controls` maps a control's label to its short name; `suffix` says what follows an underscore in a label: the
    vector that carries the guide, a second perturbed gene, or nothing that is known.
    """

    title: str
    cells: str
    method: str
    file: str
    controls: Mapping[str, str]
    suffix: Literal["guide", "gene"] | None
    corrected: bool


ONE = {"control": "control"}
SCREENS: Mapping[str, Source] = {
    "adamson2016": Source(
        "Adamson 2016",
        "K562",
        "CRISPRi",
        "adamson2016_k562_crispri.csv.gz",
        {"Gal4-4(mod)_pBA582": "Gal4-4", "63(mod)_pBA580": "63"},
        "guide",
        False,
    ),
    "norman2019": Source("Norman 2019", "K562", "CRISPRa", "norman2019_k562_crispra.csv.gz", ONE, "gene", True),
    "tian2021": Source("Tian 2021", "neurons", "CRISPRi", "tian2021_neurons_crispri.csv.gz", ONE, None, True),
    "frangieh2021": Source(
        "Frangieh 2021", "melanoma", "CRISPR knock-out", "frangieh2021_melanoma_ko.csv.gz", ONE, None, True
    ),
}


@dataclass(frozen=True, eq=False)
class Distances:
    """E-distances between single perturbations and controls of one screen.

    Attributes
    ----------
    name : title of the screen, such as ``"Adamson 2016"``.
    cells, method : what was perturbed, and how.
    guides : (t,) label of each perturbation as the table has it, in the table's order.
    genes : (t,) the gene that each of them targets; a gene with two guides stands in two rows.
    controls : (c,) short names of the controls.
    values : (t + c, t + c) float64 E-distances, the controls last; symmetric with a diagonal of 0.
    left_out : labels of the table that are no single perturbation: pairs of genes, cells without a guide.
    corrected : whether the table is sample-corrected.
    """

    name: str
    cells: str
    method: str
    guides: NameArray
    genes: NameArray
    controls: tuple[str, ...]
    values: Matrix
    left_out: tuple[str, ...] = field(default=())
    corrected: bool = False

    @property
    def perturbations(self) -> NameArray:
        """(g,) the targeted genes, sorted, each once."""
        return np.unique(self.genes)

    @cached_property
    def averaging(self) -> Matrix:
        """(g, t) rows of weights that average the guides of each gene of `perturbations`."""
        member = (self.perturbations[:, None] == self.genes).astype(np.float64)
        return member / member.sum(axis=1, keepdims=True)

    def gram(self, control: str) -> Matrix:
        """(t, t) inner products of the deltas against a control. InputError for an unknown control.

        The entry i, j is ``(E_ic + E_jc - E_ij) / 4``. Where that matrix has negative eigenvalues beyond rounding, they
        are set to 0, which gives the nearest matrix of inner products in the Frobenius norm: every delta then has a
        length, and a cosine lies in -1..1, where the entries as they stand give lengths below 0 and cosines far above
        1. The noise in the positive eigenvalues stays and makes cosines smaller. The eigenvalues are those of the whole
        table, so there a gene's own row has a small part in the inner products of the others; in an exact table it has
        none.
        """
        raw = self.products(control, control)
        values, vectors = np.linalg.eigh(raw)
        if values[0] >= -ROUNDING * values[-1]:
            return raw
        return (vectors * np.maximum(values, 0.0)) @ vectors.T

    def products(self, control: str, other: str) -> Matrix:
        """(t, t) inner products of the deltas against `control` (rows) with those against `other`, as in the table.

        With two controls the noise of a control's mean is not in both factors. InputError for an unknown control.
        """
        left, right = self.place(control), self.place(other)
        t = len(self.guides)
        return (self.values[:t, [right]] + self.values[[left], :t] - self.values[:t, :t] - self.values[left, right]) / 4

    def eigenvalues(self, control: str) -> NDArray[np.float64]:
        """(t,) eigenvalues of ``products(control, control)``, largest first.

        Deltas exist that have these inner products exactly if none is negative.
        """
        return np.asarray(np.linalg.eigvalsh(self.products(control, control))[::-1], np.float64)

    def to_control(self, control: str) -> NDArray[np.float64]:
        """(t,) E-distance of each perturbation to a control, as in the table."""
        return self.values[: len(self.guides), self.place(control)]

    @property
    def noise(self) -> float:
        """E-distance up to which a perturbation cannot be distinguished from a control.

        In a corrected table the largest amount by which an entry falls below 0; in an uncorrected one the largest
        distance between two controls. InputError for an uncorrected table with one control.
        """
        if self.corrected:
            return max(0.0, -float(self.values.min()))
        t = len(self.guides)
        if len(self.controls) < 2:
            raise InputError(f"{self.name} has one control, so the noise of its uncorrected distances is unknown.")
        return float(self.values[t:, t:].max())

    def place(self, control: str) -> int:
        """Row of a control in `values`. InputError for an unknown one."""
        if control not in self.controls:
            raise InputError(f"{self.name} has no control {control!r}; it has {', '.join(self.controls)}.")
        return len(self.guides) + self.controls.index(control)


def load(name: str, path: str | Path | None = None) -> Distances:
    """One of `SCREENS` from its committed table, or from another file with the same labels.

    Raises
    ------
    InputError
        For an unknown name, and for a table that cannot be read or is no table of distances between the same
        perturbations: it names the file and the first fault.

    Examples
    --------
    >>> from kgpert_lib.screens.distances import load
    >>> screen = load("adamson2016")
    >>> screen.name, len(screen.perturbations), screen.to_control(screen.controls[0]).shape
    ('Adamson 2016', 84, (94,))
    """
    if name not in SCREENS:
        raise InputError(f"There is no table of distances {name!r}; there are {', '.join(SCREENS)}.")
    source = SCREENS[name]
    file = Path(path) if path is not None else paths.DATA / "edistance" / source.file
    table = _read(file)
    labels = [str(label) for label in table.index]
    if absent := [label for label in source.controls if label not in labels]:
        raise InputError(f"{file} has no row for the control {absent[0]!r}; restore the file.")
    genes = {label: gene for label in labels if (gene := _gene(label, source)) is not None}
    if len(set(genes.values())) < 2:
        raise InputError(f"{file} has fewer than two perturbed genes; restore the file.")
    rows = [labels.index(label) for label in (*genes, *source.controls)]
    return Distances(
        name=source.title,
        cells=source.cells,
        method=source.method,
        guides=np.array(list(genes)),
        genes=np.array(list(genes.values())),
        controls=tuple(source.controls.values()),
        values=table.to_numpy(np.float64)[np.ix_(rows, rows)],
        left_out=tuple(label for label in labels if label not in genes and label not in source.controls),
        corrected=source.corrected,
    )


def _gene(label: str, source: Source) -> str | None:
    """The one gene that a label says was perturbed; None for controls, cells without a guide and pairs of genes."""
    if label in source.controls or label == STRAY:
        return None
    gene, _, suffix = label.rpartition("_")
    if source.suffix is None or not gene:
        return label
    return None if source.suffix == "gene" and suffix else gene


def _read(file: Path) -> pd.DataFrame:
    """The checked table: square, the same labels on both sides, symmetric, finite, 0 on the diagonal."""
    try:
        table = pd.read_csv(file, index_col=0, keep_default_na=False, dtype=str)
        values = table.to_numpy(np.float64)
    except (
        OSError,
        EOFError,
        zlib.error,
        UnicodeDecodeError,
        pd.errors.ParserError,
        pd.errors.EmptyDataError,
    ) as error:
        raise InputError(f"{file} cannot be read as a table ({error}); restore the file.") from error
    except ValueError as error:
        raise InputError(f"{file} holds a cell that is no number ({error}); restore the file.") from error
    table.index = table.index.astype(str)
    if table.index.has_duplicates:
        raise InputError(f"{file} has two rows {table.index[table.index.duplicated()][0]!r}; restore the file.")
    if list(table.index) != list(table.columns):
        raise InputError(f"{file} has other perturbations in its rows than in its columns; restore the file.")
    if not np.isfinite(values).all():
        row = table.index[int(np.flatnonzero(~np.isfinite(values).all(axis=1))[0])]
        raise InputError(f"{file} holds no finite number somewhere in the row {row!r}; restore the file.")
    tolerance = ROUNDING * np.abs(values).max(initial=0.0)
    if (off := np.abs(values - values.T).max(axis=1, initial=0.0) > tolerance).any():
        raise InputError(f"{file} is not symmetric: the row {table.index[int(off.argmax())]!r} is not its column.")
    if (off := np.abs(np.diag(values)) > tolerance).any():
        raise InputError(f"{file} has {table.index[int(off.argmax())]!r} at a distance from itself; restore the file.")
    return pd.DataFrame(values, index=table.index, columns=table.columns)
