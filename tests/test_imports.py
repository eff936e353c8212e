"""What a reward or a notebook imports comes without the heavy packages that other parts of the library need."""

import subprocess
import sys

import pytest

HEAVY = ("requests", "sklearn", "statsmodels", "torch", "scanpy", "matplotlib", "openai")
LIGHT = [
    "kgpert_lib.llm.answers",
    "kgpert_lib.metrics.gram",
    "kgpert_lib.metrics.deltas",
    "kgpert_lib.metrics.stats",
    "kgpert_lib.predictors.neighbours",
    "kgpert_lib.predictors.completion",
    "kgpert_lib.predictors.named",
    "kgpert_lib.graphs",
    "kgpert_lib.screens.atlas",
    "kgpert_lib.evaluation.explain",
]


@pytest.mark.parametrize("module", LIGHT)
def test_no_heavy_package_comes_along(module):
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
