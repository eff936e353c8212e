"""A screen of one's own: AnnData files of deltas or of single cells become an atlas, with edge lists beside it.

A file with a negative number in X holds deltas, one row for each perturbation; any other holds single cells, as raw
counts or as log-normalised expression. Cells go through `Pseudobulk` chunk by chunk, as the cells of every other screen
do, and give deltas, matched controls and the deltas of two random halves of the cells. Names are read by `gene_labels`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic, digest, is_empty
from kgpert_lib.graphs import edgelist
from kgpert_lib.graphs.catalogue import GRAPHS
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import match
from kgpert_lib.metrics.targets import own_readouts
from kgpert_lib.screens import gene_labels
from kgpert_lib.screens.atlas import SPLITS, Atlas, CellLine
from kgpert_lib.screens.h5ad import read_h5ad
from kgpert_lib.screens.load import ATLASES, GRAPH_FOLDER
from kgpert_lib.screens.pseudobulk import TARGET_SUM, Pseudobulk, assign_halves
from kgpert_lib.screens.replogle import MARK
from kgpert_lib.types import FloatArray

if TYPE_CHECKING:
    from anndata import AnnData

SOURCE = "AnnData files"  # in the provenance of the atlases that `read_screen` makes
PERTURBATION_COLUMNS = ("perturbation", "gene", "target_gene", "condition")
BATCH, LINE, SPLIT, CELLS = "batch", "cell_line", "split", "n_cells"  # columns that are read where they are there
CHUNK = 4096  # cells that are dense or log-normalised at once
LARGEST_LOG = 20.0  # above the log1p of any count of a cell
ROWS_OF_DELTAS = 10  # median rows of a perturbation from which on rows are cells and no repeated deltas
KNOWN, KNOWN_READOUTS = 0.5, 0.1  # shares of names that have to be genes; readouts hold many without a symbol
TEST = 0.25
NAMED = 5


@dataclass(frozen=True)
class Settings:
    """How a file is read; None looks for the usual columns.

    Attributes
    ----------
    line : name of the cell line; None for those in obs[``cell_line``], else the name of the file.
    perturbation : column of obs with the perturbed gene, None for the first of `PERTURBATION_COLUMNS`, else its index.
    control : label of the control cells, besides those of `CONTROL_NAMES`.
    batch : column of obs with the batch whose controls a cell is compared with; None for ``batch`` where it is there,
        ``"none"`` to compare all cells with all controls.
    genes : column of var with the symbols of the readout genes.
    layer : layer that holds the matrix in the place of X.
    min_cells : perturbations with fewer cells are left out, at least 2.
    split : column of obs with train, val or test; or the share of genes to draw for test. None for obs[``split``] where
        it is there, else a quarter. seed : of that draw and of the halves of the cells.
    """

    line: str | None = None
    perturbation: str | None = None
    control: str | None = None
    batch: str | None = None
    genes: str | None = None
    layer: str | None = None
    min_cells: int = 10
    split: str | float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.min_cells < 2:
            raise InputError(f"min_cells={self.min_cells} is too few; two halves of the cells need 2 or more.")
        if isinstance(self.split, float) and not 0 < self.split < 1:
            raise InputError(f"split={self.split} is no share between 0 and 1; give such as 0.25, or a column of obs.")


def share_or_column(text: str | None) -> str | float | None:
    """`Settings.split` from text: a number is a share, another text a column."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return text


