"""Helpers of the tests of the commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"  # the discard port: no proxy there, so no download either
WIDTH = 80

TOY = ("--atlas", "./toy", "--graph", "mine.csv")


def process(*arguments, **environment):
    """Runs the command as a process of its own, its output piped."""
    command = [sys.executable, "-m", "kgpert_lib", *map(str, arguments)]
    env = os.environ | {"HTTPS_PROXY": NOWHERE, "PYTHONPATH": str(ROOT)} | environment
    env.pop("COLUMNS", None)
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True)


def table_rows(text, first):
    """Cells of the first printed table row that starts with `first`."""
    return next(re.split(r"\s{2,}", row.strip()) for row in text.splitlines() if row.startswith(first))


def everything(folder):
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*")}
