"""Table 2: training on four lines against training on three, against no training (paper, section 6.2).

The paper compares 1,500 steps over four lines with 750 over three, which are fewer questions a line; here the
three-line run is read at two moments, after as many steps and after as many questions of each line.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kgpert_lib.metrics import stats
from kgpert_lib.studies import run_scores
from kgpert_lib.studies.graph_neighbours import HEAD
from kgpert_lib.studies.published import with_error
from kgpert_lib.studies.run_scores import MATCHED, TITLES, TRAINED, UNEDITED, WARM, RunGroup

FOUR, EQUAL_STEPS, EQUAL_QUESTIONS = "four lines", "three lines, equal steps", "three lines, equal questions a line"
THREE = {EQUAL_STEPS: TRAINED, EQUAL_QUESTIONS: MATCHED}
"""The moments of the three-line run, by their names in print."""
WARM_FOUR, WARM_THREE = "warm start, four lines", "warm start, three lines"
WARM_OF = {FOUR: WARM_FOUR, EQUAL_STEPS: WARM_THREE, EQUAL_QUESTIONS: WARM_THREE}
COLUMNS = [*HEAD, "predictor", "perturbation", "pearson", "n_neighbours", "asked"]


def left_out(four: RunGroup, three: RunGroup) -> list[str]:
    """The lines that the second training does not ask about and the first does."""
    asked = [set(group.runs[0].config.settings.lines) or set(group.screen.lines) for group in (four, three)]
    return sorted(asked[0] - asked[1])


def scores(four: RunGroup, three: RunGroup) -> pd.DataFrame:
    """Pearson delta on the test genes that both trainings were asked about, means over seeds.

    Predictors: the unedited union, the warm start of either training, `FOUR`, and the moments of `THREE`; what a
    training has no answers of is left out. Columns as in `objections.scores`, and ``asked``: whether the three-line
    training asked about the line. No row where one of the trainings is not recorded.
    """
    if TRAINED not in four.stages or TRAINED not in three.stages:
        return pd.DataFrame(columns=COLUMNS)
    names = {UNEDITED: UNEDITED, TITLES[WARM]: WARM_FOUR, TITLES[TRAINED]: FOUR}
    names_three = {TITLES[WARM]: WARM_THREE} | {TITLES[stage]: name for name, stage in THREE.items()}
    parts = []
    for group, own in ((four, names), (three, names_three)):
        table = run_scores.scores(group, (WARM, MATCHED, TRAINED), draws=0)
        table = table[table["predictor"].isin(own)]
        parts.append(table.assign(predictor=table["predictor"].map(own)))
    both = pd.concat(parts, ignore_index=True)
    places = [set(zip(part["line"], part["perturbation"], strict=True)) for part in parts]
    common = places[0] & places[1]
    both = both[[place in common for place in zip(both["line"], both["perturbation"], strict=True)]]
    order = {line: k for k, line in enumerate(dict.fromkeys(both["line"]))}
    both = both.sort_values("line", key=lambda lines: lines.map(order), kind="stable", ignore_index=True)
    return both.assign(asked=~both["line"].isin(left_out(four, three)))[COLUMNS]


def table(evaluated: pd.DataFrame) -> pd.DataFrame:
    """Table 2: mean Pearson delta with its standard error, one row per training and moment, one column per line.

    Columns: atlas, kind, training, and the lines; the last row holds n.
    """
    rows = []
    lines = list(dict.fromkeys(evaluated["line"]))
    for (atlas, kind), part in evaluated.groupby(["atlas", "kind"], sort=False):
        head = {"atlas": atlas, "kind": kind}
        for name in _in_order(part):
            own = part[part["predictor"] == name].groupby("line")["pearson"]
            cells = {str(line): with_error(float(x.mean()), stats.standard_error(x)) for line, x in own}
            rows.append({**head, "training": name, **cells})
        counts = {str(line): str(x.nunique()) for line, x in part.groupby("line")["perturbation"]}
        rows.append({**head, "training": "test genes", **counts})
    return pd.DataFrame(rows, columns=["atlas", "kind", "training", *lines])


def over_base(evaluated: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What every training gains over the unedited union and over its own warm start.

    Columns: atlas, kind, line, asked, training, ``compared with``, n, ``gain`` with its 95 % bootstrap interval, p, and
    p_holm over all rows.
    """
    pairs = [(training, base) for training, warm in WARM_OF.items() for base in (UNEDITED, warm)]
    return _tests(evaluated, pairs, seed)


def four_against_three(evaluated: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What training on four lines gains over training on three, at both moments; columns as in `over_base`."""
    return _tests(evaluated, [(FOUR, moment) for moment in THREE], seed)


def amounts(four: RunGroup, three: RunGroup) -> pd.DataFrame:
    """How much each training had asked at the moment it is read: one row per training and moment.

    Columns: training, steps, questions, and ``questions a line``, questions over the lines that were asked about; of
    the first run of each. A stage whose step a run does not record is taken to be at its end. No row where one of the
    trainings is not recorded.
    """
    rows: list[tuple[str, int, int, float]] = []
    if not (four.runs and three.runs):
        return pd.DataFrame(rows, columns=["training", "steps", "questions", "questions a line"])
    moments = [(FOUR, four, TRAINED), *((name, three, stage) for name, stage in THREE.items())]
    for name, group, stage in moments:
        if stage in group.stages:
            config, steps = group.runs[0].config, group.runs[0].steps()
            own = steps[steps["step"] == config.answered.get(stage, steps["step"].max())].iloc[-1]
            lines = len(config.settings.lines) or len(group.screen.lines)
            rows.append((name, int(own["step"]), int(own["questions"]), own["questions"] / lines))
    return pd.DataFrame(rows, columns=["training", "steps", "questions", "questions a line"])


def _in_order(evaluated: pd.DataFrame) -> list[str]:
    order = (UNEDITED, WARM_FOUR, WARM_THREE, EQUAL_QUESTIONS, EQUAL_STEPS, FOUR)
    return [name for name in order if name in set(evaluated["predictor"])]


def _tests(evaluated: pd.DataFrame, pairs: Sequence[tuple[str, str]], seed: int) -> pd.DataFrame:
    """Paired tests of predictors in each line, one Holm family."""
    rows = []
    for (*head, asked), part in evaluated.groupby([*HEAD, "asked"], sort=False):
        wide = part.pivot(index="perturbation", columns="predictor", values="pearson")
        for own, other in pairs:
            if own not in wide or other not in wide:
                continue
            difference = (wide[own] - wide[other]).to_numpy(np.float64)
            gain = stats.bootstrap_mean(difference, seed=seed)
            rows.append((*head, asked, own, other, len(difference), *gain, stats.signed_rank(difference)[1]))
    ends = ["gain", "gain_low", "gain_high", "p"]
    result = pd.DataFrame(rows, columns=[*HEAD, "asked", "training", "compared with", "n", *ends])
    return result.assign(p_holm=stats.holm(result["p"]))
