"""What the tests of the commands share: a saved toy atlas with an edge list, and the command as a process."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests import worlds
from tests.cli import process


@pytest.fixture(scope="module")
def toy():
    """Two lines; ONLY2 was screened in rpe1 alone."""
    atlas = worlds.atlas(gaps=0.3)
    cells = atlas["rpe1"]
    names = np.where(cells.perturbations == "G0003", "ONLY2", cells.perturbations)
    return replace(atlas, lines={"k562": atlas["k562"], "rpe1": replace(cells, perturbations=names)})


@pytest.fixture(scope="module")
def silent(toy):
    """A test perturbation of k562 that the edge list leaves out."""
    return toy["k562"].names("test")[0]


@pytest.fixture(scope="module")
def saved(toy, silent, tmp_path_factory):
    """A folder with the saved atlas and an edge list."""
    folder = tmp_path_factory.mktemp("saved")
    toy.save(folder / "toy")
    edges = worlds.to_networkx(worlds.graph()).edges(data="weight")
    rows = [f"{a},{b},{w}" for a, b, w in edges if silent not in (a, b)]
    rows += ["ONLY2,G0001,0.5", "ONLY2,G0002,0.5", "GONE,NOBODY,1"]
    (folder / "mine.csv").write_text("\n".join(["gene1,gene2,weight", *rows]) + "\n")
    return folder


@pytest.fixture
def here(saved, tmp_path, monkeypatch):
    """A copy to work in, so that ``--atlas toy --graph mine.csv`` is short and files may be broken."""
    folder = Path(shutil.copytree(saved, tmp_path / "here"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="module")
def real_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("real")


@pytest.fixture
def real(mirror, real_cache, monkeypatch):
    """The command on PerturbQA's real calls, with the similarity of GO computed once."""
    return lambda *arguments: process(*arguments, KGPERT_CACHE=str(real_cache), KGPERT_MIRROR=str(mirror))