def read_screen(
    paths: Sequence[str | Path], name: str, settings: Settings | None = None, graphs: Sequence[KnowledgeGraph] = ()
) -> Atlas:
    """The atlas of one or more AnnData files.

    Parameters
    ----------
    paths : each file holds one cell line, or several that its column ``cell_line`` names.
    name : of the atlas.
    graphs : their genes count as known, besides those of the gene table.

    Left out and counted in `Atlas.provenance` (`left_out` puts it in words): controls, combinations of genes, rows
    without a label, cells without a count, perturbations with too few cells, rows of gaps. Deltas in several rows of
    one perturbation become their mean, weighted by obs[``n_cells``] where that is there. Test genes are drawn once for
    all lines: a gene that is held out in one line is held out in all. Files that kgpert simulated make the atlas
    ``"simulated"``.

    Raises
    ------
    InputError
        What is wrong with a file, where, and what to do; also for a line in two files.
    """
    settings = settings or Settings()
    if name in ATLASES or not name.strip():
        raise InputError(f"An atlas of your own cannot be called {name!r}; choose a name that no other atlas has.")
    if not paths:
        raise InputError("There is no file to read; name one h5ad file or more.")
    if settings.line is not None and len(paths) > 1:
        raise InputError("One line name cannot stand for several files; name the files after their lines.")
    lines: dict[str, CellLine] = {}
    counts: dict[str, Any] = {}
    simulated = False
    for path in map(Path, paths):
        data = read_h5ad(path)
        simulated |= MARK in data.uns
        for line, count in _read_lines(path, data, settings, graphs):
            if line.name in lines:
                raise InputError(f"{path}: the cell line {line.name!r} was read before; give each line one file.")
            lines[line.name], counts[line.name] = line, count | {"file": path.name, "sha256": digest(path)}
    drawn = [key for key in lines if counts[key]["split"] == "drawn"]
    held_out = _draw_test([lines[key] for key in drawn], settings)
    for key in drawn:
        split = np.where(np.isin(lines[key].perturbations, held_out), "test", "train")
        lines[key] = replace(lines[key], split=split)
    provenance = {"lines": counts, "seed": settings.seed, "source": SOURCE}
    return Atlas(name, "simulated" if simulated else "real", lines, provenance=provenance)


def read_edges(paths: Sequence[str | Path]) -> list[KnowledgeGraph]:
    """The graphs of edge lists, named after their files; InputError where a name is taken or cannot be a name."""
    graphs: list[KnowledgeGraph] = []
    for path in map(Path, paths):
        if not re.fullmatch(r"[\w-]+", path.stem):
            raise InputError(f"{path}: the graph is called as the file; rename it to letters, digits, - and _.")
        if path.stem in (*GRAPHS, *(graph.name for graph in graphs)):
            raise InputError(f"{path}: there is a graph {path.stem!r} already; rename the file.")
        graphs.append(edgelist.read(path)[0])
    return graphs


def save_screen(atlas: Atlas, folder: str | Path, graphs: Sequence[KnowledgeGraph] = ()) -> Path:
    """Write an atlas and its graphs into a new folder, whole or not at all; `load_screen` reads both.

    InputError for a folder that holds something, and for a graph with none of the perturbed genes.
    """
    if Path(folder).exists() and not is_empty(Path(folder)):
        raise InputError(f"{folder} exists already; name a new folder.")
    names = atlas.perturbations()
    for graph in graphs:
        report = match(graph.symbols.tolist(), names)
        if not report.exact + len(report.resolved):
            raise InputError(
                f"The graph {graph.name} has none of the {len(names)} perturbed genes ({_few(names)}); "
                f"its genes are such as {_few(graph.symbols.tolist())}: spell them alike."
            )
    with atomic(folder) as scratch:
        atlas.save(scratch)
        for graph in graphs:
            edgelist.write(graph, scratch / GRAPH_FOLDER / f"{graph.name}.csv")
    return Path(folder)


def left_out(atlas: Atlas) -> list[str]:
    """What `read_screen` read and left out, one sentence each; none for an atlas from elsewhere."""
    sentences: list[str] = []
    if atlas.provenance.get("source") != SOURCE:
        return sentences
    for line, count in atlas.provenance["lines"].items():
        what = f"{count['kind']}, {count['rows']:,} rows of {count['file']}"
        sentences.append(f"{line}: {what}; {count['own_readouts']} perturbed genes are readout genes.")
        for key, text in _LEFT_OUT.items():
            if number := count.get(key):
                amount = f"{len(number):,} ({_few(number)})" if isinstance(number, list) else f"{number:,}"
                sentences.append(f"{line}: {text}: {amount}.")
    return sentences


_LEFT_OUT: Mapping[str, str] = {
    "without_label": "left out, rows without a label",
    "combinations": "left out, combinations of genes",
    "rows_of_combinations": "left out, rows of combinations",
    "empty_cells": "left out, cells without a count",
    "too_few_cells": "left out, perturbations with too few cells",
    "rows_of_gaps": "left out, perturbations without a measured readout",
    "repeated": "averaged, perturbations in several rows",
    "unknown": "kept under their own names, perturbations that are no gene known here",
}


