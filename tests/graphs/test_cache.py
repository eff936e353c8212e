"""A derived graph is built once, again when its inputs change, and again when its file is damaged."""

import numpy as np
import pytest

from kgpert_lib.graphs.cache import cached
from kgpert_lib.graphs.graph import KnowledgeGraph


class Builder:
    def __init__(self):
        self.built = 0

    def __call__(self):
        self.built += 1
        return KnowledgeGraph.from_edges("toy", ["A", "A"], ["B", "C"], [0.25, 0.75])


@pytest.fixture
def source(tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "cache"))
    table = tmp_path / "table.tsv"
    table.write_text("one")
    return table


def stored(tmp_path):
    return [path for path in (tmp_path / "cache" / "graphs").iterdir() if not path.name.startswith(".")]


def test_the_second_time_nothing_is_built(source, tmp_path):
    build = Builder()
    first = cached("toy", [source], {"keep": 1}, build)
    again = cached("toy", [source], {"keep": 1}, build)
    assert build.built == 1
    assert (again.name, again.weighted, list(again.symbols)) == (first.name, first.weighted, list(first.symbols))
    assert (again.adjacency != first.adjacency).nnz == 0
    assert [path.suffix for path in stored(tmp_path)] == [".npz"]


def test_another_table_or_parameter_is_another_graph(source):
    build = Builder()
    cached("toy", [source], {"keep": 1}, build)
    cached("toy", [source], {"keep": 2}, build)
    source.write_text("two")
    cached("toy", [source], {"keep": 1}, build)
    assert build.built == 3


@pytest.mark.parametrize("damage", ["cut", "empty", "text", "flipped", "foreign", "pickle", "indices"])
def test_a_damaged_file_is_built_and_written_again(damage, source, tmp_path):
    build = Builder()
    cached("toy", [source], {}, build)
    path = stored(tmp_path)[0]
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[: len(whole) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "text":
        path.write_text("not an archive")
    elif damage == "flipped":
        at = whole.index(np.array([0.25, 0.75], np.float32).tobytes())
        path.write_bytes(whole[:at] + b"\x00\x00\x80\x40" + whole[at + 4 :])
    elif damage == "foreign":
        np.savez(path, other=np.arange(3))
    elif damage == "pickle":
        np.savez(path, symbols=np.array([{"a": 1}], dtype=object))
    else:
        with np.load(path) as arrays:
            parts = dict(arrays)
        parts["indices"] = parts["indices"] + 7
        np.savez(path, **parts)
    graph = cached("toy", [source], {}, build)
    assert build.built == 2
    assert graph.neighbours("A") == {"C": 0.75, "B": 0.25}
    assert stored(tmp_path) == [path]
    cached("toy", [source], {}, build)
    assert build.built == 2


def test_a_cache_that_cannot_be_written_is_done_without(source, tmp_path):
    (tmp_path / "cache").write_text("a file where the folder should be")
    build = Builder()
    assert cached("toy", [source], {}, build).n_edges == 2
    assert cached("toy", [source], {}, build).n_edges == 2
    assert build.built == 2
