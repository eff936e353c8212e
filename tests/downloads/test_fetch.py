import hashlib
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from kgpert_lib.downloads import download
from kgpert_lib.downloads.fetch import FetchError, available, fetch, fetch_all, fetch_group
from kgpert_lib.errors import InputError

ROOT = Path(__file__).parents[2]
BODY = np.random.default_rng(0).bytes(1_000_003)
SHA = "sha256:" + hashlib.sha256(BODY).hexdigest()
CHUNK = 1 << 16
FETCH = "import sys; from kgpert_lib.downloads.fetch import fetch; from kgpert_lib.downloads.registry import Registry; "
FETCH += "print(fetch(sys.argv[1], registry=Registry.read(sys.argv[2])))"


@pytest.fixture
def one(server, make_registry):
    """A registry with the file a.bin at /one and then /two of the server."""
    server.files["/one"] = server.files["/two"] = BODY
    urls = [f"{server.address}/one", f"{server.address}/two"]
    return make_registry({"a.bin": {"urls": urls, "bytes": len(BODY), "checksum": SHA}})


@pytest.fixture
def unsigned(server, make_registry):
    """A registry with the file a.bin, without size and checksum."""
    server.files["/one"] = BODY
    return make_registry({"a.bin": {"urls": [f"{server.address}/one"], "checksum": "first-use"}})


def visible(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))


def leave_part(cache, data):
    (cache / "lab").mkdir()
    (cache / "lab" / "a.bin.part").write_bytes(data)


def start(*args, **kwargs):
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, *map(str, args)],
        cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kwargs,
    )  # fmt: skip


def test_downloads_once_into_the_group_folder_of_the_cache(one, server, cache):
    path = fetch("a.bin", registry=one)
    assert path == cache / "lab" / "a.bin"
    assert path.read_bytes() == BODY
    assert fetch("a.bin", registry=one) == path
    assert server.requests == [("/one", 0)]
    assert visible(cache / "lab") == ["a.bin"]


def test_goes_on_from_what_an_earlier_run_left(one, server, cache):
    leave_part(cache, BODY[:700_000])
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    assert server.requests == [("/one", 700_000)]
    assert server.sent["/one"] == len(BODY) - 700_000


def test_a_complete_part_is_published_without_a_request(one, server, cache):
    leave_part(cache, BODY)
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    assert server.requests == []


@pytest.mark.parametrize("fault", ["truncate", "reset"])
def test_a_broken_connection_is_resumed_in_the_same_call(one, server, fault):
    server.faults["/one"] = [fault, fault]
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    starts = [at for _, at in server.requests]
    assert len(starts) == 3
    assert starts == sorted(starts)
    if fault == "truncate":  # a reset may also destroy what was sent before it
        assert starts[1] > 0
        assert server.sent["/one"] <= len(BODY) + 2 * CHUNK


@pytest.mark.parametrize("faults", [["500", "503"], ["429"]])
def test_a_busy_server_is_asked_again(one, server, faults):
    server.faults["/one"] = list(faults)
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    assert [path for path, _ in server.requests] == ["/one"] * (len(faults) + 1)


@pytest.mark.parametrize("fault", ["404", "wrong", "page"])
def test_the_second_url_is_used_when_the_first_fails(one, server, fault):
    server.faults["/one"] = [fault]
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    assert [path for path, _ in server.requests] == ["/one", "/two"]


def test_a_wrong_checksum_names_both_checksums_and_every_url(one, server, cache):
    server.files["/one"] = server.files["/two"] = BODY[::-1]
    with pytest.raises(FetchError) as error:
        fetch("a.bin", registry=one)
    for part in (SHA.removeprefix("sha256:"), hashlib.sha256(BODY[::-1]).hexdigest(), "/one", "/two", "a.bin"):
        assert part in str(error.value)
    assert visible(cache / "lab") == []


