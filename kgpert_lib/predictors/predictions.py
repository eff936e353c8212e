"""Predicted deltas, whatever predicts them: what every predictor returns, saved and loaded.

Predictions made elsewhere are read from ``.h5ad``, ``.npz``, ``.parquet`` or ``.csv`` and scored like our own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib import parquet
from kgpert_lib.cards import Bar, Cell, Table, card
from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic
from kgpert_lib.predictors.neighbourhoods import Neighbourhoods, measured_neighbours
from kgpert_lib.screens.atlas import TrainingLine, TrainingView
from kgpert_lib.screens.h5ad import write_h5ad
from kgpert_lib.types import FloatArray, NameArray

COUNTS = (0, 1, 2, 5, 10, 20, 40)  # of neighbours: where the rows of a card begin
SHOWN = 5  # perturbations on a card


@dataclass(frozen=True, eq=False)
class Predictions:
    """Predicted deltas of some perturbations in one cell line.

    Attributes
    ----------
    perturbations : (n,) symbols.
    genes : (m,) readout genes.
    delta : (n, m) float32, finite.
    n_neighbours : (n,) training perturbations that were averaged; 0 where none was.
    fallback : (n,) True where the prediction is the mean training delta because there is no neighbour.
    neighbourhoods : of the perturbations, in their order; None where the predictor averages none.
    training : the rows that the neighbourhoods name, where these are others than the view's target line.

    Examples
    --------
    >>> import numpy as np
    >>> from kgpert_lib import Predictions
    >>> mine = Predictions.plain(np.array(["RPL3"]), np.array(["MYC", "FOS"]), np.float32([[0.5, -1.0]]))
    >>> mine.select(["RPL3"], np.array(["FOS"])).delta.tolist()
    [[-1.0]]
    """

    perturbations: NameArray
    genes: NameArray
    delta: FloatArray
    n_neighbours: NDArray[np.int64]
    fallback: NDArray[np.bool_]
    neighbourhoods: Neighbourhoods | None = None
    training: TrainingLine | None = None

    def averaged(self, view: TrainingView) -> TrainingLine:
        """The training rows that the neighbourhoods name: mostly those of the view's target line."""
        return view.target if self.training is None else self.training

    def neighbours_measured(self, view: TrainingView) -> NDArray[np.int64]:
        """(n, m) how many neighbours measured each readout gene; 0 for a predictor without neighbours."""
        if self.neighbourhoods is None:
            return np.zeros(self.delta.shape, np.int64)
        return measured_neighbours(self.neighbourhoods, self.averaged(view))

    @classmethod
    def plain(cls, perturbations: NameArray, genes: NameArray, delta: FloatArray) -> Predictions:
        """Predictions of a method that averages no neighbours: deltas (n, m) of perturbations and readout genes."""
        none = np.zeros(len(perturbations), np.int64)
        return cls(perturbations, genes, delta, none, none.astype(bool))

    def select(self, perturbations: Sequence[str], genes: NameArray) -> Predictions:
        """The named perturbations and readout genes in that order; InputError counts what is missing."""
        rows = _places("perturbation", self.perturbations, np.asarray(perturbations, dtype=str))
        columns = _places("readout gene", self.genes, genes)
        return replace(
            self,
            perturbations=self.perturbations[rows],
            genes=self.genes[columns],
            delta=self.delta[np.ix_(rows, columns)],
            n_neighbours=self.n_neighbours[rows],
            fallback=self.fallback[rows],
            neighbourhoods=None,
        )

    def save(self, path: str | Path, graphs: Mapping[str, str] | None = None) -> Path:
        """Write ``.h5ad`` (X = predicted delta), ``.npz``, ``.parquet`` or ``.csv`` by the file's ending.

        `graphs` are those behind the predictions with their provenance (`graphs.provenance`); an ``.h5ad`` file keeps
        them as the table ``uns["graphs"]``, indexed by name, and a ``.parquet`` file in its metadata, by name.

        Raises InputError for another ending and where the file cannot be written.
        """
        target = Path(path)
        check_ending(target)
        with atomic(target) as scratch:
            _WRITERS[target.suffix](self, scratch, graphs or {})
        return target

    @classmethod
    def load(cls, path: str | Path) -> Predictions:
        """Read predictions from ``.h5ad``, ``.npz`` (perturbations, genes, delta), ``.parquet`` or ``.csv``.

        The last two have the perturbations in the column ``perturbation`` and one further column for each gene.

        Raises
        ------
        InputError
            File missing, of another type, cut short, with repeated names or a value that is not finite.
        """
        source = Path(path)
        if source.suffix not in _READERS:
            raise InputError(f"{source}: predictions are read from {', '.join(_READERS)}.")
        if not source.is_file():
            raise InputError(f"{source} does not exist.")
        try:
            with np.errstate(over="ignore"):  # what overflows float32 is infinite, which the check names
                perturbations, genes, delta = _READERS[source.suffix](source)
        except (InputError, ModuleNotFoundError):  # a package of an extra may be missing
            raise
        except Exception as error:  # anndata, h5py, zipfile, NumPy and pandas raise many kinds for foreign bytes
            raise InputError(f"{source} cannot be read as predictions ({_first_line(error)}).") from error
        _check(source, perturbations, genes, delta)
        return cls.plain(perturbations, genes, delta)

    def _repr_html_(self) -> str:
        n, m = self.delta.shape
        lines = []
        if fallback := int(self.fallback.sum()):
            lines.append(f"No neighbour, so that the mean training delta stands in: {fallback} of {n} perturbations.")
        tables = [_neighbour_counts(self.n_neighbours)] if self.n_neighbours.any() else []
        tables += [_largest(self)] if self.delta.size else []
        return card(f"Predicted deltas of {n} perturbations and {m} readout genes", lines, tables)


