"""The explorer's files: data as scripts that a page inserts, with the page's own scripts and styles.

Every file of data is one call, ``kgpertExplorer.add("<key>", <json>);``, so that pages opened from disk can read it.
"""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from kgpert_lib import __version__, paths
from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.explain import explain_each
from kgpert_lib.explorer import genes as names
from kgpert_lib.explorer import meta
from kgpert_lib.explorer.records import Links, expected, plain, records
from kgpert_lib.files import digest, is_empty, scratch_folder
from kgpert_lib.graphs.provenance import provenance
from kgpert_lib.predictors import named
from kgpert_lib.predictors.average import default_prior
from kgpert_lib.predictors.learning import array_bytes, sparse_bytes
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.predictors.predictions import fitted
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import Split

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"
MARK = "data/meta.js"  # a folder with this file holds an explorer
ROOMS = ("explorer", "evaluation", "predictors", "screens", "graphs", "metrics")
"""The parts of the library that the files depend on."""
BUCKETS = 64
FIRST = "INTS9"
NOBODY = ""  # a gene in no graph, asked for last: it has no record, and what it can expect is said once
PREDICTORS = ("union", "weighted")
SPLIT: Split = "strict"


@dataclass(frozen=True)
class Settings:
    """What an explorer shows.

    Attributes
    ----------
    predictors : names as in `predictors.named`.
    every : whether genes of the graphs that no line screened have records too.
    measured : whether measured deltas are included.
    note : a sentence on the screen that the page shows; empty for none.
    """

    predictors: Sequence[str] = PREDICTORS
    every: bool = False
    measured: bool = True
    note: str = ""


def script(key: str, value: Any) -> str:
    """One file of data; no name in it can end the script that holds it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    for bad, good in (("</", "<\\/"), ("\u2028", "\\u2028"), ("\u2029", "\\u2029")):
        text = text.replace(bad, good)
    return f"kgpertExplorer.add({json.dumps(key)}, {text});\n"


def write(
    folder: str | Path, screen: Screen, settings: Settings | None = None, say: Callable[[str], None] = print
) -> Path:
    """Write an explorer of a screen into `folder`, whole or not at all; an explorer that is there is replaced.

    `say` receives one line for each step. Returns the page. InputError for a folder that holds something else, for a
    predictor that cannot explain many genes at once, and for one that is named twice.
    """
    settings = settings or Settings()
    with scratch_folder(folder) as (scratch, target):
        if target.exists() and not (target / MARK).is_file() and not is_empty(target):
            raise InputError(f"{folder} exists and holds no explorer; name another folder.")
        fresh = scratch / "explorer"
        fresh.mkdir()
        write_data(fresh, screen, settings, say)
        copy_static(fresh, screen.name)
        if target.exists():
            target.replace(scratch / "last")
        fresh.replace(target)
    return Path(folder) / PAGE


def copy_static(folder: Path, atlas: str) -> None:
    """Write the page, and copy its scripts and styles and the licence that goes with the screen's data."""
    for path in sorted(STATIC.iterdir()) if STATIC.is_dir() else ():
        if path.suffix == ".jinja":
            page = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
            text = page.from_string(path.read_text(encoding="utf-8")).render()
            (folder / PAGE).write_text(text, encoding="utf-8", newline="")
        else:
            shutil.copyfile(path, folder / path.name)
    licence = paths.LICENCES / f"LICENSE.{atlas}"
    if licence.is_file():
        shutil.copyfile(licence, folder / licence.name)


def state(screen: Screen, settings: Settings) -> str:
    """Digest of all that the files depend on: library, page, tables of knowledge, screen, graphs and settings."""
    package = Path(__file__).parents[1]
    rooms = [path for room in ROOMS for path in sorted((package / room).rglob("*"))]
    knowledge = sorted((paths.DATA / "knowledge").rglob("*.gz"))
    files = [path for path in (*rooms, *knowledge) if path.is_file() and "__pycache__" not in path.parts]
    parts: list[str | bytes] = []
    for line in screen.lines.values():
        parts += [line.name, *map(array_bytes, (line.perturbations, line.genes, line.split, line.delta))]
    for graph in screen.graphs:
        parts += [graph.name, graph.provenance, array_bytes(graph.symbols), *sparse_bytes(graph.adjacency)]
    names = [str(path.relative_to(package.parent)) for path in files]
    return digest(screen.name, screen.kind, repr(settings), __version__, *names, *files, *parts)