def _read_lines(
    path: Path, data: AnnData, settings: Settings, graphs: Sequence[KnowledgeGraph]
) -> Iterator[tuple[CellLine, dict[str, Any]]]:
    """Each cell line of a file with what was counted; its split is still ``train`` throughout where it is drawn."""
    matrix = _matrix(path, data, settings.layer)
    texts = _labels(path, data.obs, settings.perturbation)
    if settings.genes is not None and settings.genes not in data.var:
        raise InputError(f"{path}: var has no column {settings.genes!r}; it has {_few(data.var.columns.tolist())}.")
    labelled = texts[texts != ""]
    meaning = gene_labels.perturbed(
        labelled, [settings.control] if settings.control else [], gene_labels.ensembl_symbols(data.var, settings.genes)
    )
    unknown = _check_known(path, meaning, data, settings, graphs)
    readouts = gene_labels.readouts(data.var, settings.genes, sorted(set(meaning.genes.values())), str(path))
    values = _survey(matrix)
    controls = np.isin(texts, sorted(meaning.controls))
    gene = np.array([meaning.genes.get(text, "") for text in texts])
    deltas = _holds_deltas(path, values, texts, controls, gene, settings)
    combined = np.isin(texts, sorted(meaning.combinations))
    for name, rows in _rows_of_lines(path, data.obs, settings.line):
        labels, rule = _split_labels(path, data.obs.iloc[rows], gene[rows], settings.split)
        part = _Part(path, name, rows, gene[rows], controls[rows], np.array(readouts))
        read = _read_deltas if deltas else _read_cells
        line, counts = read(part, matrix, data.obs.iloc[rows], values, settings)
        if labels is not None:
            line = replace(line, split=np.array([labels[p] for p in line.perturbations.tolist()]))
        own = own_readouts(line.perturbations, line.genes)[0]
        yield (
            line,
            {
                **counts,
                "rows": len(rows),
                "controls": int(controls[rows].sum()),
                "split": rule,
                "own_readouts": len(own),
                "without_label": int((texts[rows] == "").sum()),
                "combinations": sorted(set(texts[rows][combined[rows]].tolist())),
                "rows_of_combinations": int(combined[rows].sum()),
                "unknown": sorted(unknown.intersection(line.perturbations.tolist())),
            },
        )


@dataclass(frozen=True, eq=False)
class _Part:
    """The rows of one cell line in a file: `rows` (k,) their places, `gene` (k,) "" where no perturbation is counted,
    `controls` (k,), `readouts` (m,) names.
    """

    path: Path
    name: str
    rows: NDArray[np.intp]
    gene: NDArray[np.str_]
    controls: NDArray[np.bool_]
    readouts: NDArray[np.str_]


@dataclass(frozen=True)
class _Values:
    """What the numbers of a matrix are; `gap` and `infinite` are places (row, column) of one of them, or None."""

    negative: bool
    whole: bool
    largest: float
    gap: tuple[int, int] | None
    infinite: tuple[int, int] | None


def _matrix(path: Path, data: AnnData, layer: str | None) -> Any:
    layers = ", ".join(data.layers) or "none"
    if layer is not None and layer not in data.layers:
        raise InputError(f"{path} has no layer {layer!r}; its layers: {layers}.")
    matrix = data.X if layer is None else data.layers[layer]
    if matrix is None:
        raise InputError(f"{path} has no X; name a layer that holds the numbers (layers: {layers}).")
    if 0 in matrix.shape:
        raise InputError(f"{path} is empty: X has {matrix.shape[0]} rows and {matrix.shape[1]} columns.")
    if matrix.dtype.kind not in "fiub":
        raise InputError(f"{path}: X holds {matrix.dtype} and no numbers; save it as float32.")
    return matrix.tocsr() if sp.issparse(matrix) else np.asarray(matrix)


def _labels(path: Path, obs: pd.DataFrame, column: str | None) -> NDArray[np.str_]:
    """(rows,) labels of the perturbations as text, empty where there is none."""
    if column is None:
        column = next((c for c in PERTURBATION_COLUMNS if c in obs), None)
    elif column not in obs:
        raise InputError(
            f"{path}: obs has no column {column!r}; it has {_few(obs.columns.tolist(), len(obs.columns))}. "
            "Name the one with the perturbed gene by --perturbed."
        )
    values = obs.index.to_series() if column is None else obs[column]
    where = "the index of obs" if column is None else f"obs[{column!r}]"
    if pd.api.types.is_numeric_dtype(values.dtype) or all(str(value).isdecimal() for value in values.dropna()):
        raise InputError(
            f"{path}: {where} holds numbers such as {values.iloc[0]} and no genes; "
            f"name a column of symbols or Ensembl ids by --perturbed ({_few(obs.columns.tolist())})."
        )
    return np.array(["" if pd.isna(value) else str(value).strip() for value in values.tolist()])


