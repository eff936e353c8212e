"""How well an experiment repeats itself: from halves of its cells, and from a second experiment.

Paper, section 4.2. The cells of a perturbation are cut at random into halves and the two half deltas
correlated; as each half has half the cells, the correlation is then corrected upwards. The published
equation is missing, so the correction is a parameter (reconstructed). Where a line was screened twice, the
correlation of the two experiments needs no correction for halving (ours). On a simulation the truth is known, and
`calibrate` measures which estimate is least biased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.metrics.stats import percentile_bootstrap
from kgpert_lib.metrics.targets import without_own_readouts
from kgpert_lib.screens.atlas import CellLine
from kgpert_lib.screens.screen import Screen

if TYPE_CHECKING:
    from kgpert_lib.screens.simulated.simulation import Simulation

BINS = (30, 45, 60, 80, 201)


def _spearman_brown(r: NDArray[np.float64]) -> NDArray[np.float64]:
    """``2r / (1 + r)``; below r = -1/3 that leaves -1..1, and no correlation is below -1."""
    return np.maximum(2 * r / (1 + np.maximum(r, -0.99)), -1.0)


CORRECTIONS: dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]] = {
    "sqrt": lambda r: 1 - (1 - r) / np.sqrt(2),
    "linear": lambda r: 1 - (1 - r) / 2,
    "spearman-brown": _spearman_brown,
    "noise-free": lambda r: np.sqrt(np.maximum(_spearman_brown(r), 0)),
    "none": lambda r: r,
}


def correct(r: ArrayLike, correction: str = "sqrt") -> NDArray[np.float64]:
    """Scale split-half correlations up to the full number of cells.

    ``sqrt`` ``1 - (1 - r) / sqrt(2)`` (the paper's argument, reconstructed), ``linear`` ``1 - (1 - r) / 2``,
    ``spearman-brown`` ``2r / (1 + r)``: the correlation of two full experiments, ``noise-free``
    ``sqrt(2r / (1 + r))``: the correlation of one full experiment with the truth (ours), ``none``.

    Examples
    --------
    >>> from kgpert_lib.evaluation.ceiling import correct
    >>> correct(0.5, "spearman-brown").round(3).item()
    0.667
    """
    if correction not in CORRECTIONS:
        raise InputError(f"Unknown correction {correction!r}; it is one of {', '.join(CORRECTIONS)}.")
    return CORRECTIONS[correction](np.asarray(r, dtype=np.float64))


def ceiling(table: pd.DataFrame, correction: str = "sqrt") -> pd.DataFrame:
    """Corrected reproducibility of each perturbation over its splits.

    Columns ``perturbation``, ``n_cells``, ``ceiling`` (mean over splits of the corrected correlation), ``spread``
    (standard deviation over splits; NaN with one) and ``splits``, in the table's order of perturbations.
    """
    scaled = table.assign(ceiling=correct(table["r"], correction))
    groups = scaled.groupby("perturbation", sort=False)
    result = groups.agg(
        n_cells=("n_cells", "first"),
        ceiling=("ceiling", "mean"),
        spread=("ceiling", "std"),
        splits=("split", "nunique"),
    )
    return result.reset_index()


def between_experiments(first: CellLine, second: CellLine) -> pd.DataFrame:
    """How well two experiments on one line agree: Pearson correlation of their deltas over common readout genes (ours).

    The perturbed gene's own readout does not count. One row per perturbation of both, in the order of `first`:
    ``perturbation``, ``n_cells`` and ``n_cells_second`` (where they are known), ``n_genes`` and ``r``.
    InputError where no perturbation has two readout genes that both measured.
    """
    again, truth = first.aligned(second), first.scored
    count = (~np.isnan(again) & ~np.isnan(truth)).sum(axis=1)
    both = np.flatnonzero(count > 1)
    if not len(both):
        raise InputError(f"The two experiments on {first.name} share no perturbation with two readout genes of both.")
    again, truth = again[both], truth[both]
    names = first.perturbations[both]
    cells = (np.nan if line.n_cells is None else line.n_cells[line.rows(list(names))] for line in (first, second))
    return pd.DataFrame(
        {
            "perturbation": names,
            **dict(zip(("n_cells", "n_cells_second"), cells, strict=True)),
            "n_genes": count[both],
            "r": pearson_delta(np.nan_to_num(again, nan=0.0), np.where(np.isnan(again), np.nan, truth)),
        }
    )


def reproducibility(screen: Screen, line: str, correction: str = "sqrt") -> pd.DataFrame:
    """The ceiling of each perturbation of a line, from what the screen has: halves, else a second experiment.

    The correlation of two experiments is what ``spearman-brown`` estimates from halves, and the other corrections
    but one leave it as it is; ``noise-free`` takes its square root. Columns ``perturbation``, ``n_cells`` and
    ``ceiling``, which is NaN where neither was measured.
    """
    halves = screen.halves[screen.halves["line"] == line]
    if len(halves):
        return ceiling(halves, correction)[["perturbation", "n_cells", "ceiling"]]
    cells, second = screen[line], screen.second(line)
    n_cells = np.nan if cells.n_cells is None else cells.n_cells
    table = pd.DataFrame({"perturbation": cells.perturbations, "n_cells": n_cells})
    if second is None:
        return table.assign(ceiling=np.nan)
    r = between_experiments(cells, second).set_index("perturbation")["r"].reindex(table["perturbation"]).to_numpy()
    return table.assign(ceiling=np.sqrt(np.maximum(r, 0)) if correction == "noise-free" else r)


def measure(simulation: Simulation, line: str, halves: pd.DataFrame, observed: NDArray[np.float32]) -> pd.DataFrame:
    """What a simulation knows about each perturbation of a line, one row each; own readouts do not count.

    Parameters
    ----------
    halves : `split_half` of the line, with the column ``shared`` besides: the same where controls are not split.
    observed : (n, m) deltas of the line over all cells.

    Returns
    -------
    Columns ``line``, ``perturbation``, ``n_cells``, a column for each correction (mean over splits), ``shared``
    (uncorrected, controls not split), ``truth`` (correlation of the noise-free with the observed delta) and
    ``replicate`` (correlation of two independent full experiments).
    """
    columns = {name: ceiling(halves, name)["ceiling"].to_numpy() for name in CORRECTIONS}
    first = ceiling(halves.assign(r=halves["shared"]), "none")
    again = simulation.second_experiment(line).delta
    scored = without_own_readouts(observed, simulation.perturbations, simulation.genes)
    return pd.DataFrame(
        {
            "line": line,
            "perturbation": first["perturbation"],
            "n_cells": first["n_cells"],
            **columns,
            "shared": first["ceiling"],
            "truth": pearson_delta(simulation.truth[line], scored),
            "replicate": pearson_delta(again, scored),
        }
    )


def measure_simulated(screens: Sequence[Screen]) -> pd.DataFrame:
    """`measure` for every line of the simulations among `screens`, from the halves that they hold already.

    InputError where none of them is a simulation.
    """
    tables = [
        measure(screen.simulation, name, screen.halves[screen.halves["line"] == name], line.delta)
        for screen in screens
        if screen.simulation is not None
        for name, line in screen.lines.items()
    ]
    if not tables:
        raise InputError("The truth is known of a simulation only; name `simulated` among the atlases.")
    return pd.concat(tables, ignore_index=True)


def calibrate(measured: pd.DataFrame, bins: Sequence[int] = BINS, draws: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """Bias of each correction against the truth and against a replicate, by cells a perturbation.

    Parameters
    ----------
    measured : rows of `measure`, of one or more lines.
    bins : edges of the bins of cells a perturbation, the last exclusive; a bin ``all`` comes besides.

    Returns
    -------
    Columns ``line``, ``cells``, ``target`` (truth or replicate), ``correction``, ``bias`` (mean of corrected minus
    target), ``low`` and ``high`` (95 % bootstrap interval over perturbations), ``rmse`` and ``n``.
    """
    rng = np.random.default_rng(seed)
    measured = measured.reset_index(drop=True)
    labels = pd.cut(measured["n_cells"], list(bins), right=False, labels=[f"{a}-{b - 1}" for a, b in pairwise(bins)])
    rows = []
    for line, part in measured.groupby("line", sort=False):
        groups = [("all", part)]
        groups += [(str(c), g) for c, g in part.groupby(labels[part.index], observed=True)]
        for cells, group in groups:
            compared = list(product(("truth", "replicate"), CORRECTIONS))
            errors = np.array([group[name] - group[target] for target, name in compared])
            ends = percentile_bootstrap([errors], np.mean, draws, rng)
            for key, error, *interval in zip(compared, errors, *ends, strict=True):
                rmse = float(np.sqrt((error**2).mean()))
                rows.append((line, cells, *key, error.mean(), *interval, rmse, len(group)))
    columns = ["line", "cells", "target", "correction", "bias", "low", "high", "rmse", "n"]
    return pd.DataFrame(rows, columns=columns)


ESTIMATES = {
    **{f"halves, {name}": name for name in CORRECTIONS},
    "second experiment": "replicate",
    "second experiment, square root": "root",
}


def estimates_of_truth(measured: pd.DataFrame, draws: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """Which estimate of the ceiling comes closest to the correlation with the noise-free delta, gene by gene (ours)?

    `measured` is `measure` of one or more lines. One row per line and estimate: ``line``, ``estimate``, ``n``,
    ``bias`` (mean of estimate minus truth) and ``error`` (root mean square of it), each with its 95 % bootstrap
    interval over perturbations (``_low``, ``_high``). The square root of the second experiment's correlation is for
    two experiments what ``noise-free`` is for two halves.
    """
    rng = np.random.default_rng(seed)
    rows = []
    for line, part in measured.assign(root=np.sqrt(measured["replicate"].clip(lower=0))).groupby("line", sort=False):
        errors = np.array([part[column] - part["truth"] for column in ESTIMATES.values()])
        ends = np.stack(percentile_bootstrap([errors], _bias_and_error, draws, rng), axis=-1)
        for estimate, *values in zip(ESTIMATES, *_bias_and_error(errors), *ends, strict=True):
            bias, error, bias_ends, error_ends = values
            rows.append((line, estimate, len(part), bias, *bias_ends, error, *error_ends))
    ends_of = [f"{value}{end}" for value in ("bias", "error") for end in ("", "_low", "_high")]
    return pd.DataFrame(rows, columns=["line", "estimate", "n", *ends_of])


def _bias_and_error(errors: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Mean and root mean square along the perturbations."""
    return np.stack([errors.mean(axis=axis), np.sqrt((errors**2).mean(axis=axis))])


def shared_control_inflation(measured: pd.DataFrame, draws: int = 2_000, seed: int = 0) -> pd.DataFrame:
    """How much higher the uncorrected split-half correlation is when both halves use the same controls.

    `measured` is `measure` of one or more lines. Columns ``line``, ``n``, ``inflation`` (mean over perturbations) with
    ``inflation_low`` and ``inflation_high`` (95 % bootstrap interval).
    """
    rng = np.random.default_rng(seed)
    rows = []
    for line, part in measured.groupby("line", sort=False):
        difference = (part["shared"] - part["none"]).to_numpy()
        interval = percentile_bootstrap([difference], np.mean, draws, rng)
        rows.append((line, len(difference), difference.mean(), *interval))
    return pd.DataFrame(rows, columns=["line", "n", "inflation", "inflation_low", "inflation_high"])
