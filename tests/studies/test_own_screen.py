"""A screen of one's own: the example's file, and what an atlas cannot say."""

from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.screens.annotated import Settings
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.h5ad import read_h5ad
from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies import own_screen
from kgpert_lib.studies import own_screen_figures as figures
from tests import worlds


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    return own_screen.example(tmp_path_factory.mktemp("example"), seed=1)


def test_the_example_is_read_as_it_was_made(example, tmp_path):
    data = read_h5ad(example.file)
    assert (data.X.data == np.rint(data.X.data)).all()
    assert data.obs["gene"].isin(["non-targeting"]).sum() == 300
    screen = own_screen.save(example, tmp_path / "own", Settings())
    line = screen[own_screen.LINE]
    assert (screen.kind, [graph.name for graph in screen.graphs]) == ("simulated", ["edges"])
    assert len(line.perturbations) == 199
    assert line.half_a is not None
    texts = own_screen.left_out(screen)["what was read"].tolist()
    assert any("too few cells: 1 (" in text for text in texts)
    assert any("rows of combinations: 8" in text for text in texts)
    again = own_screen.save(own_screen.Source(tmp_path / "own", ()), "", Settings())
    np.testing.assert_array_equal(again[own_screen.LINE].delta, line.delta)


def test_a_look_names_every_column_and_its_first_values(example):
    table = own_screen.look(example).set_index(["part", "name"])
    assert table.loc[("obs", "batch"), "such as"] == "gem1, gem2, gem3"
    assert table.loc[("obs", "gene"), "different"] == 202
    assert ("var", "gene_name") in table.index


def test_what_an_atlas_lacks_is_said_and_nothing_else():
    line = replace(worlds.line(n=90, tests=30, name="thp1"), control=None)
    whole = replace(line, control=line.delta, half_a=line.delta, half_b=line.delta)
    other = replace(whole, name="u937")
    assert own_screen.limits(Screen(Atlas("mine", "real", {"thp1": whole, "u937": other}), ())) == []
    said = " ".join(own_screen.limits(Screen(Atlas("mine", "real", {"thp1": line}), ())))
    assert "no ceiling" in said
    assert "no control-likeness" in said
    assert "one cell line" in said
    assert "expected score" not in said
    assert "&lt;b&gt;" in own_screen.box(["<b>"])
    assert own_screen.box([]) == ""


def test_too_few_training_genes_have_no_expected_score_and_the_figure_says_so():
    screen = Screen(worlds.atlas(), (worlds.graph(),))
    table = own_screen.trusted(screen, own_screen.union(screen))
    assert table.empty
    assert "training genes" in figures.trust(table, "mine (real)").axes[0].texts[0].get_text()