def test_a_spoilt_part_is_dropped_and_the_file_asked_for_anew(one, server, cache):
    leave_part(cache, b"x" * 1000)
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    assert server.requests == [("/one", 1000), ("/one", 0)]


def test_a_part_longer_than_the_file_is_dropped(one, server, cache):
    leave_part(cache, BODY + b"more")
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    assert server.requests == [("/one", 0)]


def test_a_server_without_range_sends_the_whole_file(one, server, cache):
    leave_part(cache, BODY[:700_000])
    server.faults["/one"] = ["whole"]
    assert fetch("a.bin", registry=one).read_bytes() == BODY


def test_a_body_that_stays_short_gives_the_bytes_it_got_and_keeps_them(one, server, cache):
    server.faults["/one"] = server.faults["/two"] = ["half-whole"] * 20
    with pytest.raises(FetchError, match=r"stopped|broke the connection off"):
        fetch("a.bin", registry=one)
    assert visible(cache / "lab") == ["a.bin.part"]
    kept = (cache / "lab" / "a.bin.part").read_bytes()
    assert kept == BODY[: len(kept)]
    assert len(kept) > 0


@pytest.mark.parametrize("address", ["http://[::1", "http://127.0.0.1:99999999/a", "http://" + "a" * 70 + ".org/a"])
def test_a_redirect_to_a_malformed_address_leads_to_the_second_url(one, server, address):
    server.faults["/one"] = [f"->{address}"] * 20
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    assert server.requests[-1][0] == "/two"


def test_a_redirect_to_a_malformed_address_is_one_sentence(unsigned, server):
    server.faults["/one"] = ["->http://[::1"]
    with pytest.raises(FetchError, match="leads to a malformed address") as error:
        fetch("a.bin", registry=unsigned)
    assert "\n" not in str(error.value)


def test_a_length_that_is_no_number_is_ignored(one, server):
    server.faults["/one"] = ["lengthless"]
    assert fetch("a.bin", registry=one).read_bytes() == BODY


@pytest.mark.parametrize("fault", ["trickle", "trickle-headers", "trickle-chunk", "trickle-continue"])
def test_a_server_that_trickles_is_given_up_for_the_second_one(one, server, monkeypatch, fault):
    """It is never silent, and with the first fault every attempt brings new bytes."""
    monkeypatch.setattr(download, "SLOW_SECONDS", 0.2)
    server.faults["/one"] = [fault] * 20
    assert fetch("a.bin", registry=one).read_bytes() == BODY
    assert [path for path, _ in server.requests] == ["/one"] * download.ATTEMPTS + ["/two"]


def test_a_server_that_trickles_is_named_in_one_sentence(unsigned, server, monkeypatch):
    monkeypatch.setattr(download, "SLOW_SECONDS", 0.2)
    server.faults["/one"] = ["trickle"] * 20
    with pytest.raises(FetchError, match=r"/one sent [0-9,]+ bytes of the file in 0 seconds") as error:
        fetch("a.bin", registry=unsigned)
    assert "\n" not in str(error.value)


def test_another_size_is_refused_before_the_body(one, server, cache):
    server.files["/one"] = BODY + b"!"
    server.files["/two"] = BODY[:-1]
    with pytest.raises(FetchError, match=r"offers 1,000,004 bytes instead of 1,000,003.*offers 1,000,002"):
        fetch("a.bin", registry=one)
    assert visible(cache / "lab") == []


def test_no_network_is_one_sentence_for_each_file(make_registry, server, cache):
    dead = server.address
    server.close()
    fields = {"urls": [f"{dead}/one", f"{dead}/two"], "checksum": SHA}
    registry = make_registry(dict.fromkeys(("a.bin", "b.bin"), fields))
    local = fetch_group("lab", registry=registry)
    assert dict(local) == {}
    assert set(local.failed) == {"a.bin", "b.bin"}
    assert all("could not be reached" in why and "\n" not in why for why in local.failed.values())
    assert visible(cache / "lab") == []


