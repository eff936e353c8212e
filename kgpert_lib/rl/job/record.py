"""A run of Prime-RL read into the form of recorded runs: its resolved files, its metrics, and scored answers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from kgpert_lib.errors import InputError
from kgpert_lib.rl import runs
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job.config import Config, get
from kgpert_lib.rl.job.watch import FILE, Progress
from kgpert_lib.rl.tasks import Settings
from kgpert_lib.rl.traces import TRACES, ScoredAnswers, read_traces

# Column of the record -> the key that Prime-RL's file monitor writes. Parts are the taskset's metrics, not weighted.
METRICS = {
    "reward": "train/agg/all/{agent}/reward/mean",
    **{
        name: f"train/agg/all/{{agent}}/metrics/{name}/mean"
        for name in ("format", "validity", "pearson", "gap", "added", "removed", "size")
    },
    "tokens": "train/agg/all/num_output_tokens/mean",
    "entropy": "entropy/all/mean",
    "loss": "loss/mean",
    "grad_norm": "optim/grad_norm",
    "learning_rate": "optim/lr",
    "seconds": "time/step",
}
_SAME = ("atlas", "graphs", "limit", "prompt", "room")  # of questions in training and of those that were answered


def record(run: Path, output: Path, answers: Mapping[str, Path]) -> runs.Run:
    """Read a run of Prime-RL and write it as a recorded run into the folder `output`, whose name it gets.

    Parameters
    ----------
    run : folder of the run, with the resolved files in ``configs`` and ``metrics.jsonl``.
    output : a new or empty folder.
    answers : for each stage the folder of one evaluation, as Verifiers' ``vf-eval`` or Prime-RL's ``evals`` leave it,
        or one with a ``traces.jsonl``, such as ``rollouts/step_1500/eval/all`` of the run.

    Returns
    -------
    Run whose steps lack what Prime-RL does not write (the deviation inside a group).

    Raises
    ------
    InputError
        Where a file is missing or damaged, the answers are of other questions than those of the training, or the
        output cannot be written.
    """
    config = resolved(run)
    source = _source(config, run)
    settings = _settings(source)
    scored = {stage: stage_answers(folder) for stage, folder in answers.items()}
    for stage, given in scored.items():
        _compare(settings, given.settings, answers[stage])
    group = job.group_size(config, source)
    questions = _batch(config, run) // group
    rows = _rows(run, questions)
    lines = dict.fromkeys(a.line for given in scored.values() for a in given.answers)
    seconds = [row["seconds"] for row in rows if row.get("seconds", math.nan) > 0]
    try:
        run_config = runs.RunConfig(
            name=output.absolute().name,
            policy="prime",
            model=get(config, "trainer.model.name"),
            settings=settings,
            evaluated=tuple(lines) or settings.evaluated_lines,
            seed=settings.seed,
            steps=get(config, "orchestrator.max_steps") or len(rows),
            questions=questions,
            rollouts=group,
            learning_rate=get(config, "trainer.optim.lr"),
            temperature=_sampling(config, source, "temperature"),
            max_tokens=_sampling(config, source, "max_completion_tokens"),
            code=runs.code_version(),
            seconds=sum(seconds) if len(seconds) == len(rows) else None,
        )
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise InputError(f"{run} cannot be recorded in {output} ({where}: {first['msg'].lower()}).") from None
    return runs.save(output, run_config, rows, scored)


def resolved(run: Path) -> Config:
    """The resolved files of a run (``configs``): trainer and orchestrator, under SLURM also in one ``rl.json``.

    InputError where they are missing or damaged.
    """
    folder = run / "configs"
    files = {path.stem: path for path in sorted(folder.glob("*.json"))}
    config = job.read_json(files["rl"]) if "rl" in files else {}
    parts: Config = {name: job.read_json(files[name]) for name in ("orchestrator", "trainer") if name in files}
    config = job.overlaid(config, parts)
    for name in ("orchestrator", "trainer"):
        if not isinstance(config.get(name), Mapping):
            raise InputError(f"{folder} holds no resolved {name}.json; name the folder of a run of Prime-RL.")
    return config


def stage_answers(folder: Path) -> ScoredAnswers:
    """The scored answers of an evaluation, its sources together.

    InputError where there are none or several evaluations, and where sources differ in more than their lines.
    """
    groups = read_traces(_traces(folder))
    if not groups:
        raise InputError(f"{folder} holds no scored answer; name the folder of an evaluation that came to its end.")
    lines = tuple(dict.fromkeys(line for group in groups for line in group.settings.lines))
    lines = () if any(not group.settings.lines for group in groups) else lines
    merged = [group.settings.model_copy(update={"lines": lines}) for group in groups]
    # Questions depend on which lines are loaded: those asked about and those evaluated.
    evaluated = merged[0].evaluated_lines
    if len(set(merged)) > 1 or (len(groups) > 1 and evaluated and not set(lines) <= set(evaluated)):
        raise InputError(f"{folder} holds answers to questions of {len(groups)} settings; name one evaluation.")
    return ScoredAnswers(merged[0], tuple(answer for group in groups for answer in group.answers))


def _traces(folder: Path) -> Path:
    """The traces of a folder: in it, where Prime-RL's ``evals`` puts them, or in the one run of `vf-eval`."""
    below = (f"rollouts/step_*/eval/all/{TRACES}", f"*/{TRACES}")
    files = sorted(file for pattern in below for file in folder.glob(pattern))
    if (folder / TRACES).is_file() or not files:
        return folder
    if len(files) > 1:
        names = ", ".join(str(file.parent) for file in files)
        raise InputError(f"{folder} holds {len(files)} evaluations; name the folder of one of them ({names}).")
    return files[0]


def _rows(run: Path, questions: int) -> list[dict[str, float]]:
    table = Progress.of(run, METRICS).update().table()
    if "reward" not in table:
        raise InputError(f"{run / FILE} holds no reward of a step; a run writes it with [monitors.file].")
    table = table[(table["step"] > 0) & table["reward"].notna()]
    rows: list[dict[str, float]] = table.to_dict("records")  # type: ignore[assignment]
    return [row | {"questions": int(row["step"]) * questions} for row in rows]


def _batch(config: Config, run: Path) -> int:
    """Answers a step."""
    batch = get(config, "orchestrator.batch_size")
    if not isinstance(batch, int):
        raise InputError(f"{run} counts its batches in tokens; only runs with orchestrator.batch_size can be recorded.")
    return batch


def _source(config: Config, run: Path) -> Config:
    """The one source of training questions."""
    sources = [s for s in job.sources(config, "train") if get(s, "env.taskset.id") == job.TASKSET]
    if len(sources) != 1:
        raise InputError(f"{run} trains on {len(sources)} sources of the taskset {job.TASKSET}, and should on one.")
    return sources[0]


def _settings(source: Config) -> Settings:
    """Those of a resolved source, whose taskset has options of Verifiers besides."""
    taskset = {key: value for key, value in source["env"]["taskset"].items() if key in Settings.model_fields}
    return job.task_settings({"env": {"taskset": taskset}})


def _sampling(config: Config, source: Config, name: str) -> Any:
    value = get(source, f"sampling.{name}")
    return get(config, f"orchestrator.train.sampling.{name}") if value is None else value


def _compare(trained: Settings, answered: Settings, folder: Path) -> None:
    """InputError where answers are of other questions than the run was trained on."""
    if other := [name for name in _SAME if getattr(trained, name) != getattr(answered, name)]:
        raise InputError(f"The answers in {folder} are to other questions than those of the run ({', '.join(other)}).")
