"""What could be wrong with the scores of a gain: what gaps tell, dependent genes, and signed calls under Pearson."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics import stats
from kgpert_lib.metrics.auroc import auroc_per_gene, compare
from kgpert_lib.metrics.changes import changed_threshold
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.perturbqa.evaluate import RuleScores
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.studies.graph_neighbours import HEAD, MEAN
from kgpert_lib.types import FloatArray, Split

ASKED = "asked only"
DRAWS = 10_000
VALUES = ("pearson", "auroc", "sign_accuracy")


def asked_only(item: RuleScores) -> NDArray[np.float64]:
    """(q,) for each question, how many neighbours of the perturbed gene were asked about its readout gene (ours).

    The neighbours are those of the plain union; no call of them is read.
    """
    asked = item.voter.union_edges(item.questions.perturbations) @ item.voter.data.line().measured.astype(np.float32)
    return np.asarray(asked[item.questions.row, item.questions.column], np.float64)


def beside_asked(scores: Sequence[RuleScores], low: float = 0.1, high: float = 0.9, seed: int = 0) -> pd.DataFrame:
    """Every rule beside `asked_only`, on all questions and on those about readout genes that change now and then.

    One row per line, ``readout genes`` (``all`` or ``base rate <low> to <high>``: the share of changes among training
    perturbations) and rule. Further columns: questions, ``genes`` (readout genes with both answers), ``auroc`` (mean
    per readout gene) and ``gain`` over the plain union, both with their intervals over perturbations
    (`metrics.auroc.compare`).
    """
    tables = []
    for item in scores:
        questions, base = item.questions, item.voter.base[item.questions.column]
        answers = {**item.probability, ASKED: asked_only(item)}
        strata = {
            "all": np.ones(len(questions), bool),
            f"base rate {low:g} to {high:g}": (base >= low) & (base <= high),
        }
        for name, here in strata.items():
            own = {rule: np.asarray(score)[here] for rule, score in answers.items()}
            gene, unit = questions.column[here], questions.perturbation[here]
            table = compare(own, questions.label[here], gene, unit, seed=seed).table
            tables.append(table.assign(line=item.line, stratum=name))
    both = pd.concat(tables, ignore_index=True)
    both = both.rename(columns={"low": "auroc_low", "high": "auroc_high", "stratum": "readout genes"})
    both.loc[both["rule"] == "union", ["gain", "gain_low", "gain_high"]] = np.nan
    value = ["auroc", "auroc_low", "auroc_high", "gain", "gain_low", "gain_high"]
    return both[["line", "readout genes", "rule", "questions", "genes", *value]]


def dependent_genes(scores: pd.DataFrame, predictor: str, graph: KnowledgeGraph, seed: int = 0) -> pd.DataFrame:
    """The gain of a predictor over the training mean with genes drawn one by one, and with parts of a graph drawn.

    The parts are the connected components of `graph` among the test genes; a gene outside the graph is a part of its
    own. Intervals are percentile intervals of `DRAWS` draws; ``ratio`` is the standard error over parts divided by that
    over genes, both linearised for a mean with parts of unequal size. `scores` has the columns of `objections.scores`.

    One row per line: n, ``parts``, ``largest`` (genes in the largest part), ``gain`` and ``by parts`` (the same gain),
    each with its interval, and ``ratio``.
    """

    def share(total: NDArray, size: NDArray, axis: int) -> NDArray:
        return total.sum(axis=axis) / size.sum(axis=axis)

    rows = []
    for head, part in scores.groupby(HEAD, sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")
        gain = (wide[predictor] - wide[MEAN]).to_numpy()
        unit = components(graph, [str(p) for p in wide.index])
        total, size = np.bincount(unit, gain).astype(np.float64), np.bincount(unit).astype(np.float64)
        by_gene = stats.percentile_bootstrap([gain, np.ones_like(gain)], share, DRAWS, seed)
        by_part = stats.percentile_bootstrap([total, size], share, DRAWS, seed)
        errors = _standard_error(total, size), _standard_error(gain, np.ones_like(gain))
        mean = float(gain.mean())
        sizes = len(gain), len(size), int(size.max())
        rows.append((*head, *sizes, mean, *by_gene, mean, *by_part, errors[0] / errors[1]))
    value = ["gain", "gain_low", "gain_high", "by parts", "by parts_low", "by parts_high", "ratio"]
    return pd.DataFrame(rows, columns=[*HEAD, "n", "parts", "largest", *value])


def components(graph: KnowledgeGraph, genes: Sequence[str]) -> NDArray[np.intp]:
    """(n,) number of the connected component of each gene in the graph among `genes`; a gene outside it has its own."""
    place = pd.Index(graph.symbols).get_indexer(pd.Index(list(genes)))
    known = np.flatnonzero(place >= 0)
    unit = np.arange(len(place))
    if len(known):
        within = graph.adjacency[place[known]][:, place[known]]
        label = connected_components(within, directed=False)[1]
        unit[known] = len(place) + label
    return np.unique(unit, return_inverse=True)[1]


def signs_and_changes(atlas: Atlas, predictors: Sequence[Predictor], split: Split = "per-line") -> pd.DataFrame:
    """Pearson delta, AUROC for change and sign accuracy of predictors on every test perturbation.

    Columns: atlas, kind, line, predictor, perturbation, and the values

    - ``pearson`` : over the tested readout genes;
    - ``auroc`` : of ``|prediction|`` for whether a tested readout gene changes, within the perturbation; NaN where all
      or none do;
    - ``sign_accuracy`` : share of the changed readout genes whose prediction has the measured sign, a prediction of 0
      counting one half; NaN where none changes.
    """
    tables = []
    for line in atlas.lines.values():
        view, names = atlas.view(line.name, split), line.names("test")
        truth = line.scored[line.rows(names)]
        threshold = changed_threshold(view.target.scored)
        for predictor in predictors:
            delta = predictor.predict(view, names).delta
            values = {
                "pearson": pearson_delta(delta, truth),
                "auroc": change_auroc(delta, truth, threshold),
                "sign_accuracy": sign_accuracy(delta, truth, threshold),
            }
            head = {"atlas": atlas.name, "kind": atlas.kind, "line": line.name, "predictor": predictor.name}
            tables.append(pd.DataFrame({**head, "perturbation": names, **values}))
    return pd.concat(tables, ignore_index=True)


def change_auroc(delta: FloatArray, truth: FloatArray, threshold: float) -> NDArray[np.float64]:
    """(n,) AUROC of ``|delta|`` for ``|truth| >= threshold`` over the measured entries of each row of (n, m).

    NaN for a row in which all or none of them change.
    """
    row, column = np.nonzero(~np.isnan(truth))
    label = (np.abs(truth[row, column]) >= threshold).astype(np.int8)
    rows, areas = auroc_per_gene(np.abs(delta[row, column]), label, row)
    out = np.full(len(truth), np.nan)
    out[rows.astype(np.intp)] = areas
    return out


def sign_accuracy(delta: FloatArray, truth: FloatArray, threshold: float) -> NDArray[np.float64]:
    """(n,) share of the entries with ``|truth| >= threshold`` at which (n, m) `delta` has the sign of `truth`.

    A `delta` of 0 counts one half; NaN for a row without such an entry.
    """
    changed = np.abs(np.nan_to_num(truth)) >= threshold
    right = np.where(delta == 0, 0.5, np.sign(delta) == np.sign(truth))
    count = changed.sum(axis=1)
    total = np.where(changed, right, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(truth), np.nan), where=count > 0)


def paired(table: pd.DataFrame, values: Sequence[str] = VALUES, reference: str = MEAN, seed: int = 0) -> pd.DataFrame:
    """Mean of each value and its gain over the reference on the same perturbations, one row per line and predictor.

    Columns: atlas, kind, line, ``score``, predictor, n (perturbations with the score), ``mean`` and ``gain`` with their
    intervals; the reference gains nothing and has NaN.
    """
    rows = []
    for head, part in table.groupby(HEAD, sort=False):
        for value in values:
            wide = part.pivot(index="perturbation", columns="predictor", values=value).dropna()
            for predictor in part["predictor"].unique():
                own = predictor == reference
                gain = (np.nan,) * 3 if own else stats.bootstrap_mean(wide[predictor] - wide[reference], seed=seed)
                rows.append(
                    (*head, value, predictor, len(wide), *stats.bootstrap_mean(wide[predictor], seed=seed), *gain)
                )
    columns = ["score", "predictor", "n", "mean", "mean_low", "mean_high", "gain", "gain_low", "gain_high"]
    return pd.DataFrame(rows, columns=[*HEAD, *columns])


def _standard_error(total: NDArray[np.float64], size: NDArray[np.float64]) -> float:
    """Linearised standard error of ``total.sum() / size.sum()`` when parts are drawn."""
    residual = total - size * total.sum() / size.sum()
    return float(np.sqrt(np.square(residual).sum()) / size.sum())
