"""A small explorer, and its files of data as a page reads them."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgpert_lib.explorer.write import Settings, write
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.screens.screen import Screen
from tests import worlds

SETTINGS = Settings(("union", "one", "weighted"), every=True)
CALL = re.compile(r'kgpertExplorer\.add\("([^"]+)", (.*)\);\n', re.DOTALL)


class Files(dict):
    """The values of an explorer's files by key."""

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = folder
        for path in sorted((folder / "data").rglob("*.js")):
            text = path.read_text(encoding="utf-8")
            key, value = CALL.fullmatch(text).groups()
            assert key == path.relative_to(folder / "data").with_suffix("").as_posix()
            self[key] = json.loads(value)

    def of(self, prefix: str) -> dict:
        """Everything in the shards of a key, by gene or by spelling."""
        shards = [value for key, value in self.items() if key.rpartition("/")[0] == prefix]
        joined = {name: value for shard in shards for name, value in shard.items()}
        assert len(joined) == sum(map(len, shards))
        return joined


def screen() -> Screen:
    """Two lines of 70 perturbations with gaps; AARS and a name with an end of script are among them."""
    lines = {}
    for seed, name in enumerate(("k562", "rpe1")):
        line = worlds.line(seed, n=70, m=25, gaps=0.4, name=name, tests=12)
        lines[name] = replace(line, perturbations=renamed(line.perturbations))
    atlas = replace(worlds.atlas(), lines=lines)
    graphs = tuple(renamed_graph(worlds.graph(k, n=80, edges=220, name=name)) for k, name in enumerate(("one", "two")))
    return Screen(atlas, graphs, brings_graphs=True)


SPELT = {"G0001": "AARS", "G0002": "</script>", "G0071": "INTS9"}


def renamed(names: np.ndarray) -> np.ndarray:
    return np.array([SPELT.get(str(name), str(name)) for name in names])


def renamed_graph(graph: KnowledgeGraph) -> KnowledgeGraph:
    return graph.renamed(SPELT)


@pytest.fixture(scope="session")
def toy() -> Screen:
    return screen()


@pytest.fixture(scope="session")
def folder(toy, tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGPERT_CACHE", str(tmp_path_factory.mktemp("explorer-cache")))
        target = tmp_path_factory.mktemp("explorer") / "out"
        write(target, toy, SETTINGS, lambda step: None)
    return target


@pytest.fixture(scope="session")
def files(folder) -> Files:
    return Files(folder)
