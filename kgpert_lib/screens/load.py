"""Where screens come from: by name, or from a directory that an atlas was saved in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.graphs import STANDARD, edgelist, graph_names, load_graphs
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import align
from kgpert_lib.screens.atlas import Atlas, CellLine, saved_lines
from kgpert_lib.screens.pseudobulk import RANDOM_HALVES
from kgpert_lib.screens.screen import Screen, split_half

ATLASES = {
    "distances": "kgpert_lib.screens.distance_atlas",
    "perturbqa": "kgpert_lib.screens.perturbqa",
    "replogle": "kgpert_lib.screens.replogle",
    "simulated": "kgpert_lib.screens.simulated.simulation",
}
SIMULATED = "simulated"
GRAPH_FOLDER = "graphs"  # of edge lists, beside atlas.json
KNOWN = 0.5  # share of the perturbed genes from which on the standard graphs join those beside an atlas


def load_screen(
    name_or_path: str | Path,
    lines: Sequence[str] | None = None,
    graph: str = STANDARD,
    seed: int = 0,
    size: str = "default",
) -> Screen:
    """A screen: an atlas (`load_atlas`) with its graphs.

    Parameters
    ----------
    name_or_path, lines : as in `load_atlas`.
    graph : graphs joined by ``+``, as in `load_graphs`. A simulated screen, also one from a directory that
        `kgpert simulate` saved, brings its own: all of them for ``"string+go"``, else those that are named. Graphs
        that were saved beside a real atlas come first, and STRING and GO after them where they know at least half of
        the perturbed genes.
    seed, size : of the simulation, where `name_or_path` is ``"simulated"``; ``"simulated:seed=1"`` names its own seed.

    Raises
    ------
    InputError
        As `load_atlas` and `load_graphs`; also for a saved simulation without its graphs.

    Examples
    --------
    >>> from kgpert_lib import load_screen
    >>> screen = load_screen("simulated", ["k562"], size="tiny")
    >>> screen["k562"].delta.shape, [graph.name for graph in screen.graphs]
    ((60, 200), ['complexes', 'pathways'])
    """
    source = _source(name_or_path)
    if source is not None and str(name_or_path).partition(":")[0] == SIMULATED:
        own_seed = source[1]["options"].seed
        screen = _simulated(lines, seed if own_seed is None else own_seed, size)
    else:
        atlas = load_atlas(name_or_path, lines)
        if source is None:
            graphs = _saved_graphs(Path(name_or_path), atlas)
            screen = Screen(atlas, graphs, brings_graphs=atlas.kind == "simulated")
        else:
            module, options = source
            second = getattr(module, "second", None)
            screen = Screen(atlas, (), _second=second and partial(second, **options))
    if not screen.graphs and screen.name != SIMULATED:
        return replace(screen, graphs=tuple(load_graphs(graph, screen.perturbations())))
    if graph != STANDARD:
        return replace(screen, graphs=tuple(screen.graph(name) for name in dict.fromkeys(graph_names(graph))))
    if not screen.graphs:
        raise InputError(
            f"{name_or_path} is a simulation without its graphs; save it again with 'kgpert simulate -o DIR', "
            "or name the graphs to use, such as --graph mine.csv."
        )
    if screen.brings_graphs:
        return screen
    names = screen.perturbations()
    standard = [graph for graph in load_graphs(STANDARD, names) if graph.known(names).mean() >= KNOWN]
    return replace(screen, graphs=(*screen.graphs, *standard))


def load_screens(
    names: str, lines: Sequence[str] | None = None, graph: str = STANDARD, seed: int = 0, size: str = "default"
) -> list[Screen]:
    """`load_screen` for each of a comma list of names or directories, such as ``"simulated,perturbqa"``."""
    return [load_screen(name, lines, graph, seed, size) for name in atlas_names(names)]


def atlas_names(names: str) -> list[str]:
    """The names or directories of a comma list, each once."""
    return [name for name in dict.fromkeys(map(str.strip, names.split(","))) if name]


def _simulated(lines: Sequence[str] | None, seed: int, size: str) -> Screen:
    """One pass over the cells of each line gives its deltas and all of its random halves."""
    from kgpert_lib.screens.simulated.simulation import simulate

    simulation = simulate(seed, size, None if lines is None else [line.lower() for line in lines])
    cells: dict[str, CellLine] = {}
    halves = []
    for name in simulation.lines:
        bulk = simulation.bulk(name, splits=RANDOM_HALVES)
        cells[name] = bulk.cell_line(name, simulation.world.splits[name])
        shared = split_half(bulk, "shared")["r"]
        halves.append(split_half(bulk).assign(line=name, shared=shared))
    table = pd.concat(halves, ignore_index=True)
    atlas = simulation.as_atlas(cells)
    graphs = _of_simulation(simulation.graphs, atlas)
    return Screen(atlas, graphs, simulation, True, table, simulation.second_experiment)


def _saved_graphs(folder: Path, atlas: Atlas) -> tuple[KnowledgeGraph, ...]:
    """The graphs stored beside an atlas, in the order of their names."""
    graphs = tuple(edgelist.read(path)[0] for path in sorted((folder / GRAPH_FOLDER).glob("*.csv")))
    if atlas.kind == "simulated":
        return _of_simulation(graphs, atlas)
    names = atlas.perturbations()
    return tuple(align(graph, names)[0] for graph in graphs)


def _of_simulation(graphs: Iterable[KnowledgeGraph], atlas: Atlas) -> tuple[KnowledgeGraph, ...]:
    """A simulated screen's own graphs with a provenance that says so."""
    seed = atlas.provenance.get("seed")
    origin = "made with the simulation" if seed is None else f"made with the simulation, seed {seed}"
    return tuple(replace(graph, provenance=origin) for graph in graphs)


