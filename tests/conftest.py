"""Fixtures for every test: a cache of its own, and what only some machines have: real downloads, Prime-RL."""

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


PRIME_RL = os.environ.get("KGPERT_PRIME_RL")


def _chromium() -> bool:
    from kgpert_lib.book import pdf  # reads the libraries that build the book, which few tests need

    return pdf.chromium() is not None


# What a marker needs -> whether it is there, and what the summary says of the tests that were left out.
NEEDS = {
    "needs_chromium": (_chromium, "of pages: no Chromium was found; install one or set KGPERT_CHROMIUM"),
    "needs_mirror": (MIRROR.is_dir, "on real downloads: set KGPERT_MIRROR to a folder that holds them"),
    "needs_prime_rl": (
        lambda: bool(PRIME_RL),
        "of Prime-RL's own classes: set KGPERT_PRIME_RL to a checkout of Prime-RL",
    ),
}


def pytest_configure(config):
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # a shell that runs the tests in the background has them ignore it, and the processes they start inherit that
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for marker, (_, what) in NEEDS.items():
        config.addinivalue_line("markers", f"{marker}: left out without what it needs ({what})")


def pytest_collection_modifyitems(config, items):
    marked = {marker: [item for item in items if item.get_closest_marker(marker)] for marker in NEEDS}
    by_marker = {marker: some for marker, some in marked.items() if some and not NEEDS[marker][0]()}
    if left_out := [item for item in items if any(item in some for some in by_marker.values())]:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
        config.stash[_LEFT_OUT] = {marker: len(some) for marker, some in by_marker.items()}
        if hasattr(config, "workeroutput"):  # a worker of pytest-xdist tells the process that prints the summary
            config.workeroutput["left_out"] = config.stash[_LEFT_OUT]


_LEFT_OUT = pytest.StashKey[dict[str, int]]()


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    node.config.stash[_LEFT_OUT] = getattr(node, "workeroutput", {}).get("left_out", {})


def pytest_terminal_summary(terminalreporter, config):
    for marker, count in config.stash.get(_LEFT_OUT, {}).items():
        if count:
            terminalreporter.write_line(f"left out {count} tests {NEEDS[marker][1]}")


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """An empty KGPERT_CACHE, and no mirror unless the test asks for it."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("KGPERT_CACHE", str(folder))
    monkeypatch.delenv("KGPERT_MIRROR", raising=False)
    monkeypatch.delenv("KGPERT_REGISTRY", raising=False)
    monkeypatch.delenv("KGPERT_PRIME_RL", raising=False)
    return folder


@pytest.fixture
def mirror(monkeypatch, cache):
    """The folder of real downloads; tests that use it carry the marker `needs_mirror`."""
    monkeypatch.setenv("KGPERT_MIRROR", str(MIRROR))
    return MIRROR


@pytest.fixture
def prime_rl():
    """The checkout of Prime-RL; tests that use it carry the marker `needs_prime_rl`."""
    return Path(PRIME_RL)


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
