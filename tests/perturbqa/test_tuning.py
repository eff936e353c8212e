"""Settings of votes: ladders are climbed to their top, on training rows alone."""

from collections import Counter
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.metrics.auroc import mean_auroc
from kgpert_lib.perturbqa import tuning
from kgpert_lib.perturbqa.tasks import Task
from kgpert_lib.perturbqa.voting import RULES, Voter
from kgpert_lib.types import Split
from tests.perturbqa.world import affinity, screen, with_deltas

ladders = st.lists(st.floats(0, 1000), min_size=1, max_size=15, unique=True).map(sorted)
EVERY = [(task, split, lines) for task in get_args(Task) for split in get_args(Split) for lines in (1, 2, 4)]


def climbed(ladder, start, height):
    """The scores of a climb, and how often each value was scored."""
    calls = Counter()

    def score(value):
        calls[value] += 1
        return np.array([height[value], height[value]])

    return tuning.climb(ladder, start, score), calls


@given(ladders, st.data())
def test_a_climb_reaches_the_top_of_any_ladder_with_one_peak(ladder, data):
    top, start = data.draw(st.integers(0, len(ladder) - 1)), data.draw(st.sampled_from(ladder))
    height = {value: -abs(place - top) for place, value in enumerate(ladder)}
    scores, _ = climbed(ladder, start, height)
    assert max(scores, key=lambda value: scores[value].mean()) == ladder[top]


@given(ladders, st.data())
def test_a_climb_ends_with_both_neighbours_of_the_best_value_tried_and_scores_nothing_twice(ladder, data):
    start = data.draw(st.sampled_from(ladder))
    height = {value: data.draw(st.integers(0, 3)) for value in ladder}
    scores, calls = climbed(ladder, start, height)
    assert start in scores
    assert set(calls.values()) == {1}
    place = ladder.index(max(scores, key=lambda value: scores[value].mean()))
    assert set(ladder[max(place - 1, 0) : place + 2]) <= set(scores)
    tried = [value in scores for value in ladder]
    assert "".join("x" if t else " " for t in tried).strip() == "x" * sum(tried), "no value is passed over"


@pytest.mark.parametrize(("task", "split", "lines"), EVERY)
def test_every_ladder_rises_and_holds_the_value_that_it_is_climbed_from(task, split, lines):
    plan = tuning.stages(task, split, lines)
    settings = [stage.setting for stage in plan]
    assert len(set(settings)) == len(settings), "each setting is chosen once"
    for stage in plan:
        assert stage.rule in RULES
        assert list(stage.ladder) == sorted(set(stage.ladder))
        assert getattr(tuning.START, stage.setting) in stage.ladder
    own = split == "strict"
    assert ("power" in settings) == ("rank" in settings) == ("smoothing" in settings) == own
    assert ("signed" in settings) == (own and task == "dir")
    assert ("other" in settings) == ("joint" in settings) == (lines > 1)
    assert ("same" in settings) == (lines > 1 and split == "per-line")


def test_choices_come_from_training_rows_and_are_the_same_again():
    atlas, known = screen(n=120, m=60, tests=30), affinity(120)

    def corrupt(line):
        hidden = np.isin(line.perturbations, [*atlas["k562"].names("test"), *atlas["rpe1"].names("test")])
        return np.where(hidden[:, None], 0.0, line.delta)

    values = []
    for source in (atlas, with_deltas(atlas, corrupt)):
        views = [tuning.tuning_view(source, line, "strict") for line in source.lines]
        folds = [fold for view in views for fold in tuning.make_folds(view, known, k=2)]
        values.append(tuning.choose(folds, "de", "strict", 2, tuning.START))
    assert values[0] == values[1]
    assert set(values[0][0].scales) == set(RULES)


def test_per_line_starts_where_strict_ended(monkeypatch):
    starts = []

    def choose(folds, task, split, lines, start, report):
        starts.append((split, task, start.rank))
        return replace(start, rank=start.rank + (1 if task == "de" else 2)), []

    monkeypatch.setattr(tuning, "choose", choose)
    choices = tuning.run(screen(n=120, m=60, tests=30), affinity(120))["choices"]
    rank = tuning.START.rank
    assert starts == [
        *(("strict", task, rank) for task in ("de", "dir")),
        *(("per-line", "de", rank + 1), ("per-line", "dir", rank + 2)),
    ]
    assert [choices[f"{split}/dir"]["rank"] for split in ("strict", "per-line")] == [rank + 2, rank + 4]


def test_every_candidate_is_listed_with_how_far_it_lies_behind():
    atlas, known = screen(n=120, m=60, tests=30), affinity(120)
    folds = list(tuning.make_folds(atlas.view("k562", "strict"), known, k=3))
    choices, table = tuning.choose(folds, "dir", "strict", 2, tuning.START)
    for number, (rule, setting, ladder) in enumerate(tuning.stages("dir", "strict", 2)):
        tried = [row for row in table if row["stage"] == number]
        best = next(row for row in tried if row[setting] == getattr(choices, setting))
        assert best["behind"] == 0
        assert best["auroc"] == max(row["auroc"] for row in tried)
        assert all(row["rule"] == rule for row in tried)
        assert all(row["behind"] == pytest.approx(best["auroc"] - row["auroc"], abs=1.1e-4) for row in tried)
        place = list(ladder).index(best[setting])
        assert set(ladder[max(place - 1, 0) : place + 2]) <= {row[setting] for row in tried}
    questions = [(f.data, f.questions["dir"]) for f in folds]
    again = [mean_auroc(Voter(g, "dir", choices).answer("mixed", q), q.label, q.column) for g, q in questions]
    assert np.mean(again) == pytest.approx(best["auroc"], abs=1e-3)


def test_committed_choices_are_read_and_a_missing_file_is_named(tmp_path):
    assert set(tuning.load("strict", "dir").scales) == set(RULES)
    with pytest.raises(InputError, match="choices\\.json is missing; make it with"):
        tuning.load("strict", "de", tmp_path / "choices.json")
