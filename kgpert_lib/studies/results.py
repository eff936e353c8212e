"""Table 1: trained edits against every baseline, line by line (paper, section 6), from recorded runs.

Scores of runs with several seeds are means over seeds for each test gene; standard errors, intervals and tests are over
test genes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.ceiling import reproducibility
from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.evaluation.replicates import Measured
from kgpert_lib.evaluation.trust import Trust
from kgpert_lib.llm.named import MODEL
from kgpert_lib.llm.proposals import RecordedSets
from kgpert_lib.llm.question_data import question_data
from kgpert_lib.llm.record import read_only_record
from kgpert_lib.metrics import stats
from kgpert_lib.predictors.named import build
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.rl.runs import BASE, TRAINED
from kgpert_lib.screens.atlas import label
from kgpert_lib.screens.load import load_screen
from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies import knowledge, langpert
from kgpert_lib.studies.graph_neighbours import HEAD
from kgpert_lib.studies.published import with_error
from kgpert_lib.studies.run_scores import POLICIES, RunGroup, unedited
from kgpert_lib.types import Split

VALUES = ("pearson", "centred_pearson", "retrieval", "pds_cosine", "direction_reach")
CEILING, AGAIN, KG, MEAN, LINEAR, WEIGHTED = (
    *("ceiling (halves of the cells)", "second experiment"),
    *("KG (union)", "training mean", "linear", "weighted"),
)
SPLIT: Split = "strict"
ASKED = 100  # test genes of a line that the recorded answers of an untrained model are about
LEVEL = 0.05


def scores(groups: Sequence[RunGroup], asked_with: str | None = None, seed: int = 0) -> pd.DataFrame:
    """Scores of Table 1's predictors on the test genes of the first group, whose atlas all groups share.

    Rows in order: the ceiling (`reproducibility` under ``sqrt``, Pearson delta only) and a second experiment, each
    where the line has one; the trained edits of every group; the same model before any training, from the stage
    ``base`` of its run, else from the committed answers of SmolLM2 about `ASKED` test genes, which were asked over the
    graphs `asked_with` (None: the screen's own); the unedited union; the rule that training perturbations choose among
    all (`knowledge.best_rule`), ``weighted``, the linear baseline and the training mean.

    Columns as in `evaluate.evaluate`; a score that a row does not have is NaN. InputError without a group.
    """
    if not groups:
        raise InputError("No run with trained answers is named for this atlas; name one, or leave the atlas out.")
    first = groups[0]
    screen, genes = first.screen, first.genes([TRAINED])
    best = knowledge.best_rule(screen, split=SPLIT)
    untrained = None if any(BASE in group.stages for group in groups) else _committed(screen, asked_with, seed)
    tables = []
    for line, names in genes.items():
        tables += list(_repeats(screen, line, names))
        for group in groups:
            tables += list(_model(group, line))
        if untrained is not None and (answered := [p.gene for p in untrained.in_line(line) if p.answered]):
            model = NeighbourPredictor(untrained, label=untrained_label(POLICIES[MODEL]))
            tables.append(evaluate(screen.atlas, line, [model], SPLIT, perturbations=answered))
        predictors: dict[str, Predictor] = {KG: NeighbourPredictor(unedited(first, TRAINED)[0])}
        predictors |= {best_label(best): build(best, screen)}
        predictors |= {name: build(name, screen) for name in (WEIGHTED, LINEAR, "mean") if name != best}
        for row, predictor in predictors.items():
            table = evaluate(screen.atlas, line, [predictor], SPLIT, perturbations=names)
            tables.append(table.assign(predictor=MEAN if row == "mean" else row))
    return pd.concat(tables, ignore_index=True)


def best_label(rule: str) -> str:
    """The best fixed rule as a row of the table."""
    return f"best fixed rule: {rule}"


def table(evaluated: pd.DataFrame, values: Sequence[str] = VALUES) -> pd.DataFrame:
    """Means with standard errors in brackets, one row per line and predictor, in order of appearance.

    Columns: atlas, kind, line, predictor, n (test genes) and the scores as text; a score that fewer genes have says
    how many. A score that no row has is left out.
    """
    there = [value for value in values if evaluated[value].notna().any()]
    rows = []
    for head, part in evaluated.groupby([*HEAD, "predictor"], sort=False):
        cells = [_cell(part[value].dropna(), len(part)) for value in there]
        rows.append((*head, len(part), *cells))
    return pd.DataFrame(rows, columns=[*HEAD, "predictor", "n", *there])


def pairwise(evaluated: pd.DataFrame) -> pd.DataFrame:
    """Two-sided Wilcoxon signed-rank tests of all pairs of predictors on Pearson delta, Holm-corrected in each line.

    Columns: atlas, kind, line, ``first`` (the earlier row) and ``second``, n (test genes that both have),
    ``difference`` (mean of first minus second), p, p_holm. Pairs without a common test gene are left out.
    """
    tables = []
    for head, part in evaluated.groupby(HEAD, sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")
        rows = []
        for first, second in combinations(dict.fromkeys(part["predictor"]), 2):
            difference = (wide[first] - wide[second]).dropna()
            if len(difference):
                p = stats.signed_rank(difference)[1]
                rows.append((*head, first, second, len(difference), difference.mean(), p))
        table = pd.DataFrame(rows, columns=[*HEAD, "first", "second", "n", "difference", "p"])
        tables.append(table.assign(p_holm=stats.holm(table["p"])))
    return pd.concat(tables, ignore_index=True)


def against(evaluated: pd.DataFrame, pairs: pd.DataFrame, predictor: str, seed: int = 0) -> pd.DataFrame:
    """The tests of `pairwise` that one predictor is in, in the order of `scores`.

    Columns: atlas, kind, line, ``compared with``, n, ``gain`` (the predictor minus the other) with its 95 % bootstrap
    interval, p, p_holm (over all pairs of the line).
    """
    rows = []
    for head, part in evaluated.groupby(HEAD, sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")
        own = pairs[(pairs["line"] == head[2]) & ((pairs["first"] == predictor) | (pairs["second"] == predictor))]
        for item in own.itertuples():
            other = item.second if item.first == predictor else item.first
            gain = stats.bootstrap_mean(wide[predictor] - wide[other], seed=seed)
            rows.append((*head, other, item.n, *gain, item.p, item.p_holm))
    return pd.DataFrame(rows, columns=[*HEAD, "compared with", "n", "gain", "gain_low", "gain_high", "p", "p_holm"])


def as_published(evaluated: pd.DataFrame, predictors: Mapping[str, str]) -> pd.DataFrame:
    """Our means in the form of `published.quoted`, for `published.beside`; `predictors` maps rows to names in print."""
    rows = []
    for (atlas, kind, line, predictor), part in evaluated.groupby([*HEAD, "predictor"], sort=False):
        if predictor in predictors:
            source = label(str(atlas), str(kind))
            for metric in ("pearson", "retrieval"):
                value, error = part[metric].mean(), stats.standard_error(part[metric])
                rows.append((predictors[str(predictor)], metric, line, value, error, source))
    return pd.DataFrame(rows, columns=["method", "metric", "line", "value", "standard_error", "source"])


def expected(group: RunGroup, evaluated: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """Expected Pearson delta of every test gene, and what the trained edits reached.

    The expectation is learnt on training perturbations for the unedited union (`trust.Trust`), because no edit of a
    training perturbation is recorded. Columns: those of `Trust.against`, line, split, atlas, kind.
    """
    screen, parts = group.screen, []
    own = evaluated[evaluated["predictor"] == trained_label(group)]
    limit = group.tasks(TRAINED).settings.limit
    union = NeighbourPredictor(GraphNeighbourhood(screen.graphs, limit))
    for line, part in own.groupby("line", sort=False):
        trust = Trust.fit(screen.view(str(line), SPLIT), union, seed=seed)
        known = trust.against(part.set_index("perturbation")["pearson"])
        parts.append(known.assign(line=line, split=SPLIT, atlas=screen.name, kind=screen.kind))
    return pd.concat(parts, ignore_index=True)


def trained_label(group: RunGroup) -> str:
    """The trained edits of a group as a row of the table."""
    return f"{group.policy}, trained + KG"


def untrained_label(policy: str) -> str:
    """A model before any training as a row of the table."""
    return f"{policy}, untrained + KG"


def _cell(values: pd.Series, n: int) -> str:
    text = with_error(float(values.mean()), stats.standard_error(values)) if len(values) else ""
    return text if len(values) in (0, n) else f"{text}, n = {len(values)}"


def _repeats(screen: Screen, line: str, names: Sequence[str]) -> Iterator[pd.DataFrame]:
    """The rows of the ceiling and of a second experiment; none for a line that has neither."""
    tops = reproducibility(screen, line).set_index("perturbation")["ceiling"].reindex(list(names))
    if tops.notna().any():
        head = {"atlas": screen.name, "kind": screen.kind, "line": line, "split": SPLIT, "predictor": CEILING}
        yield pd.DataFrame({**head, "perturbation": list(names), "pearson": tops.to_numpy()})
    second = screen.second(line)
    if second is not None:
        again = Measured(AGAIN, screen[line].perturbations, screen[line].aligned(second))
        yield evaluate(screen.atlas, line, [again], SPLIT, perturbations=names)


def _model(group: RunGroup, line: str) -> Iterator[pd.DataFrame]:
    """The rows of a trained model, and of the same before any training where they are recorded."""
    for stage, row in ((TRAINED, trained_label(group)), (BASE, untrained_label(group.policy))):
        if stage in group.stages:
            names = group.genes([stage])[line]
            tables = [
                evaluate(group.screen.atlas, line, [NeighbourPredictor(sets, label=row)], SPLIT, perturbations=names)
                for sets in group.draws(stage)
            ]
            yield summaries.mean_of_draws(pd.concat(tables, ignore_index=True))


def _committed(screen: Screen, asked_with: str | None, seed: int) -> RecordedSets:
    """SmolLM2's committed answers, also those that are missing, about `ASKED` test genes of every line."""
    asked = screen if asked_with is None else load_screen(screen.name, list(screen.lines), asked_with)
    data = question_data(asked, ASKED, seed=seed)
    return langpert.read(data, [MODEL], read_only_record(), ["edits"])["edits", MODEL]
