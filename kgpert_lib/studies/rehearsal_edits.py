"""What a trained policy learnt: which neighbours its edits remove, what they add, where they fail, and how often runs
with another seed give the same edit.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import full_name
from kgpert_lib.llm.controls import union_edges
from kgpert_lib.llm.proposals import Proposal
from kgpert_lib.metrics import stats
from kgpert_lib.rl.runs import STAGES
from kgpert_lib.rl.tasks import LineTasks
from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies import objections, run_scores
from kgpert_lib.studies.graph_neighbours import HEAD
from kgpert_lib.studies.run_scores import TITLES, TRAINED, UNEDITED, RunGroup, random_edits

RESAMPLES = 2_000
FEWEST = 20  # test genes behind an enrichment: with fewer, a resample may hold none
THIRDS = ("weakest third", "middle third", "strongest third")
REMOVED, ADDED = "removed", "added"
FEW_NEIGHBOURS = 2
FEW_READOUTS = 50

Edits = tuple[frozenset[str], frozenset[str]]
"""Genes added and genes removed."""


def relations(screen: Screen) -> tuple[str, list[KnowledgeGraph]]:
    """What relates two genes besides the graphs that were shown, in words, and the graphs whose edges say it.

    The complexes and pathways that a simulation was drawn from; else complexes of hu.MAP 2. A simulation that was read
    from a folder knows neither: no graph.
    """
    if screen.simulation is not None:
        return "a complex or pathway of the simulation", objections.true_graphs(screen.simulation)["true union"]
    if screen.brings_graphs:
        return "none is known", []
    return "a complex of hu.MAP 2", [objections.complexes(screen)]


def pairs(group: RunGroup, stage: str = TRAINED) -> pd.DataFrame:
    """Every neighbour that could be removed and every candidate that could be added, for each test gene (`shown`).

    Columns: line, gene, other, ``edit`` (`REMOVED` or `ADDED`: what can become of it), ``chosen`` (share of the runs
    whose edit does it), ``graphs`` (of a neighbour: those that gave it; of a candidate: those with an edge to it, also
    beyond the cut), ``strength`` (third of its edge's weight among the neighbours of the line, in the graph with the
    strongest edge; blank for a candidate) and ``related`` (`relations`). Genes that were added without having been
    offered are not among them.
    """
    draws, graphs = group.draws(stage), list(group.screen.graphs)
    related = relations(group.screen)[1]
    tables = []
    for name, genes in group.genes([stage]).items():
        tasks = group.tasks(stage).lines[name]
        strength, shown = _strength(tasks), group.shown(stage, name)
        rows: list[tuple[Any, ...]] = []
        for gene in genes:
            given = [sets.by_gene[name, gene] for sets in draws]
            joined = {graph.name: graph.neighbours(gene) for graph in graphs}
            kin = union_edges(related, gene)
            near, candidates = shown[gene]
            sources = {n.gene: " and ".join(n.graphs) for n in tasks.neighbourhoods.of(gene)} if near else {}
            for other in near:
                share = np.mean([other in p.removed for p in given])
                rows.append((gene, other, REMOVED, share, sources[other], strength[gene, other], other in kin))
            for other in candidates:
                share = np.mean([other in p.added for p in given])
                by = " and ".join(graph for graph, edges in joined.items() if other in edges)
                rows.append((gene, other, ADDED, share, by or "no graph", "", other in kin))
        columns = ["gene", "other", "edit", "chosen", "graphs", "strength", "related"]
        tables.append(pd.DataFrame(rows, columns=columns).assign(line=name))
    return pd.concat(tables, ignore_index=True)


def enriched(group: RunGroup, fewest: int = FEWEST, seed: int = 0) -> pd.DataFrame:
    """Which neighbours are removed, and which candidates added, more often than others.

    One row per edit and class of genes (of `pairs`) that is offered to `fewest` test genes or more: atlas, kind,
    policy, edit, ``genes that`` (the class), ``offered`` (pairs), ``share of offered``, ``share of chosen`` (means
    over runs), and ``enrichment``: the second share over the first, with its 95 % percentile bootstrap interval over
    test genes; a gene of several lines is drawn with all of them. No row for an edit that no run makes.
    """
    rows = []
    for edit, part in pairs(group).groupby("edit", sort=False):
        whole = part.groupby("gene")["chosen"].agg(["size", "sum"]).astype("float64")
        if not whole["sum"].any():
            continue
        for label, inside in _classes(group, str(edit), part).items():
            own = part[inside].groupby("gene")["chosen"].agg(["size", "sum"])
            if len(own) < fewest:
                continue
            own = own.reindex(whole.index, fill_value=0)
            samples = [own["sum"], own["size"], whole["sum"], whole["size"]]
            values = _shares(samples[0], samples[1], samples[2], samples[3])
            low, high = stats.percentile_bootstrap(samples, _shares, RESAMPLES, seed)
            rows.append((edit, label, int(inside.sum()), *values, low[2], high[2]))
    ends = ["enrichment", "enrichment_low", "enrichment_high"]
    columns = ["edit", "genes that", "offered", "share of offered", "share of chosen", *ends]
    head = {"atlas": group.screen.name, "kind": group.screen.kind, "policy": group.policy}
    return pd.DataFrame(rows, columns=columns).assign(**head)


def sizes(group: RunGroup, stages: Sequence[str] = STAGES) -> pd.DataFrame:
    """How much the edits of each stage change, means over runs, one row per line and stage.

    Columns: atlas, kind, line, policy, predictor (the stage in print), n, ``neighbours`` (unedited), ``genes added``,
    ``genes removed``, and ``no edit``, the share of answers that leave the neighbourhood as it is.
    """
    rows = []
    for stage in (stage for stage in stages if stage in group.stages):
        draws = group.draws(stage)
        for line, genes in group.genes([stage]).items():
            given = [sets.by_gene[line, gene] for sets in draws for gene in genes]
            counts = np.array([(len(p.neighbours), len(p.added), len(p.removed)) for p in given], np.float64)
            alone = float((counts[:, 1:].sum(axis=1) == 0).mean())
            rows.append((line, TITLES[stage], len(genes), *counts.mean(axis=0), alone))
    columns = ["line", "predictor", "n", "neighbours", "genes added", "genes removed", "no edit"]
    head = {"atlas": group.screen.name, "kind": group.screen.kind, "policy": group.policy}
    return pd.DataFrame(rows, columns=columns).assign(**head)


def failures(group: RunGroup, most: int = 8) -> pd.DataFrame:
    """The test genes whose trained edits lost most against the unedited union, whatever their line.

    Columns: atlas, kind, line, gene (with its full name), ``union``, ``trained`` (Pearson delta), ``loss``, ``removed``
    and ``added`` (genes with the number of runs that did it), and ``visible reason``: what of the edit can be seen to
    be poor; blank where nothing is.
    """
    scores, table = run_scores.scores(group, [TRAINED], draws=0), pairs(group)
    wide = scores.pivot(index=[*HEAD, "perturbation"], columns="predictor", values="pearson").reset_index()
    wide = wide.assign(union=wide[UNEDITED], trained=wide[TITLES[TRAINED]], loss=wide[UNEDITED] - wide[TITLES[TRAINED]])
    worst = wide[wide["loss"] > 0].sort_values("loss", ascending=False, kind="stable").head(most)
    draws, by_place = group.draws(TRAINED), dict(iter(table.groupby(["line", "gene"], sort=False)))
    rows = []
    for line, gene in zip(worst["line"], worst["perturbation"], strict=True):
        given = [sets.by_gene[line, gene] for sets in draws]
        reasons = _reasons(group, line, gene, by_place.get((line, gene), table.head(0)), given)
        name = full_name(gene)
        title = f"{gene} ({name})" if name else gene
        rows.append((title, _named(given, "removed"), _named(given, "added"), "; ".join(reasons)))
    edits = pd.DataFrame(rows, columns=["gene", "removed", "added", "visible reason"], index=worst.index)
    columns = [*HEAD, "gene", "union", "trained", "loss", "removed", "added", "visible reason"]
    return worst.join(edits)[columns].reset_index(drop=True).rename_axis(columns=None)


def agreement(group: RunGroup, stage: str = TRAINED, seed: int = 0) -> pd.DataFrame:
    """How alike the edits of two runs are: one row per line, mean over pairs of runs; no row for a single run.

    Columns: atlas, kind, line, policy, n (test genes), ``runs``, ``same edit`` (share of genes with the same additions
    and removals in both), ``overlap`` (Jaccard index of the moves; 1 where neither moves anything) and ``overlap of
    random edits``, the same for edits of the same sizes at random, each with its 95 % bootstrap interval over genes.
    """
    draws = group.draws(stage)
    if len(draws) < 2:
        return pd.DataFrame(columns=[*HEAD, "policy", "n", "runs"])
    randoms = random_edits(group, stage, 1, seed)
    rows = []
    for line, genes in group.genes([stage]).items():
        given = [
            [(frozenset(p.added), frozenset(p.removed)) for p in (s.by_gene[line, g] for g in genes)] for s in draws
        ]
        view = group.tasks(stage).lines[line].view
        drawn = []
        for sets, source in zip(draws, randoms, strict=True):
            near = source.neighbourhoods(view, genes)
            rests = [(set(near.members(row)), set(sets.by_gene[line, g].neighbours)) for row, g in enumerate(genes)]
            drawn.append([(frozenset(new - old), frozenset(old - new)) for new, old in rests])
        same = np.mean([[a == b for a, b in zip(x, y, strict=True)] for x, y in combinations(given, 2)], axis=0)
        values = [same, _overlaps(given), _overlaps(drawn)]
        means = [m for v in values for m in stats.bootstrap_mean(v, seed=seed)]
        rows.append((group.screen.name, group.screen.kind, line, group.policy, len(genes), len(draws), *means))
    names = ("same edit", "overlap", "overlap of random edits")
    columns = [*HEAD, "policy", "n", "runs", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))]
    return pd.DataFrame(rows, columns=columns)


def votes(group: RunGroup, stage: str = TRAINED) -> pd.DataFrame:
    """Every move that the edits of any run make, and what it gains alone.

    Columns: line, gene, ``edit``, other, ``runs`` (whose edit has the move) and ``gap``: Pearson delta of the
    neighbourhood with this move only, minus that of the unedited one.
    """
    count: dict[tuple[str, str, str, str], int] = {}
    for sets in group.draws(stage):
        for (line, gene), proposal in sets.by_gene.items():
            for edit, others in ((ADDED, proposal.added), (REMOVED, proposal.removed)):
                for other in others:
                    count[line, gene, edit, other] = count.get((line, gene, edit, other), 0) + 1
    texts = [
        (
            line,
            gene,
            json.dumps({"add": [other] if edit == ADDED else [], "remove": [other] if edit == REMOVED else []}),
        )
        for line, gene, edit, other in count
    ]
    gaps = [verdict.gap for verdict in group.tasks(stage).judge_all(texts)]
    table = pd.DataFrame(list(count), columns=["line", "gene", "edit", "other"])
    return table.assign(runs=list(count.values()), gap=gaps)


def gain_by_votes(group: RunGroup, seed: int = 0) -> pd.DataFrame:
    """What moves gain alone by the number of runs that make them (`votes`).

    Columns: atlas, kind, policy, edit, ``runs that make it``, ``moves``, n (test genes), ``gap`` (mean over genes of
    the mean over their moves) with its 95 % bootstrap interval, and ``helps``, the share of moves with a gap above 0.
    """
    rows = []
    for (edit, number), part in votes(group).groupby(["edit", "runs"]):
        by_gene = part.groupby("gene")["gap"].mean()
        gap = stats.bootstrap_mean(by_gene, seed=seed)
        rows.append((edit, number, len(part), len(by_gene), *gap, float((part["gap"] > 0).mean())))
    columns = ["edit", "runs that make it", "moves", "n", "gap", "gap_low", "gap_high", "helps"]
    head = {"atlas": group.screen.name, "kind": group.screen.kind, "policy": group.policy}
    return pd.DataFrame(rows, columns=columns).assign(**head)


def _strength(tasks: LineTasks) -> dict[tuple[str, str], str]:
    """The third of each neighbour's edge among all of the line's: the highest of its thirds over the graphs."""
    near = tasks.neighbourhoods
    best: dict[tuple[int, int], int] = {}
    for matrix in near.by_graph.values():
        cells = matrix.tocoo()
        third = np.digitize(cells.data, np.quantile(cells.data, [1 / 3, 2 / 3]) if cells.nnz else [0, 0], right=True)
        for row, column, own in zip(cells.row.tolist(), cells.col.tolist(), third.tolist(), strict=True):
            best[row, column] = max(own, best.get((row, column), 0))
    genes, training = near.perturbations, near.training
    return {(str(genes[row]), str(training[column])): THIRDS[third] for (row, column), third in best.items()}


def _classes(group: RunGroup, edit: str, part: pd.DataFrame) -> dict[str, pd.Series]:
    """Which rows of `pairs` are in each class of genes, by what its genes do."""
    what = relations(group.screen)[0]
    names = sorted(part["graphs"].unique(), key=lambda name: (name.count(" and "), name))
    if edit == REMOVED:
        classes = {f"come from {name}": part["graphs"].eq(name) for name in names}
        classes |= {f"have an edge in the {third}": part["strength"].eq(third) for third in THIRDS}
    else:
        classes = {f"have an edge in {name}": part["graphs"].eq(name) for name in names}
    if part["related"].any():
        classes |= {f"share {what}": part["related"], f"share no {what.removeprefix('a ')}": ~part["related"]}
    return classes


def _shares(chosen: Any, offered: Any, all_chosen: Any, all_offered: Any, axis: int = -1) -> NDArray[np.float64]:
    """(3, ...) share of a class among all that was offered and among what was chosen, and the second over the first.

    The counts are those of each test gene: of the class and of all.
    """
    sums = [np.asarray(part, np.float64).sum(axis=axis) for part in (chosen, offered, all_chosen, all_offered)]
    with np.errstate(invalid="ignore", divide="ignore"):
        before, after = sums[1] / sums[3], sums[0] / sums[2]
        return np.stack([before, after, after / before])


def _overlaps(given: Sequence[Sequence[Edits]]) -> NDArray[np.float64]:
    """(n,) mean Jaccard index of the moves of two runs, over pairs of runs."""
    return np.mean([[_jaccard(a, b) for a, b in zip(x, y, strict=True)] for x, y in combinations(given, 2)], axis=0)


def _jaccard(first: Edits, second: Edits) -> float:
    both = sum(len(a & b) for a, b in zip(first, second, strict=True))
    either = sum(len(a | b) for a, b in zip(first, second, strict=True))
    return both / either if either else 1.0


def _named(given: Sequence[Proposal], field: str) -> str:
    """The genes that edits add or remove, with how many runs do so where not all do."""
    genes = [gene for proposal in given for gene in getattr(proposal, field)]
    counts = {gene: genes.count(gene) for gene in dict.fromkeys(genes)}
    order = sorted(counts, key=lambda gene: (-counts[gene], gene))
    return ", ".join(gene if counts[gene] == len(given) else f"{gene} ({counts[gene]})" for gene in order)


def _reasons(group: RunGroup, line: str, gene: str, own: pd.DataFrame, given: Sequence[Proposal]) -> Iterator[str]:
    """What can be seen to be poor in the edits of a test gene; `own` are its rows of `pairs`."""
    what = relations(group.screen)[0].partition(" of ")[0]
    done = own[own["chosen"] > 0]
    kin = done[(done["edit"] == REMOVED) & done["related"]]
    strangers = done[(done["edit"] == ADDED) & ~done["related"]]
    if len(kin):
        yield f"{', '.join(kin['other'])} shared {what} with it and went"
    if own["related"].any() and len(strangers):
        yield f"{', '.join(strangers['other'])} came and share none"
    left = min(p.size for p in given)
    if left <= FEW_NEIGHBOURS:
        yield f"{left or 'no'} neighbour{'s' * (left != 1)} left"
    cells = group.screen[line]
    measured = int((~np.isnan(cells.scored[cells.rows([gene])])).sum())
    if measured < FEW_READOUTS:
        yield f"{measured} readout genes measured"