def _check_known(
    path: Path, meaning: gene_labels.Perturbed, data: AnnData, settings: Settings, graphs: Sequence[KnowledgeGraph]
) -> set[str]:
    """Perturbed genes that neither the gene table nor a graph knows; InputError where these are too many."""
    names = sorted(set(meaning.genes.values()))
    if not names:
        raise InputError(
            f"{path}: no row is labelled with one gene ({len(meaning.combinations)} combinations, "
            f"{len(meaning.controls)} labels of controls); name the column of genes by --perturbed."
        )
    by_table = {name for name in names if gene_labels.known(name)}
    by_graph = {name for graph in graphs for name in set(names).intersection(graph.symbols.tolist())}
    unknown = set(names) - by_table - by_graph
    if len(unknown) > (1 - KNOWN) * len(names):
        raise InputError(
            f"{path}: {len(unknown)} of {len(names)} perturbed genes are not recognised ({_few(sorted(unknown))}); "
            "name the column of human symbols or Ensembl ids by --perturbed, or give edges that know them by "
            "--graph."
        )
    readouts = gene_labels.readouts(data.var, settings.genes, [], str(path))
    share = np.mean([gene_labels.known(name) for name in readouts])
    if len(by_table) >= KNOWN * len(names) and share < KNOWN_READOUTS:
        raise InputError(
            f"{path}: {share:.0%} of the {len(readouts)} readout genes are recognised ({_few(readouts)}); name the "
            f"column of var with symbols by --symbols (it has {_few(data.var.columns.tolist()) or 'none'})."
        )
    return unknown


def _survey(matrix: Any) -> _Values:
    """One pass over the matrix in chunks of rows."""
    negative, whole, largest = False, True, 0.0
    gap = infinite = None
    for start in range(0, matrix.shape[0], CHUNK):
        chunk = matrix[start : start + CHUNK]
        numbers = chunk.data if sp.issparse(chunk) else chunk
        finite = numbers[np.isfinite(numbers)]
        if finite.size < numbers.size:
            gap = gap or _place(chunk, np.isnan, start)
            infinite = infinite or _place(chunk, np.isinf, start)
        if finite.size:
            negative |= bool(finite.min() < 0)
            largest = max(largest, float(np.abs(finite).max()))
            whole = whole and bool((finite == np.rint(finite)).all())
    return _Values(negative, whole, largest, gap, infinite)


def _place(chunk: Any, test: Any, start: int) -> tuple[int, int] | None:
    places = np.argwhere(test(chunk.toarray() if sp.issparse(chunk) else chunk))
    return (start + int(places[0][0]), int(places[0][1])) if len(places) else None


def _holds_deltas(
    path: Path,
    values: _Values,
    texts: NDArray[np.str_],
    controls: NDArray[np.bool_],
    gene: NDArray[np.str_],
    settings: Settings,
) -> bool:
    """Whether X holds deltas and not cells; InputError for what is neither."""
    if values.infinite or (values.gap and not values.negative):
        row, column = values.infinite or values.gap or (0, 0)
        raise InputError(
            f"{path}: X is not finite in row {row}, column {column}; a gap (NaN) is for deltas only, so write a number."
        )
    if values.largest == 0:
        raise InputError(f"{path}: X is 0 throughout; name the layer that holds the numbers by --layer.")
    if values.negative:
        repeats = np.unique(gene[gene != ""], return_counts=True)[1]
        if controls.any() and np.median(repeats) > ROWS_OF_DELTAS:
            raise InputError(
                f"{path}: X has negative numbers in rows of single cells, so they were scaled or centred; "
                "give counts or log-normalised expression before scaling (--layer names it)."
            )
        return True
    if not controls.any():
        labels, counts = np.unique(texts[texts != ""], return_counts=True)
        label = settings.control or "control, ctrl or non-targeting"
        frequent = _few(labels[np.argsort(-counts, kind="stable")].tolist())
        raise InputError(
            f"{path}: no row is a control (label {label}), and X has no negative number, so it holds no deltas; "
            f"name the label of the control cells by --control (most frequent labels: {frequent})."
        )
    if not values.whole and values.largest > LARGEST_LOG:
        raise InputError(
            f"{path}: X is neither counts nor logarithms (largest {values.largest:.4g}, not whole); "
            "give raw counts (--layer names them) or take the logarithm (scanpy.pp.log1p)."
        )
    return False


