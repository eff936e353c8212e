"""A run of Prime-RL, read into the form of recorded runs."""

import json
import subprocess

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job.prime import find_checkout
from kgpert_lib.rl.job.record import METRICS, record, resolved
from kgpert_lib.rl.runs import STEP_COLUMNS, Run
from kgpert_lib.rl.tasks import Settings
from tests.rl import traces
from tests.rl.job import runs

LINES = ("k562", "rpe1")
TRAINED = Settings(atlas="simulated", lines=LINES, evaluated_lines=LINES, validation=0.05)
TESTS = [Settings(atlas="simulated", lines=(line,), evaluated_lines=LINES, split="test") for line in LINES]


@pytest.fixture
def run(tmp_path):
    """Three steps of a run, of which the second was done again, and an evaluation before them."""
    folder = tmp_path / "outputs" / "kgpert"
    runs.trained(folder, TRAINED)
    runs.write(folder, [runs.held_out_row(0, 0.5, -0.01), *runs.step_rows(1, 0.6, 0.01, 400)])
    runs.write(folder, [*runs.step_rows(2, 0.1, 0, 400), *runs.step_rows(2, 0.7, 0.02, 300)])
    runs.write(folder, runs.step_rows(3, 0.8, 0.03, 200))
    return folder


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    """What ``evals`` leaves: the answers of both sources in one file."""
    folder = tmp_path_factory.mktemp("evals")
    for settings in TESTS:
        traces.write(folder / "rollouts" / "step_0" / "eval" / "all", settings)
    return folder


def test_metrics_and_settings_are_those_of_the_run(run, tmp_path):
    record(run, tmp_path / "qwen3", {})
    recorded = Run.load(tmp_path / "qwen3")
    config = recorded.config
    assert (config.name, config.policy, config.model) == ("qwen3", "prime", "Qwen/Qwen3-4B-Instruct-2507")
    assert config.settings == TRAINED
    assert (config.steps, config.questions, config.rollouts, config.max_tokens) == (1500, 16, 8, 1024)
    assert (config.learning_rate, config.temperature, config.seconds) == (1e-6, 1.0, 90.0)
    assert (config.evaluated, recorded.stages) == (LINES, ())
    table = recorded.steps()
    assert table["step"].tolist() == [1, 2, 3]
    assert table["questions"].tolist() == [16, 32, 48]
    assert table["reward"].tolist() == [0.6, 0.7, 0.8]
    assert table["tokens"].tolist() == [400, 300, 200]
    constant = {"format": 1, "validity": 0.75, "added": 1.5, "removed": 2.5, "size": 17, "entropy": 0.2, "loss": 0.1}
    assert table[list(constant)].drop_duplicates().to_dict("records") == [constant]
    assert table.columns[table.isna().all()].tolist() == ["reward_std"]
    assert set(METRICS) == set(STEP_COLUMNS) - {"step", "questions", "reward_std"}


def test_answers_of_sources_that_differ_in_lines_are_one_stage_and_earn_what_they_earned(run, evaluated, tmp_path):
    recorded = record(run, tmp_path / "qwen3", {"trained": evaluated})
    answers = Run.load(tmp_path / "qwen3").answers("trained")
    assert answers.settings == TESTS[0].model_copy(update={"lines": LINES})
    assert [a.line for a in answers.answers] == ["k562"] * 3 + ["rpe1"] * 3
    assert answers.differences().tolist() == [0.0] * 6
    assert (recorded.stages, recorded.config.evaluated) == (("trained",), LINES)


def test_a_folder_of_one_evaluation_is_read_as_such(run, tmp_path):
    for step in (0, 100):
        traces.write(run / "rollouts" / f"step_{step}" / "eval" / "all", TESTS[1])
    with pytest.raises(InputError, match=r"holds 2 evaluations; .*step_0/eval/all, .*step_100/eval/all\)"):
        record(run, tmp_path / "all", {"base": run})
    traces.write(tmp_path / "vf-eval" / "kgpert--smol--null", TESTS[1])
    assert record(run, tmp_path / "vf", {"base": tmp_path / "vf-eval"}).stages == ("base",)
    chosen = {
        name: run / "rollouts" / f"step_{step}" / "eval" / "all" for name, step in (("base", 0), ("trained", 100))
    }
    assert record(run, tmp_path / "qwen3", chosen).stages == ("base", "trained")


