"""These tests serve the bundled model: `make test-rl` names this folder, and nothing else collects it."""

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if any("served" in str(argument) for argument in config.args) else True
