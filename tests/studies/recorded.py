"""Small recorded runs on a tiny simulation, with answers that a rule gives to the test questions."""

from pathlib import Path

from kgpert_lib.rl.runs import RunConfig, save
from kgpert_lib.rl.tasks import EditTasks, Settings
from kgpert_lib.rl.traces import ScoredAnswer, ScoredAnswers
from kgpert_lib.screens.screen import Screen
from kgpert_lib.screens.simulated import simulation
from kgpert_lib.studies.run_scores import run_groups

LINES = ("k562", "rpe1")


def settings(folder):
    """Settings of training questions on a tiny simulation that is written below `folder`."""
    written = simulation.write(folder / "tiny", size="tiny", lines=list(LINES))
    return Settings(atlas=str(written / "atlas"), lines=LINES, evaluated_lines=LINES, prompt="brief", room=900)


def drawn_screen(lines=LINES):
    """The same simulation with its hierarchy, as `load_screen("simulated")` gives it."""
    drawn = simulation.simulate(0, "tiny", list(lines))
    return Screen(drawn.atlas, tuple(drawn.graphs), drawn, brings_graphs=True, _second=drawn.second_experiment)


def answers(training, text_of, lines=LINES):
    """An answer to every test question of some lines; `text_of` takes tasks, line and gene."""
    tasks = EditTasks.of(training.model_copy(update={"split": "test", "lines": tuple(lines)}))
    given = []
    for line, gene in tasks.stream:
        text = text_of(tasks, line, gene)
        given.append(ScoredAnswer(line, gene, text, dict(tasks.judge(line, gene, text).weighted), "toy", 5))
    return ScoredAnswers(tasks.settings, tuple(given))


def steps(count, questions=4, reward=lambda step: 0.25 + step / 100):
    """Rows of steps with a reward and a gap only."""
    return [{"step": k, "questions": k * questions, "reward": reward(k), "gap": 0.0} for k in range(1, count + 1)]


def record(folder, name, training, stages, seed=0, policy="gene", rows=None, answered=None):
    """Write a run; `stages` are answers by stage."""
    rows = steps(8) if rows is None else rows
    config = RunConfig(
        name=name,
        policy=policy,
        settings=training,
        evaluated=LINES,
        seed=seed,
        steps=max(1, len(rows)),
        questions=4,
        rollouts=8,
        learning_rate=1e-4,
        temperature=1.0,
        answered=answered or {},
        code="test",
        seconds=120.0,
    )
    return save(Path(folder) / name, config, rows, stages)


def group(folder, name):
    """The group of a name in a folder."""
    return run_groups([str(Path(folder) / name)])[0]
