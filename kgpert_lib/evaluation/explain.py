"""What is predicted for one gene, which neighbours say so, and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.cards import Bar, Cell, Table, card
from kgpert_lib.errors import InputError
from kgpert_lib.evaluation.readouts import strongest_places, symbol_order
from kgpert_lib.evaluation.trust import FEWEST, Expected, Trust, describe
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.graphs.symbols import full_name, resolve
from kgpert_lib.metrics import deltas
from kgpert_lib.metrics.chunks import chunks
from kgpert_lib.predictors.neighbourhoods import Neighbour, neighbourhoods
from kgpert_lib.predictors.neighbours import NeighbourPredictor
from kgpert_lib.predictors.predictions import Predictions, Predictor, fitted
from kgpert_lib.screens.atlas import Atlas, CellLine, TrainingView, label
from kgpert_lib.types import FloatArray, Split

LISTED = 40  # neighbours shown; a union of two graphs has no more
BATCH = 500  # genes explained at a time, whose matrices are in memory together
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
        ranked = self.readout["specific" if specific else "predicted"].to_numpy()
        order = symbol_order(self.readout["gene"].to_numpy(str))
        return self.readout.iloc[strongest_places(ranked[None], top, sign, order).column]

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

    A training perturbation is left out of the training rows of every line before it is predicted, so that its own
    delta never speaks for it. What is learnt from all training rows of the line, a few weights of knowledge and how
    far to trust a neighbourhood, is learnt once for all genes.

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
    view = atlas.view(line, split)
    model = fitted(predictor, view)
    if batched(model):
        return next(explain_each(atlas, line, [gene], model, split, trust))[0]
    rest = view.without([gene])
    predictions = model.predict(rest, [gene])
    mean = np.broadcast_to(rest.target.mean, predictions.delta.shape)
    learnt = trust_in(view, model) if trust and predictions.neighbourhoods is not None else None
    return Explanations.of(atlas, rest, predictions, mean, learnt)[0]


def batched(predictor: Predictor) -> bool:
    """Whether `explain_each` can predict many genes, each without its own row, at once."""
    return isinstance(predictor, NeighbourPredictor) and predictor.fill == "none"


def explain_each(
    atlas: Atlas,
    line: str,
    genes: Sequence[str],
    predictor: Predictor,
    split: Split = "strict",
    trust: bool = True,
) -> Iterator[Explanations]:
    """`explain` for many genes, `BATCH` at a time, for a predictor that averages training rows as they were measured.

    InputError for any other predictor, which would have to be fitted for each gene.
    """
    view = atlas.view(line, split)
    model = fitted(predictor, view)
    if not isinstance(model, NeighbourPredictor) or not batched(model):
        raise InputError(
            f"{predictor.name} cannot explain many genes at once, as it is fitted for each of them; "
            "name a predictor that averages neighbours as they were measured, such as union or weighted."
        )
    learnt = trust_in(view, model) if trust else None
    for part in chunks(len(genes), BATCH):
        names = genes[part]
        predictions = model.predict_without_own(view, names)
        yield Explanations.of(atlas, view, predictions, view.target.mean_without(names), learnt)


@dataclass(frozen=True, eq=False)
class Explanations:
    """Predictions for n perturbations in one line and what is said of each; ``[i]`` is the `Explanation` of one.

    Attributes
    ----------
    atlas, cells : the atlas and its line.
    predictions : of the perturbations, each without its own row.
    mean : (n, m) mean training delta, without the own row of each.
    counts : (n, m) how many neighbours measured each readout gene.
    status : (n,) ``"test"``, ``"val"``, ``"train"`` or ``"not screened"``.
    score : by row, what `Explanation.score` holds; no row without a measured gene beside its own readout.
    expected : (n,) each of expected score, low and high end; None without trust.
    level : share of genes that the interval holds.
    """

    atlas: Atlas
    cells: CellLine
    predictions: Predictions
    mean: FloatArray
    counts: NDArray[np.int64]
    status: Sequence[str]
    score: Mapping[int, dict[str, float]]
    expected: Expected | None
    level: float

    @classmethod
    def of(
        cls,
        atlas: Atlas,
        view: TrainingView,
        predictions: Predictions,
        mean: FloatArray,
        trust: Trust | None,
    ) -> Explanations:
        """What is said of `predictions`, which were made from the rows of `view`."""
        cells = atlas[view.line]
        rows = [cells.index.get(str(p), -1) for p in predictions.perturbations]
        return cls(
            atlas,
            cells,
            predictions,
            mean,
            predictions.neighbours_measured(view),
            [cells.status(str(p)) for p in predictions.perturbations],
            _scores(cells, predictions, mean, rows),
            None if trust is None else trust.expect_from(describe(view, predictions, mean)),
            0.0 if trust is None else trust.level,
        )

    def __len__(self) -> int:
        return len(self.status)

    def neighbours(self, i: int) -> list[Neighbour]:
        """The members of one neighbourhood, largest share first."""
        near = self.predictions.neighbourhoods
        return [] if near is None else near.of(str(self.predictions.perturbations[i]))

    def expectation(self, i: int) -> dict[str, float] | None:
        """What `Explanation.expected` holds."""
        if self.expected is None:
            return None
        expected, low, high = (float(values[i]) for values in self.expected)
        return {"pearson": expected, "low": low, "high": high, "level": self.level}

    def measured(self, i: int) -> FloatArray:
        """(m,) measured delta of one perturbation; NaN throughout where it was not screened."""
        row = self.cells.index.get(str(self.predictions.perturbations[i]))
        return np.full(len(self.cells.genes), np.nan, np.float32) if row is None else self.cells.delta[row]

    def __getitem__(self, i: int) -> Explanation:
        delta = self.predictions.delta[i]
        readout = pd.DataFrame(
            {
                "gene": self.cells.genes,
                "predicted": delta.astype(float),
                "specific": (delta - self.mean[i]).astype(float),
                "neighbours_measured": self.counts[i],
                "measured": self.measured(i).astype(float),
            }
        )
        return Explanation(
            gene=str(self.predictions.perturbations[i]),
            line=self.cells.name,
            atlas=self.atlas.name,
            kind=self.atlas.kind,
            status=self.status[i],
            neighbours=self.neighbours(i),
            readout=readout,
            fallback=bool(self.predictions.fallback[i]),
            score=self.score.get(i),
            expected=self.expectation(i),
        )


def trust_in(view: TrainingView, predictor: Predictor) -> Trust | None:
    """How far to trust the neighbourhoods of a predictor in this line; None for too few training perturbations."""
    return Trust.fit(view, predictor) if len(view.target.perturbations) >= FEWEST else None


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


def _scores(
    cells: CellLine, predictions: Predictions, mean: FloatArray, rows: Sequence[int]
) -> dict[int, dict[str, float]]:
    """The scores that a reader can use, of the predictions whose perturbation has a measured gene to be scored on."""
    screened = [i for i, row in enumerate(rows) if row >= 0]
    truth = cells.scored[[rows[i] for i in screened]]
    some = ~np.isnan(truth).all(axis=1)
    scored, truth = np.array(screened, dtype=np.intp)[some], truth[some]
    if not len(scored):
        return {}
    pred = predictions.delta[scored]
    pearson, centred = deltas.pearson_delta(pred, truth), deltas.centred_pearson(pred, truth, mean[scored])
    n_genes = np.isfinite(truth).sum(axis=1)
    return {
        int(i): {"n_genes": int(n), "pearson": float(p), "centred_pearson": float(c)}
        for i, n, p, c in zip(scored, n_genes, pearson, centred, strict=True)
    }
