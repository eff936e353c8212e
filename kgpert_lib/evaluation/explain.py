"""What is predicted for one gene, which neighbours say so, and what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kgpert_lib.cards import Bar, Cell, Table, card
from kgpert_lib.evaluation.trust import FEWEST, Trust, describe
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import full_name, resolve
from kgpert_lib.metrics import deltas
from kgpert_lib.predictors.neighbourhoods import Neighbour, neighbourhoods
from kgpert_lib.predictors.predictions import Predictions, Predictor
from kgpert_lib.screens.atlas import Atlas, CellLine, TrainingView, label
from kgpert_lib.types import FloatArray, Split

LISTED = 40  # neighbours shown; a union of two graphs has no more
PRINTED = 10  # readout genes shown in each direction, where nothing else is asked for


@dataclass(frozen=True, eq=False)
class Explanation:
    """The prediction for one perturbation in one line; a notebook shows it as tables.

    Attributes
    ----------
    gene, line, atlas, kind : the question, and the atlas (real or simulated) that answers it.
    status : ``"test"``, ``"val"``, ``"train"`` (its own delta was left out) or ``"not screened"``.
    neighbours : members of the neighbourhood, largest share first.
    readout : one row per readout gene: gene, predicted, specific (predicted minus mean training delta),
        neighbours_measured, measured (NaN where it was not).
    fallback : True when there is no neighbour and the mean training delta stands in.
    score : Pearson delta, centred Pearson and number of measured genes, its own readout left out; None for a gene not
        screened.
    expected : Pearson delta to expect from such a neighbourhood, with the `low` and `high` end of an interval that
        holds the share `level` of genes (`trust.Trust`); None where `explain` was called without `trust`, and
        where the line has too few training perturbations.
    """

    gene: str
    line: str
    atlas: str
    kind: str
    status: str
    neighbours: Sequence[Neighbour]
    readout: pd.DataFrame
    fallback: bool
    score: dict[str, float] | None
    expected: dict[str, float] | None = None

    @property
    def described_status(self) -> str:
        """What the atlas knows of this gene in this line, in words."""
        return {
            "test": "held out for test in this line",
            "val": "held out for validation in this line",
            "train": "a training perturbation of this line, left out of this prediction",
        }.get(self.status, "not screened in this line")

    def opening(self, predictor: str = "") -> str:
        """What was asked of which atlas, what it knows of the gene, and whether the gene has no neighbour."""
        by = f", predictor {predictor}" if predictor else ""
        text = f"{self.gene} in {self.line}, atlas {label(self.atlas, self.kind)}{by}; {self.described_status}."
        if self.fallback and not self.neighbours:
            text += "\nNo training perturbation is its neighbour: the mean training delta is shown."
        return text

    def neighbour_table(self) -> pd.DataFrame:
        """One row per neighbour: gene, share of the mean, and its edge weight in each graph (NaN: no edge)."""
        rows = [{"gene": n.gene, "share": n.share, **n.graphs} for n in self.neighbours]
        return pd.DataFrame(rows)

    def readout_table(self, top: int, sign: int, specific: bool = False) -> pd.DataFrame:
        """The `strongest` readout genes as readers see them, without the columns that say nothing here.

        ``neighbours`` counts those that measured the readout gene; ``0*`` stands where none did.
        """
        table = self.strongest(top, sign, specific).rename(columns={"neighbours_measured": "neighbours"})
        if self.score is None:
            table = table.drop(columns="measured")
        if not self.neighbours:
            return table.drop(columns="neighbours")
        return table.assign(neighbours=[str(n) if n else "0*" for n in table["neighbours"]])

    def tables(self, top: int = PRINTED, specific: bool = False) -> dict[str, pd.DataFrame]:
        """By title: the neighbours, where there are any, and the `top` readout genes in each direction."""
        count = len(self.neighbours)
        tables = {}
        if count:
            few = f", the {LISTED} strongest" if count > LISTED else ""
            title = f"{count} neighbour{'s' * (count != 1)}{few}: share of the mean, and edge weight in each graph"
            tables[title] = self.neighbour_table().head(LISTED)
        kind = "Most specific to this gene" if specific else "Strongest"
        for direction, sign in (("up", 1), ("down", -1)):
            tables[f"{kind}, {direction}"] = self.readout_table(top, sign, specific)
        return tables

    def notes(self) -> list[str]:
        """What the columns of the `tables` are, what to expect of the prediction, and how it scores."""
        notes = ["specific: predicted minus the mean training delta."]
        if self.neighbours:
            notes.append(
                "neighbours: how many of them measured that readout gene (0*: none, so other values stand in)."
            )
        if self.expected is not None:
            notes.append(
                f"Expected Pearson delta {self.expected['pearson']:.2f}; for {self.expected['level']:.0%} of genes "
                f"with such a neighbourhood it lies between {self.expected['low']:.2f} and "
                f"{self.expected['high']:.2f}."
            )
        if self.score is not None:
            notes.append(
                f"measured: delta of the knock-down itself (blank: not measured). Over its {self.score['n_genes']} "
                f"measured genes the prediction's Pearson delta is {self.score['pearson']:.3f}, "
                f"centred {self.score['centred_pearson']:.3f}."
            )
        return notes

    def _repr_html_(self) -> str:
        title, status, *lines = self.opening().replace("; ", "\n", 1).splitlines()
        frames = self.tables()
        deltas = pd.concat([self.strongest(PRINTED, sign)[["predicted", "measured"]] for sign in (1, -1)])
        largest = float(np.nanmax(deltas.abs().to_numpy(), initial=0.0))
        tables = [_card_table(name, frame, largest) for name, frame in frames.items()]
        against = bool((deltas["predicted"] * deltas["measured"] < 0).any())
        notes = [*self.notes(), *(["Orange: measured in the other direction."] if against else [])]
        return card(title, [status[0].upper() + status[1:], *lines], tables, notes)

    def strongest(self, top: int, sign: int, specific: bool = False) -> pd.DataFrame:
        """The `top` readout genes that move most up (`sign` 1) or down (-1), ties by symbol.

        With `specific` those that move most beyond the mean training delta.
        """
        ranked = self.readout["specific" if specific else "predicted"]
        moved = self.readout[np.sign(ranked) == sign]
        order = moved.assign(size=-sign * ranked).sort_values(["size", "gene"])
        return order.drop(columns="size").head(top)

    def to_dict(self, top: int = PRINTED, specific: bool = False) -> dict[str, Any]:
        """Plain values for JSON, with the `strongest` readout genes."""
        rows = {
            name: [
                {k: (None if isinstance(v, float) and np.isnan(v) else v) for k, v in row.items()}
                for row in self.strongest(top, sign, specific).to_dict("records")
            ]
            for name, sign in (("up", 1), ("down", -1))
        }
        return {
            "gene": self.gene,
            "line": self.line,
            "atlas": self.atlas,
            "kind": self.kind,
            "status": self.status,
            "fallback": self.fallback,
            "neighbours": [{"gene": n.gene, "share": n.share, "graphs": n.graphs} for n in self.neighbours],
            **rows,
            "measured": self.score,
            "expected": self.expected,
        }


def explain(
    atlas: Atlas,
    line: str,
    gene: str,
    predictor: Predictor,
    split: Split = "strict",
    trust: bool = True,
) -> Explanation:
    """Predict `gene` in `line` and say why, and with `trust` how good such predictions are (seconds the first time).

    A training perturbation is left out of the training rows of every line before it is predicted, so
    that its own delta never speaks for it.

    Parameters
    ----------
    atlas, line : where the gene is predicted, and what it is compared with if it was screened there.
    gene : symbol as the graphs or the screen spell it (`known_gene`).
    predictor : by name from `kgpert_lib.build`, or anything with a method `predict`.
    split : what the training rows of other lines may hold (`Atlas.view`).
    trust : whether to learn what score to expect (`Trust`); None is expected with fewer than 50 training
        perturbations, and of a predictor without neighbourhoods.

    Raises
    ------
    InputError
        For a line that the atlas lacks and another split.

    Examples
    --------
    >>> from kgpert_lib import build, explain, load_screen
    >>> screen = load_screen("simulated", ["k562"], size="tiny")
    >>> why = explain(screen.atlas, "k562", "INTS9", build("union", screen), trust=False)
    >>> why.status, len(why.neighbours), why.readout.shape
    ('test', 8, (200, 5))
    >>> sorted(neighbour.gene for neighbour in why.neighbours)[:3]
    ['CNOT1', 'INTS1', 'INTS10']
    """
    cells = atlas[line]
    view = atlas.view(line, split).without([gene])
    predictions = predictor.predict(view, [gene])
    near = predictions.neighbourhoods
    measured = _measured(cells, gene)
    readout = pd.DataFrame(
        {
            "gene": cells.genes,
            "predicted": predictions.delta[0].astype(float),
            "specific": (predictions.delta[0] - view.target.mean).astype(float),
            "neighbours_measured": predictions.neighbours_measured(view)[0],
            "measured": measured,
        }
    )
    return Explanation(
        gene=gene,
        line=line,
        atlas=atlas.name,
        kind=atlas.kind,
        status=str(cells.split[cells.index[gene]]) if gene in cells.index else "not screened",
        neighbours=[] if near is None else near.of(gene),
        readout=readout,
        fallback=bool(predictions.fallback[0]),
        score=_score(view, predictions, cells.scored[cells.index[gene]]) if gene in cells.index else None,
        expected=_expected(view, predictor, predictions) if trust else None,
    )


def known_gene(symbol: str, graphs: Sequence[KnowledgeGraph], screen: CellLine | None = None) -> str:
    """The spelling of `symbol` that the graphs or the screen use.

    Raises InputError, with close names, for a gene that is in no graph and was not screened.
    """
    names = {str(s) for g in graphs for s in g.symbols}
    where = f"of the graph {'+'.join(g.name for g in graphs)}"
    if screen is not None:
        names.update(map(str, screen.perturbations))
        where += f" and the screen of {screen.name}"
    return resolve(symbol, sorted(names), where)


def graph_neighbours(graphs: Sequence[KnowledgeGraph], gene: str, limit: int | None = 20) -> pd.DataFrame:
    """The strongest neighbours of a gene over all genes: gene, full name, and the edge weight in each graph."""
    near = neighbourhoods(graphs, [gene], np.unique(np.concatenate([g.symbols for g in graphs])), limit).of(gene)
    rows = [{"gene": n.gene, "name": full_name(n.gene) or "", **n.graphs} for n in near]
    return pd.DataFrame(rows, columns=["gene", "name", *(g.name for g in graphs)])


def _card_table(title: str, frame: pd.DataFrame, largest: float) -> Table:
    """The first rows of one of `Explanation.tables`; bars of deltas end at `largest`, those of shares at the first."""
    rows = []
    for row in frame.head(PRINTED).to_dict("records"):
        cells: list[Cell] = []
        for column, value in row.items():
            text = value if isinstance(value, str) else "" if pd.isna(value) else f"{value:.3f}"
            if column == "share":
                cells.append(Bar(text, [value / frame["share"].iloc[0]]))
            elif column == "predicted":
                cells.append(Bar(text, [abs(value) / largest]))
            elif column == "measured" and text:  # in the second colour, or in the third where it goes the other way
                others = [0.0, 0.0] if value * row["predicted"] < 0 else [0.0]
                cells.append(Bar(text, [*others, abs(value) / largest]))
            else:
                cells.append(text)
        rows.append(cells)
    rest = len(frame) - len(rows)
    return Table(title + (f" ({rest} more in neighbour_table())" if rest else ""), list(frame.columns), rows)


def _expected(view: TrainingView, predictor: Predictor, predictions: Predictions) -> dict[str, float] | None:
    """Trust in `predictions` of one gene; None for too few training perturbations and without neighbourhoods."""
    if predictions.neighbourhoods is None or len(view.target.perturbations) < FEWEST:
        return None
    trust = Trust.fit(view, predictor)
    expected = trust.expect_from(describe(view, predictions)).first()
    return {"pearson": expected.pop("expected"), **expected, "level": trust.level}


def _measured(cells: CellLine, gene: str) -> np.ndarray:
    if gene in cells.index:
        return cells.delta[cells.index[gene]].astype(float)
    return np.full(len(cells.genes), np.nan)


def _score(view: TrainingView, predictions: Predictions, scored: FloatArray) -> dict[str, float] | None:
    """The scores of one prediction that a reader can use; None where nothing but its own readout was measured."""
    if np.isnan(scored).all():
        return None
    scores = deltas.score(predictions.delta, scored[None], predictions.perturbations.tolist(), view.target.mean).iloc[0]
    return {"n_genes": int(scores["n_genes"]), **{k: float(scores[k]) for k in ("pearson", "centred_pearson")}}
