"""The record: what a crash, a second writer and a foreign file do to it."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib import paths
from kgpert_lib.errors import InputError
from kgpert_lib.llm.record import (
    Answer,
    Record,
    add_to_export,
    answer_key,
    export,
    local_record,
    printable,
    prompt_hash,
    read_export,
)


def answer(i: int, text: str = "PSMB5") -> Answer:
    messages = [{"role": "user", "content": f"secret prompt {i}"}]
    hashed = prompt_hash(messages)
    key = answer_key(hashed, "m", {"temperature": 0.0}, 0)
    return Answer(key, f"q{i}", hashed, "m", {"temperature": 0.0}, 0, text, "stop", 3, 2, 0.1, 0.0, None, messages)


def fill(path: Path, count: int) -> None:
    with Record(path) as record:
        for i in range(count):
            record.add(answer(i))


def test_what_is_added_is_read_back(tmp_path):
    fill(tmp_path / "r.sqlite", 5)
    with Record(tmp_path / "r.sqlite") as record:
        assert list(record) == [answer(i) for i in range(5)]
        assert record.get(answer(3).key) == answer(3)
        assert record.get("no such key") is None
        assert record.notices == []


def test_the_key_changes_with_everything_that_shapes_the_answer():
    base = [prompt_hash([{"role": "user", "content": "a"}]), "m", {"temperature": 0.0}, 0]
    others = [prompt_hash([{"role": "system", "content": "a"}]), "n", {"temperature": 0.5}, 1]
    keys = {answer_key(*base)} | {answer_key(*base[:i], others[i], *base[i + 1 :]) for i in range(4)}
    assert len(keys) == 5
    assert answer_key("h", "m", {"a": 1, "b": 2}, 0) == answer_key("h", "m", {"b": 2, "a": 1}, 0)


@given(st.text(st.characters(), max_size=200))
def test_any_text_survives(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("record") / "r.sqlite"
    with Record(path) as record:
        record.add(answer(0, text))
    with Record(path) as record:
        assert [a.text for a in record] == [printable(text)]
    assert text == printable(text) or any("\ud800" <= c <= "\udfff" for c in text)


def test_a_key_is_recorded_once_unless_replaced(tmp_path):
    with Record(tmp_path / "r.sqlite") as record:
        assert record.add(answer(0, "old"))
        assert not record.add(answer(0, "new"))
        assert record.get(answer(0).key).text == "old"
        assert record.add(answer(0, "new"), replace=True)
    with Record(tmp_path / "r.sqlite") as record:
        assert record.get(answer(0).key).text == "new"


def older_record(folder: Path, lines: list[bytes]) -> Path:
    path = folder / "record.jsonl"
    path.write_bytes(b"".join(lines))
    return path


def as_line(given: Answer) -> bytes:
    return json.dumps({k: v for k, v in given._asdict().items() if v is not None}).encode() + b"\n"


def test_an_older_record_is_taken_over_once_and_what_is_no_answer_is_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path))
    (tmp_path / "answers").mkdir()
    wrong = [b"[]\n", b"\xff\xfe\n", b"[" * 100_000 + b"\n", as_line(answer(7)).replace(b'"q7"', b"[7]")]
    whole = [as_line(answer(0, "old")), as_line(answer(1)), as_line(answer(0, "new"))]
    path = older_record(tmp_path / "answers", [*wrong, *whole, as_line(answer(2))[:40]])
    with local_record() as record:
        assert {a.text for a in record if a.question == "q0"} == {"new"}
        assert record.get(answer(1).key) == answer(1)
        assert record.get(answer(7).key) is None
        assert len(record.notices) == 1
        assert "2 answers" in record.notices[0]
        assert "5 lines that are no answers were skipped" in record.notices[0]
        assert "record.jsonl.imported" in record.notices[0]
    assert not path.exists()
    with local_record() as record:
        assert record.notices == []
        assert record.get(answer(1).key) == answer(1)


def test_an_older_record_replaces_nothing(tmp_path):
    path = older_record(tmp_path, [as_line(answer(0, "old")), as_line(answer(1))])
    with Record(tmp_path / "r.sqlite") as record:
        record.add(answer(0, "mine"))
        record.take_over(path)
        assert [a.text for a in record] == ["mine", "PSMB5"]


ROWS = ["[]", "x", "[" * 100_000, '{"key": ["a"]}', json.dumps(answer(5)._asdict() | {"text": 3}), b"\xff", None]


@pytest.mark.parametrize("row", ROWS, ids=["list", "text", "deep", "key", "type", "bytes", "null"])
def test_a_row_that_is_no_answer_is_skipped_and_named(tmp_path, row):
    path = tmp_path / "r.sqlite"
    fill(path, 1)
    with closing(sqlite3.connect(path)) as base, base:
        base.execute("DROP TABLE answers")
        base.execute("CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT)")
        base.execute("INSERT INTO answers VALUES (?, ?)", (answer(5).key, row))
    with Record(path) as record:
        assert record.get(answer(5).key) is None
        assert list(record) == []
        assert len(record.notices) == 1
        assert answer(5).key in record.notices[0]
        assert record.add(answer(5), replace=True)
        assert list(record) == [answer(5)]


def test_a_file_that_is_no_record_is_one_sentence(tmp_path):
    (tmp_path / "r.sqlite").write_bytes(as_line(answer(0)) * 100)
    with pytest.raises(InputError, match=r"r\.sqlite cannot be opened .*not a database"):
        Record(tmp_path / "r.sqlite")
    assert (tmp_path / "r.sqlite").read_bytes() == as_line(answer(0)) * 100


KILLED = """
import os, sys
from kgpert_lib.llm.record import Record
from tests.llm.test_record import answer
record = Record(sys.argv[1])
for i in range(100_000):
    record.add(answer(i, "x" * 5000))
    print(i, flush=True)
