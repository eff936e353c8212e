"""Outputs appear whole or not at all, whatever stops the writing, and every refusal is one sentence with its reason."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.files import LockedError, OutputError, atomic, digest, locked, write_text

ROOT = Path(__file__).parents[1]


def python(code, *arguments, **options):
    """Run a few lines in a process of their own."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300, **options)


def test_a_file_is_replaced_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_text(path, "old")
    assert write_text(path, "né\r\n") == path
    assert path.read_bytes() == "né\r\n".encode()
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_a_new_file_has_the_rights_that_open_gives(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_folder_appears_whole_and_replaces_an_empty_one(tmp_path):
    (tmp_path / "out").mkdir()
    with atomic(tmp_path / "out") as scratch:
        (scratch / "deep").mkdir(parents=True)
        (scratch / "deep" / "a").write_text("1")
        assert not any((tmp_path / "out").iterdir())
    assert (tmp_path / "out" / "deep" / "a").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, SystemExit])
def test_whatever_stops_the_writing_leaves_the_old_file_and_goes_on_upwards(tmp_path, stop):
    write_text(tmp_path / "a", "old")

    def interrupted():
        with atomic(tmp_path / "a") as scratch:
            scratch.write_text("half of the n")
            raise stop

    with pytest.raises(stop):
        interrupted()
    assert (tmp_path / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_link_is_followed_also_where_it_leads_to_nothing_yet(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere" / "file")
    for text in ("one", "two"):
        write_text(tmp_path / "link", text)
        assert (tmp_path / "elsewhere" / "file").read_text() == text
    assert (tmp_path / "link").is_symlink()


def test_a_name_may_be_as_long_as_the_system_allows(tmp_path):
    assert write_text(tmp_path / ("x" * 255), "1").read_text() == "1"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("folder", "it is a folder"),
        ("file/below", "a file stands where its folder should be"),
        ("file/deep/below", "a file stands where its folder should be"),
        ("x" * 256, "the name is too long"),
        ("loop", "a link that leads back to itself"),
    ],
)
def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path, name, why):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("old")
    (tmp_path / "loop").symlink_to("loop")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / name, "new")
    assert str(caught.value).startswith(str(tmp_path / name))
    assert why in str(caught.value)
    assert (tmp_path / "file").read_text() == "old"
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_name_that_no_file_can_have_is_one_sentence(name):
    with pytest.raises(OutputError, match="needs a file name"):
        write_text(name, "new")


def test_a_device_is_not_replaced_by_a_file():
    with pytest.raises(OutputError, match="neither a file nor a folder"):
        write_text(os.devnull, "new")
    assert not Path(os.devnull).is_file()


FULL_DISK = """
import resource, signal, sys
from kgpert_lib.files import OutputError, write_text
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    write_text(sys.argv[1], "new" * 1000)
except OutputError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_keeps_the_old_file(tmp_path):
    write_text(tmp_path / "a", "old")
    printed = python(FULL_DISK, tmp_path / "a", check=True).stdout
    assert "the file would be larger than this system allows" in printed
    assert printed.count("\n") == 1
    assert (tmp_path / "a").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_digest_is_sha256_and_tells_parts_apart(tmp_path):
    expected = hashlib.sha256("gène".encode()).hexdigest()
    (tmp_path / "a").write_bytes("gène".encode())
    assert digest("gène") == digest("gène".encode()) == digest(tmp_path / "a") == expected
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest("ab", "c", "")}) == 4


HOLDER = """
import sys
from kgpert_lib.files import locked
with locked(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_lock_is_held_by_one_process_and_falls_with_it(tmp_path):
    path = tmp_path / "new" / "table"
    command = [sys.executable, "-c", HOLDER, str(path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match="Another process is using"), locked(path, wait=False):
            pass
        with locked(path, on_wait=holder.kill):
            pass
    with locked(path, wait=False):
        pass


def test_a_lock_that_cannot_be_made_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be locked"), locked(tmp_path / "file" / "a"):
        pass


WITHOUT_FCNTL = """
import sys
sys.modules["fcntl"] = None
from kgpert_lib.cli.main import main
sys.argv = ["kgpert", "simulate", "--size", "tiny", "--line", "k562", "-o", sys.argv[1]]
main()
"""


def test_a_system_without_fcntl_runs_commands(tmp_path):
    """Windows has no `fcntl`."""
    run = python(WITHOUT_FCNTL, tmp_path / "out")
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out" / "atlas" / "atlas.json").is_file()