def check_ending(path: Path) -> None:
    """InputError unless predictions can be saved under this file name."""
    if path.suffix not in _WRITERS:
        raise InputError(f"{path}: predictions are saved as {', '.join(_WRITERS)}.")


class Predictor(Protocol):
    """Anything that predicts deltas from training perturbations alone."""

    @property
    def name(self) -> str:
        """Short name, shown in tables."""

    def predict(self, view: TrainingView, perturbations: Sequence[str]) -> Predictions:
        """Deltas of `perturbations` in the view's target line."""


def fitted(predictor: Predictor, view: TrainingView) -> Predictor:
    """The predictor with what it learns from a view, where it has a method of that name; else the predictor itself."""
    learns = getattr(predictor, "fitted", None)
    return predictor if learns is None else learns(view)


def _neighbour_counts(counts: NDArray[np.int64]) -> Table:
    """How many perturbations have how many neighbours."""
    numbers = np.histogram(counts, [*COUNTS, np.inf])[0]
    ends = [*(end - 1 for end in COUNTS[1:]), None]
    rows: list[list[Cell]] = [
        [str(low) if low == high else f"{low} to {high}" if high else f"{low} or more", Bar(str(k), [k / max(numbers)])]
        for low, high, k in zip(COUNTS, ends, numbers, strict=True)
    ]
    return Table("Neighbours averaged", ["neighbours", "perturbations"], rows)


def _largest(predictions: Predictions) -> Table:
    """The perturbations with the largest predicted deltas, by root mean square."""
    delta, genes = predictions.delta, predictions.genes
    size = np.sqrt(np.einsum("ij,ij->i", delta, delta, dtype=np.float64) / delta.shape[1])
    rows: list[list[Cell]] = [
        [
            str(predictions.perturbations[i]),
            Bar(f"{size[i]:.3f}", [float(size[i] / max(size.max(), np.finfo(float).tiny))]),
            *(f"{genes[j]} {delta[i, j]:+.2f}" for j in (delta[i].argmax(), delta[i].argmin())),
        ]
        for i in np.argsort(-size, kind="stable")[:SHOWN]
    ]
    columns = ["perturbation", "root mean square", "highest", "lowest"]
    return Table("Largest predicted deltas", columns, rows)


def _places(what: str, names: NameArray, selection: NameArray) -> NDArray[np.intp]:
    place = pd.Index(names).get_indexer(pd.Index(selection))
    missing = selection[place < 0]
    if len(missing):
        raise InputError(
            f"The predictions lack {len(missing)} of {len(selection)} {what}s, the first being {missing[0]}."
        )
    return place