def test_a_group_goes_on_past_a_file_that_cannot_be_had(make_registry, server):
    server.files["/b"] = BODY
    fields = {name: {"urls": [f"{server.address}/{name}"], "checksum": SHA} for name in ("a", "b")}
    local = fetch_group("lab", registry=make_registry(fields))
    assert list(local) == ["b"]
    assert local.failed["a"].endswith("/a answered 404 Not Found.")


def test_a_kill_in_the_middle_leaves_only_the_part_which_is_resumed(server, write_registry, make_registry, cache):
    server.files["/one"] = BODY
    server.faults["/one"] = ["stall"]
    files = {"a.bin": {"urls": [f"{server.address}/one"], "bytes": len(BODY), "checksum": SHA}}
    process = start("a.bin", write_registry(files))
    part = cache / "lab" / "a.bin.part"
    deadline = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size >= 4 * CHUNK) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert visible(cache / "lab") == ["a.bin.part"]
    kept = part.stat().st_size
    assert kept >= 4 * CHUNK
    server.release.set()
    assert fetch("a.bin", registry=make_registry(files)).read_bytes() == BODY
    assert server.requests[-1] == ("/one", kept)


def test_of_two_processes_one_downloads_and_the_other_waits(server, write_registry, cache):
    server.files["/one"] = BODY
    server.faults["/one"] = ["stall"]
    registry = write_registry({"a.bin": {"urls": [f"{server.address}/one"], "checksum": SHA}})
    first = start("a.bin", registry)
    assert server.stalled.wait(60)
    second = start("a.bin", registry)
    assert "Another process is fetching a.bin" in second.stderr.readline()
    server.release.set()
    outputs = [process.communicate()[0].strip() for process in (first, second)]
    assert outputs == [str(cache / "lab" / "a.bin")] * 2
    assert Path(outputs[0]).read_bytes() == BODY
    assert server.requests == [("/one", 0)]


def test_a_damaged_file_in_the_cache_is_replaced(one, server, cache):
    fetch("a.bin", registry=one).write_bytes(b"spoilt")
    assert available("a.bin", registry=one) is None
    assert fetch("a.bin", registry=one).read_bytes() == BODY


def test_a_damaged_file_does_not_keep_its_name_when_no_other_can_be_had(one, server, cache):
    path = fetch("a.bin", registry=one)
    path.write_bytes(BODY[:-1] + b"?")
    server.files.clear()
    with pytest.raises(FetchError, match="404"):
        fetch("a.bin", registry=one)
    assert not path.exists()


# --- the mirror ---


@pytest.fixture
def copy(tmp_path, monkeypatch):
    path = tmp_path / "copies" / "lab" / "a.bin"
    path.parent.mkdir(parents=True)
    path.write_bytes(BODY)
    monkeypatch.setenv("KGPERT_MIRROR", str(tmp_path / "copies"))
    return path


def test_a_mirror_is_used_in_place_and_without_a_request(one, server, cache, copy):
    assert available("a.bin", registry=one) == copy
    assert fetch("a.bin", registry=one) == copy
    assert server.requests == []
    assert visible(cache) == []


def test_a_wrong_copy_in_the_mirror_names_it_and_both_checksums(one, server, cache, copy):
    copy.write_bytes(BODY[::-1])
    for ask in (fetch, available):
        with pytest.raises(FetchError) as error:
            ask("a.bin", registry=one)
        for part in (str(copy), SHA.removeprefix("sha256:"), hashlib.sha256(BODY[::-1]).hexdigest(), "/one", "/two"):
            assert part in str(error.value)
    assert server.requests == []


def test_a_copy_cut_short_names_both_sizes(one, copy):
    copy.write_bytes(BODY[:-3])
    with pytest.raises(FetchError, match="1,000,000 bytes instead of 1,000,003"):
        fetch("a.bin", registry=one)


