"""Small random atlases and graphs for tests: real shapes, made-up numbers."""

from dataclasses import replace

import networkx as nx
import numpy as np
import scipy.sparse as sp

from kgpert_lib.graphs.affinity import Affinity, LinkTable, SetTable, Table, WalkTable
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.screens.atlas import Atlas, CellLine


def symbols(n: int, prefix: str = "G") -> np.ndarray:
    return np.array([f"{prefix}{i:04d}" for i in range(n)])


def line(seed: int = 0, n: int = 30, m: int = 25, gaps: float = 0.0, name: str = "k562", tests: int = 6) -> CellLine:
    rng = np.random.default_rng(seed)
    delta = rng.normal(size=(n, m)).astype(np.float32)
    if gaps:
        hole = rng.random((n, m)) < gaps
        hole[:, 0] = False
        delta[hole] = np.nan
    split = np.array(["train"] * (n - tests) + ["test"] * tests)
    control = rng.random((n, m)).astype(np.float32) if not gaps else None
    return CellLine(name, symbols(n), symbols(m), delta, split[rng.permutation(n)], control=control)


def atlas(seed: int = 0, gaps: float = 0.0) -> Atlas:
    lines = [line(seed, gaps=gaps), line(seed + 1, gaps=gaps, name="rpe1")]
    return Atlas("toy", "simulated", {item.name: item for item in lines})


def poisoned(atlas: Atlas) -> Atlas:
    """The atlas with a million in place of every test delta."""
    lines = {
        name: replace(cells, delta=np.where((cells.split == "test")[:, None], 1e6, cells.delta))
        for name, cells in atlas.lines.items()
    }
    return replace(atlas, lines=lines)


def graph(seed: int = 0, n: int = 40, edges: int = 200, weighted: bool = True, name: str = "toy") -> KnowledgeGraph:
    rng = np.random.default_rng(seed)
    names = symbols(n)
    weight = rng.choice([0.25, 0.5, 0.75, 1.0], edges) if weighted else None
    return KnowledgeGraph.from_edges(name, rng.choice(names, edges), rng.choice(names, edges), weight)


def affinity(annotations: dict[str, list[float]], *graphs: KnowledgeGraph) -> Affinity:
    """The affinity of genes with these annotation vectors (of length 1), the table ``go``, and with these links."""
    tables: list[Table] = []
    if annotations:
        genes = np.array(sorted(annotations), dtype=str)
        rows = np.array([annotations[g] for g in genes], np.float32)
        tables.append(SetTable("go", genes, sp.csr_matrix(rows)))
    for links in graphs:
        tables += [LinkTable(links), WalkTable.of(links)]
    return Affinity(tuple(tables), graphs)


def annotations(seed: int = 0, n: int = 40, terms: int = 12, share: float = 0.3) -> dict[str, list[float]]:
    """Random annotation vectors of length 1; genes without a term have none."""
    carried = np.random.default_rng(seed).random((n, terms)) < share
    lengths = np.sqrt(carried.sum(axis=1))
    return {
        str(gene): list(row / length) for gene, row, length in zip(symbols(n), carried, lengths, strict=True) if length
    }


def to_networkx(graph: KnowledgeGraph) -> nx.Graph:
    """The graph in networkx, as a reference for its properties."""
    edges = sp.triu(graph.adjacency).tocoo()
    out = nx.Graph()
    out.add_nodes_from(map(str, graph.symbols))
    out.add_weighted_edges_from(
        (str(graph.symbols[i]), str(graph.symbols[j]), float(w))
        for i, j, w in zip(edges.row, edges.col, edges.data, strict=True)
    )
    return out
