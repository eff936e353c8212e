"""A small explorer of a toy screen as files of data, and the page of another one in a real Chromium.

Without a browser the tests of the page are left out, as those of the rendered book.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kgpert_lib.explorer.write import Settings, write
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.screens.screen import Screen
from tests import worlds
from tests.explorer.small_explorer import write_explorer
from tests.pages.conftest import PATIENCE, find_chromium

HERE = Path(__file__).parent


def pytest_collection_modifyitems(config, items):
    mine = [item for item in items if item.path.parent == HERE and item.path.name.startswith("test_page")]
    if mine and find_chromium() is None:
        config.hook.pytest_deselected(items=mine)
        items[:] = [item for item in items if item not in mine]


@pytest.fixture(scope="package")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=find_chromium(), args=["--no-sandbox", "--disable-background-networking"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def page(tmp_path_factory) -> Path:
    """The page of a small explorer."""
    return write_explorer(tmp_path_factory.mktemp("explorer"))


class Reader:
    """A reader with one tab, and what the browser reports meanwhile."""

    def __init__(self, browser, address: str, **view):
        self.context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | view))
        self.tab = self.context.new_page()
        self.tab.set_default_timeout(PATIENCE)
        self.address = address
        self.faults: list[str] = []
        self.requests: list[str] = []
        for event in ("console", "pageerror"):
            self.tab.on(event, lambda report: self.faults.append(str(report)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.on("requestfailed", lambda request: self.faults.append(f"failed: {request.url}"))

    def open(self, query: str = "", shown: str = "INTS9 k562 union"):
        """The tab at this address, when it shows these genes, line and predictor."""
        self.tab.goto(self.address + query, wait_until="load")
        return self.wait(shown)

    def wait(self, shown: str):
        self.tab.locator(f'#kgpert-explorer[data-shown="{shown}"]').wait_for(state="attached")
        return self.tab

    def texts(self, selector: str) -> list[str]:
        return self.tab.locator(selector).all_inner_texts()


@pytest.fixture
def reader(browser, page, request) -> Iterator[Reader]:
    """A reader of the small explorer; nothing may be reported and no other host asked while it reads."""
    reader = Reader(browser, page.as_uri(), **getattr(request, "param", {}))
    yield reader
    reader.context.close()
    assert reader.faults == []
    assert {url.split(":")[0] for url in reader.requests} <= {"file", "data"}


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