def _rows_of_lines(path: Path, obs: pd.DataFrame, line: str | None) -> list[tuple[str, NDArray[np.intp]]]:
    every = np.arange(len(obs))
    names = obs[LINE].astype(str).str.strip().str.lower().to_numpy() if LINE in obs else None
    if names is None or (line is not None and len(set(names)) == 1):
        return [((line or path.stem).lower(), every)]
    if line is not None:
        raise InputError(
            f"{path}: obs[{LINE!r}] names {len(set(names))} lines ({_few(sorted(set(names)))}), which one name cannot "
            "stand for; leave --line out."
        )
    return [(name, every[names == name]) for name in dict.fromkeys(names.tolist())]


def _split_labels(
    path: Path, obs: pd.DataFrame, gene: NDArray[np.str_], split: str | float | None
) -> tuple[dict[str, str] | None, str]:
    """The split label of each gene, and the rule: a column, or ``drawn`` (None)."""
    column = SPLIT if split is None and SPLIT in obs else split
    if not isinstance(column, str):
        return None, "drawn"
    if column not in obs:
        raise InputError(
            f"{path}: obs has no column {column!r} for the split; it has {_few(obs.columns.tolist())}. "
            "Give a share such as 0.25 to have test genes drawn."
        )
    table = pd.DataFrame({"gene": gene, "label": obs[column].astype(str).str.strip().str.lower().to_numpy()})
    table = table[table["gene"] != ""].drop_duplicates()
    odd = sorted(set(table["label"]) - set(SPLITS))
    if odd:
        raise InputError(f"{path}: obs[{column!r}] holds {odd[0]!r}; it holds {', '.join(SPLITS)} for each gene.")
    twice = table["gene"][table["gene"].duplicated()]
    if len(twice):
        raise InputError(f"{path}: obs[{column!r}] gives {twice.iloc[0]} several labels; give each gene one.")
    return dict(zip(table["gene"], table["label"], strict=True)), f"obs[{column!r}]"


def _read_cells(
    part: _Part, matrix: Any, obs: pd.DataFrame, values: _Values, settings: Settings
) -> tuple[CellLine, dict[str, Any]]:
    """Cells of one line, chunk by chunk through `Pseudobulk`."""
    batch = _batches(part.path, obs, settings.batch)
    total = np.concatenate([np.asarray(chunk.sum(axis=1)).ravel() for chunk in _chunks(matrix, part.rows)])
    used = (total > 0) & (part.controls | (part.gene != ""))
    names, cells = np.unique(part.gene[used & ~part.controls], return_counts=True)
    few = names[cells < settings.min_cells]
    perturbations = names[cells >= settings.min_cells]
    if not len(perturbations):
        raise InputError(
            f"{part.path}: no perturbation of {part.name} has {settings.min_cells} cells "
            f"(the most: {cells.max(initial=0)}); lower --min-cells."
        )
    used &= part.controls | np.isin(part.gene, perturbations)
    label = np.where(part.controls, "control", part.gene)[used]
    cell_obs = pd.DataFrame({"perturbation": label, "batch": batch[used]})
    _check_batches(part, cell_obs)
    bulk = Pseudobulk(
        part.readouts,
        perturbations,
        sorted(set(batch[used].tolist())),
        target_sum=TARGET_SUM if values.whole else None,
        splits=1,
    )
    halves = assign_halves(cell_obs, 1, settings.seed)
    start = 0
    for chunk in _chunks(matrix, part.rows[used]):
        piece = slice(start, start + chunk.shape[0])
        bulk.add(chunk, cell_obs.iloc[piece], halves[piece])
        start = piece.stop
    line = bulk.cell_line(part.name, ["train"] * len(perturbations))
    return line, {
        "kind": f"single cells ({'counts' if values.whole else 'log-normalised'})",
        "batches": len(bulk.batches),
        "empty_cells": int((total == 0).sum()),
        "too_few_cells": few.tolist(),
    }


def _chunks(matrix: Any, rows: NDArray[np.intp]) -> Iterator[Any]:
    """The rows of the matrix in their order, `CHUNK` at a time."""
    for start in range(0, len(rows), CHUNK):
        yield matrix[rows[start : start + CHUNK]]


