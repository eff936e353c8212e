"""What a screen says about how closely two genes are related."""

from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.graphs import DATED
from kgpert_lib.graphs.affinity import TWO_STEP
from kgpert_lib.graphs.catalogue import SETS
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen
from tests import worlds


def names(affinity) -> list[str]:
    return [table.name for table in affinity.tables]


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """A screen of made-up genes and an edge list of one's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGPERT_CACHE", str(tmp_path_factory.mktemp("cache")))
        whole = Screen(worlds.atlas(), (worlds.graph(name="mine"),))
        assert whole.affinity
    return whole


def test_the_affinity_has_every_dated_table_and_further_graphs_that_were_named(screen):
    dated = [name for graph in DATED for name in ([graph] if graph in SETS else [graph, graph + TWO_STEP])]
    assert names(screen.affinity) == [*dated, "mine", "mine-two-step"]
    assert screen.affinity.graphs == screen.graphs, "the plain union has the screen's graphs alone"
    assert screen.affinity.known(["INTS9", "G0001", "NOBODY"]).tolist() == [True, True, False]
    close, far = screen.affinity.similarity("humap", np.array(["INTS9"]), np.array(["INTS11", "RPL3"]))[0]
    assert close > 0.5 > far


def test_the_affinity_of_the_screens_graphs_has_no_other_table(screen):
    assert names(screen.graph_affinity) == ["mine", "mine-two-step"]
    assert not screen.graph_affinity.known(["INTS9"])[0]


def test_a_screen_that_brings_its_graphs_knows_nothing_else():
    atlas = worlds.atlas()
    own = Screen(Atlas("toy", "simulated", atlas.lines), (worlds.graph(name="complexes"),), brings_graphs=True)
    assert names(own.affinity) == ["complexes", "complexes-two-step"]
    assert own.graph_affinity is own.affinity


def test_a_unit_says_what_a_delta_of_the_screen_is():
    cells = Screen(worlds.atlas(), ())
    assert cells.unit == "difference from the controls, log1p of normalised counts"
    assert Screen(worlds.atlas(gaps=0.98), ()).unit.startswith("call: -1")
    assert Screen(replace(cells.atlas, name="replogle"), ()).unit.endswith("standard deviations of the controls")
