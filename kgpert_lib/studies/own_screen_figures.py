"""Figures of a screen of one's own, where a screen may lack what they show."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from kgpert_lib.evaluation.trust import FEWEST
from kgpert_lib.studies import perturbqa_figures
from kgpert_lib.studies.style import empty


def trust(table: pd.DataFrame, atlas: str) -> Figure:
    """`perturbqa_figures.trust` of `own_screen.trusted`; why there is none where no line has enough training genes."""
    if table.empty:
        return empty(f"no line has the {FEWEST} training genes that it takes")
    return perturbqa_figures.trust(table, atlas)
