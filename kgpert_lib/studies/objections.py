"""What could be wrong with a gain over the training mean: other neighbourhoods on the same genes, one question each.

Every study predicts the test perturbations of each line again with something taken away or exchanged, and returns a
tidy data frame. Differences are paired over test perturbations; intervals are 95 % bootstrap intervals
(`stats.bootstrap_mean`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import scipy.sparse as sp

from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.ceiling import reproducibility
from kgpert_lib.graphs import gene_sets, go, graph_names
from kgpert_lib.graphs.catalogue import GRAPHS
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.rewiring import rewired
from kgpert_lib.graphs.symbols import align
from kgpert_lib.metrics import stats
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.predictors.average import average
from kgpert_lib.predictors.neighbourhoods import Cut, from_sets
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourhoodSource
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen
from kgpert_lib.screens.simulated.simulation import Simulation, simulate
from kgpert_lib.screens.simulated.world import GraphQuality
from kgpert_lib.studies.graph_neighbours import HEAD, MEAN
from kgpert_lib.types import FloatArray, Split

Relatives = Callable[[str, Collection[str]], Collection[str]]
"""The training genes that a rule relates to a gene, from its symbol and the training genes."""

EXPERIMENTS = ("EXP", "IDA", "IPI", "IMP", "IGI", "IEP")
HIGH_THROUGHPUT = ("HTP", "HDA", "HMP", "HGI", "HEP")
UNKNOWN = "ND"  # GO's code of a gene about which nothing is known
ALL, RANDOM = "all neighbours", "without as many at random"


def scores(
    atlas: Atlas,
    sources: Mapping[str, Sequence[NeighbourhoodSource]],
    prior: float | None,
    split: Split = "per-line",
    perturbations: Mapping[str, Sequence[str]] | None = None,
) -> pd.DataFrame:
    """Pearson delta of the mean over each source's neighbours, and of the training mean, on every test perturbation.

    A name with several sources, such as draws with other seeds, has the mean of their scores. `perturbations` names
    those that are scored, by line; other lines are left out. Columns: atlas, kind, line, predictor, perturbation,
    pearson, n_neighbours; `graph_neighbours.gains` compares predictors.
    """
    tables = []
    for line in atlas.lines.values():
        names = line.names("test") if perturbations is None else list(perturbations.get(line.name, ()))
        if not names:
            continue
        view = atlas.view(line.name, split)
        truth = line.scored[line.rows(names)]
        head = {"atlas": atlas.name, "kind": atlas.kind, "line": line.name}
        mean = pearson_delta(np.broadcast_to(view.target.mean, truth.shape), truth)
        by_name = {MEAN: (mean, 0.0)}
        for name, draws in sources.items():
            near = [source.neighbourhoods(view, names) for source in draws]
            each = [pearson_delta(average(n.weights, view.target, prior)[0], truth) for n in near]
            by_name[name] = np.mean(each, axis=0), np.mean([n.sizes for n in near], axis=0)
        for name, (pearson, sizes) in by_name.items():
            values = {"predictor": name, "perturbation": names, "pearson": pearson, "n_neighbours": sizes}
            tables.append(pd.DataFrame({**head, **values}))
    return pd.concat(tables, ignore_index=True)


def unions(
    graphs: Mapping[str, Sequence[KnowledgeGraph]], limit: int | None = 20, cut: Cut = "before", seed: int = 0
) -> dict[str, list[GraphNeighbourhood]]:
    """The union of each list of graphs as a source for `scores`."""
    return {name: [GraphNeighbourhood(parts, limit, cut, seed)] for name, parts in graphs.items()}


def graphs_of(screen: Screen, specs: Mapping[str, str]) -> dict[str, list[KnowledgeGraph]]:
    """The graphs that each specification such as ``"string+go"`` names, in the screen's spelling, under its label."""
    return {label: [screen.graph(name) for name in graph_names(spec)] for label, spec in specs.items()}


def go_without(screen: Screen, codes: Collection[str], name: str) -> KnowledgeGraph:
    """GO of the later table without annotations of these evidence codes (and of `UNKNOWN`), in the screen's spelling.

    Only the later table records evidence codes.
    """
    return align(go.load(without_evidence=(UNKNOWN, *codes), name=name), screen.perturbations())[0]


def edges_of_gene(screen: Screen, graphs: Sequence[str], gene: str, prefix: str) -> pd.DataFrame:
    """To which genes whose symbols begin with `prefix` each graph joins a gene: one row per name of `catalogue.GRAPHS`.

    Columns: graph, date (of the snapshot), neighbours (all genes joined, uncut), ``of them`` (with the prefix) and
    ``joined``, their names.
    """
    rows = []
    for name in graphs:
        near = screen.graph(name).neighbours(gene)
        family = sorted(other for other in near if other.startswith(prefix))
        rows.append((name, GRAPHS[name].date, len(near), len(family), ", ".join(family)))
    return pd.DataFrame(rows, columns=["graph", "date", "neighbours", "of them", "joined"])


