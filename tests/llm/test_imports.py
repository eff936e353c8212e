"""What the parser of answers and the prompts pull in: a reward reads answers in every step of a training run."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("requests", "urllib3", "httpx", "openai", "sklearn", "statsmodels", "torch", "scanpy", "anndata", "matplotlib")
MODULES = ["answers", "prompts", "questions", "record", "models", "proposals", "langpert", "edits", "controls"]


def imported_by(code: str) -> set[str]:
    """Top-level packages that a new process has loaded after running `code`."""
    code = f"{code}\nimport sys; print(*{{name.split('.')[0] for name in sys.modules}})"
    return set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split())


def test_everything_but_the_client_imports_without_http_and_without_statistics():
    imports = "".join(f"import kgpert_lib.llm.{module}; " for module in MODULES)
    assert not set(HEAVY) & imported_by(imports)


def test_the_parser_needs_the_standard_library_only():
    assert not {"numpy", "pandas", "scipy", "pydantic", "jinja2"} & imported_by("import kgpert_lib.llm.answers")
