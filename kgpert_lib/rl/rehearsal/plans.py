"""Which runs a rehearsal consists of: one configuration for each seed, or that of a recorded run again.

Nothing here needs the packages that train.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from kgpert_lib.errors import InputError
from kgpert_lib.lines import LINES
from kgpert_lib.rl.runs import Run, RunConfig, code_version
from kgpert_lib.rl.tasks import Settings

SEEDS = (0, 1, 2)
PACKAGES = ("torch", "transformers", "trl", "peft")  # whose versions a run records
NEEDED = (*PACKAGES, "accelerate", "datasets", "gguf", "safetensors", "tokenizers")
TRAINED_LINES = {"distances": ("k562",), "replogle": ("k562", "rpe1")}  # of other atlases: all
FRESH = {"simulated": "simulated:seed=1"}  # atlases on which no setting of a rehearsal was chosen
EVALUATED_LINES = {"simulated": ("k562", "rpe1")}  # of other atlases: those trained on
NUMBERS = ("no", "one", "two", "three", "four")

Trained = Literal["gene", "smollm2"]


@dataclass(frozen=True)
class Size:
    """How long a policy is trained and how it is asked, as far as no option says otherwise; `RunConfig` explains."""

    steps: int
    questions: int
    rollouts: int
    learning_rate: float
    max_tokens: int
    warm: Mapping[str, Any]
    temperature: float = 1.0
    model: str | None = None
    asked: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


SIZES: dict[Trained, Size] = {
    "gene": Size(
        steps=60, questions=32, rollouts=8, learning_rate=2e-4, max_tokens=20, warm={"most": 400, "epochs": 2}
    ),
    "smollm2": Size(
        steps=10,
        questions=2,
        rollouts=4,
        learning_rate=1e-4,
        max_tokens=48,
        warm={"most": 32, "epochs": 1, "batch": 4, "learning_rate": 5e-4},
        model="SmolLM2-135M-Instruct",
        asked=15,
        settings={"prompt": "brief", "room": 480},  # the largest neighbourhoods need as much
    ),
}


def plan(
    atlas: str = "simulated",
    lines: Sequence[str] = (),
    without: str | None = None,
    seeds: Sequence[int] = SEEDS,
    steps: int | None = None,
    policy: Trained = "gene",
) -> list[RunConfig]:
    """The configuration of a run for each seed, named after atlas, number of lines and seed.

    Runs are trained on the questions of all lines (`trained_lines`) and evaluated on the test genes of `lines`, by
    default `EVALUATED_LINES`, which no training row of any line holds. `without` is a line whose questions are not
    trained on, though it is evaluated; such a run also answers the test questions after as many steps as give each
    other line the questions that it would have had beside that line (stage ``matched``).
    InputError where `without` is none of the lines, or the only one.
    """
    every = trained_lines(atlas)
    evaluated = tuple(dict.fromkeys(line.lower() for line in lines)) or EVALUATED_LINES.get(_stem(atlas), every)
    trained = tuple(line for line in every if line != (without or "").lower())
    if not trained or (without is not None and trained == every):
        raise InputError(f"{without} cannot be left out of {', '.join(every)}; name one of several lines.")
    size = SIZES[policy]
    steps = steps or size.steps
    answered = {"base": 0} if size.model else {}
    answered |= {"warm": 0, "trained": steps}
    if without is not None:
        answered |= {"matched": steps * len(trained) // len(every)}
    here, packages = code_version(), versions()
    return [
        RunConfig(
            name=run_name(atlas, trained, seed, policy),
            policy=policy,
            model=size.model,
            settings=Settings(atlas=atlas, lines=trained, evaluated_lines=evaluated, seed=seed, **size.settings),
            evaluated=evaluated,
            seed=seed,
            steps=steps,
            questions=size.questions,
            rollouts=size.rollouts,
            learning_rate=size.learning_rate,
            temperature=size.temperature,
            max_tokens=size.max_tokens,
            warm=dict(size.warm),
            answered=answered,
            fresh=FRESH.get(atlas) if policy == "gene" and without is None else None,
            asked=size.asked,
            code=here,
            versions=packages,
        )
        for seed in dict.fromkeys(seeds)
    ]


def again(run: Run) -> RunConfig:
    """The configuration of a recorded run, to be trained by the code and the packages that are here.

    InputError for a run of Prime-RL.
    """
    if run.config.policy == "prime":
        raise InputError(f"The run {run.name} was trained in Prime-RL; 'kgpert rl launch' trains there.")
    return run.config.model_copy(update={"code": code_version(), "versions": versions(), "seconds": None})


def trained_lines(atlas: str) -> tuple[str, ...]:
    """The lines whose questions a run on an atlas is trained on."""
    return TRAINED_LINES.get(_stem(atlas), tuple(LINES))


def run_name(atlas: str, trained: Sequence[str], seed: int, policy: Trained = "gene") -> str:
    """The name of a run; it says how many lines it is trained on where these are not all.

    >>> run_name("simulated", LINES, 0), run_name("perturbqa", ["rpe1", "hepg2", "jurkat"], 2)
    ('simulated-s0', 'perturbqa-three-s2')
    """
    parts: list[str] = [] if policy == "gene" else [policy]
    parts.append(_stem(atlas))
    if set(trained) != set(trained_lines(atlas)):
        parts.append(NUMBERS[len(trained)] if len(trained) < len(NUMBERS) else str(len(trained)))
    if policy == "gene" or seed:
        parts.append(f"s{seed}")
    return "-".join(parts)


def check_installed() -> None:
    """InputError for a package that the rehearsal needs and that is not installed."""
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise InputError(
                f"The rehearsal needs {name}, which is not installed; run 'make rehearse' in a clone, or "
                "pip install 'kgpert-lib[rehearsal]'."
            )


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that train; InputError as `check_installed`."""
    check_installed()
    return {"python": sys.version.split()[0]} | {name: version(name) for name in PACKAGES}


def _stem(atlas: str) -> str:
    """The name of an atlas or of the folder that holds one, without options, of letters that a run's name may have."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", Path(atlas.partition(":")[0]).name).strip("-._") or "atlas"
