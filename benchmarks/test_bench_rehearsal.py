import pytest
from threadpoolctl import threadpool_limits
from transformers import set_seed

from benchmarks.ratios import check, ratio
from kgpert_lib.rl.rehearsal import grpo, plans
from kgpert_lib.rl.rehearsal.quiet import quiet
from kgpert_lib.rl.rehearsal.run import new_policy
from kgpert_lib.rl.runs import RunWriter
from kgpert_lib.rl.tasks import EditTasks

STEPS = 2


@pytest.fixture(autouse=True)
def one_core():
    with threadpool_limits(1), quiet():
        yield


def test_a_step_against_the_same_loop_with_a_constant_reward(tmp_path):
    [config] = plans.plan(seeds=[0], steps=STEPS)
    config = config.model_copy(update={"learning_rate": 1e-12})  # so that both loops write the same answers throughout
    tasks = EditTasks.of(config.settings)
    rewarded, constant = (grpo.trainer(new_policy(config), config, tasks, tmp_path / name, 1_000) for name in "ab")
    constant.reward_funcs = [lambda completions, **_: [0.0] * len(completions)]
    writer = RunWriter(tmp_path / "run", config)
    rewarded.add_callback(grpo._Recorder(rewarded.verdicts, config, writer, lambda step: None))

    def train(trainer):
        set_seed(0)
        trainer.train()

    def train_and_record():
        writer.resume(0)
        train(rewarded)

    value = ratio(train_and_record, lambda: train(constant), repeats=3)
    check("a step of the rehearsal / a step of the same loop with a constant reward", value, at_most=1.1)
    check("seconds a step of the rehearsal, one core", writer.run.steps()["seconds"].median())
