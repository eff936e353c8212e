"""The data card of a folder of predictions: where they come from, how to read them, how good they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from kgpert_lib.evaluation import summaries
from kgpert_lib.files import digest, write_text
from kgpert_lib.graphs.provenance import provenance
from kgpert_lib.metrics.stats import mean_of_present
from kgpert_lib.predictors.average import default_prior
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.release.tables import SHARED, LineTables, matrix_file
from kgpert_lib.screens.atlas import NOT_SCREENED
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import Split

SPLITS = {
    "strict": "a test gene's own knock-down is hidden in every line",
    "per-line": "a test gene's own knock-down is hidden in its own line; other lines may have it for training",
}
# The smallest number of rows in each of the classes of size that data cards have.
SIZES = {1_000_000: "1M<n<10M", 100_000: "100K<n<1M", 10_000: "10K<n<100K", 1_000: "1K<n<10K", 0: "n<1K"}
LICENCES = {  # as data cards name them: of a screen by what its provenance says, or by its licence text
    "CC BY 4.0": {"license": "cc-by-4.0"},
    "simulated": {"license": "apache-2.0"},
    "perturbqa": {
        "license": "other",
        "license_name": "genentech-non-commercial-software-license-1.0",
        "license_link": "LICENSE.perturbqa",
    },
}


@dataclass(frozen=True)
class Request:
    """How a folder was asked for: settings of the predictor by name, the whole command, the version of kgpert."""

    settings: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    version: str = ""


def write_card(
    path: Path,
    screen: Screen,
    model: Predictor,
    split: Split,
    top: int,
    written: Mapping[str, LineTables],
    genes: pd.DataFrame,
    reached: pd.DataFrame,
    request: Request,
) -> None:
    """Write the card of the parquet files that stand beside `path`."""
    files = sorted(path.parent.glob("*.parquet"))
    rows = sum(tables.strongest for tables in written.values())
    text = _template().render(
        request=request,
        atlas=screen.atlas.label,
        atlas_name=screen.name,
        licence=_licence(screen),
        licence_text=(path.parent / f"LICENSE.{screen.name}").is_file(),
        simulated=screen.kind == "simulated",
        unit=screen.unit,
        origin=_origin(screen),
        sources=list((screen.atlas.provenance.get("files") or {}).items()),
        graphs=list(provenance(model).items()),
        predictor=model.name,
        split=split,
        held_out=SPLITS[split],
        top=top,
        shared=SHARED,
        not_screened=NOT_SCREENED,
        lines=[_line(screen, line, tables, split) for line, tables in written.items()],
        missing=dict(screen.atlas.missing),
        matrices={line: matrix_file(line) for line in written},
        size=next(text for least, text in SIZES.items() if rows >= least),
        strongest=rows,
        genes=len(genes),
        scores=_scores(reached),
        tests=_tests(reached, model.name),
        covered=_covered(genes),
        files=[(file.name, file.stat().st_size, digest(file)) for file in files],
        example=_example(genes),
    )
    write_text(path, text)


def _licence(screen: Screen) -> dict[str, str]:
    """The lines of the card's head on the licence."""
    unknown = {"license": "other", "license_name": "licence-of-the-screen", "license_link": "README.md"}
    stated = str(screen.atlas.provenance.get("licence"))
    return LICENCES.get(screen.name) or LICENCES.get(stated) or unknown


def _origin(screen: Screen) -> dict[str, str]:
    """What the atlas says of its source: licence, citation and attribution, or the seed of a simulation."""
    known = {key: screen.atlas.provenance.get(key) for key in ("licence", "citation", "attribution", "seed", "size")}
    return {key.capitalize(): str(value) for key, value in known.items() if value is not None}


def _example(genes: pd.DataFrame) -> dict[str, str]:
    """A line and a gene with neighbours there, a test gene where there is one."""
    own = genes[~genes["fallback"]]
    test = own[own["status"] == "test"]
    first = next(table.iloc[0] for table in (test, own, genes) if len(table))
    return {"line": str(first["line"]), "gene": str(first["perturbation"])}


def _line(screen: Screen, line: str, tables: LineTables, split: Split) -> dict[str, Any]:
    cells = screen[line]
    return {
        "name": line,
        **{part: len(cells.names(part)) for part in ("train", "val", "test")},
        "readouts": tables.readouts,
        "genes": len(tables.genes),
        "own": tables.rows - 1,
        "prior": default_prior(screen.view(line, split).target),
        "strongest": tables.strongest,
    }


def _scores(reached: pd.DataFrame) -> list[dict[str, str]]:
    """Rows of the table of scores as text, one per line and predictor."""
    if reached.empty:
        return []
    table = summaries.formatted(summaries.scores(reached).drop(columns=["atlas", "kind", "split"]))
    return [{str(name).replace("_", " "): cell for name, cell in row.items()} for row in table.to_dict("records")]


def _tests(reached: pd.DataFrame, name: str) -> list[dict[str, str]]:
    """Rows of the paired tests against the training mean as text; none where that is the predictor itself."""
    if reached.empty or reached["predictor"].nunique() < 2:
        return []
    reference = next(label for label in reached["predictor"] if label != name)
    table = summaries.formatted(summaries.paired_tests(reached, reference).drop(columns=["method_b", "n_nonzero"]))
    names = {"method_a": "predictor", "n_pairs": "n", "p_holm": "p (Holm)"}
    return [
        {str(k).replace("_", " "): v for k, v in row.items()} for row in table.rename(columns=names).to_dict("records")
    ]


def _covered(genes: pd.DataFrame) -> list[dict[str, Any]]:
    """By line, the share of test genes whose score lies in its interval, with a 95 % interval and their number."""
    known = genes.dropna(subset=["low", "high", "pearson"])
    inside = known["pearson"].between(known["low"], known["high"])
    rows = []
    for line, part in inside.groupby(known["line"], sort=False):
        share = mean_of_present(part.astype(float))
        level = float(known.loc[part.index[0], "level"])
        rows.append({"line": line, "n": len(part), "level": level, **share._asdict()})
    return rows


@cache
def _template() -> jinja2.Template:
    loader = jinja2.PackageLoader("kgpert_lib.release", "")
    environment = jinja2.Environment(
        loader=loader, undefined=jinja2.StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("card.md.jinja")
