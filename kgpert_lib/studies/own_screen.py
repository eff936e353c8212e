"""A screen of one's own (appendix A4): its example, a look into its file, its scores, and what it cannot say."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from kgpert_lib import paths
from kgpert_lib.evaluation.ceiling import reproducibility
from kgpert_lib.evaluation.evaluate import evaluate_lines
from kgpert_lib.evaluation.explain import Explanation, explain, known_gene
from kgpert_lib.evaluation.trust import FEWEST
from kgpert_lib.graphs import edgelist
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.predictors.named import Options, build
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens import annotated
from kgpert_lib.screens.annotated import Settings
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.h5ad import read_h5ad, write_h5ad
from kgpert_lib.screens.load import load_screen
from kgpert_lib.screens.replogle import MARK
from kgpert_lib.screens.screen import Screen
from kgpert_lib.screens.simulated.simulation import simulate
from kgpert_lib.studies import ceilings, perturbqa
from kgpert_lib.types import Split

NAME = "own"  # of the atlas
LINE = "example"  # the cell line of the example
FEW_TEST = 20  # test genes below which intervals say little
FEW_CELLS, COMBINED = 6, 8  # cells of the example's rare gene and of its combination
SHOWN = 3


@dataclass(frozen=True)
class Source:
    """What is read: an AnnData file with its edge lists, or the folder of a saved atlas."""

    file: Path
    edges: tuple[Path, ...]


def source(folder: str | Path, file: str = "", edges: str = "", seed: int = 0) -> Source:
    """The reader's file and edge lists (a comma list); without a file an example that is written into `folder`."""
    if file:
        return Source(Path(file), tuple(Path(part.strip()) for part in edges.split(",") if part.strip()))
    return example(folder, seed)


def example(folder: str | Path, seed: int = 0) -> Source:
    """Write ``cells.h5ad`` and ``edges.csv`` of a simulated screen as a laboratory would hand them on.

    Counts of single cells with batches, cells of non-targeting guides and two guides for each gene; Ensembl ids in the
    index of var and symbols in a column. One gene has too few cells, and some cells carry two guides. The edges are
    those of the simulation's own graphs.
    """
    simulation = simulate(seed, "small", ["k562"])
    cells = simulation.cells("k562")
    label = cells.obs["perturbation"].astype(str).replace("control", "non-targeting").to_numpy(dtype=object)
    genes = sorted(set(label) - {"non-targeting"})
    kept = np.ones(len(label), bool)
    kept[np.flatnonzero(label == genes[0])[FEW_CELLS:]] = False
    label[np.flatnonzero(label == genes[1])[:COMBINED]] = f"{genes[1]}+{genes[2]}"
    cells.obs = cells.obs.assign(gene=pd.Categorical(label), cell_line=LINE)[["gene", "guide_id", "batch", "cell_line"]]
    ids = pd.read_csv(paths.DATA / "knowledge" / "ensembl.tsv.gz", sep="\t").drop_duplicates("symbol")
    index = ids.set_index("symbol")["ensembl"].reindex(cells.var_names)
    cells.var = pd.DataFrame({"gene_name": cells.var_names.to_numpy()}, index=index.fillna(index.index.to_series()))
    cells.uns[MARK] = np.array([f"simulated with seed {seed}"], dtype=object)
    target = Source(Path(folder) / "cells.h5ad", (Path(folder) / "edges.csv",))
    write_h5ad(cells[kept].copy(), target.file)
    both = pd.concat([_edges(graph) for graph in simulation.graphs]).drop_duplicates()
    edgelist.write(KnowledgeGraph.from_edges("edges", *both.to_numpy(str).T), target.edges[0])
    return target


def look(source: Source) -> pd.DataFrame:
    """What is in the file: one row for X and for each column of obs and var, or for each line of a saved atlas.

    Columns: part, name, kind, different (values) and ``such as`` (the first of them).
    """
    if source.file.is_dir():
        lines = Atlas.load(source.file).lines.values()
        return pd.DataFrame(
            [("line", i.name, "deltas", len(i.perturbations), _first(i.perturbations.tolist())) for i in lines],
            columns=["part", "name", "kind", "different", "such as"],
        )
    data = read_h5ad(source.file)
    size = f"{data.n_obs:,} rows, {data.n_vars:,} columns"
    rows = [("X", size, "" if data.X is None else str(data.X.dtype), np.nan, "")]
    for part, table in (("obs", data.obs), ("var", data.var)):
        for name, values in (("(index)", table.index.to_series()), *table.items()):
            present = values.dropna().astype(str)
            rows.append((part, str(name), str(values.dtype), present.nunique(), _first(present.unique())))
    return pd.DataFrame(rows, columns=["part", "name", "kind", "different", "such as"])


def settings(
    line: str, perturbation_column: str, control: str, batch_column: str, gene_column: str, held_out: str, seed: int
) -> Settings:
    """`Settings` of the chapter's parameters, where an empty text looks for the usual columns."""
    return Settings(
        line=line or None,
        perturbation=perturbation_column or None,
        control=control or None,
        batch=batch_column or None,
        genes=gene_column or None,
        split=annotated.share_or_column(held_out or None),
        seed=seed,
    )


