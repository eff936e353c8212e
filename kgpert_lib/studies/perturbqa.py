"""What chapter 7 shows of the voting rules: tables over lines, splits and tasks, calibration, and where votes fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import or_
from typing import NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import binomtest

from kgpert_lib import paths
from kgpert_lib.evaluation.trust import Trust
from kgpert_lib.graphs.ranking import strongest_first
from kgpert_lib.lines import LINES
from kgpert_lib.metrics import deltas, stats
from kgpert_lib.metrics.auroc import auroc, calibration
from kgpert_lib.perturbqa import tuning
from kgpert_lib.perturbqa.evaluate import RuleScores, evaluate_rules, published
from kgpert_lib.perturbqa.tasks import Task, ask_all
from kgpert_lib.perturbqa.trust import expected_and_reached, measured_answer_of
from kgpert_lib.perturbqa.voting import RULES, Rule, Voter
from kgpert_lib.predictors.neighbours import GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.screen import Screen
from kgpert_lib.types import Split

TASKS = {"de": "differential expression", "dir": "direction"}
BINS = (0, 1, 6, 21)
FEWEST_GENES = 20  # readout genes, below which a mean AUROC is left blank
STRONGEST = 10  # neighbours that the worked question looks at
DRAWS = 2_000
MEAN = "mean"  # in place of a line: the mean over all lines
HIDDEN = "per-line settings, gene hidden everywhere"
ENDS = ("", "_low", "_high")
SETTINGS = {
    "power": "power of the affinity",
    "prior": "prior strength",
    "base_prior": "prior of base rates",
    "signed": "unchanged pairs vote one half",
    "pull": "power of the affinity",
    "pull_prior": "prior strength",
    "gene_affinity": "graph neighbours of readout genes",
    "rank": "rank",
    "ridge": "ridge penalty",
    "profile_power": "power of profile similarity",
    "smoothing": "weight of similar readout genes",
    "other": "weight of other lines",
    "same": "weight of the same gene there",
    "joint": "all lines completed together",
    "mix": "weight of completion",
    "level": "weight of the overall share",
}
"""The fields of `voting.Choices` in words."""


def score_rules(
    screen: Screen,
    splits: Sequence[Split],
    seed: int = 0,
    rules: Sequence[Rule] = RULES,
    tasks: Sequence[Task] = get_args(Task),
) -> list[RuleScores]:
    """The rules for every line, split and task."""
    return [
        scores
        for line in screen.lines
        for split in splits
        for scores in evaluate_rules(screen.atlas, line, split, screen.affinity, rules, tasks, seed=seed)
    ]


def sampling(atlas: Atlas) -> pd.DataFrame:
    """How the benchmark drew its questions, one row per line, over perturbations of every split.

    Most positives and range of negatives of one perturbation (of those with a change), perturbations without any
    change, and the share of negatives about readout genes that no perturbation of the line changes.
    """
    rows = []
    for line in atlas.lines.values():
        positive, negative = (np.abs(line.delta) == 1), (line.delta == 0)
        ups, downs = positive.sum(axis=1), negative.sum(axis=1)
        changed = ups > 0
        silent = ~positive.any(axis=0)
        share = float(negative[:, silent].sum() / negative.sum())
        low, high = int(downs[changed].min()), int(downs[changed].max())
        rows.append((line.name, len(ups), int(ups.max()), f"{low} to {high}", int((~changed).sum()), share))
    head = ["line", "perturbations", "most positives", "negatives", "without a change", "negatives never positive"]
    return pd.DataFrame(rows, columns=head)


def rule_table(scores: Sequence[RuleScores], split: Split) -> pd.DataFrame:
    """One row per line, task and rule of one split: AUROC and gain over the plain union, each with its interval.

    ``p_holm`` is corrected within each line and task.
    """
    head = ["line", "task", "split", "rule", "genes", "questions", "auroc", "auroc_low", "auroc_high"]
    parts = []
    for item in scores:
        if item.split == split:
            names = {"low": "auroc_low", "high": "auroc_high"}
            table = item.table.assign(line=item.line, task=item.task, split=item.split).rename(columns=names)
            parts.append(table.assign(p_holm=_holm(table["p"])))
    return pd.concat(parts, ignore_index=True)[[*head, "gain", "gain_low", "gain_high", "p_holm"]]


def steps(scores: Sequence[RuleScores], split: Split) -> pd.DataFrame:
    """What each way of sharing adds to the rule before it, one row per line, task and step, with its interval."""
    parts = []
    for item in scores:
        if item.split == split:
            order = list(item.table["rule"])
            table = item.table[item.table["rule"].isin(["affinity", "smoothed", "lines"])]
            names = [f"{order[order.index(rule) - 1]} to {rule}" for rule in table["rule"]]
            parts.append(
                table[["step", "step_low", "step_high"]].assign(line=item.line, task=item.task, split=split, to=names)
            )
    table = pd.concat(parts, ignore_index=True).rename(columns={"to": "from and to"})
    return table[["line", "task", "split", "from and to", "step", "step_low", "step_high"]]


def splits_compared(scores: Sequence[RuleScores]) -> pd.DataFrame:
    """What the votes of other lines add to ``smoothed`` under both splits, one row per line, task and split."""
    both = pd.concat([steps(scores, "per-line"), steps(scores, "strict")], ignore_index=True)
    table = both[both["from and to"] == "smoothed to lines"].drop(columns="from and to")
    place = table.groupby(["line", "task"], sort=False).ngroup()
    return table.iloc[np.argsort(place, kind="stable")].reset_index(drop=True)


def settings(split: Split) -> pd.DataFrame:
    """The settings that cross-validation on training perturbations prefers, one row per task and stage.

    ``behind`` is how far the next best candidate lies behind in mean AUROC, ``error`` the standard error of that
    difference over folds.
    """
    rows = []
    for task in get_args(Task):
        table, choices = tuning.candidates(split, task), tuning.load(split, task)
        for _, stage in table.groupby("stage"):
            names = [c for c in stage.columns if c not in tuning.FIGURES and stage[c].notna().all()]
            is_best = np.all([stage[c] == getattr(choices, c) for c in names], axis=0)
            best, others = stage[is_best].iloc[0], stage[~is_best]
            text = ", ".join(f"{SETTINGS[name]}: {_setting(best[name])}" for name in names)
            second = others.sort_values("behind").iloc[0]
            rows.append((task, best["rule"], text, len(stage), best["auroc"], second["behind"], second["error"]))
    return pd.DataFrame(rows, columns=["task", "rule", "settings", "candidates", "auroc", "behind", "error"])


def with_own_knock_down_hidden(screen: Screen, seed: int = 0) -> list[RuleScores]:
    """The mixture with the settings of ``per-line``, the test genes hidden in every line as under ``strict``.

    What it scores below ``per-line`` is what the same gene's knock-down in another line is worth.
    """
    choices = {task: tuning.load("per-line", task) for task in get_args(Task)}
    return [
        scores
        for line in screen.lines
        for scores in evaluate_rules(
            screen.atlas, line, "strict", screen.affinity, ["mixed"], choices=choices, seed=seed
        )
    ]


def own_knock_down(scores: Sequence[RuleScores], hidden: Sequence[RuleScores]) -> pd.DataFrame:
    """How much of the mixture's lead under ``per-line`` is the same gene's knock-down in another line.

    One row per task, line and condition (``per-line``, its settings with the gene hidden in every line, ``strict``),
    the last line being `MEAN`: mean AUROC, and ``below``, how far that lies below ``per-line`` on the same questions,
    with paired intervals over perturbations. `hidden` is `with_own_knock_down_hidden`.
    """
    conditions = {
        "per-line": _of_rule(scores, "per-line", "mixed"),
        HIDDEN: _of_rule(hidden, "strict", "mixed"),
        "strict": _of_rule(scores, "strict", "mixed"),
    }
    rows = []
    for task in TASKS:
        for line in [line for line, of in conditions["per-line"] if of == task]:
            first = conditions["per-line"][line, task]
            for name, drawn in conditions.items():
                own = drawn[line, task]
                figures = _with_ends("auroc", own.interval)
                if name != "per-line":
                    figures |= _with_ends("below", first.less(own).interval)
                rows.append({"task": task, "line": line, "condition": name, **figures})
    return pd.DataFrame(rows)


def beside_published(scores: Sequence[RuleScores], hidden: Sequence[RuleScores], task: Task) -> pd.DataFrame:
    """Published mean AUROCs of a task and ours, one row per method, one column per line and `MEAN`.

    NaN: nothing published. Published figures were measured on the benchmark's own split; ours are the plain union and
    the mixture on that split (``per-line``), the mixture with its settings and the gene's own knock-down hidden in the
    other lines (`with_own_knock_down_hidden`), and both rules under ``strict``. The intervals of ours are in columns
    ``_low`` and ``_high``.
    """
    ours = {
        "union (per-line)": _of_rule(scores, "per-line", "union"),
        "mixed (per-line)": _of_rule(scores, "per-line", "mixed"),
        f"mixed ({HIDDEN})": _of_rule(hidden, "strict", "mixed"),
        "union (strict)": _of_rule(scores, "strict", "union"),
        "mixed (strict)": _of_rule(scores, "strict", "mixed"),
    }
    lines = [line for line, of in ours["mixed (per-line)"] if of == task]
    wanted = lines if set(LINES) < set(lines) else [line for line in lines if line != MEAN]  # published: over all four
    others = published()
    others = others[(others["task"] == task) & others["line"].isin(wanted)]
    rows = []
    for method, part in others.groupby("method", sort=False):
        by_line = dict(zip(part["line"], part["auroc"], strict=True))
        if MEAN in lines and set(lines) - set(by_line) == {MEAN}:
            by_line[MEAN] = float(part["auroc"].mean())
        rows.append({"method": method, **by_line})
    for method, drawn in ours.items():
        ends = [_with_ends(line, drawn[line, task].interval) for line in lines]
        rows.append({"method": method, **reduce(or_, ends)})
    return pd.DataFrame(rows)[["method", *(f"{line}{end}" for line in lines for end in ENDS)]]


def blind_test(scores: Sequence[RuleScores]) -> pd.DataFrame:
    """The blind test as it was recorded, and today's figures of the same rule on the same questions.

    One row per line, task and split of `recorded` that `scores` hold: status (``blind``, or ``seen while developing``
    for the lines whose scores had been looked at), questions, and the mean AUROC ``recorded`` and ``today`` with their
    intervals.
    """
    rows = []
    today = {(item.split, item.task, item.line): item.table.set_index("rule") for item in scores}
    for row in recorded().sort_values(["line", "task"], kind="stable").to_dict("records"):
        key = row["split"], row["task"], row["line"]
        if key in today:
            now = today[key].loc[row["rule"]]
            head = {name: row[name] for name in ("line", "task", "split", "status", "questions")}
            then = _with_ends("recorded", (row["auroc"], row["low"], row["high"]))
            rows.append(head | then | _with_ends("today", (now["auroc"], now["low"], now["high"])))
    return pd.DataFrame(rows)


def recorded() -> pd.DataFrame:
    """The figures of the blind test of 2026-11-23: one row per split, line and task (``data/votes/README.md``)."""
    return pd.read_csv(paths.DATA / "votes" / "blind-2026-11-23.csv")


def known_where_chosen(atlas: Atlas) -> pd.DataFrame:
    """How many test genes of the blind lines are knock-downs that the settings of the blind test were chosen on.

    One row per blind line of `recorded`: its test genes, and how many of them are training perturbations of a line
    that had been seen, under ``strict`` (without the genes that were test genes of any seen line) and ``per-line``.
    """
    status = recorded().drop_duplicates("line").set_index("line")["status"]
    seen = [atlas[str(line)] for line in status.index[status != "blind"]]
    train = {str(name) for line in seen for name in line.names("train")}
    tested = {str(name) for line in seen for name in line.names("test")}
    rows = []
    for line in status.index[status == "blind"]:
        genes = {str(name) for name in atlas[str(line)].names("test")}
        rows.append((str(line), len(genes), len(genes & train - tested), len(genes & train)))
    return pd.DataFrame(rows, columns=["line", "test genes", "strict", "per-line"])


def reliability(scores: Sequence[RuleScores], split: Split = "strict") -> pd.DataFrame:
    """The reliability table of the mixture: one row per line, task and bin of stated probability."""
    parts = []
    for item in scores:
        if item.split == split:
            table = calibration(item.probability["mixed"], item.questions.label).table
            parts.append(table.assign(line=item.line, task=item.task))
    return pd.concat(parts, ignore_index=True)


def calibrated(scores: Sequence[RuleScores], split: Split = "strict") -> pd.DataFrame:
    """Brier score and expected calibration error of every rule, one row per line, task and rule.

    The rule ``base rate`` states each readout gene's share of positives among training perturbations and reads no
    graph. ``positive`` is the share of positives among these questions, ``trained`` among the training perturbations'.
    """
    rows = []
    for item in scores:
        if item.split == split:
            positive = float(item.questions.label.mean())
            trained = float(np.nanmean(item.voter.data.answers(item.task, signed=False)))
            by_rule = {"base rate": item.voter.base[item.questions.column], **item.probability}
            for rule, probability in by_rule.items():
                result = calibration(probability, item.questions.label)
                size = len(item.questions)
                rows.append((item.line, item.task, rule, size, trained, positive, result.brier, result.error))
    head = ["line", "task", "rule", "questions", "trained", "positive", "brier", "error"]
    return pd.DataFrame(rows, columns=head)


def by_neighbours(scores: Sequence[RuleScores], screen: Screen) -> pd.DataFrame:
    """AUROC of the mixture among questions whose perturbation has few or many training neighbours (strict split).

    One row per line, task and bin of the number of neighbours in the union of the graphs: the mean AUROC with its
    interval (`metrics.auroc.auroc`). ``genes`` counts the readout genes with both answers in the bin; the mean is blank
    below `FEWEST_GENES` of them.
    """
    rows = []
    for item in scores:
        if item.split != "strict":
            continue
        questions, names = item.questions, [str(p) for p in item.questions.perturbations]
        near = GraphNeighbourhood(screen.affinity.graphs).neighbourhoods(item.voter.data.view, names)
        which = np.digitize(near.sizes, BINS[1:])[questions.row]
        for k in np.unique(which):
            here = which == k
            label, gene = questions.label[here], questions.column[here]
            genes = int(pd.Series(label).groupby(gene).nunique().eq(2).sum())
            score, row = item.probability["mixed"][here], questions.row[here]
            area = auroc(score, label, gene, row)[:3] if genes >= FEWEST_GENES else (np.nan,) * 3
            rows.append((item.line, item.task, _bin(int(k)), len(np.unique(row)), int(here.sum()), genes, *area))
    head = ["line", "task", "neighbours", "perturbations", "questions", "genes"]
    return pd.DataFrame(rows, columns=[*head, "auroc", "auroc_low", "auroc_high"])


def trusted(screen: Screen, predictor: NeighbourPredictor, seed: int = 0) -> pd.DataFrame:
    """Expected and reached Pearson delta of every test perturbation.

    Columns: those of `Trust.against`, line, split, atlas, kind.
    """
    parts = []
    for line in screen.lines.values():
        view, names = screen.view(line.name), line.names("test")
        reached = deltas.pearson_delta(predictor.predict(view, names).delta, line.scored[line.rows(names)])
        table = Trust.fit(view, predictor, seed=seed).against(pd.Series(reached, index=names))
        parts.append(table.assign(line=line.name, split=view.split, atlas=screen.name, kind=screen.kind))
    return pd.concat(parts, ignore_index=True)


def trusted_votes(
    scores: Sequence[RuleScores], rule: Rule = "mixed", split: Split = "strict", seed: int = 0
) -> pd.DataFrame:
    """Expected and reached probability of the measured answer, one row per line, task and test perturbation.

    Columns: those of `Trust.against`, line, split, task, and ``base_rate``: the mean that base rates alone reach in
    that line and task.
    """
    parts = []
    for item in scores:
        if item.split == split:
            base = measured_answer_of(item.voter.base[item.questions.column], item.questions).mean()
            table = expected_and_reached(item, rule, seed)
            parts.append(table.assign(line=item.line, split=split, task=item.task, base_rate=float(base)))
    return pd.concat(parts, ignore_index=True)


def covered(table: pd.DataFrame) -> pd.DataFrame:
    """Coverage of intervals, one row per line (and task, where the table has tasks).

    Share of test perturbations inside their interval (``covered``), its mean width, the correlation of expected and
    reached score and, for votes, the mean score reached and that of base rates alone. Share, correlation and mean
    score have intervals over perturbations.
    """
    by = ["line", "task"] if "task" in table else ["line"]
    rows = []
    for key, part in table.groupby(by, sort=False):
        expected, reached = part["expected"].to_numpy(), part["reached"].to_numpy()
        inside = (reached >= part["low"]) & (reached <= part["high"])
        drawn = stats.percentile_bootstrap([expected, reached], _correlations, DRAWS)
        row = dict(zip(by, key, strict=True)) | {"n": len(part)}
        row |= _with_ends("covered", stats.bootstrap_mean(inside))
        row |= {"width": float((part["high"] - part["low"]).mean())}
        row |= _with_ends("correlation", (np.corrcoef(expected, reached)[0, 1], *drawn))
        if "base_rate" in part:
            row |= _with_ends("reached", stats.bootstrap_mean(reached))
            row |= {"base_rate": float(part["base_rate"].iloc[0])}
        rows.append(row)
    return pd.DataFrame(rows)


def coverage(tables: Mapping[str, pd.DataFrame], level: float = 0.8) -> pd.DataFrame:
    """Coverage of every line and of all lines together, for tables of `trusted` or `trusted_votes` by name.

    One row per name, task, split and line, and one with the line "all": n test perturbations, the share inside their
    interval (``covered``) with its 95 % binomial interval (Wilson), and the probability ``p`` of a share at least so
    far from `level` if each interval held with that probability. "all" counts a gene once for each line.
    """
    rows = []
    for name, table in tables.items():
        tasks = table["task"] if "task" in table else pd.Series("", index=table.index)
        for (task, split), group in table.groupby([tasks, table["split"]], sort=False):
            for line, part in [*group.groupby("line", sort=False), ("all", group)]:
                inside = int(part["reached"].between(part["low"], part["high"]).sum())
                test = binomtest(inside, len(part), level)
                ends = test.proportion_ci(method="wilson")
                rows.append((name, task, split, line, len(part), inside / len(part), *ends, test.pvalue))
    head = ["score", "task", "split", "line", "n"]
    return pd.DataFrame(rows, columns=[*head, "covered", "covered_low", "covered_high", "p"])


def example_question(voter: Voter, atlas: Atlas) -> tuple[str, str]:
    """A perturbation and a readout gene, picked by a rule that looks at no prediction.

    Of the test questions with a measured change: the one that most of the perturbed gene's `STRONGEST` neighbours were
    asked about too, the first by name of equals.
    """
    line = voter.data.view.line
    questions = ask_all(atlas[line], "dir")
    training = voter.data.line()
    strongest = strongest_first(voter.weight(questions.perturbations), training.perturbations)[:, :STRONGEST]
    count = training.measured[strongest].sum(axis=1)[questions.row, questions.column]
    first = np.lexsort((questions.readout, questions.perturbation, -count))[0]
    return str(questions.perturbation[first]), str(questions.readout[first])


def _correlations(x: NDArray[np.float64], y: NDArray[np.float64], axis: int = -1) -> NDArray[np.float64]:
    """Pearson correlation of each row of x with that of y."""
    return deltas.pearson_delta(x, y)


class _Drawn(NamedTuple):
    """A mean AUROC and its (draws,) bootstrap samples."""

    mean: float
    samples: NDArray[np.float64]

    @property
    def interval(self) -> tuple[float, float, float]:
        return (self.mean, *stats.percentile_interval(self.samples))

    def less(self, other: _Drawn) -> _Drawn:
        return _Drawn(self.mean - other.mean, self.samples - other.samples)


def _of_rule(scores: Sequence[RuleScores], split: Split, rule: Rule) -> dict[tuple[str, str], _Drawn]:
    """A rule's AUROC by line and task under one split; where there are several lines also their `MEAN`.

    Lines are drawn independently: the samples of each are taken in an order of their own, the same for every rule.
    """
    drawn = {}
    for task in TASKS:
        items = {item.line: item for item in scores if item.split == split and item.task == task}
        for line, item in items.items():
            mean = float(item.table.set_index("rule")["auroc"][rule])
            drawn[line, task] = _Drawn(mean, item.samples[rule])
        if len(items) > 1:
            order = np.random.default_rng(0)
            samples = np.mean([order.permutation(drawn[line, task].samples) for line in items], axis=0)
            drawn[MEAN, task] = _Drawn(float(np.mean([drawn[line, task].mean for line in items])), samples)
    return drawn


def _with_ends(name: str, interval: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((f"{name}{end}" for end in ENDS), interval, strict=True))


def _holm(p: pd.Series) -> pd.Series:
    """Holm's correction of the p-values that there are; NaN stays."""
    from statsmodels.stats.multitest import multipletests

    corrected = p.copy()
    corrected[p.notna()] = multipletests(p.dropna(), method="holm")[1]
    return corrected


def _setting(value: float | bool) -> str:
    return ("no", "yes")[value] if isinstance(value, bool) else f"{value:g}"


def _bin(k: int) -> str:
    """The bin of `BINS` in words."""
    if not k:
        return "0"
    return f"{BINS[k]}+" if k == len(BINS) - 1 else f"{BINS[k]}-{BINS[k + 1] - 1}"