def test_answers_to_other_questions_are_refused(run, tmp_path):
    other = traces.write(tmp_path / "other", TESTS[0].model_copy(update={"limit": 5}))
    with pytest.raises(InputError, match=r"other questions than those of the run \(limit\)"):
        record(run, tmp_path / "qwen3", {"trained": other})
    traces.write(other, TESTS[0])
    with pytest.raises(InputError, match="answers to questions of 2 settings"):
        record(run, tmp_path / "qwen3", {"trained": other})
    (other / "traces.jsonl").write_text("")
    with pytest.raises(InputError, match="holds no scored answer"):
        record(run, tmp_path / "qwen3", {"trained": other})
    assert not (tmp_path / "qwen3").exists()


def test_under_slurm_one_file_says_all(run):
    before, folder = resolved(run), run / "configs"
    parts = {path.stem: json.loads(path.read_text()) for path in folder.iterdir()}
    for path in folder.iterdir():
        path.unlink()
    (folder / "rl.json").write_text(json.dumps(parts))
    assert resolved(run) == before


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda run: (run / "configs" / "trainer.json").unlink(), r"holds no resolved trainer\.json"),
        (lambda run: (run / "configs" / "trainer.json").write_text("{"), "cannot be read as JSON"),
        (lambda run: (run / "configs" / "trainer.json").write_text("{}"), "learning_rate"),
        (lambda run: (run / "metrics.jsonl").unlink(), r"holds no reward of a step.*monitors\.file"),
    ],
)
def test_what_is_missing_or_damaged_is_named(run, tmp_path, change, problem):
    change(run)
    with pytest.raises(InputError, match=problem):
        record(run, tmp_path / "qwen3", {})
    assert not (tmp_path / "qwen3").exists()


@pytest.mark.parametrize(
    ("orchestrator", "problem"),
    [
        ({"batch_size": None, "token_batch_size": 10_000}, "counts its batches in tokens"),
        ({"train": {"source": []}}, "trains on 0 sources of the taskset kgpert"),
    ],
)
def test_a_run_of_another_kind_is_refused(tmp_path, orchestrator, problem):
    runs.trained(tmp_path / "run", TRAINED, **orchestrator)
    runs.write(tmp_path / "run", runs.step_rows(1, 0.6, 0, 400))
    with pytest.raises(InputError, match=problem):
        record(tmp_path / "run", tmp_path / "qwen3", {})


# Resolves a job as `rl` does, and prints it as it writes it into ``configs``.
RESOLVE = """
import json, sys
from prime_rl.configs.rl import RLConfig
from prime_rl.utils.config import dump_resolved_config

config = RLConfig.model_validate(json.load(sys.stdin))
json.dump({name: dump_resolved_config(getattr(config, name)) for name in ("orchestrator", "trainer")}, sys.stdout)
"""


@pytest.mark.needs_prime_rl
def test_what_prime_rl_resolves_is_read(prime_rl, tmp_path):
    config = job.read(job.job_files(["three_lines", "h100x4"]))
    python = find_checkout(prime_rl).python
    done = subprocess.run([python, "-c", RESOLVE], input=json.dumps(config), capture_output=True, text=True, check=True)
    runs.write(tmp_path / "run", runs.step_rows(1, 0.6, 0, 400))
    (tmp_path / "run" / "configs").mkdir()
    for name, part in json.loads(done.stdout).items():
        (tmp_path / "run" / "configs" / f"{name}.json").write_text(json.dumps(part))
    recorded = record(tmp_path / "run", tmp_path / "three", {}).config
    assert recorded.settings.lines == ("rpe1", "hepg2", "jurkat")
    assert recorded.settings == job.task_settings(job.sources(config, "train")[0])
    assert (recorded.steps, recorded.questions, recorded.rollouts) == (750, 16, 8)
    assert (recorded.learning_rate, recorded.temperature, recorded.max_tokens) == (1e-6, 1.0, 1024)
