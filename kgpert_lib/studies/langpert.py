"""Studies of the language-model chapter: what models proposed, how it scores, and beside which controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import pandas as pd

from kgpert_lib.evaluation import summaries
from kgpert_lib.evaluation.evaluate import evaluate
from kgpert_lib.llm.answers import html
from kgpert_lib.llm.controls import Among, FirstOffered, Inside, Joined, PrefixRule, RandomSets
from kgpert_lib.llm.proposals import Proposal, Told
from kgpert_lib.llm.record import Record
from kgpert_lib.llm.setting import TASKS, Setting
from kgpert_lib.predictors.baselines import TrainingMean
from kgpert_lib.predictors.predictions import Predictor

PUBLISHED = {"Gemini 2.5 Pro": 0.5, "Claude Sonnet 4": 0.3}
"""Share of LangPert's genes inside the paper's union of four graphs, about, as published (appendix C)."""

KINDS = {
    "duplicate": "named before",
    "unknown": "no human gene",
    "example": "no human gene",
    "target": "the gene asked about",
    "not measured": "not a training gene",
    "present": "a neighbour already",
    "absent": "no neighbour",
}


Read = Mapping[tuple[str, str], Told]
"""What was read of the record: by task and model."""


def read(setting: Setting, models: Sequence[str], record: Record, tasks: Sequence[str] = TASKS) -> Read:
    """What every model proposed for the test genes of the setting: a `Told` by task and model; nothing is asked."""
    found = {}
    for task, model in product(tasks, models):
        predictor = setting.predictor(task, model, record)
        by_gene = {
            (line.name, p.gene): p
            for line in setting.atlas.lines.values()
            for p in predictor.proposals(setting.atlas.view(line.name), line.names("test"))
        }
        found[task, model] = Told(predictor.name, model, predictor.prior, by_gene)
    return found


def counts(told: Read) -> pd.DataFrame:
    """How answers turned out: a row a line, task and model.

    Columns: ``asked``, ``missing`` (no recorded answer), ``unreadable``, ``cut off`` (a list without its end),
    ``proposed`` and ``used`` (proposals that count) in all, ``genes each`` (used, a gene), and ``nothing left``
    (answered genes whose set is empty, so that the training mean stands in).
    """
    rows = []
    for key, items in _by_line(told).items():
        answered = [p for p in items if p.answered]
        used = sum(len(p.added) + len(p.removed) for p in answered)
        proposed = used + sum(len(p.dropped) for p in answered)
        row = (
            *(len(items), len(items) - len(answered), sum(not p.readable for p in answered)),
            *(sum(p.readable and not p.complete for p in answered), proposed, used),
            *(used / len(answered) if answered else float("nan"), sum(p.fallback for p in answered)),
        )
        rows.append((*key, *row))
    heads = ["asked", "missing", "unreadable", "cut off", "proposed", "used", "genes each", "nothing left"]
    return pd.DataFrame(rows, columns=["line", "task", "model", *heads])


def fates(told: Read) -> pd.DataFrame:
    """Share of all proposals by what became of them: columns line, task, model, fate, n, share.

    Fates: ``used``, and the reasons of `KINDS`.
    """
    rows = []
    for key, items in _by_line(told).items():
        names = ["used"] * sum(len(p.added) + len(p.removed) for p in items)
        names += [KINDS[d.kind] for p in items for d in p.dropped]
        every = ("used", *dict.fromkeys(KINDS.values()))
        rows += [(*key, fate, names.count(fate), names.count(fate) / max(1, len(names))) for fate in every]
    return pd.DataFrame(rows, columns=["line", "task", "model", "fate", "n", "share"])


def inside_graphs(setting: Setting, told: Read) -> pd.DataFrame:
    """Share of LangPert's genes that some graph joins to the gene asked about, uncut, and of the genes offered.

    Columns: atlas, kind, line, who, n (genes), share, published. The first row of a line is what a blind choice
    among the offered genes would reach; the published shares close it (another line-up of graphs and genes).
    """
    joined, rows = Joined(setting.graphs), []
    for line in setting.atlas.lines:
        mine = {
            model: items for (name, task, model), items in _by_line(told).items() if (name, task) == (line, "langpert")
        }
        offered = next(iter(mine.values()), [])
        sets = {"genes offered": [(p.gene, p.offered) for p in offered]}
        sets |= {model: [(p.gene, p.added) for p in items] for model, items in mine.items()}
        for who, chosen in sets.items():
            hits = [joined.has(gene, other) for gene, others in chosen for other in others]
            rows.append((line, who, len(hits), sum(hits) / len(hits) if hits else float("nan"), False))
        rows += [(line, who, 0, share, True) for who, share in PUBLISHED.items()]
    table = pd.DataFrame(rows, columns=["line", "who", "n", "share", "published"])
    return table.assign(atlas=setting.atlas.name, kind=setting.atlas.kind)


def langpert_scores(setting: Setting, told: Read, draws: int = 10) -> pd.DataFrame:
    """Scores of LangPert beside the graphs and its controls; columns of `evaluation.evaluate`.

    Random controls are the mean of the scores of `draws` draws. A gene without a recorded answer has no row
    for that model nor for the controls that copy it.
    """
    prior = setting.union.prior
    parts = [_evaluated(setting, [TrainingMean(), setting.union, PrefixRule(prior)])]
    for (task, _), of in told.items():
        if task == "langpert":
            beside: list[Predictor] = [of, Inside(of, setting.graphs), FirstOffered(of)]
            parts.append(_answered(of, pd.concat([_evaluated(setting, beside), _random(setting, of, draws, "random")])))
    return _in_order(parts)


def edit_scores(setting: Setting, told: Read, draws: int = 10) -> pd.DataFrame:
    """Scores of edited neighbourhoods beside the graphs' own, those with every gene of the same name prefix, and
    random edits of the same size; rows as in `langpert_scores`."""
    prior = setting.union.prior
    parts = [_evaluated(setting, [TrainingMean(), setting.union, PrefixRule(prior, setting.union)])]
    for (task, _), of in told.items():
        if task == "edits":
            parts.append(
                _answered(of, pd.concat([_evaluated(setting, [of]), _random(setting, of, draws, "KG + random")]))
            )
    return _in_order(parts)


def quotations(items: Sequence[Proposal], most: int = 6) -> str:
    """Some answers word for word as an HTML table, model text escaped: gene, answer, what counts of it."""
    rows = "".join(
        f"<tr><td>{html(p.gene)}</td><td><code>{html(' '.join(p.text.split()))}</code></td>"
        f"<td>{html(', '.join((*p.added, *(f'without {gene}' for gene in p.removed))) or 'nothing')}</td></tr>"
        for p in [p for p in items if p.answered][:most]
    )
    return f"<table><thead><tr><th>gene</th><th>answer</th><th>counts</th></tr></thead><tbody>{rows}</tbody></table>"


def _evaluated(setting: Setting, predictors: Sequence[Predictor]) -> pd.DataFrame:
    return pd.concat([evaluate(setting.atlas, line, predictors) for line in setting.atlas.lines], ignore_index=True)


def _random(setting: Setting, of: Told, draws: int, title: str) -> pd.DataFrame:
    """Mean scores of random sets over seeds, drawn from what was offered and from all training genes."""
    places: tuple[Among, ...] = ("offered", "training")
    drawn = pd.concat(
        [_evaluated(setting, [RandomSets(of, among, seed, title)]) for among in places for seed in range(draws)]
    )
    grouped = drawn.groupby([*summaries.HEAD, "perturbation"], sort=False)
    numbers = grouped[list(drawn.select_dtypes("number").columns)].mean()
    return numbers.join(grouped[list(drawn.select_dtypes(bool).columns)].all()).reset_index()


def _answered(of: Told, scores: pd.DataFrame) -> pd.DataFrame:
    """Only the rows of genes whose answer is in the record."""
    pairs = zip(scores["line"], scores["perturbation"], strict=True)
    return scores[[of.by_gene[pair].answered for pair in pairs]]


def _in_order(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """One table, line by line, predictors in order of appearance."""
    table = pd.concat(parts, ignore_index=True)
    lines = {line: k for k, line in enumerate(dict.fromkeys(table["line"]))}
    return table.sort_values("line", key=lambda s: s.map(lines), kind="stable").reset_index(drop=True)


def _by_line(told: Read) -> dict[tuple[str, str, str], list[Proposal]]:
    """Proposals by line, task and model."""
    found: dict[tuple[str, str, str], list[Proposal]] = {}
    for (task, model), one in told.items():
        for (line, _), proposal in one.by_gene.items():
            found.setdefault((line, task, model), []).append(proposal)
    return found