def nulls(
    screen: Screen,
    draws: int = 3,
    limit: int | None = 20,
    cut: Cut = "before",
    seed: int = 0,
) -> dict[str, list[GraphNeighbourhood]]:
    """The union of the screen's graphs and two null models of it as sources for `scores`, each drawn `draws` times.

    ``shuffled names`` exchanges names among the screen's perturbations (`KnowledgeGraph.shuffled`), which keeps
    nothing of a gene; ``rewired edges`` exchanges ends of edges among them (`rewiring.rewired`), which keeps each
    gene's number of neighbours.
    """
    graphs, among = screen.graphs, screen.perturbations()
    seeds = range(seed, seed + draws)
    shuffled = [[graph.shuffled(among, s) for graph in graphs] for s in seeds]
    exchanged = [[rewired(graph, among, s) for graph in graphs] for s in seeds]
    return {
        "union": [GraphNeighbourhood(graphs, limit, cut, seed)],
        "shuffled names": [GraphNeighbourhood(parts, limit, cut, seed) for parts in shuffled],
        "rewired edges": [GraphNeighbourhood(parts, limit, cut, seed) for parts in exchanged],
    }


def partners(graph: KnowledgeGraph, at_least: float = 0.0) -> Relatives:
    """The training genes that an edge of at least this weight joins to a gene, such as those of one complex."""

    def relatives(gene: str, training: Collection[str]) -> list[str]:
        weights = graph.neighbours(gene)
        return [other for other in training if weights.get(other, -np.inf) >= at_least]

    return relatives


def complexes(screen: Screen, worst: int = 3) -> KnowledgeGraph:
    """Which genes share a complex of hu.MAP 2 whose confidence is 1 (best) to `worst`, in the screen's spelling.

    Every pair is an edge, which weighs the number of complexes that both genes are in.
    """
    members = gene_sets.read_gmt(GRAPHS["humap"].path)
    sure = gene_sets.confidence(members["description"]) >= gene_sets.confidence(pd.Series([f"confidence={worst}"]))[0]
    shared = gene_sets.similarity_graph(
        gene_sets.memberships(members[sure]), "complexes", "shared", keep=None, max_size=len(members)
    )
    return align(shared, screen.perturbations())[0]


def held_out(
    atlas: Atlas,
    source: NeighbourhoodSource,
    relatives: Relatives,
    label: str,
    prior: float | None,
    draws: int = 5,
    split: Split = "per-line",
    seed: int = 0,
) -> pd.DataFrame:
    """Every test perturbation with and without the training genes that are related to it.

    Related genes are taken out of the neighbourhood and of the training mean. For comparison as many genes are taken
    out at random, `draws` times: of the neighbourhood as many as the related genes in it, of the other training genes
    as many as the related genes outside. Scores are means over the draws.

    One row per line, test perturbation and ``predictor``: `ALL`, ``without`` the `label`, and `RANDOM`. Further
    columns: atlas, kind, ``pearson``, ``mean`` (Pearson delta of the training mean without the same genes),
    ``n_neighbours`` left, ``removed`` (training genes taken out) and ``near`` (neighbours among them).
    """
    tables = []
    for line in atlas.lines.values():
        view, names = atlas.view(line.name, split), line.names("test")
        target = view.target
        training = [str(p) for p in target.perturbations]
        near = source.neighbourhoods(view, names).weights
        related = from_sets(names, training, [relatives(p, training) for p in names]).weights
        nothing = sp.csr_matrix(related.shape, dtype=np.float32)
        rng = np.random.default_rng(seed)
        removals = {
            ALL: [nothing],
            f"without {label}": [related],
            RANDOM: [_as_many(related, near, rng) for _ in range(draws)],
        }
        truth = line.scored[line.rows(names)]
        total = target.filled.sum(axis=0, dtype=np.float64)
        count = target.measured.sum(axis=0)
        for predictor, sets in removals.items():
            pairs = []
            for removed in sets:
                left = count - removed @ target.measured.astype(np.float32)
                mean = ((total - removed @ target.filled) / np.maximum(left, 1)).astype(np.float32)
                weights = near - near.multiply(removed)
                weights.eliminate_zeros()
                predicted = average(weights.tocsr(), target, prior, mean)[0]
                pairs.append((pearson_delta(predicted, truth), pearson_delta(mean, truth)))
            inside = near.astype(bool).multiply(sets[0].astype(bool)).sum(axis=1)
            values = {
                "predictor": predictor,
                "perturbation": names,
                "pearson": np.mean([own for own, _ in pairs], axis=0),
                "mean": np.mean([mean for _, mean in pairs], axis=0),
                "n_neighbours": np.diff(near.indptr) - np.ravel(inside),
                "removed": np.diff(sets[0].indptr),
                "near": np.ravel(inside),
            }
            tables.append(pd.DataFrame({"atlas": atlas.name, "kind": atlas.kind, "line": line.name, **values}))
    return pd.concat(tables, ignore_index=True)