def test_a_mirror_without_the_file_leads_to_the_download(one, copy):
    copy.unlink()
    assert available("a.bin", registry=one) is None
    assert fetch("a.bin", registry=one).read_bytes() == BODY


def test_a_mirror_that_is_no_folder_is_said(one, copy, monkeypatch):
    monkeypatch.setenv("KGPERT_MIRROR", str(copy))
    with pytest.raises(FetchError, match="not a folder"):
        fetch("a.bin", registry=one)


def test_one_cache_serves_as_another_machines_mirror(one, server, cache, tmp_path, monkeypatch):
    fetch("a.bin", registry=one)
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "other"))
    monkeypatch.setenv("KGPERT_MIRROR", str(cache))
    assert available("a.bin", registry=one) == cache / "lab" / "a.bin"


# --- files without a published checksum ---


def test_first_use_records_the_checksum_and_says_so(unsigned, cache, capsys):
    path = fetch("a.bin", registry=unsigned)
    record = path.with_name("a.bin.sha256")
    assert record.read_text() == f"{SHA.removeprefix('sha256:')}  a.bin\n"
    assert "No checksum is published for a.bin" in capsys.readouterr().err
    fetch("a.bin", registry=unsigned)
    assert capsys.readouterr().err == ""


def test_a_recorded_checksum_holds_from_then_on(unsigned, server, cache):
    path = fetch("a.bin", registry=unsigned)
    path.unlink()
    server.files["/one"] = BODY[::-1]
    with pytest.raises(FetchError, match=r"delete .*a\.bin\.sha256 to accept a new release"):
        fetch("a.bin", registry=unsigned)
    path.with_name("a.bin.sha256").unlink()
    assert fetch("a.bin", registry=unsigned).read_bytes() == BODY[::-1]


def test_without_a_checksum_an_old_part_is_not_trusted(unsigned, server, cache):
    leave_part(cache, b"x" * 1000)
    assert fetch("a.bin", registry=unsigned).read_bytes() == BODY
    assert server.requests == [("/one", 0)]


def test_without_a_checksum_a_file_that_changes_under_way_is_not_mixed(unsigned, server):
    server.faults["/one"] = ["truncate"]
    original = server.answer

    def answer(handler):
        original(handler)
        server.files["/one"] = BODY[::-1]

    server.answer = answer
    assert fetch("a.bin", registry=unsigned).read_bytes() == BODY[::-1]
    assert len(server.requests) == 2


# --- the disk ---


def test_too_little_room_is_said_before_any_request(server, make_registry, cache):
    fields = {"urls": [f"{server.address}/one"], "bytes": 10**18, "checksum": SHA}
    with pytest.raises(FetchError, match=r"needs 1,000,000,000,000,000,000 bytes"):
        fetch("a.bin", registry=make_registry({"a.bin": fields}))
    assert server.requests == []


def test_a_disk_that_fills_up_is_one_sentence(server, write_registry, cache):
    server.files["/one"] = BODY
    registry = write_registry({"a.bin": {"urls": [f"{server.address}/one"], "checksum": SHA}})

    def small_disk():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    _, err = start("a.bin", registry, preexec_fn=small_disk).communicate()
    assert "the disk is full; make room or set KGPERT_CACHE" in err.splitlines()[-1]
    assert visible(cache / "lab") == ["a.bin.part"]


def test_a_cache_that_cannot_be_written_is_one_sentence(one, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "file"))
    with pytest.raises(FetchError, match="set KGPERT_CACHE to a folder that can be written"):
        fetch("a.bin", registry=one)


# --- names ---


def test_unknown_names_are_input_errors_with_a_hint(one):
    with pytest.raises(InputError, match=r"did you mean 'a\.bin'"):
        fetch("a.bim", registry=one)
    with pytest.raises(InputError, match="the groups are lab"):
        fetch_group("string", registry=one)
    with pytest.raises(InputError, match=r"did you mean 'k562-de\.csv'"):
        fetch_all(["k562-d.csv"])
