"""Predictions of every gene in every line as one folder: tables in parquet and their data card."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from kgpert_lib import parquet, paths
from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.files import atomic, is_empty
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.release.card import Request, write_card
from kgpert_lib.release.tables import LineTables, write_line
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import Split

STRONGEST, GENES, CARD = "strongest.parquet", "genes.parquet", "README.md"
SCORES = ("pearson", "centred_pearson")


def check_folder(folder: str | Path) -> None:
    """InputError unless `folder` is free or an empty folder."""
    path = Path(folder)
    if path.exists() and not is_empty(path):
        raise InputError(f"{path} exists and is not an empty folder; choose another folder for the predictions.")


def write_predictions(
    folder: str | Path,
    screen: Screen,
    model: Predictor,
    split: Split = "strict",
    top: int = 50,
    request: Request | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, LineTables]:
    """Predict every gene of the graphs and of the screen in every line of `screen`, and write a folder.

    ``strongest.parquet`` has the `top` readout genes that rise and fall most, ``full-<line>.parquet`` every prediction,
    ``genes.parquet`` one row per line and gene with the expected score, and for test perturbations the score that
    was reached, and ``README.md``, the data card, says how to read them; the screen's licence stands beside
    it where it asks for that. The folder appears whole or not at all, and
    its bytes are the same on every run.

    Parameters
    ----------
    request : how the folder was asked for, for the card.
    say : receives each line's name as its predictions begin.

    Raises
    ------
    InputError
        For a folder that holds something, and as the predictor; OutputError where it cannot be written.
    """
    check_folder(folder)
    reached = _test_scores(screen, model, split)
    genes = screen.genes()
    written = {}
    with atomic(folder) as scratch:
        scratch.mkdir()
        with parquet.FrameWriter(scratch / STRONGEST) as strongest:
            for line in screen.lines:
                say(line)
                written[line] = write_line(scratch, strongest, screen, line, model, genes, split, top)
        by_gene = _with_scores({line: tables.genes for line, tables in written.items()}, reached, model.name)
        parquet.write_frame(scratch / GENES, by_gene)
        if (licence := paths.LICENCES / f"LICENSE.{screen.name}").is_file():
            shutil.copyfile(licence, scratch / licence.name)
        write_card(scratch / CARD, screen, model, split, top, written, by_gene, reached, request or Request())
    return written


def _test_scores(screen: Screen, model: Predictor, split: Split) -> pd.DataFrame:
    """`evaluate_lines` of the predictor and of the training mean; no row where no line has a test perturbation."""
    lines = [name for name, cells in screen.lines.items() if cells.names("test")]
    mean = TrainingMean()
    models = [model] if model.name == mean.name else [mean, model]
    return evaluate_lines(screen.atlas, lines, models, split) if lines else pd.DataFrame()


def _with_scores(tables: Mapping[str, pd.DataFrame], reached: pd.DataFrame, name: str) -> pd.DataFrame:
    """The tables of all lines below each other, with the scores that test perturbations reached; NaN elsewhere."""
    table = pd.concat([part.assign(line=line) for line, part in tables.items()], ignore_index=True)
    table = table[["line", *table.columns.drop("line")]]
    if reached.empty:
        return table.assign(**dict.fromkeys(SCORES, np.nan))
    own = reached.loc[reached["predictor"] == name, ["line", "perturbation", *SCORES]]
    return table.merge(own, on=["line", "perturbation"], how="left", validate="one_to_one")
