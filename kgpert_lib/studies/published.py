"""Scores of deltas that others published, quoted beside ours: other data and other held-out genes."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kgpert_lib import paths
from kgpert_lib.lines import LINES
from kgpert_lib.studies.style import LABELS

OTHER_DATA = "published, other data"


def quoted() -> pd.DataFrame:
    """One row per method, metric and line: method, metric, line, value, standard_error (NaN: not given), source."""
    return pd.read_csv(paths.DATA / "published" / "deltas.csv")


def table() -> pd.DataFrame:
    """`quoted` as people read it: one row per method and metric, one column per line, standard errors in brackets."""
    wide = _by_line(quoted(), ["method", "metric", "source"])
    return wide.assign(metric=wide["metric"].map(LABELS))


def beside(ours: pd.DataFrame) -> pd.DataFrame:
    """The paper's rows and ours below each other, by metric; they are on other data and are not to be compared.

    `ours` has the columns of `quoted`, the atlas in ``source``. Columns: metric, method, ``measured on`` (`OTHER_DATA`,
    or the atlas), and one column per line with standard errors in brackets.
    """
    paper = quoted()
    paper = paper[paper["source"].str.startswith("the paper")].assign(source=OTHER_DATA)
    both = pd.concat([paper, ours[ours["metric"].isin(paper["metric"])]], ignore_index=True)
    wide = _by_line(both, ["metric", "method", "source"]).rename(columns={"source": "measured on"})
    order = wide["metric"].map(list(dict.fromkeys(both["metric"])).index)
    return (
        wide.assign(metric=wide["metric"].map(LABELS))
        .loc[order.sort_values(kind="stable").index]
        .reset_index(drop=True)
    )


def with_error(value: float, error: float) -> str:
    """A mean with its standard error in brackets, where there is one; blank for NaN."""
    if np.isnan(value):
        return ""
    return f"{value:.3f}" + ("" if np.isnan(error) else f" ({error:.3f})")


def _by_line(scores: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    """One row for each of the keys in order of appearance, one column per line."""
    cells = [with_error(v, e) for v, e in zip(scores["value"], scores["standard_error"], strict=True)]
    wide = scores.assign(cell=cells).pivot(index=keys, columns="line", values="cell")
    wide = wide.loc[list(dict.fromkeys(scores[keys].itertuples(index=False, name=None)))]
    return wide.reindex(columns=list(LINES)).rename(columns=dict(LINES)).rename_axis(columns=None).reset_index()
