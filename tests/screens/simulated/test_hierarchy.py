import numpy as np
import pytest

from kgpert_lib.screens.simulated.causal import HierarchicalSCM
from kgpert_lib.screens.simulated.hierarchy import read_hierarchy
from kgpert_lib.screens.simulated.world import SIZES, read_names


@pytest.fixture(scope="module")
def genes():
    return read_names(SIZES["default"])[0].tolist()


@pytest.fixture(scope="module")
def hierarchy(genes):
    return read_hierarchy(genes)


@pytest.fixture(scope="module")
def scm(genes, hierarchy):
    return HierarchicalSCM.from_memberships(genes, hierarchy.tables, ["x"], (0, 1, 1, 1))


def test_known_complexes_pathways_and_places(hierarchy):
    assert {"INTS4", "INTS9", "INTS11"} == set(hierarchy.complexes["Integrator cleavage module"])
    assert {"MCM4", "MCM5"} & set(hierarchy.complexes["MCM complex"])
    assert "origin recognition complex" in hierarchy.pathways["DNA replication"]
    assert "mitochondrial translation" in hierarchy.organelles["mitochondrion"]


def test_every_gene_reaches_an_organelle(scm):
    assert scm.descendants("organelle").toarray().any(axis=1).all()


def test_who_shares_a_complex_shares_everything_above_it(scm, hierarchy):
    place = {name: i for i, name in enumerate(scm.names[1])}
    organelle = scm.descendants("organelle").toarray()
    for name, parts in hierarchy.complexes.items():
        members = [scm.index[g] for g in parts]
        assert scm.descendants("complex").toarray()[members, place[name]].all()
        assert organelle[members].all(axis=0).any()


def test_levels_get_larger_on_the_way_up(hierarchy, scm):
    assert len(hierarchy.complexes) > len(hierarchy.pathways) > len(hierarchy.organelles)
    pairs = [(scm.meeting_level() == level).sum() for level in (1, 2, 3, 4)]
    assert pairs == sorted(pairs)


def test_tables_from_the_cache_are_the_computed_ones(genes, hierarchy, cache):
    assert read_hierarchy(genes) == hierarchy
    (path,) = (cache / "simulated").glob("hierarchy-*.npz")
    stored = path.stat().st_mtime_ns
    assert read_hierarchy(genes) == hierarchy
    assert path.stat().st_mtime_ns == stored
    np.savez(path, tables=np.array("[1"))
    assert read_hierarchy(genes) == hierarchy


def test_the_order_of_genes_does_not_matter(genes, hierarchy):
    again = read_hierarchy(genes[::-1])
    assert again == hierarchy