def held_out_gains(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Gains over the training mean in `held_out`, one row per line and predictor, paired over test perturbations.

    Columns: atlas, kind, line, predictor, n, ``n_neighbours`` left, ``gain`` (over the training mean without the same
    genes) and ``against random`` (gain minus that of `RANDOM`; NaN for it and for `ALL`), each with its interval.
    """
    rows = []
    for head, part in table.assign(gain=table["pearson"] - table["mean"]).groupby(HEAD, sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="gain")
        sizes = part.groupby("predictor")["n_neighbours"].mean()
        for predictor in part["predictor"].unique():
            compared = predictor not in (ALL, RANDOM)
            difference = stats.bootstrap_mean(wide[predictor] - wide[RANDOM], seed=seed) if compared else (np.nan,) * 3
            gain = stats.bootstrap_mean(wide[predictor], seed=seed)
            rows.append((*head, predictor, len(wide), sizes[predictor], *gain, *difference))
    value = ["gain", "gain_low", "gain_high", "against random", "against random_low", "against random_high"]
    return pd.DataFrame(rows, columns=[*HEAD, "predictor", "n", "n_neighbours", *value])


def true_graphs(simulation: Simulation) -> dict[str, list[KnowledgeGraph]]:
    """What a simulation's graphs see of its hierarchy, and the hierarchy itself: lists of graphs for `unions`.

    Each graph alone and their union as they come with the screen, with holes and false edges; then the same with all
    pairs that share a complex, or a pathway, and no others.
    """
    everything = GraphQuality(visible=1.0, false_edges=0.0, weak_visible=1.0)
    size = simulation.seed, simulation.size, simulation.lines
    whole = simulate(*size, complexes=everything, pathways=everything).graphs
    graphs: dict[str, list[KnowledgeGraph]] = {}
    for label, parts in (("", simulation.graphs), ("true ", whole)):
        graphs |= {f"{label}{graph.name}": [graph] for graph in parts}
        graphs[f"{label}union"] = parts
    return graphs


def gap_to_ceiling(screen: Screen, table: pd.DataFrame, correction: str = "sqrt", seed: int = 0) -> pd.DataFrame:
    """Mean Pearson delta of each predictor in `scores`, the ceiling of the same perturbations, and the gap to it.

    One row per line and predictor: atlas, kind, line, predictor, n (perturbations with a ceiling), ``pearson`` and
    ``gap`` with their intervals, and ``ceiling`` (mean of `ceiling.reproducibility` under `correction`).
    """
    tops = pd.concat([reproducibility(screen, line, correction).assign(line=line) for line in screen.lines])
    both = table.merge(tops[["line", "perturbation", "ceiling"]], on=["line", "perturbation"], validate="many_to_one")
    both = both.assign(gap=both["ceiling"] - both["pearson"]).dropna(subset="gap")
    by = [*HEAD, "predictor"]
    means = both.groupby(by, sort=False)["ceiling"].mean().reset_index()
    return summaries.scores(both, ["pearson", "gap"], by, seed).merge(means, on=by)


def _as_many(related: sp.csr_matrix, near: sp.csr_matrix, rng: np.random.Generator) -> sp.csr_matrix:
    """As many columns in each row as `related` has, drawn from those of `near` and from the others apart."""
    rows, columns = [], []
    for row, (own, neighbours) in enumerate(zip(_members(related), _members(near), strict=True)):
        others = np.setdiff1d(np.arange(near.shape[1]), neighbours)
        inside = np.isin(own, neighbours).sum()
        for pool, size in ((neighbours, inside), (others, len(own) - inside)):
            drawn = rng.choice(pool, size, replace=False) if size else np.empty(0, np.intp)
            columns.append(drawn)
            rows.append(np.full(len(drawn), row))
    place = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((np.ones(len(place[0]), np.float32), place), shape=near.shape)


def _members(matrix: sp.csr_matrix) -> Iterator[FloatArray]:
    """The columns stored in each row."""
    for start, stop in zip(matrix.indptr[:-1], matrix.indptr[1:], strict=True):
        yield matrix.indices[start:stop]