def load_atlas(name_or_path: str | Path, lines: Sequence[str] | None = None, download: bool = True) -> Atlas:
    """An atlas by name (one of `ATLASES`) or from a directory written by `Atlas.save`.

    Parameters
    ----------
    name_or_path : a name wins over a directory of the same name; write ``./perturbqa`` for the directory. Options of
        an atlas that has any follow its name, as in ``replogle:split=rule:filtered=no`` (`replogle.Options`).
    lines : cell lines to load, in this order and in any case; None for all.
    download : whether missing files may be downloaded.

    Raises
    ------
    InputError
        For a name that is neither, for an option that the atlas lacks, and whatever the source itself raises.

    Examples
    --------
    >>> import tempfile
    >>> from kgpert_lib import load_screen
    >>> from kgpert_lib.screens.load import load_atlas
    >>> atlas = load_screen("simulated", ["k562"], size="tiny").atlas
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     saved = load_atlas(atlas.save(f"{folder}/screen"))
    >>> (saved["k562"].delta == atlas["k562"].delta).all().item()
    True
    """
    source = _source(name_or_path)
    if source is not None:
        module, options = source
        load: Callable[..., Atlas] = module.load
        return load(lines=None if lines is None else [line.lower() for line in lines], download=download, **options)
    if Path(name_or_path).is_dir():
        atlas = Atlas.load(name_or_path)
        if lines is None:
            return atlas
        spelling = {line.casefold(): line for line in atlas.lines}
        return atlas.select([spelling.get(line.casefold(), line) for line in lines])
    raise InputError(
        f"Unknown atlas {str(name_or_path)!r}; it is {', '.join(ATLASES)} or a directory that an atlas was saved in."
    )


def named(atlas: str | Path) -> bool:
    """Whether this is the name of an atlas, with or without options, and not a directory."""
    return isinstance(atlas, str) and atlas.partition(":")[0] in ATLASES


def _source(name_or_path: str | Path) -> tuple[ModuleType, dict[str, Any]] | None:
    """The module of a named atlas and the options that follow its name; None for a directory."""
    if not named(name_or_path):
        return None
    name, *texts = str(name_or_path).split(":")
    module = import_module(ATLASES[name])
    options = {"options": module.Options.parse(_options(name, texts))} if hasattr(module, "Options") else {}
    if texts and not options:
        raise InputError(f"The atlas {name} takes no options; {texts[0]!r} follows its name.")
    return module, options


def default_atlas(lines: Sequence[str] | None) -> str:
    """The atlas to predict from where none is named: Replogle's expression where it has these lines, else PerturbQA.

    Files are looked for in the cache and the mirror, and verified; nothing is downloaded. All lines (None) are
    PerturbQA's, which has four. Raises FetchError for a mirror whose copy is wrong.
    """
    from kgpert_lib.screens import replogle

    has = lines is not None and replogle.at_hand(line.lower() for line in lines)
    return "replogle" if has else "perturbqa"


def default_line(atlas: str | Path | None) -> str:
    """The line to predict in where none is named: ``k562``, or the first of a saved atlas that has no such line."""
    if atlas is None or named(atlas) or not Path(atlas).is_dir():
        return "k562"
    lines = saved_lines(atlas)
    return lines[0] if lines and "k562" not in lines else "k562"


def _options(name: str, texts: Sequence[str]) -> dict[str, str]:
    """The ``key=value`` texts behind an atlas' name, by key; InputError for another form and for a key given twice."""
    options: dict[str, str] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or key in options:
            why = "is given twice" if equals else "is not of the form key=value"
            raise InputError(f"The option {text!r} of the atlas {name} {why}; write {name}:key=value:key=value.")
        options[key] = value
    return options
