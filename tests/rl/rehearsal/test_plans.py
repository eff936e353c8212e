"""Which runs a plan consists of, and what is said where they cannot be trained."""

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.rehearsal import plans
from kgpert_lib.rl.runs import RUNS, Run, RunConfig, runs


@pytest.fixture(autouse=True)
def packages(monkeypatch):
    """As if everything that trains were installed."""
    monkeypatch.setattr(plans, "NEEDED", ())
    monkeypatch.setattr(plans, "PACKAGES", ())


def test_a_run_for_each_seed_that_differs_in_nothing_else():
    zero, one = plans.plan(seeds=[0, 1, 1])
    assert [zero.name, one.name] == ["simulated-s0", "simulated-s1"]
    assert (zero.settings.seed, one.settings.seed) == (0, 1)
    fields = {"name": "x", "seed": 0, "settings": None}
    assert zero.model_copy(update=fields) == one.model_copy(update=fields)
    assert zero.settings.lines == ("k562", "rpe1", "hepg2", "jurkat")
    assert zero.settings.evaluated_lines == zero.evaluated == ("k562", "rpe1")
    assert zero.answered == {"warm": 0, "trained": zero.steps}


def test_three_lines_hide_the_test_genes_of_four_and_answer_after_as_many_questions_of_each():
    [run] = plans.plan("perturbqa", without="K562", seeds=[0], steps=40)
    assert run.name == "perturbqa-three-s0"
    assert run.settings.lines == ("rpe1", "hepg2", "jurkat")
    assert run.settings.evaluated_lines == run.evaluated == ("k562", "rpe1", "hepg2", "jurkat")
    assert run.answered == {"warm": 0, "matched": 30, "trained": 40}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"atlas": "perturbqa"}, "perturbqa-s2"),
        ({"lines": ["K562"]}, "simulated-s2"),
        ({"lines": ["k562", "rpe1"], "without": "rpe1"}, "simulated-three-s2"),
        ({"atlas": "replogle:split=rule:readouts=5000"}, "replogle-s2"),
        ({"atlas": "./my screens/set one", "without": "k562"}, "set-one-three-s2"),
        ({"policy": "smollm2"}, "smollm2-simulated-s2"),
    ],
)
def test_names(arguments, name):
    [run] = plans.plan(**arguments, seeds=[2])
    assert run.name == name


def test_the_language_model_answers_before_its_warm_start_too():
    [run] = plans.plan(policy="smollm2", seeds=[0])
    assert run.name == "smollm2-simulated"
    assert run.answered["base"] == run.answered["warm"] == 0
    assert run.model is not None


def test_a_line_that_cannot_be_left_out():
    with pytest.raises(InputError, match="jurkat cannot be left out of k562, rpe1; name one of several lines"):
        plans.plan("replogle", without="jurkat")


def test_a_recorded_run_again_is_the_same_run_by_the_code_that_is_here(tmp_path):
    [config] = plans.plan(seeds=[0])
    recorded = config.model_copy(update={"code": "old", "versions": {"torch": "1"}, "seconds": 5.0})
    new = plans.again(Run(tmp_path, recorded))
    assert new == config
    with pytest.raises(InputError, match="kgpert rl launch"):
        plans.again(Run(tmp_path, recorded.model_copy(update={"policy": "prime"})))


def test_what_is_not_installed_is_named(monkeypatch, kgpert):
    monkeypatch.setattr(plans, "NEEDED", ("json", "no_such_package"))
    for command in (["rehearse"], ["evaluate", "simulated-s0"]):
        code, out, err = kgpert("rl", *command)
        assert (code, out) == (2, "")
        assert err == (
            "kgpert: The rehearsal needs no_such_package, which is not installed; run 'make rehearse' in a clone, or "
            "pip install 'kgpert-lib[rehearsal]'.\n"
        )


@pytest.mark.parametrize("run", runs(), ids=lambda run: run.name)
def test_a_committed_run_is_named_after_what_it_is(run):
    config: RunConfig = run.config
    assert run.folder == RUNS / config.name
    if config.policy != "prime":
        assert config.name == plans.run_name(
            config.settings.atlas, config.settings.lines or config.evaluated, config.seed, config.policy
        )
