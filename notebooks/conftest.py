"""nbval over the chapters: numbers are compared with a tolerance, and cells without their data are left out.

A cell tagged ``needs-data`` is neither run nor compared where PerturbQA's files are not on this machine, so every
cell that uses its results carries the tag as well. A cell tagged ``needs-replogle`` is stored without outputs and is
never compared.
"""

import pytest

from kgpert_lib.book import cells
from kgpert_lib.downloads.fetch import available
from kgpert_lib.screens import perturbqa
from kgpert_lib.studies.numbers import MIME
from tests import stored_outputs

LINES = ("k562", "rpe1")  # what the stored outputs used
FILES = [name for line in LINES for name in perturbqa.files(line)]
LEFT_OUT = pytest.StashKey[dict[str, int]]()


class Text(str):
    """A text that equals another when its words are equal and its numbers close."""

    __hash__ = str.__hash__

    def __eq__(self, other):
        return stored_outputs.same(self, other)

    def __ne__(self, other):
        return not self == other


def pytest_collection_modifyitems(config, items):
    items_of_cells = [item for item in items if hasattr(item, "cell")]
    for item in items_of_cells:
        item.sanitize = Text  # nbval compares what this returns
    for notebook in {item.parent for item in items_of_cells}:
        left = ("image/svg+xml", MIME)
        notebook.skip_compare = (*notebook.skip_compare, *left)
    optional = [
        item for item in items_of_cells if cells.never_stored(item.cell)
    ]
    config.hook.pytest_deselected(items=optional)
    items[:] = [item for item in items if item not in optional]
    without_data = [
        item
        for item in items_of_cells
        if cells.needs_data(item.cell) and item not in optional
    ]
    if without_data and not all(available(name) for name in FILES):
        counts = {
            "cells": len(without_data),
            "notebooks": len({item.path for item in without_data}),
        }
        config.stash[LEFT_OUT] = counts
        # A worker of pytest-xdist tells the process that prints the summary.
        if hasattr(config, "workeroutput"):
            config.workeroutput["left_out"] = counts
        config.hook.pytest_deselected(items=without_data)
        items[:] = [item for item in items if item not in without_data]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    if counts := getattr(node, "workeroutput", {}).get("left_out"):
        node.config.stash[LEFT_OUT] = counts


def pytest_terminal_summary(terminalreporter, config):
    if counts := config.stash.get(LEFT_OUT, None):
        terminalreporter.write_line(
            f"left out {counts['cells']} cells in {counts['notebooks']} notebooks that need downloaded data: "
            "`kgpert fetch perturbqa`"
        )
