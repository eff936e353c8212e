"""Scores of deltas that others published, quoted beside ours: other data and other held-out genes."""

from __future__ import annotations

import pandas as pd

from kgpert_lib import paths
from kgpert_lib.lines import LINES
from kgpert_lib.studies.style import LABELS


def quoted() -> pd.DataFrame:
    """One row per method, metric and line: method, metric, line, value, standard_error (NaN: not given), source."""
    return pd.read_csv(paths.DATA / "published" / "deltas.csv")


def table() -> pd.DataFrame:
    """`quoted` as people read it: one row per method and metric, one column per line, standard errors in brackets."""
    own = quoted()
    errors = own["standard_error"]
    cells = [f"{v:.3f}" + ("" if pd.isna(e) else f" ({e:.3f})") for v, e in zip(own["value"], errors, strict=True)]
    keys = ["method", "metric", "source"]
    wide = own.assign(cell=cells).pivot(index=keys, columns="line", values="cell")
    wide = wide.loc[list(dict.fromkeys(own[keys].itertuples(index=False, name=None)))]
    wide = wide.reindex(columns=list(LINES)).rename(columns=dict(LINES)).rename_axis(columns=None).reset_index()
    return wide.assign(metric=wide["metric"].map(LABELS))
