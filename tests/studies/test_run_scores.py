"""Which recorded runs belong together, and their answers as scores, on a tiny simulation."""

import json

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.tasks import EditTasks
from kgpert_lib.rl.traces import ScoredAnswers
from kgpert_lib.studies import run_scores
from kgpert_lib.studies.run_scores import RANDOM, TITLES, UNEDITED, of_atlas, overview, run_groups
from tests.studies.recorded import answers, group, record, settings

NOTHING = json.dumps({"add": [], "remove": []})


def no_edit(*_):
    return NOTHING


def drops_first(tasks, line, gene):
    return json.dumps({"add": [], "remove": list(tasks.question(line, gene).neighbours[:1])})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with three runs of one training and one of another, whose name begins alike."""
    folder = tmp_path_factory.mktemp("runs")
    training = settings(folder)
    for seed, rule in ((10, no_edit), (2, drops_first)):
        stages = {"warm": answers(training, no_edit), "trained": answers(training, rule)}
        record(folder, f"tiny-s{seed}", training, stages, seed)
    record(folder, "tiny-three-s0", training, {"trained": answers(training, no_edit)})
    record(folder, "other-s0", training, {}, policy="smollm2")
    return folder


def test_runs_of_a_name_differ_in_their_seed_only_and_come_by_seed(world):
    tiny = group(world, "tiny")
    assert [run.name for run in tiny.runs] == ["tiny-s2", "tiny-s10"]
    assert tiny.stages == ("warm", "trained")
    assert [run.name for run in group(world, "tiny-s10").runs] == ["tiny-s10"]
    assert group(world, "tiny-three").stages == ("trained",)


def test_a_name_without_a_run_is_shown_as_not_recorded_and_on_no_atlas(world):
    groups = run_groups([str(world / "tiny"), str(world / "nothing"), str(world / "other")])
    table = overview(groups).set_index("runs")
    assert table.loc["nothing", "answers of"] == "not recorded"
    assert table.loc["other", "answers of"] == "no stage"
    assert table.loc["tiny", ["seeds", "steps", "minutes", "answers of"]].tolist() == [2, 8, 2.0, "warm start, trained"]
    atlas = groups[0].atlas
    assert [g.name for g in of_atlas(groups, atlas)] == [groups[0].name]


def test_two_trainings_of_one_policy_on_one_atlas_have_names_of_their_own(world):
    names = [g.policy for g in run_groups([str(world / name) for name in ("tiny", "tiny-three", "other")])]
    assert names == ["gene-edit model, tiny", "gene-edit model, tiny-three", "SmolLM2"]


def test_runs_of_one_name_with_other_policies_are_refused(world):
    training = settings(world / "again")
    record(world / "again", "mixed-s0", training, {})
    record(world / "again", "mixed-s1", training, {}, seed=1, policy="smollm2")
    with pytest.raises(InputError, match="mixed-s0 and mixed-s1 differ in policy"):
        group(world / "again", "mixed")


def test_scores_are_those_that_the_reward_gives_averaged_over_seeds(world):
    tiny = group(world, "tiny")
    table = run_scores.scores(tiny)
    wide = table.pivot(index=["line", "perturbation"], columns="predictor", values="pearson")
    judged = [run.answers("trained").table().set_index(["line", "gene"]) for run in tiny.runs]
    for place, row in wide.iterrows():
        reached = [float(own.loc[place, "unedited"] + own.loc[place, "gap"]) for own in judged]
        assert row[TITLES["trained"]] == pytest.approx(np.mean(reached), abs=1e-5)
        assert row[UNEDITED] == pytest.approx(float(judged[0].loc[place, "unedited"]), abs=1e-5)
        assert row[TITLES["warm"]] == pytest.approx(row[UNEDITED], abs=1e-9)
    tests = {name: line.names("test") for name, line in tiny.screen.lines.items()}
    assert {line: sorted(part["perturbation"].unique()) for line, part in table.groupby("line")} == {
        line: sorted(names) for line, names in tests.items()
    }


def test_random_edits_have_the_sizes_of_the_trained_ones(world):
    tiny = group(world, "tiny")
    sizes = run_scores.scores(tiny).groupby("predictor")["n_neighbours"].mean()
    assert sizes[RANDOM] == pytest.approx(sizes[TITLES["trained"]])
    assert sizes[RANDOM] < sizes[UNEDITED]
    assert RANDOM not in set(run_scores.scores(tiny, draws=0)["predictor"])


def test_further_answers_to_a_question_count_as_draws_and_missing_ones_leave_the_gene_out(world, tmp_path):
    training = settings(tmp_path)
    once = answers(training, no_edit)
    again = answers(training, drops_first)
    fewer = ScoredAnswers(once.settings, (*once.answers, *again.answers[1:]))
    record(tmp_path, "twice", training, {"trained": fewer})
    twice = group(tmp_path, "twice")
    assert len(twice.draws("trained")) == 2
    left = again.answers[0]
    assert left.gene not in twice.genes(["trained"])[left.line]
    assert len(EditTasks.of(once.settings)) - 1 == sum(map(len, twice.genes(["trained"]).values()))


def test_tables_of_nothing_are_empty():
    assert run_scores.each([], run_scores.scores).empty
    assert run_scores.each([run_scores.each([], run_scores.scores)], run_scores.scores).empty
