"""nbval over the chapters: cells tagged ``needs-data`` are left out where PerturbQA's files are not on this machine.

Such a cell is neither run nor compared, so every cell that uses its results carries the tag as well.
"""

from pathlib import Path

import pytest

from kgpert_lib.book import cells
from kgpert_lib.downloads.fetch import available
from kgpert_lib.screens import perturbqa

FILES = [name for line in ("k562", "rpe1") for name in perturbqa.files(line)]  # what the stored outputs used
LEFT_OUT = pytest.StashKey[list[pytest.Item]]()


def pytest_configure(config):
    if getattr(config.option, "nbval_sanitize_with", "") is None:
        config.option.nbval_sanitize_with = str(Path(__file__).with_name("nbval.cfg"))


def pytest_collection_modifyitems(config, items):
    needing = [item for item in items if cells.tagged(getattr(item, "cell", None))]
    if needing and not all(available(name) for name in FILES):
        config.stash[LEFT_OUT] = needing
        config.hook.pytest_deselected(items=needing)
        items[:] = [item for item in items if item not in needing]


def pytest_terminal_summary(terminalreporter, config):
    cells = config.stash.get(LEFT_OUT, [])
    if cells:
        notebooks = len({item.path for item in cells})
        terminalreporter.write_line(
            f"left out {len(cells)} cells in {notebooks} notebooks that need downloaded data: `kgpert fetch perturbqa`"
        )
