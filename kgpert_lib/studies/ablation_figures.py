"""The figure of the chapter on lines: what each training gains over the unedited union."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.studies.run_scores import UNEDITED
from kgpert_lib.studies.style import draw_gains, empty, finished, label_outer, line_name, one_range, panels


def gains(table: pd.DataFrame) -> Figure:
    """Gain over the unedited union of each training, one panel a line; `table` is `ablation.over_base`."""
    if table.empty:
        return empty("one of the two trainings is not recorded")
    own = table[table["compared with"] == UNEDITED].rename(columns={"training": "predictor"})
    figure, axes = panels(own, 0.42 * own["predictor"].nunique() + 1.3)
    for axis, (line, part) in zip(axes, own.groupby("line", sort=False), strict=True):
        draw_gains(axis, part)
        note = "" if part["asked"].all() else ", left out of the three"
        axis.set_title(f"{line_name(line)}{note} (n = {part['n'].max()})")
    one_range(axes)
    label_outer(axes, "gain in Pearson delta over the union")
    return finished(figure, own)
