"""Fixtures for every test: a cache of its own, and the mirror of real downloads where there is one."""

import os
import signal
import sys
import warnings
from pathlib import Path

import pytest

from tests.file_server import make_registry, write_registry

__all__ = ["make_registry", "write_registry"]

_SIBLING = Path(__file__).parents[2] / "shared" / "mirror"
MIRROR = Path(os.environ.get("KGPERT_MIRROR") or _SIBLING).resolve()


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell that runs the tests in the background has them ignore it, and the processes they start inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "needs_mirror: needs real downloads in KGPERT_MIRROR (left out without them)")


def pytest_collection_modifyitems(config, items):
    if MIRROR.is_dir():
        return
    left_out = [item for item in items if item.get_closest_marker("needs_mirror")]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
        config.stash[_LEFT_OUT] = len(left_out)
        if hasattr(config, "workeroutput"):  # a worker of pytest-xdist tells the process that prints the summary
            config.workeroutput["without_mirror"] = len(left_out)


_LEFT_OUT = pytest.StashKey[int]()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("without_mirror", 0)


def pytest_terminal_summary(terminalreporter, config):
    if count := config.stash.get(_LEFT_OUT, 0):
        terminalreporter.write_line(
            f"left out {count} tests on real downloads: set KGPERT_MIRROR to a folder that holds them"
        )


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """An empty KGPERT_CACHE, and no mirror unless the test asks for it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KGPERT_CACHE", str(folder))
    monkeypatch.delenv("KGPERT_MIRROR", raising=False)
    monkeypatch.delenv("KGPERT_REGISTRY", raising=False)
    return folder


@pytest.fixture
def mirror(monkeypatch, cache):
    """The folder of real downloads; tests that use it carry the marker `needs_mirror`."""
    monkeypatch.setenv("KGPERT_MIRROR", str(MIRROR))
    return MIRROR


@pytest.fixture
def kgpert(monkeypatch, capsys):
    """Runs the command in this process: exit code, standard output, standard error."""
    from kgpert_lib.cli import main

    handler = signal.getsignal(signal.SIGINT)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["kgpert", *map(str, arguments)])
        with warnings.catch_warnings(), pytest.raises(SystemExit) as stop:
            main.main()
        signal.signal(signal.SIGINT, handler)  # the command ignores Ctrl-C once it has ended
        printed = capsys.readouterr()
        return stop.value.code, printed.out, printed.err

    return run
