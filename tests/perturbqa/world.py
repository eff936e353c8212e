"""A small made-up screen of signed calls in two lines, and the affinity of its genes."""

import numpy as np
import scipy.sparse as sp

from kgpert_lib.graphs.affinity import Affinity, LinkTable, SetTable, WalkTable
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.screens.atlas import Atlas, CellLine

MODULES = 8


def genes(n, prefix="G"):
    return np.array([f"{prefix}{i:03d}" for i in range(n)])


def screen(seed=0, n=160, m=90, tested=0.35, tests=40, lines=("k562", "rpe1")):
    rng = np.random.default_rng(seed)
    effect = rng.choice([-1.0, 0.0, 1.0], (MODULES, MODULES), p=[0.3, 0.4, 0.3])
    module, readout = np.arange(n) % MODULES, np.arange(m) % MODULES
    cells = {}
    for name in lines:
        delta = effect[module][:, readout]
        noisy = rng.random((n, m)) < 0.2
        delta = np.where(noisy, rng.choice([-1.0, 0.0, 1.0], (n, m)), delta)
        delta[rng.random((n, m)) > tested] = np.nan
        delta[:, 0] = 0
        delta[np.arange(20), np.arange(20)] = 1  # a knock-down changes its own gene
        split = np.array(["train"] * (n - tests) + ["test"] * tests)[rng.permutation(n)]
        names = np.concatenate([genes(20), genes(m - 20, "R")])
        cells[name] = CellLine(name, genes(n), names, delta.astype(np.float32), split)
    return Atlas("toy", "simulated", cells)


def affinity(n=160, seed=0):
    rng = np.random.default_rng(seed)
    terms = np.zeros((n, MODULES + 40))
    terms[np.arange(n), np.arange(n) % MODULES] = 1
    terms[:, MODULES:] = rng.random((n, 40)) < 0.05
    terms /= np.linalg.norm(terms, axis=1, keepdims=True)
    a = rng.integers(0, n, 400)
    b = np.where(rng.random(400) < 0.7, (a + MODULES * rng.integers(1, 5, 400)) % n, rng.integers(0, n, 400))
    string = KnowledgeGraph.from_edges("string", genes(n)[a], genes(n)[b])
    similar = terms @ terms.T
    i, j = np.nonzero(np.triu(similar > 0.5, 1))
    go = KnowledgeGraph.from_edges("go", genes(n)[i], genes(n)[j], similar[i, j])
    sets = SetTable("go", genes(n), sp.csr_matrix(terms, dtype=np.float32))
    return Affinity((sets, LinkTable(string), WalkTable.of(string)), (string, go))


def with_deltas(atlas, change):
    """The atlas with the deltas of each line replaced by ``change(line)``."""
    lines = {
        k: CellLine(k, v.perturbations, v.genes, change(v).astype(np.float32), v.split) for k, v in atlas.lines.items()
    }
    return Atlas(atlas.name, atlas.kind, lines)
