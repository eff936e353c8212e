"""Studies of the language-model chapter: what models proposed, how it scores, and beside which controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from itertools import product

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.llm.answers import html
from kgpert_lib.llm.controls import FirstOffered, InsideGraphs, NamePrefix, Pool, RandomSets, union_edges
from kgpert_lib.llm.proposals import Proposal, RecordedSets
from kgpert_lib.llm.question_data import TASKS, QuestionData
from kgpert_lib.llm.record import Record
from kgpert_lib.metrics import stats
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.neighbours import NeighbourhoodSource, NeighbourPredictor
from kgpert_lib.predictors.predictions import Predictor

PUBLISHED = {"Gemini 2.5 Pro": 0.5, "Claude Sonnet 4": 0.3}
"""Share of LangPert's genes inside the paper's union of four graphs, about, as published (appendix C)."""

DRAWS = 10_000
KINDS = {
    "duplicate": "named before",
    "unknown": "no human gene",
    "example": "no human gene",
    "target": "the gene asked about",
    "not measured": "not a training gene",
    "present": "a neighbour already",
    "absent": "no neighbour",
}


RecordedByTask = Mapping[tuple[str, str], RecordedSets]
"""What was read of the record: by task and model."""


def read(
    data: QuestionData, models: Sequence[str], record: Record, tasks: Sequence[str] = TASKS
) -> dict[tuple[str, str], RecordedSets]:
    """What every model proposed for the test genes of `data`, by task and model; nothing is asked."""
    recorded = {}
    for task, model in product(tasks, models):
        sets = data.sets(task, model, record)
        by_gene = {
            (line, p.gene): p
            for line, genes in data.genes.items()
            for p in sets.proposals(data.screen.view(line), genes)
        }
        recorded[task, model] = RecordedSets(sets.name, model, by_gene)
    return recorded


def counts(recorded: RecordedByTask) -> pd.DataFrame:
    """How answers turned out: one row per line, task and model.

    Columns: ``asked``, ``missing`` (no recorded answer), ``unreadable``, ``cut off`` (a list without its end),
    ``proposed`` and ``used`` (proposals that count) in all, ``genes each`` (used, a gene), and ``nothing left``
    (answered genes whose set is empty, so that the training mean stands in).
    """
    rows = []
    for key, items in _by_line(recorded).items():
        answered = [p for p in items if p.answered]
        used = sum(len(p.added) + len(p.removed) for p in answered)
        proposed = used + sum(len(p.dropped) for p in answered)
        row = (
            *(len(items), len(items) - len(answered), sum(not p.readable for p in answered)),
            *(sum(p.readable and not p.complete for p in answered), proposed, used),
            *(used / len(answered) if answered else float("nan"), sum(not p.size for p in answered)),
        )
        rows.append((*key, *row))
    heads = ["asked", "missing", "unreadable", "cut off", "proposed", "used", "genes each", "nothing left"]
    return _line_by_line(pd.DataFrame(rows, columns=["line", "task", "model", *heads]))


def fates(recorded: RecordedByTask) -> pd.DataFrame:
    """Share of all proposals by what became of them: columns line, task, model, fate, n, share.

    Fates: ``used``, and the reasons of `KINDS`.
    """
    rows = []
    for key, items in _by_line(recorded).items():
        names = ["used"] * sum(len(p.added) + len(p.removed) for p in items)
        names += [KINDS[d.kind] for p in items for d in p.dropped]
        every = ("used", *dict.fromkeys(KINDS.values()))
        rows += [(*key, fate, names.count(fate), names.count(fate) / max(1, len(names))) for fate in every]
    return pd.DataFrame(rows, columns=["line", "task", "model", "fate", "n", "share"])


def inside_graphs(data: QuestionData, recorded: RecordedByTask) -> pd.DataFrame:
    """Share of LangPert's genes that some graph joins to the gene asked about, uncut, and of the genes offered.

    Columns: atlas, kind, line, who, n (genes), share, published. The first row of a line is what a blind choice
    among the offered genes would reach; the published shares close it (another line-up of graphs and genes).
    """
    rows: list[tuple[str, str, int, float, bool]] = []
    counted = _inside(data, recorded)
    for line in data.genes:
        sets = {model: hits for (name, model), hits in counted.items() if name == line}
        parts = [("genes offered", hits[:, :2]) for hits in [*sets.values()][:1]]
        for who, hits in [*parts, *((model, hits[:, 2:]) for model, hits in sets.items())]:
            inside, n = hits.sum(axis=0)
            rows.append((line, who, int(n), inside / n if n else float("nan"), False))
        rows += [(line, who, 0, share, True) for who, share in PUBLISHED.items()]
    table = pd.DataFrame(rows, columns=["line", "who", "n", "share", "published"])
    return table.assign(atlas=data.screen.name, kind=data.screen.kind)


def inside_against_offered(data: QuestionData, recorded: RecordedByTask, seed: int = 0) -> pd.DataFrame:
    """Do a model's genes lie inside the graphs as often as the genes that it was offered?

    One row per line and model: atlas, kind, line, model, n (genes asked about), ``inside`` and ``offered`` (shares as
    in `inside_graphs`), and ``difference`` with its 95 % percentile bootstrap interval over the genes asked about.
    """
    rows = []
    for (line, model), hits in _inside(data, recorded).items():
        low, high = stats.percentile_bootstrap([hits.T], _inside_shares, DRAWS, seed)
        rows.append((line, model, len(hits), *_inside_shares(hits.T), low[2], high[2]))
    names = ["line", "model", "n", "inside", "offered", "difference", "difference_low", "difference_high"]
    return pd.DataFrame(rows, columns=names).assign(atlas=data.screen.name, kind=data.screen.kind)


def langpert_scores(
    data: QuestionData, recorded: RecordedByTask, prior: float | None = None, draws: int = 10
) -> pd.DataFrame:
    """Scores of LangPert beside the graphs and its controls; columns of `evaluation.evaluate`.

    Random controls are the mean of the scores of `draws` draws. A gene without a recorded answer has no row
    for that model nor for the controls that copy it. `prior` is the strength of the training mean.
    """
    parts = [_evaluated(data, [data.union, NamePrefix()], prior, TrainingMean())]
    for (task, _), sets in recorded.items():
        if task == "langpert":
            alone = _evaluated(data, [sets, InsideGraphs(sets, data.screen.graphs), FirstOffered(sets)], prior)
            parts.append(_answered(sets, pd.concat([alone, _random(data, sets, prior, draws, "random")])))
    return _in_order(parts)


def edit_scores(
    data: QuestionData, recorded: RecordedByTask, prior: float | None = None, draws: int = 10
) -> pd.DataFrame:
    """Scores of edited neighbourhoods beside the graphs' own, those with every gene of the same name prefix, and
    random edits of the same size; rows as in `langpert_scores`."""
    parts = [_evaluated(data, [data.union, NamePrefix(data.union)], prior, TrainingMean())]
    for (task, _), sets in recorded.items():
        if task == "edits":
            alone = _evaluated(data, [sets], prior)
            parts.append(_answered(sets, pd.concat([alone, _random(data, sets, prior, draws, "KG + random")])))
    return _in_order(parts)


def prompt(data: QuestionData, task: str, model: str, record: Record, line: str, place: int) -> str:
    """The question about the test gene at `place` of a line, as HTML that wraps long lines."""
    gene = data.genes[line][place]
    question = data.sets(task, model, record).questions(data.screen.view(line), [gene])[0]
    text = escape(question.prompt.messages[1]["content"])
    return f'<pre style="white-space: pre-wrap; overflow-wrap: anywhere">{text}</pre>'


def quotations(items: Sequence[Proposal], most: int = 6, caption: str = "") -> str:
    """Some answers word for word as an HTML table, model text escaped: gene, answer, what counts of it."""
    rows = "".join(
        f"<tr><td>{html(p.gene)}</td><td><code>{html(' '.join(p.text.split()))}</code></td>"
        f"<td>{html(', '.join((*p.added, *(f'without {gene}' for gene in p.removed))) or 'nothing')}</td></tr>"
        for p in [p for p in items if p.answered][:most]
    )
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    heads = "<thead><tr><th>gene</th><th>answer</th><th>counts</th></tr></thead>"
    return f'<table class="dataframe scores">{title}{heads}<tbody>{rows}</tbody></table>'


def _evaluated(
    data: QuestionData, sources: Sequence[NeighbourhoodSource], prior: float | None, *first: Predictor
) -> pd.DataFrame:
    predictors = [*first, *(NeighbourPredictor(source, prior) for source in sources)]
    return pd.concat(
        [evaluate(data.screen.atlas, line, predictors, perturbations=genes) for line, genes in data.genes.items()],
        ignore_index=True,
    )


def _random(data: QuestionData, sets: RecordedSets, prior: float | None, draws: int, title: str) -> pd.DataFrame:
    """Mean scores of random sets over seeds, drawn from what was offered and from all training genes."""
    pools: tuple[Pool, ...] = ("offered", "training")
    scores = pd.concat(
        [_evaluated(data, [RandomSets(sets, pool, seed, title)], prior) for pool in pools for seed in range(draws)]
    )
    return summaries.mean_of_draws(scores)


def _answered(sets: RecordedSets, scores: pd.DataFrame) -> pd.DataFrame:
    """Only the rows of genes whose answer is in the record."""
    pairs = zip(scores["line"], scores["perturbation"], strict=True)
    return scores[[sets.by_gene[pair].answered for pair in pairs]]


def _in_order(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table, line by line, predictors in order of appearance."""
    return _line_by_line(pd.concat(parts, ignore_index=True))