def _batches(path: Path, obs: pd.DataFrame, column: str | None) -> NDArray[np.str_]:
    """(rows,) batch of each cell; one for all where there is no column of batches."""
    if column == "none" or (column is None and BATCH not in obs):
        return np.full(len(obs), "all")
    if column is not None and column not in obs:
        raise InputError(
            f"{path}: obs has no column {column!r} of batches; it has {_few(obs.columns.tolist())}. "
            "With --batch none all cells are compared with all controls."
        )
    return obs[column or BATCH].astype(str).to_numpy(str)


def _check_batches(part: _Part, obs: pd.DataFrame) -> None:
    """InputError for a batch with cells of a perturbation whose controls do not fill two halves."""
    control = obs["perturbation"] == "control"
    controls = obs["batch"][control].value_counts().reindex(obs["batch"].unique(), fill_value=0)
    bare = controls[controls < 2].index
    if len(bare):
        cells = int((~control & obs["batch"].isin(bare)).sum())
        raise InputError(
            f"{part.path}: batch {sorted(bare)[0]!r} of {part.name} has {controls[sorted(bare)[0]]} control cells and "
            f"needs 2 ({len(bare)} such batches with {cells} perturbed cells); leave their cells out, or compare all "
            "cells with all controls by --batch none."
        )


def _read_deltas(
    part: _Part, matrix: Any, obs: pd.DataFrame, values: _Values, settings: Settings
) -> tuple[CellLine, dict[str, Any]]:
    """Deltas of one line; several rows of a perturbation become their mean over what they measured."""
    used = np.flatnonzero(part.gene != "")
    names, place, repeats = np.unique(part.gene[used], return_inverse=True, return_counts=True)
    weights, cells = np.ones(len(used)), None
    if CELLS in obs:
        weights = pd.to_numeric(obs[CELLS], errors="coerce").to_numpy(float)[used]
        if not (np.isfinite(weights) & (weights > 0) & (weights == np.rint(weights))).all():
            raise InputError(f"{part.path}: obs[{CELLS!r}] holds something other than numbers of cells; mend it.")
        cells = np.bincount(place, weights, len(names)).astype(np.int64)
    total, weight = np.zeros((2, len(names), matrix.shape[1]))
    start = 0
    for piece in _chunks(matrix, part.rows[used]):
        chunk = (piece.toarray() if sp.issparse(piece) else piece).astype(np.float64)
        rows = slice(start, start + len(chunk))
        measured = ~np.isnan(chunk)
        np.add.at(total, place[rows], weights[rows, None] * np.where(measured, chunk, 0.0))
        np.add.at(weight, place[rows], weights[rows, None] * measured)
        start = rows.stop
    delta: FloatArray = np.where(weight > 0, total / np.where(weight > 0, weight, 1.0), np.nan).astype(np.float32)
    kept = (weight > 0).any(axis=1)
    if not kept.any():
        raise InputError(f"{part.path}: {part.name} has no measured delta; X holds gaps only.")
    counted = None if cells is None else cells[kept]
    line = CellLine(part.name, names[kept], part.readouts, delta[kept], np.full(kept.sum(), "train"), n_cells=counted)
    return line, {
        "kind": "deltas",
        "gaps": int(np.isnan(delta[kept]).sum()),
        "rows_of_gaps": names[~kept].tolist(),
        "repeated": names[repeats > 1].tolist(),
    }


def _draw_test(lines: Sequence[CellLine], settings: Settings) -> list[str]:
    """Test genes of these lines: a share of all their perturbations, drawn by the seed."""
    names = sorted({p for line in lines for p in line.perturbations.tolist()})
    if not names:
        return []
    share = settings.split if isinstance(settings.split, float) else TEST
    size = max(1, round(share * len(names)))
    held_out = np.random.default_rng(settings.seed).choice(names, min(size, len(names) - 1), replace=False).tolist()
    for line in lines:
        n = int(np.isin(line.perturbations, held_out).sum())
        if not 0 < n < len(line.perturbations):
            raise InputError(
                f"{line.name} has {len(line.perturbations)} perturbations, of which {n} fell to the test genes; "
                "name the test genes in a column of obs (--split), or give more perturbations."
            )
    return held_out


def _few(names: Sequence[Any], most: int = NAMED) -> str:
    """The first of the names, and how many more there are."""
    more = len(names) - most
    return ", ".join(map(str, names[:most])) + (f" and {more} more" if more > 0 else "")
