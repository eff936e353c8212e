"""The record: what a crash, a second writer and a foreign file do to it."""

from __future__ import annotations

import gzip
import json
import multiprocessing
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.llm.record import Answer, Record, answer_key, export, import_answers, prompt_hash, read_export


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
    fill(tmp_path / "r.jsonl", 5)
    with Record(tmp_path / "r.jsonl") as record:
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
    path = tmp_path_factory.mktemp("record") / "r.jsonl"
    with Record(path) as record:
        record.add(answer(0, text))
    with Record(path) as record:
        assert [a.text for a in record] == [text]


def test_a_key_is_recorded_once_unless_replaced(tmp_path):
    with Record(tmp_path / "r.jsonl") as record:
        assert record.add(answer(0, "old"))
        assert not record.add(answer(0, "new"))
        assert record.get(answer(0).key).text == "old"
        assert record.add(answer(0, "new"), replace=True)
    with Record(tmp_path / "r.jsonl") as record:
        assert record.get(answer(0).key).text == "new"


@pytest.mark.parametrize("cut", [1, 40, 200])
def test_a_torn_last_line_is_cut_off_with_a_notice(tmp_path, cut):
    path = tmp_path / "r.jsonl"
    fill(path, 3)
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(whole[: last + cut])
    with Record(path) as record:
        assert list(record) == [answer(0), answer(1)]
        assert len(record.notices) == 1
        assert f"{cut} bytes" in record.notices[0]
        record.add(answer(2))
    assert path.read_bytes() == whole


def test_a_whole_last_line_without_its_end_is_kept(tmp_path):
    path = tmp_path / "r.jsonl"
    fill(path, 3)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with Record(path) as record:
        assert len(record) == 3
        assert record.notices == []
    assert path.read_bytes() == whole


def test_a_torn_line_longer_than_one_block_is_cut_off(tmp_path):
    path = tmp_path / "r.jsonl"
    fill(path, 1)
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"text": "' + b"x" * 200_000)
    with Record(path) as record:
        assert len(record) == 1
    assert path.read_bytes() == whole


def test_a_line_torn_while_another_writer_is_open_does_not_swallow_the_next(tmp_path):
    path = tmp_path / "r.jsonl"
    with Record(path) as record:
        record.add(answer(0))
        with path.open("ab") as other:
            other.write(b'{"key": "half')
        record.add(answer(1))
    with Record(path) as record:
        assert list(record) == [answer(0), answer(1)]


def test_a_foreign_line_is_passed_over_with_a_notice(tmp_path):
    path = tmp_path / "r.jsonl"
    fill(path, 1)
    path.write_bytes(b"[]\n" + path.read_bytes() + b"\xff\xfe\n" + b"[" * 100_000 + b"\n")
    with Record(path) as record:
        assert len(record) == 1
        assert len(record.notices) == 3


def _write(path: Path, start, numbers: range) -> None:
    start.wait()
    with Record(path) as record:
        for i in numbers:
            record.add(answer(i, "x" * 5000))


def test_several_writers_lose_nothing_and_write_nothing_twice(tmp_path):
    path = tmp_path / "r.jsonl"
    context = multiprocessing.get_context("spawn")
    start = context.Event()
    workers = [context.Process(target=_write, args=(path, start, range(30 * k, 30 * k + 120))) for k in range(3)]
    for worker in workers:
        worker.start()
    start.set()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    keys = [json.loads(line)["key"] for line in path.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 180


def test_two_open_records_see_each_other(tmp_path):
    with Record(tmp_path / "r.jsonl") as one, Record(tmp_path / "r.jsonl") as two:
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


def test_an_import_adds_what_is_missing(tmp_path):
    export([answer(i) for i in range(4)], tmp_path / "x.jsonl.gz")
    with Record(tmp_path / "r.jsonl") as record:
        record.add(answer(0, "mine"))
        assert import_answers(tmp_path / "x.jsonl.gz", record) == 3
        assert import_answers(tmp_path / "x.jsonl.gz", record) == 0
        assert record.get(answer(0).key).text == "mine"


@pytest.mark.parametrize("content", [b"", b"not gzip", gzip.compress(b"[1]\n"), gzip.compress(b"x" * 9999)[:-20]])
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
        Record(tmp_path / "file" / "r.jsonl")


def test_a_full_disk_is_one_sentence_and_leaves_whole_lines(tmp_path):
    import resource

    path = tmp_path / "r.jsonl"
    fill(path, 2)
    size = path.stat().st_size
    child = os.fork()
    if child == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 100, size + 100))
        try:
            Record(path).add(answer(5))
        except InputError as error:
            os._exit(0 if "cannot be written" in str(error) else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert path.stat().st_size == size
    with Record(path) as record:
        assert len(record) == 2