def save(source: Source, folder: str | Path, settings: Settings) -> Screen:
    """The screen: read, saved into `folder` and loaded again; a saved atlas is loaded as it is.

    InputError as `annotated.read_screen`.
    """
    if source.file.is_dir():
        return load_screen(source.file)
    graphs = annotated.read_edges(source.edges)
    atlas = annotated.read_screen([source.file], NAME, settings, graphs)
    return load_screen(annotated.save_screen(atlas, folder, graphs))


def left_out(screen: Screen) -> pd.DataFrame:
    """`annotated.left_out` as a table; empty for an atlas that was saved by other means."""
    sentences = [sentence.split(": ", 1) for sentence in annotated.left_out(screen.atlas)]
    return pd.DataFrame(sentences, columns=["line", "what was read"])


def predictors(screen: Screen, limit: int = 20, seed: int = 0) -> list[Predictor]:
    """Training mean, linear baseline, shuffled graphs, each graph and their union, which is called ``union``."""
    options = Options(limit, seed=seed)
    names = ["mean", "linear", "shuffled"]
    several = [g.name for g in screen.graphs] if len(screen.graphs) > 1 else []
    return [*(build(name, screen, options) for name in (*names, *several)), union(screen, limit, seed)]


def union(screen: Screen, limit: int = 20, seed: int = 0) -> NeighbourPredictor:
    """The mean over the neighbours in all graphs of the screen."""
    near = GraphNeighbourhood(list(screen.graphs), limit, "before", seed)
    return NeighbourPredictor(near, label=ceilings.UNION)


def scores(
    screen: Screen, models: Sequence[Predictor], split: Split = "strict", correction: str = "noise-free"
) -> pd.DataFrame:
    """`evaluate` of every line with the columns of `ceilings.scores`: ceiling, gap, magnitude, control-likeness."""
    table = evaluate_lines(screen.atlas, list(screen.lines), models, split)
    traits = [
        ceilings.traits(line, reproducibility(screen, name, correction)).assign(line=name)
        for name, line in screen.lines.items()
    ]
    table = table.merge(pd.concat(traits), on=["line", "perturbation"], validate="many_to_one")
    return table.assign(gap=table["ceiling"] - table["pearson"])


def trusted(screen: Screen, model: NeighbourPredictor, seed: int = 0) -> pd.DataFrame:
    """`perturbqa.trusted` for the lines with enough training genes to learn from; no row where none has."""
    lines = {name: line for name, line in screen.lines.items() if (line.split == "train").sum() >= FEWEST}
    if not lines:
        return pd.DataFrame(columns=["line", "perturbation", "expected", "low", "high", "reached"])
    return perturbqa.trusted(replace(screen, atlas=replace(screen.atlas, lines=lines)), model, seed)


def explained(screen: Screen, model: NeighbourPredictor, gene: str = "") -> Explanation:
    """The prediction for a gene in the first line; without a name, for the test gene with most neighbours."""
    line = next(iter(screen.lines.values()))
    if gene:
        name = known_gene(gene, screen.graphs, line)
    else:
        names = line.names("test")
        near = model.neighbourhoods(screen.view(line.name), names)
        name = names[int(np.argmax(near.sizes))]
    return explain(screen.atlas, line.name, name, model)


def limits(screen: Screen) -> list[str]:
    """What the atlas has not, and what is therefore not said, one sentence each."""
    sentences = [sentence for line in screen.lines.values() for sentence in _limits(screen, line)]
    if len(screen.lines) == 1:
        sentences.append("There is one cell line, so nothing is said of other lines, and both splits are one.")
    return sentences


def _limits(screen: Screen, line: CellLine) -> list[str]:
    sentences = []
    test, train = len(line.names("test")), len(line.names("train"))
    if line.half_a is None and screen.second(line.name) is None:
        sentences.append(
            f"{line.name}: neither halves of the cells nor a second experiment, so there is no ceiling and no gap to "
            "it, and no score relative to a repeated experiment."
        )
    if line.control is None:
        sentences.append(f"{line.name}: no expression of the controls, so there is no control-likeness.")
    if not line.expression:
        sentences.append(
            f"{line.name}: most readout genes have a gap under some perturbation, so effect sizes and similarities of "
            "whole deltas are not shown."
        )
    if train < FEWEST:
        sentences.append(f"{line.name}: {train} training genes, and it takes {FEWEST} to learn an expected score.")
    if test < FEW_TEST:
        sentences.append(f"{line.name}: {test} test genes, so intervals are wide and no test can decide much.")
    return sentences


def box(sentences: Sequence[str], title: str = "What this atlas cannot say") -> str:
    """An HTML box with the sentences as a list; empty without one."""
    if not sentences:
        return ""
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f'<div class="admonition note"><p class="admonition-title">{title}</p><ul>{items}</ul></div>'


def _first(values: Sequence[str]) -> str:
    return ", ".join(map(str, list(values)[:SHOWN]))


def _edges(graph: KnowledgeGraph) -> pd.DataFrame:
    """The edges of a graph, each once: columns gene1 and gene2."""
    rows, columns = graph.adjacency.nonzero()
    once = rows < columns
    return pd.DataFrame({"gene1": graph.symbols[rows[once]], "gene2": graph.symbols[columns[once]]})
