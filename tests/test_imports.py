"""What a reward or a notebook imports comes without the heavy packages that other parts of the library need."""

import subprocess
import sys

import pytest

import kgpert_lib

HEAVY = ("requests", "sklearn", "statsmodels", "torch", "scanpy", "anndata", "h5py", "matplotlib", "openai")
LIGHT = [
    "kgpert_lib.llm.answers",
    "kgpert_lib.llm.named",
    "kgpert_lib.metrics.gram",
    "kgpert_lib.metrics.deltas",
    "kgpert_lib.metrics.stats",
    "kgpert_lib.predictors.neighbours",
    "kgpert_lib.predictors.completion",
    "kgpert_lib.predictors.named",
    "kgpert_lib.graphs",
    "kgpert_lib.rl.tasks",
    "kgpert_lib.rl.traces",
    "kgpert_lib.screens.atlas",
    "kgpert_lib.evaluation.explain",
]


@pytest.mark.parametrize("module", LIGHT)
def test_no_heavy_package_comes_along(module):
    code = f"import sys, {module}; print(*(name for name in {HEAVY} if name in sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []


def test_the_package_itself_imports_nothing_of_weight():
    code = "import sys, kgpert_lib; print(*sorted({'numpy', 'pandas', 'scipy', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"


@pytest.mark.parametrize("name", kgpert_lib.__all__)
def test_every_name_of_the_package_is_there_and_listed(name):
    assert getattr(kgpert_lib, name) is not None
    assert name in dir(kgpert_lib)


def test_a_name_that_the_package_lacks_is_an_attribute_error():
    with pytest.raises(AttributeError, match="oracle"):
        _ = kgpert_lib.oracle