def _check(source: Path, perturbations: NameArray, genes: NameArray, delta: FloatArray) -> None:
    for what, names in (("perturbations", perturbations), ("genes", genes)):
        if names.ndim != 1:
            raise InputError(f"{source}: {what} has shape {names.shape}; expected a plain list of names.")
    if delta.shape != (len(perturbations), len(genes)):
        raise InputError(
            f"{source}: {delta.shape} values for {len(perturbations)} perturbations x {len(genes)} readout genes."
        )
    for what, names in (("perturbation", perturbations), ("readout gene", genes)):
        repeated = pd.Index(names).duplicated()
        if repeated.any():
            raise InputError(f"{source}: {what} {names[repeated][0]} appears more than once.")
    if not delta.size:
        raise InputError(f"{source} holds no prediction.")
    bad = ~np.isfinite(delta)
    if bad.any():
        i, j = np.argwhere(bad)[0]
        raise InputError(f"{source}: the value for {perturbations[i]} at gene {genes[j]} is not a finite number.")


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def _read_h5ad(path: Path) -> tuple[NameArray, NameArray, FloatArray]:
    import anndata as ad
    import scipy.sparse as sp

    data = ad.read_h5ad(path)
    values = data.X.toarray() if sp.issparse(data.X) else np.asarray(data.X)
    return data.obs_names.to_numpy(str), data.var_names.to_numpy(str), values.astype(np.float32)


def _read_npz(path: Path) -> tuple[NameArray, NameArray, FloatArray]:
    with path.open("rb") as file, np.lib.npyio.NpzFile(file, allow_pickle=False) as data:
        missing = [key for key in ("perturbations", "genes", "delta") if key not in data.files]
        if missing:
            raise InputError(f"{path} has no array {missing[0]!r}; it needs perturbations, genes and delta.")
        return data["perturbations"].astype(str), data["genes"].astype(str), data["delta"].astype(np.float32)


def _read_csv(path: Path) -> tuple[NameArray, NameArray, FloatArray]:
    table = pd.read_csv(path, keep_default_na=False, dtype=str)
    if "perturbation" not in table.columns:
        raise InputError(f"{path} has no column 'perturbation'; its other columns are readout genes.")
    values = table.drop(columns="perturbation").apply(pd.to_numeric, errors="coerce")
    return table["perturbation"].to_numpy(str), values.columns.to_numpy(str), values.to_numpy(np.float32)


def _write_h5ad(predictions: Predictions, path: Path, graphs: Mapping[str, str]) -> None:
    import anndata as ad

    obs = pd.DataFrame(
        {"n_neighbours": predictions.n_neighbours, "fallback": predictions.fallback},
        index=predictions.perturbations.astype(object),
    )
    data = ad.AnnData(X=predictions.delta, obs=obs, var=pd.DataFrame(index=predictions.genes.astype(object)))
    if graphs:
        names = pd.Index(list(graphs), dtype=object)
        data.uns["graphs"] = pd.DataFrame({"provenance": list(graphs.values())}, index=names)
    write_h5ad(data, path)


def _write_npz(predictions: Predictions, path: Path, graphs: Mapping[str, str]) -> None:
    np.savez_compressed(path, perturbations=predictions.perturbations, genes=predictions.genes, delta=predictions.delta)


def _write_csv(predictions: Predictions, path: Path, graphs: Mapping[str, str]) -> None:
    table = pd.DataFrame(predictions.delta, columns=predictions.genes)
    table.insert(0, "perturbation", predictions.perturbations)
    table.to_csv(path, index=False)


def _write_parquet(predictions: Predictions, path: Path, graphs: Mapping[str, str]) -> None:
    parquet.write_matrix(path, predictions.perturbations, predictions.genes, predictions.delta, graphs)


_READERS = {".h5ad": _read_h5ad, ".npz": _read_npz, ".csv": _read_csv, parquet.ENDING: parquet.read_matrix}
_WRITERS = {".h5ad": _write_h5ad, ".npz": _write_npz, ".csv": _write_csv, parquet.ENDING: _write_parquet}