"""


@pytest.mark.parametrize("after", [1, 37, 200])
def test_a_writer_killed_at_any_moment_loses_nothing_that_it_had_added(tmp_path, after):
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", KILLED, str(tmp_path / "r.sqlite")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        for _ in range(after):
            added = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split()
    added = int(rest[-1]) if rest else added
    with Record(tmp_path / "r.sqlite") as record:
        assert [record.get(answer(i).key) is not None for i in range(added + 1)] == [True] * (added + 1)
        assert len(record) in (added + 1, added + 2)
        assert record.notices == []
        assert record.add(answer(100_001))


def _write(path: Path, start, numbers: range) -> None:
    start.wait()
    with Record(path) as record:
        for i in numbers:
            record.add(answer(i, "x" * 5000))


def test_several_writers_lose_nothing_and_write_nothing_twice(tmp_path):
    path = tmp_path / "r.sqlite"
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    workers = [context.Process(target=_write, args=(path, start, range(30 * k, 30 * k + 120))) for k in range(3)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    with Record(path) as record:
        keys = [a.key for a in record]
    assert len(keys) == len(set(keys)) == 180
    assert set(keys) == {answer(i).key for i in range(180)}


def test_two_open_records_see_each_other(tmp_path):
    with Record(tmp_path / "r.sqlite") as one, Record(tmp_path / "r.sqlite") as two:
        assert one.add(answer(0))
        assert not two.add(answer(0))
        assert two.add(answer(1))
        assert not one.add(answer(1))
        assert len(one) == len(two) == 2


def test_an_export_has_no_prompt_and_the_same_bytes_each_time(tmp_path):
    answers = [answer(i) for i in range(5)]
    assert export(answers, tmp_path / "a" / "x.jsonl.gz") == 5
    export(reversed(answers), tmp_path / "b.jsonl.gz")
    packed = (tmp_path / "a" / "x.jsonl.gz").read_bytes()
    assert packed == (tmp_path / "b.jsonl.gz").read_bytes()
    assert b"secret prompt" not in gzip.decompress(packed)
    assert sorted(read_export(tmp_path / "b.jsonl.gz")) == sorted(a._replace(messages=None) for a in answers)
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["x.jsonl.gz"]


def test_committed_answers_are_found_under_the_key_of_the_prompt(tmp_path):
    export([answer(i) for i in range(3)], tmp_path / "answers" / "x.jsonl.gz")
    record = Record(None, committed=[tmp_path / "answers"])
    assert record.get(answer(1).key).text == "PSMB5"
    with pytest.raises(InputError, match="only read"):
        record.add(answer(7))


def test_the_committed_answers_are_read_and_written_byte_for_byte(tmp_path):
    files = sorted((paths.DATA / "answers").glob("*.jsonl.gz"))
    assert len(files) == 6
    for file in files:
        answers = read_export(file)
        assert len(answers) == 100
        assert export(answers, tmp_path / file.name) == 100
        assert gzip.decompress((tmp_path / file.name).read_bytes()) == gzip.decompress(file.read_bytes())


def test_answers_are_added_to_an_export_and_replace_those_of_the_same_key(tmp_path):
    path = tmp_path / "x.jsonl.gz"
    assert add_to_export([answer(0, "old"), answer(1)], path) == 2
    assert add_to_export([answer(0, "new"), None, answer(2)], path) == 3
    assert {a.question: a.text for a in read_export(path)} == {"q0": "new", "q1": "PSMB5", "q2": "PSMB5"}


def test_an_export_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"x\.jsonl\.gz cannot be written"):
        export([answer(0)], tmp_path / "file" / "x.jsonl.gz")


@pytest.mark.parametrize(
    "content", [b"", b"not gzip", gzip.compress(b"[1]\n", mtime=0), gzip.compress(b"x" * 9999, mtime=0)[:-20]]
)
def test_a_broken_export_is_one_sentence(tmp_path, content):
    (tmp_path / "x.jsonl.gz").write_bytes(content)
    if not content:
        assert read_export(tmp_path / "x.jsonl.gz") == []
        return
    with pytest.raises(InputError, match=r"x\.jsonl\.gz"):
        read_export(tmp_path / "x.jsonl.gz")


def test_a_record_that_cannot_be_opened_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be opened"):
        Record(tmp_path / "file" / "r.sqlite")


def test_a_full_disk_is_one_sentence_and_loses_nothing(tmp_path):
    import resource

    path = tmp_path / "r.sqlite"
    fill(path, 2)
    child = os.fork()
    if child == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        try:
            with Record(path) as record:
                for i in range(2, 100):
                    record.add(answer(i, "x" * 5000))
        except InputError as error:
            os._exit(0 if "cannot be written" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    with Record(path) as record:
        assert [record.get(answer(i).key) for i in range(2)] == [answer(0), answer(1)]
        assert record.add(answer(50))
