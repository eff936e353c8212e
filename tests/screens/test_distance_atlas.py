"""A screen of distances as an atlas: the same inner products and cosines, and a split that no result can bend."""

import re

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.metrics.gram import cosines
from kgpert_lib.rl.tasks import EditTasks, Settings
from kgpert_lib.screens import distances
from kgpert_lib.screens.load import load_screen


@pytest.fixture(scope="module")
def gram():
    """Inner products of the genes' deltas, from the table."""
    screen = distances.load("adamson2016")
    return screen.averaging @ screen.gram(screen.controls[0]) @ screen.averaging.T


def test_deltas_have_the_inner_products_of_the_table(gram):
    delta = load_screen("distances")["k562"].delta.astype(float)
    assert delta @ delta.T == pytest.approx(gram, abs=1e-5 * np.abs(gram).max())


def test_a_pearson_delta_is_the_cosine_of_the_table(gram):
    delta = load_screen("distances")["k562"].delta.astype(float)
    weights = np.zeros(len(gram))
    weights[3:6] = 1 / 3
    wanted = cosines(weights[None], gram)[0]
    scores = pearson_delta(np.tile(weights @ delta, (len(delta), 1)), delta)
    assert scores == pytest.approx(wanted, abs=1e-5)


def test_the_split_depends_on_seed_and_names_only():
    first, again, other = (load_screen(name)["k562"] for name in ("distances", "distances:seed=0", "distances:seed=1"))
    assert first.names("test") == again.names("test") != other.names("test")
    assert len(first.names("test")) == 28
    assert len(first.perturbations) == 84


def test_edits_are_scored_on_it():
    line = EditTasks.of(Settings(atlas="distances", split="test")).lines["k562"]
    gene = str(line.genes[0])
    added = str(line.view.target.perturbations[0])
    verdict = line.judge([(gene, f'{{"add": ["{added}"], "remove": []}}')])[0]
    assert verdict.format == verdict.validity == 1
    assert np.isfinite(verdict.gap)


@pytest.mark.parametrize(
    ("name", "lines", "message"),
    [
        ("distances:seed=x", None, "The option seed of distances is 'x'; it is a whole number from 0"),
        ("distances:screen=tian", None, "The atlas distances has no option 'screen'; it has seed"),
        ("distances", ["rpe1"], "The atlas distances has no cell line 'rpe1'; it has k562"),
    ],
)
def test_what_it_does_not_have_is_one_sentence(name, lines, message):
    with pytest.raises(InputError, match=re.escape(message)):
        load_screen(name, lines)
