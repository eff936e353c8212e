"""The environment under Verifiers: `make test-rl` names this folder, and nothing else collects it.

What its tests share: a tiny simulated atlas, tasks about it, and the bundled model. `kgpert` and `uv` are imported
where they are used: pytest reads this file also where it collects nothing here, and they need not be installed then.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kgpert_lib.llm.local import Server, serve
from kgpert_lib.screens.simulated import simulation

ROOT = Path(__file__).parents[2]
OF_PRIME_RL = ("numpy==2.3.5", "pandas==3.0.3", "scipy==1.17.1", "filelock", "jinja2", "networkx", "threadpoolctl")
LOCKS = ("requirements.lock", "requirements-llm.lock", "requirements-rl.lock")
LEFT_OUT = pytest.StashKey[int]()
_PIN = re.compile(r"^[\w.-]+==[^\s;]+", re.MULTILINE)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if any("environment" in Path(str(argument)).parts for argument in config.args) else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    other = [item for item in items if "python312" in getattr(item, "fixturenames", ())]
    if other and find_python312() is None:
        config.stash[LEFT_OUT] = len(other)
        config.hook.pytest_deselected(items=other)
        items[:] = [item for item in items if item not in other]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if count := config.stash.get(LEFT_OUT, 0):
        terminalreporter.write_line(f"left out {count} tests of the environment on Python 3.12: none was found")


def find_python312() -> str | None:
    """A Python 3.12 of this machine, also one that pyenv keeps off the path; none is downloaded."""
    from uv import find_uv_bin

    command = [find_uv_bin(), "python", "find", "--no-project", "--no-python-downloads", "--system", "3.12"]
    ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode == 0:
        return ran.stdout.strip()
    kept = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser().glob("versions/3.12.*/bin/python")
    return next((str(python) for python in sorted(kept)), None)


@pytest.fixture(scope="session")
def python312(tmp_path_factory) -> Path:
    """A Python 3.12 with Verifiers and the releases of NumPy, pandas and SciPy that Prime-RL locks."""
    from uv import find_uv_bin

    folder = tmp_path_factory.mktemp("python") / "venv"
    python = folder / "bin" / "python"
    pinned = {name: set(_PIN.findall((ROOT / name).read_text())) for name in LOCKS}
    versions = folder.with_name("constraints.txt")
    versions.parent.mkdir(exist_ok=True)
    versions.write_text("\n".join(sorted(set.union(*pinned.values()) - pinned["requirements.lock"])))
    uv = [find_uv_bin(), "--quiet"]
    subprocess.run([*uv, "venv", "--python", str(find_python312()), str(folder)], check=True)
    install = [*uv, "pip", "install", "--python", str(python), f"--constraint={versions}"]
    subprocess.run([*install, "verifiers", *OF_PRIME_RL], check=True)
    return python


@pytest.fixture(scope="session")
def atlas(tmp_path_factory) -> Path:
    """A tiny simulated atlas of four lines, saved with its graphs."""
    return simulation.write(tmp_path_factory.mktemp("screen") / "simulated", size="tiny") / "atlas"


@pytest.fixture
def taskset(atlas) -> Callable:
    """Builds the taskset of some options, on the tiny atlas unless they name another."""
    from kgpert.taskset import EditConfig, EditTaskset

    return lambda **options: EditTaskset(EditConfig(**{"id": "kgpert", "atlas": str(atlas), **options}))


@pytest.fixture(scope="session")
def model() -> Iterator[Server]:
    """The bundled model, served."""
    with serve(context=2048, parallel=4) as server:
        yield server
