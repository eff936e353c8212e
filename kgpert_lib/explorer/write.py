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
from kgpert_lib.explorer import genes, meta
from kgpert_lib.explorer.records import Links, plain, records
from kgpert_lib.files import digest, is_empty, scratch_folder
from kgpert_lib.graphs.provenance import provenance
from kgpert_lib.predictors import named
from kgpert_lib.predictors.average import default_prior
from kgpert_lib.predictors.learning import array_bytes, sparse_bytes
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import Split

STATIC = Path(__file__).parent / "static"
PAGE = "index.html"
MARK = "data/meta.js"  # a folder with this file holds an explorer
ROOMS = ("explorer", "evaluation", "predictors", "screens", "graphs", "metrics")
"""The parts of the library that the files depend on."""
BUCKETS = 64
FIRST = "INTS9"
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
            raise InputError(f"{folder} exists and holds no explorer; choose another folder.")
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
    if len(set(settings.predictors)) < len(settings.predictors) or not settings.predictors:
        raise InputError("An explorer needs at least one predictor, and each of them once.")
    models = {name: _model(name, screen) for name in settings.predictors}
    sources = provenance(*models.values(), list(screen.graphs))
    graphs = meta.graph_meta(sources)
    place = {name: k for k, name in enumerate(sources)}
    names = screen.perturbations()
    if settings.every:
        names = sorted({*names, *(str(s) for graph in screen.graphs for s in graph.symbols)})
    listed: set[str] = set(screen.perturbations())
    lines = []
    for line in screen.lines.values():
        links = Links(screen.graphs, line.training().perturbations)
        mean_expected: dict[str, Any] = {}
        for name, model in models.items():
            say(f"{line.name}, {name}")
            parts: dict[int, dict[str, Any]] = {k: {} for k in range(BUCKETS)}
            for batch in explain_each(screen.atlas, line.name, names, model, SPLIT):
                for gene, record in records(batch, links, place, _unweighted(model), settings.measured):
                    parts[genes.bucket(gene, BUCKETS)][gene] = record
                    listed.add(gene)
            _write_parts(folder, f"{line.name}/{name}", parts)
            mean_expected[name] = _mean_expected(screen, line.name, model)
        lines.append(meta.line_meta(line, mean_expected))
        means = [plain(v) for v in screen.view(line.name, SPLIT).target.mean.tolist()]
        _write(folder, f"readouts/{line.name}", {"genes": line.genes.tolist(), "mean": means})
    say("Names and GO terms")
    shown = sorted(listed)
    _write(folder, "names", {"genes": shown})
    by_file: dict[str, dict[str, list[str]]] = defaultdict(dict)
    for spelling, meant in genes.search(shown).items():
        by_file[genes.shard(spelling)][spelling] = meant
    _write_parts(folder, "search", by_file)
    by_bucket: dict[int, dict[str, Any]] = {k: {} for k in range(BUCKETS)}
    for gene, fact in genes.facts(shown, screen.graphs, limit=20).items():
        by_bucket[genes.bucket(gene, BUCKETS)][gene] = fact
    _write_parts(folder, "facts", by_bucket)
    first = next(iter(screen.lines.values()))
    _write(
        folder,
        "meta",
        {
            "atlas": meta.title(screen.atlas),
            "kind": screen.kind,
            "unit": meta.unit(first),
            "note": settings.note,
            "measured": settings.measured,
            "licence": meta.licences(screen.atlas, graphs),
            "lines": lines,
            "predictors": [
                meta.predictor_meta(name, model, _prior(model, screen, first.name)) for name, model in models.items()
            ],
            "graphs": graphs,
            "first": {
                "gene": FIRST if FIRST in listed else [*first.names("test"), *shown][0],
                "line": first.name,
                "predictor": settings.predictors[0],
            },
            "listed": len(shown),
            "buckets": BUCKETS,
            "version": __version__,
            "split": SPLIT,
        },
    )


def _model(name: str, screen: Screen) -> NeighbourPredictor:
    model = named.build(name, screen)
    if not isinstance(model, NeighbourPredictor):
        raise InputError(f"{name} has no neighbours to show; name a predictor such as union or weighted.")
    return model


def _prior(model: NeighbourPredictor, screen: Screen, line: str) -> float:
    return default_prior(screen.view(line, SPLIT).target) if model.prior is None else model.prior


def _unweighted(model: NeighbourPredictor) -> frozenset[str]:
    near = model.neighbourhood
    return (
        frozenset(g.name for g in near.graphs if not g.weighted)
        if isinstance(near, GraphNeighbourhood)
        else frozenset()
    )


def _mean_expected(screen: Screen, line: str, model: NeighbourPredictor) -> list[Any] | None:
    """What to expect of a gene that has no neighbour: one of no name is in no graph."""
    expected = next(explain_each(screen.atlas, line, [""], model, SPLIT)).expectation(0)
    return None if expected is None else [plain(value) for value in expected.values()]


def _write_parts(folder: Path, key: str, parts: Mapping[Any, Mapping[str, Any]]) -> None:
    for name, part in parts.items():
        _write(folder, f"{key}/{name}", dict(sorted(part.items())))


def _write(folder: Path, key: str, value: Any) -> None:
    path = folder / "data" / f"{key}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script(key, value), encoding="utf-8", newline="")
