"""Ctrl-C, as a real signal to a real process: exit code 130, one sentence, no traceback and no result.

The signal is sent at a moment that Python itself announces (an audit event such as the import of a module or the
opening of a file), so that it always arrives at the same place. Where it is `swallowed`, the KeyboardInterrupt is
dropped there, as a callback from C may do, and the command goes on.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import worlds

ROOT = Path(__file__).parents[2]
DRIVER = """
import os, signal, sys
event, name, swallow = sys.argv[1:4]
sys.argv[1:4] = []
sent = []

def watch(happened, details):
    if sent or happened != event or name not in str(details[0]):
        return
    sent.append(True)
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt:
        if swallow != "swallowed":
            raise

from kgpert_lib.cli.main import main
sys.addaudithook(watch)
try:
    main()
finally:
    print("sent" if sent else "never sent")
"""


@pytest.fixture
def interrupted(tmp_path):
    """Runs the command on a saved atlas and an edge list, and interrupts it at the first such event."""
    worlds.atlas(gaps=0.3).save(tmp_path / "toy")
    edges = worlds.to_networkx(worlds.graph()).edges(data="weight")
    rows = ["gene1,gene2,weight", *(f"{a},{b},{w}" for a, b, w in edges)]
    (tmp_path / "mine.csv").write_text("\n".join(rows) + "\n")
    before = sorted(p.name for p in tmp_path.iterdir())

    def run(event, name, swallow, *arguments):
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-c", DRIVER, event, name, swallow, *arguments]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == "sent", done
        assert sorted(p.name for p in tmp_path.iterdir()) == before, "a result or a scratch file was left"
        return done.returncode, done.stderr

    return run


STOPPED = (130, "kgpert: stopped.\n")
ALL = ("predict", "--all", "--top", "2", "--atlas", "./toy", "--graph", "mine.csv", "-o", "all.csv")


@pytest.mark.parametrize("swallow", ["raised", "swallowed"])
@pytest.mark.parametrize(
    ("event", "name"),
    [
        ("import", "rich.console"),
        ("import", "pandas._libs.parsers"),
        ("open", "mine.csv"),
        ("open", "all.csv"),
    ],
)
def test_an_interrupted_command_stops_with_130_and_leaves_no_result(interrupted, event, name, swallow):
    assert interrupted(event, name, swallow, *ALL) == STOPPED


@pytest.mark.parametrize(("event", "name"), [("open", "genes.tsv")])
def test_a_simulation_whose_interrupt_was_dropped_writes_nothing(interrupted, event, name):
    simulate = ("simulate", "-o", "screen", "--size", "tiny", "--line", "k562")
    assert interrupted(event, name, "swallowed", *simulate) == STOPPED


def test_another_error_that_follows_the_interrupt_is_no_traceback(interrupted):
    """The module whose import was interrupted lacks half of its names: what surfaces is an ImportError."""
    broken = ("graph", "neighbours", "G0001", "--graph", "mine.csv")
    assert interrupted("import", "kgpert_lib.graphs.edgelist", "raised", *broken) == STOPPED
