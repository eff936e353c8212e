"""Tables of scores: one row per perturbation in, a data frame of means or tests out; `formatted` makes it text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.metrics import stats

SCORES = ("pearson", "centred_pearson", "retrieval", "mse", "mae")
FURTHER = ("pds_cosine", "direction_fidelity", "direction_reach", "jaccard", "nmae")
HEAD = ["atlas", "kind", "line", "split", "predictor"]


def scores(
    evaluated: pd.DataFrame, values: Sequence[str] = SCORES[:3], by: Sequence[str] = HEAD, seed: int = 0
) -> pd.DataFrame:
    """Mean of each score with its 95 % bootstrap interval over perturbations, one row per group.

    Columns: those of `by`, ``n`` perturbations, ``fallback`` (how many got the training mean because there is no
    neighbour; where `evaluated` says so), and for each score ``<score>``, ``<score>_low``, ``<score>_high``
    (`stats.bootstrap_mean`), which leave out NaN and are NaN where a group has no score at all. Groups come in order
    of first appearance. InputError names a column that `evaluated` lacks.

    Examples
    --------
    >>> from kgpert_lib import build, evaluate, load_screen
    >>> from kgpert_lib.evaluation.summaries import scores
    >>> screen = load_screen("simulated", ["k562"], size="tiny")
    >>> table = scores(evaluate(screen.atlas, "k562", [build("mean", screen)]))
    >>> bool(table["pearson_low"][0] < table["pearson"][0] < table["pearson_high"][0])
    True
    """
    if absent := [column for column in (*by, *values) if column not in evaluated]:
        columns = ", ".join(map(str, evaluated.columns))
        raise InputError(f"The scores have no column {absent[0]!r}; they have {columns}.")
    rows = []
    for key, group in evaluated.groupby(list(by), sort=False, dropna=False, observed=True):
        row = dict(zip(by, key, strict=True)) | {"n": len(group)}
        if "fallback" in evaluated:
            row["fallback"] = group["fallback"].sum()
        for value in values:
            interval = stats.mean_of_present(group[value], seed)
            row |= dict(zip((value, f"{value}_low", f"{value}_high"), interval, strict=True))
        rows.append(row)
    return pd.DataFrame(rows)


def further(evaluated: pd.DataFrame, by: Sequence[str] = HEAD, seed: int = 0) -> pd.DataFrame:
    """The means of `FURTHER` as in `scores`; a score that no row has is left out."""
    values = [value for value in FURTHER if value not in evaluated or evaluated[value].notna().any()]
    return scores(evaluated.drop(columns="fallback", errors="ignore"), values, by, seed)


def diversity(evaluated: pd.DataFrame, by: Sequence[str] = HEAD) -> pd.DataFrame:
    """How many different deltas each predictor predicts and there are, one row per group in order of appearance.

    Columns: those of `by`, ``vendi`` and ``vendi_measured`` (`diversity.vendi_score`). They have no interval, as they
    belong to a whole set of perturbations.
    """
    groups = evaluated.groupby(list(by), sort=False, dropna=False, observed=True)[["vendi", "vendi_measured"]]
    return groups.first().reset_index()


def mean_of_draws(evaluated: pd.DataFrame) -> pd.DataFrame:
    """One row per predictor and perturbation where a predictor of one name was drawn or trained several times.

    Numbers are means over its draws, and a flag holds where it holds in each of them. Columns `HEAD`, perturbation,
    then the others.
    """
    grouped = evaluated.groupby([*HEAD, "perturbation"], sort=False)
    numbers = grouped[list(evaluated.select_dtypes("number").columns)].mean()
    return numbers.join(grouped[list(evaluated.select_dtypes(bool).columns)].all()).reset_index()


def paired_tests(evaluated: pd.DataFrame, reference: str, seed: int = 0) -> pd.DataFrame:
    """Pearson delta of each predictor against `reference` on the same perturbations (paper, Table 1).

    One row per line and predictor: ``line``, the columns of `stats.paired_wilcoxon`; a Holm family per cell line.
    """
    tables = []
    for line, part in evaluated.groupby("line", sort=False, observed=True):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")[
            list(dict.fromkeys(part["predictor"]))
        ]
        tables.append(stats.paired_wilcoxon(wide, reference=reference, seed=seed).assign(line=line))
    table = pd.concat(tables, ignore_index=True)
    keep = ["line", "method_a", "method_b", "n_pairs", "n_nonzero", "mean_difference", "low", "high", "p", "p_holm"]
    return table[keep]


def formatted(table: pd.DataFrame) -> pd.DataFrame:
    """The table as text: every ``x, x_low, x_high`` becomes one column ``x [95 %]``.

    Numbers have three decimals, p values two digits; what is missing is blank.
    """
    text = pd.DataFrame(index=table.index)
    for column in table.columns:
        stem = "mean_difference" if column in ("low", "high") else column.removesuffix("_low").removesuffix("_high")
        if stem != column and stem in table.columns:
            continue
        cells = table[column]
        low, high = _bounds(table, column)
        if low is not None and high is not None:
            text[f"{column} [95 %]"] = [_interval(*row) for row in zip(cells, low, high, strict=True)]
        elif column in ("p", "p_holm"):
            text[column] = [f"{p:.1e}" if p < 1e-3 else f"{p:.2g}" for p in cells]
        elif pd.api.types.is_float_dtype(cells):
            text[column] = [_number(x) for x in cells]
        else:
            text[column] = cells.astype(str)
    return text


def _number(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def _interval(mean: float, low: float, high: float) -> str:
    """The mean with its interval; alone where it has none."""
    return _number(mean) if np.isnan(low) or np.isnan(high) else f"{mean:.3f} [{low:.3f}, {high:.3f}]"


def _bounds(table: pd.DataFrame, column: str) -> tuple[pd.Series | None, pd.Series | None]:
    names = ("low", "high") if column == "mean_difference" else (f"{column}_low", f"{column}_high")
    if all(name in table.columns for name in names):
        return table[names[0]], table[names[1]]
    return None, None
