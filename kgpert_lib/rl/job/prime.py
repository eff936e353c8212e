"""A checkout of Prime-RL: where it is, its Python, and what its own classes say about a configuration."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job.check import Finding
from kgpert_lib.rl.job.config import Config, Kind

VARIABLE = "KGPERT_PRIME_RL"
COMMIT = "559b447"

_CLASSES: dict[Kind, str] = {
    "rl": "prime_rl.configs.rl:RLConfig",
    "evals": "prime_rl.configs.evals:EvalsConfig",
    "eval": "verifiers.v1.configs.cli.eval:EvalConfig",
}
# Runs in Prime-RL's Python: the configuration as JSON on standard input, every refusal as JSON on standard output.
_VALIDATE = """
import importlib, json, sys, warnings
from pydantic import ValidationError
warnings.simplefilter("ignore")
module, name = sys.argv[1].split(":")
answer = sys.stdout
sys.stdout = sys.stderr
try:
    getattr(importlib.import_module(module), name).model_validate(json.load(sys.stdin))
    refusals = []
except ValidationError as error:
    refusals = [[".".join(map(str, e["loc"])), e["msg"]] for e in error.errors(include_url=False)]
json.dump(refusals, answer)
"""


@dataclass(frozen=True)
class Checkout:
    """Prime-RL's source tree with its own environment in ``.venv``."""

    folder: Path

    @property
    def python(self) -> Path:
        """The Python of the environment, whether or not it is there."""
        return self.folder / ".venv" / "bin" / "python"

    def python_version(self) -> str | None:
        """Such as ``3.12``; None where there is no Python or it does not run."""
        run = self._run("-c", "import sys; print('%d.%d' % sys.version_info[:2])")
        return run.stdout.strip() if run is not None and run.returncode == 0 else None

    def import_error(self, *modules: str) -> str | None:
        """Why a module cannot be imported there, in the last line of what Python says; None where all can."""
        run = self._run("-c", "; ".join(f"import {module}" for module in modules))
        if run is None:
            return f"{self.python} is missing"
        return None if run.returncode == 0 else _last_line(run.stderr)

    def refusals(self, config: Config, kind: Kind = "rl") -> list[Finding]:
        """What Prime-RL's class for such a file (Verifiers' for ``eval``) refuses; nothing where it takes it.

        InputError where it cannot be asked.
        """
        run = self._run("-c", _VALIDATE, _CLASSES[kind], stdin=json.dumps(config, default=str))
        if run is None or run.returncode != 0:
            reason = f"{self.python} is missing" if run is None else _last_line(run.stderr)
            raise InputError(
                f"The classes of Prime-RL in {self.folder} cannot be asked ({reason}); run uv sync in it and install "
                "the environment, as the page Training on H100s says."
            )
        return [
            Finding("error", key, f"Prime-RL says: {' '.join(text.split())}") for key, text in json.loads(run.stdout)
        ]

    def _run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str] | None:
        if not self.python.is_file():
            return None
        # The library of this process stays out of that environment, and the folder of this one as well.
        env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "PYTHONHOME")}
        command = [str(self.python), *arguments]
        try:
            return subprocess.run(
                command, input=stdin, capture_output=True, text=True, errors="replace", env=env, cwd=self.folder
            )
        except OSError:
            return None


def find_checkout(folder: str | Path | None = None) -> Checkout | None:
    """The checkout at a folder, else at `VARIABLE`; None where neither is given.

    InputError for a folder that holds no Prime-RL.
    """
    given: Any = folder or os.environ.get(VARIABLE)
    if not given:
        return None
    path = Path(given)
    if not (path / "packages" / "prime-rl-configs").is_dir():
        raise InputError(f"{path} is no checkout of Prime-RL; clone it and name its folder (--prime-rl or {VARIABLE}).")
    return Checkout(path.absolute())


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "it ended without a word"