def write_data(folder: Path, screen: Screen, settings: Settings, say: Callable[[str], None] = print) -> None:
    """Write the files of data below `folder`."""
    models = _models(screen, settings.predictors)
    graphs = provenance(*models.values(), list(screen.graphs))
    recorded = set(screen.perturbations())
    genes_asked = screen.genes() if settings.every else sorted(recorded)
    lines = []
    for line in screen.lines.values():
        view = screen.view(line.name, SPLIT)
        links = Links(screen.graphs, view.target.perturbations)
        mean_expected: dict[str, Any] = {}
        for name, model in models.items():
            say(f"{line.name}, {name}")
            fitted_model = fitted(model, view)
            shards: dict[int, dict[str, Any]] = {number: {} for number in range(BUCKETS)}
            for batch in explain_each(screen.atlas, line.name, [*genes_asked, NOBODY], fitted_model, SPLIT):
                for gene, record in records(batch, links, list(graphs), _unweighted(model), settings.measured):
                    shards[names.bucket(gene, BUCKETS)][gene] = record
                    recorded.add(gene)
            _write_shards(folder, f"{line.name}/{name}", shards)
            mean_expected[name] = expected(batch, len(batch) - 1)
        mean = [plain(value) for value in view.target.mean.tolist()]
        _write(folder, f"readouts/{line.name}", {"genes": line.genes.tolist(), "mean": mean})
        lines.append(meta.line_meta(line, mean_expected))
    say("names and GO terms")
    _write_names(folder, sorted(recorded), screen)
    _write(folder, "meta", _meta(screen, settings, models, graphs, lines, sorted(recorded)))


def _models(screen: Screen, predictors: Sequence[str]) -> dict[str, NeighbourPredictor]:
    """The predictors by the name of their folder. InputError for one that cannot be shown, and for a repeated one."""
    models: dict[str, NeighbourPredictor] = {}
    for name in predictors:
        model = named.build(name, screen)
        if not isinstance(model, NeighbourPredictor):
            raise InputError(f"{name} has no neighbours to show; name a predictor such as union or weighted.")
        key = model.name if "/" in name or "\\" in name else name  # a path of an edge list is no name of a folder
        if key in models:
            raise InputError(f"The predictor {key} is named more than once; name it once.")
        models[key] = model
    if not models:
        raise InputError("An explorer needs a predictor; name one, such as union.")
    return models


def _meta(
    screen: Screen,
    settings: Settings,
    models: Mapping[str, NeighbourPredictor],
    graphs: Mapping[str, str],
    lines: Sequence[Mapping[str, Any]],
    shown: Sequence[str],
) -> dict[str, Any]:
    first = next(iter(screen.lines.values()))
    target = screen.view(first.name, SPLIT).target
    described = meta.graph_meta(graphs)
    return {
        "atlas": meta.title(screen.atlas),
        "kind": screen.kind,
        "unit": screen.unit,
        "note": settings.note,
        "measured": settings.measured,
        "licence": meta.licences(screen.atlas, described),
        "lines": lines,
        "predictors": [
            meta.predictor_meta(name, model, default_prior(target) if model.prior is None else model.prior)
            for name, model in models.items()
        ],
        "graphs": described,
        "first": {
            "gene": FIRST if FIRST in shown else [*first.names("test"), *shown][0],
            "line": first.name,
            "predictor": next(iter(models)),
        },
        "listed": len(shown),
        "buckets": BUCKETS,
        "version": __version__,
        "split": SPLIT,
    }


def _write_names(folder: Path, shown: Sequence[str], screen: Screen) -> None:
    """What every gene may be called, and what is known of it."""
    _write(folder, "names", {"genes": shown})
    search: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for spelling, genes in names.search(shown).items():
        search[names.shard(spelling)][spelling] = genes
    _write_shards(folder, "search", search)
    facts: dict[int, dict[str, Any]] = {number: {} for number in range(BUCKETS)}
    for gene, fact in names.facts(shown, screen.graphs).items():
        facts[names.bucket(gene, BUCKETS)][gene] = fact
    _write_shards(folder, "facts", facts)


def _unweighted(model: NeighbourPredictor) -> frozenset[str]:
    """Graphs whose edges have no weight; what an affinity adds to a neighbour always is one."""
    near = model.neighbourhood
    graphs = near.graphs if isinstance(near, GraphNeighbourhood) else ()
    return frozenset(graph.name for graph in graphs if not graph.weighted)


def _write_shards(folder: Path, key: str, shards: Mapping[Any, Mapping[str, Any]]) -> None:
    for name, shard in shards.items():
        _write(folder, f"{key}/{name}", dict(sorted(shard.items())))


def _write(folder: Path, key: str, value: Any) -> None:
    data = folder / "data"
    path = data / f"{key}.js"
    if not path.resolve().is_relative_to(data.resolve()):
        raise InputError(f"{key!r} cannot be the name of a file; rename the cell line or the predictor.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script(key, value), encoding="utf-8", newline="")
