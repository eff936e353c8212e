"""What all figures share: settings, colours, names, one panel a cell line, and the line that names the atlas.

Every figure carries the name and kind of its atlas and its n; intervals are 95 % bootstrap intervals over
perturbations.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection, QuadMesh
from matplotlib.figure import Figure

LINE_NAMES = {"k562": "K562", "rpe1": "RPE1", "hepg2": "HepG2", "jurkat": "Jurkat"}
LABELS = {"pearson": "Pearson delta", "centred_pearson": "centred Pearson delta", "retrieval": "retrieval"}
DENSE = 1000  # a cloud of more points is a picture inside the SVG: its shapes would weigh megabytes
RASTER_DPI = 200
BLUE, ORANGE, GREY, GREEN = "#2166ac", "#d95f02", "#7f7f7f", "#1b7837"


def style() -> None:
    """Plot settings of the book: light background, readable at phone width, no chart junk; SVG in notebooks."""
    sns.set_theme(style="whitegrid", context="notebook", palette="colorblind")
    mpl.rcParams.update(
        {
            "figure.dpi": 110,
            "savefig.dpi": 110,
            "savefig.facecolor": "white",
            "axes.titlesize": 11,
            "axes.labelsize": 10,
            "legend.fontsize": 9,
            "legend.frameon": False,
            "svg.hashsalt": "kgpert",  # the same figure has the same bytes in every run
        }
    )
    ipython = sys.modules.get("IPython")
    if ipython is not None and ipython.get_ipython() is not None:
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None}, dpi=RASTER_DPI)


def line_name(line: object) -> str:
    """A cell line as people write it."""
    return LINE_NAMES.get(str(line), str(line))


def panels(table: pd.DataFrame, height: float) -> tuple[Figure, Sequence[Axes]]:
    """One row of panels, one for each cell line of the table, `height` inches high."""
    lines = table["line"].unique()
    figure, axes = plt.subplots(1, len(lines), figsize=(4.6 * len(lines), height), sharey=True, squeeze=False)
    return figure, list(axes[0])


def finished(figure: Figure, table: pd.DataFrame) -> Figure:
    """Add the line that names the atlas and close the figure for pyplot, so that a notebook shows it once."""
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    atlas = ", ".join(table["atlas"].unique())
    kind = table["kind"].iloc[0] if "kind" in table else atlas
    figure.text(0.005, 0.005, f"atlas: {atlas}" + (f" ({kind})" if kind != atlas else ""), fontsize=8, color=GREY)
    return rasterise(figure)


def rasterise(figure: Figure) -> Figure:
    """Dense clouds and meshes become pictures inside the SVG, the rest stays shapes; closes the figure for pyplot."""
    for cloud in figure.findobj(PathCollection):
        cloud.set_rasterized(np.shape(cloud.get_offsets())[0] > DENSE)
    for mesh in figure.findobj(QuadMesh):
        values = mesh.get_array()
        mesh.set_rasterized(values is not None and values.size > DENSE)
    plt.close(figure)
    return figure