def _line_by_line(table: pd.DataFrame) -> pd.DataFrame:
    """The rows sorted by line, lines and the rows of a line in order of appearance."""
    return table.sort_values(
        "line", key=lambda s: pd.Series(pd.factorize(s)[0], s.index), kind="stable", ignore_index=True
    )


def _inside(data: QuestionData, recorded: RecordedByTask) -> dict[tuple[str, str], NDArray[np.float64]]:
    """By line and model, (n, 4) counts for each gene asked about: offered genes inside the graphs, offered, used
    genes inside the graphs, used."""
    counted = {}
    for (line, task, model), items in _by_line(recorded).items():
        if task == "langpert" and line in data.genes:
            rows = []
            for p in items:
                edges = union_edges(data.screen.graphs, p.gene)
                rows.append([n for genes in (p.offered, p.added) for n in (sum(g in edges for g in genes), len(genes))])
            counted[line, model] = np.array(rows, np.float64)
    return counted


def _inside_shares(hits: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Share of the used genes inside the graphs, of the offered ones, and the difference; NaN without any gene.

    `hits` (4, ..., n) as the columns of `_inside`.
    """
    offered_inside, offered, used_inside, used = hits.sum(axis=axis)
    with np.errstate(invalid="ignore"):
        shares = used_inside / used, offered_inside / offered
    return np.stack([*shares, shares[0] - shares[1]])


def _by_line(recorded: RecordedByTask) -> dict[tuple[str, str, str], list[Proposal]]:
    """Proposals by line, task and model."""
    proposals: dict[tuple[str, str, str], list[Proposal]] = {}
    for (task, model), sets in recorded.items():
        for (line, _), proposal in sets.by_gene.items():
            proposals.setdefault((line, task, model), []).append(proposal)
    return proposals
