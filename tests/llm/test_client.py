"""The client against a real HTTP server that fails in every way a server fails."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from pathlib import Path

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.llm.client import Retry, _retry_after, ask
from kgpert_lib.llm.models import Sampling
from kgpert_lib.llm.record import Record, Request

KEY = "sk-very-secret-0123456789"


def question(i: int, **fields) -> Request:
    return Request(f"q{i}", [{"role": "user", "content": f"question {i}"}], **fields)


def good(text="fine", **usage):
    from tests.llm.conftest import completion

    return completion(text, **usage)


def keys_in(path: Path) -> list[str]:
    with Record(path) as record:
        return [answer.key for answer in record]


def test_answers_come_in_the_order_of_the_questions_and_a_second_run_sends_nothing(chat, quick, tmp_path):
    requests = [question(i) for i in range(20)]
    with Record(tmp_path / "r.sqlite") as record:
        first = ask(requests, chat.spec(), record, retry=quick)
    assert [a.text for a in first.answers] == [f"echo question {i}" for i in range(20)]
    assert (first.sent, first.prompt_tokens, first.completion_tokens) == (20, 200, 100)
    with Record(tmp_path / "r.sqlite") as record:
        second = ask(requests, chat.spec(), record, retry=quick)
    assert second.sent == 0
    assert second.answers == first.answers
    assert len(chat.bodies) == 20
    assert "20 of 20 answered (20 of them from the record)" in second.summary


@pytest.mark.parametrize(
    "failure",
    [
        (500, {}, "{}"),
        (503, {}, "busy"),
        (429, {"Retry-After": "0"}, "{}"),
        (200, {}, "{not json"),
        (200, {"Content-Type": "text/html"}, "<html>a proxy's page</html>"),
        (200, {}, '{"choices": []}'),
        (200, {}, "[1, 2]"),
        "cut",
        "reset",
        "stall",
    ],
    ids=["500", "503", "429", "garbage", "html", "no choice", "array", "cut", "reset", "stall"],
)
def test_a_failure_loses_nothing_and_records_nothing_twice(chat, tmp_path, failure):
    answer = chat.script
    chat.script = lambda n, body: failure if n in (1, 3) else answer(n, body)
    retry = Retry(attempts=6, first_wait=0.001, longest_wait=0.01, timeout=0.5 if failure == "stall" else 5.0)
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(i) for i in range(8)], chat.spec(), record, retry=retry, concurrency=3)
    assert [a.text for a in outcome.answers] == [f"echo question {i}" for i in range(8)]
    keys = keys_in(tmp_path / "r.sqlite")
    assert len(keys) == len(set(keys)) == 8
    assert len(chat.bodies) == 10
    assert outcome.retried == 2
    assert outcome.summary.count("\n") == 0
    assert outcome.summary.endswith(".")


def test_retry_after_is_waited_out_by_every_request(chat, quick, tmp_path):
    times: list[float] = []
    answer = chat.script

    def script(n, body):
        times.append(time.monotonic())
        return (429, {"Retry-After": "1"}, "{}") if n == 0 else answer(n, body)

    chat.script = script
    with Record(tmp_path / "r.sqlite") as record:
        ask([question(i) for i in range(4)], chat.spec(), record, retry=quick, concurrency=1)
    assert times[1] - times[0] >= 1.0


def test_retry_after_reads_seconds_and_dates():
    assert _retry_after({"retry-after": "7"}) == 7
    assert 3500 < _retry_after({"retry-after": _http_date(time.time() + 3600)}) <= 3600
    assert _retry_after({"retry-after": "soon"}) == 0
    assert _retry_after({}) == 0


def _http_date(moment: float) -> str:
    from email.utils import formatdate

    return formatdate(moment, usegmt=True)


def test_a_wait_beyond_patience_ends_the_run_in_one_sentence(chat, quick, tmp_path):
    chat.script = lambda n, body: (429, {"Retry-After": "86400"}, '{"error": {"message": "daily limit"}}')
    with Record(tmp_path / "r.sqlite") as record, pytest.raises(InputError, match=r"86400 s .*daily limit"):
        ask([question(i) for i in range(9)], chat.spec(), record, retry=quick, concurrency=2)
    assert len(chat.bodies) <= 2


def test_concurrency_is_bounded_and_used(chat, quick, tmp_path):
    gate = threading.Barrier(4, timeout=10)
    answer = chat.script

    def script(n, body):
        gate.wait()
        return answer(n, body)

    chat.script = script
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(i) for i in range(12)], chat.spec(), record, retry=Retry(timeout=20), concurrency=4)
    assert chat.most_under_way == 4
    assert None not in outcome.answers


def test_a_bad_request_fails_alone(chat, quick, tmp_path):
    answer = chat.script
    refused = (400, {}, '{"error": {"message": "too long"}}')
    chat.script = lambda n, body: refused if "question 2" in str(body) else answer(n, body)
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(i) for i in range(5)], chat.spec(), record, retry=quick)
    assert outcome.answers[2] is None
    assert sum(a is not None for a in outcome.answers) == 4
    assert list(outcome.failed) == [2]
    assert "400: too long" in outcome.failed[2]
    assert len(chat.bodies) == 5


def test_a_prompt_beyond_the_context_is_not_sent(chat, quick, tmp_path):
    long = Request("long", [{"role": "user", "content": "PSMB5, " * 2000}])
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([long, question(1)], chat.spec(), record, retry=quick)
    assert "do not fit the context of 4096 tokens" in outcome.failed[0]
    assert len(chat.bodies) == 1


def test_no_server_is_one_sentence_and_not_a_long_wait(tmp_path, chat, quick):
    dead = chat.spec(base_url="http://127.0.0.1:9/v1")
    with Record(tmp_path / "r.sqlite") as record, pytest.raises(InputError, match=r"127\.0\.0\.1:9/v1 does not answer"):
        ask([question(i) for i in range(500)], dead, record, retry=quick, concurrency=8)


def test_a_server_that_dies_midway_ends_the_run_and_keeps_what_came(chat, quick, tmp_path):
    answer = chat.script
    chat.script = lambda n, body: answer(n, body) if n < 10 else (500, {}, "{}")
    with Record(tmp_path / "r.sqlite") as record:
        with pytest.raises(InputError, match=r"does not answer.*is recorded"):
            ask([question(i) for i in range(200)], chat.spec(), record, retry=quick, concurrency=4)
        assert len(record) == 10
        chat.script = answer
        outcome = ask([question(i) for i in range(200)], chat.spec(), record, retry=quick, concurrency=4)
    assert None not in outcome.answers
    assert outcome.sent == 190
    keys = keys_in(tmp_path / "r.sqlite")
    assert len(keys) == len(set(keys)) == 200


def test_only_what_was_sent_again_is_counted(chat, quick, tmp_path):
    """The budget ends the run while a question waits to be sent again: it never is."""
    answer = chat.script
    chat.script = lambda n, body: answer(n, body) if n else (500, {}, "{}")
    spec = chat.spec(price_out=1000.0)
    gone = Retry(attempts=3, first_wait=0.001, longest_wait=0.01)
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(0)], spec, record, retry=gone, budget=0.065)
        assert (outcome.sent, outcome.retried) == (2, 1)
        chat.script = lambda n, body: "cut"
        outcome = ask([question(1)], spec, record, retry=gone, budget=0.1)
    assert (outcome.sent, outcome.retried) == (1, 0)
    assert "sent again" not in outcome.summary


def test_samples_schema_and_logprobs_reach_the_server_and_the_record(chat, quick, tmp_path):
    def script(n, body):
        reply = good("a")
        tops = [{"token": "a", "logprob": -0.1, "bytes": None}, {"token": "b", "logprob": -2.5, "bytes": None}]
        reply["choices"][0]["logprobs"] = {"content": [tops[0] | {"top_logprobs": tops}], "refusal": None}
        return reply

    chat.script = script
    sampling = Sampling(max_tokens=64, seed=7, top_logprobs=2, extra={"top_k": 20})
    spec = chat.spec(json_schema=True, logprobs=True, sampling=sampling)
    schema = {"type": "object", "properties": {}}
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(0, sample=k, schema=schema) for k in range(3)], spec, record, retry=quick)
    assert sorted(body["seed"] for body in chat.bodies) == [7, 8, 9]
    assert all(body["response_format"]["json_schema"]["schema"] == schema for body in chat.bodies)
    assert all(body["top_k"] == 20 and body["top_logprobs"] == 2 for body in chat.bodies)
    assert outcome.answers[0].logprobs == [["a", -0.1, {"a": -0.1, "b": -2.5}]]
    assert len({a.key for a in outcome.answers}) == 3


def test_what_a_server_cannot_do_is_not_sent(chat, quick, tmp_path):
    spec = chat.spec(json_schema=False, logprobs=False, sampling=Sampling(max_tokens=64, top_logprobs=2))
    with Record(tmp_path / "r.sqlite") as record:
        ask([question(0, schema={"type": "object"})], spec, record, retry=quick)
    assert not {"response_format", "logprobs", "top_logprobs"} & set(chat.bodies[0])


def test_the_same_question_twice_is_sent_once(chat, quick, tmp_path):
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(0), question(1), question(0)], chat.spec(), record, retry=quick)
    assert len(chat.bodies) == 2
    assert outcome.answers[0] == outcome.answers[2]


def test_fresh_asks_again_and_the_new_answer_counts(chat, quick, tmp_path):
    chat.script = lambda n, body: good(f"answer {n}")
    with Record(tmp_path / "r.sqlite") as record:
        ask([question(0)], chat.spec(), record, retry=quick)
        assert ask([question(0)], chat.spec(), record, retry=quick, fresh=True).answers[0].text == "answer 1"
    with Record(tmp_path / "r.sqlite") as record:
        assert ask([question(0)], chat.spec(), record, retry=quick).answers[0].text == "answer 1"


@pytest.mark.parametrize("concurrency", [1, 8])
def test_the_budget_is_never_exceeded_and_nearly_used(chat, quick, tmp_path, concurrency):
    # One answer costs 5 x $0.001; its worst case is 64 tokens, $0.064. Every fifth request fails and costs nothing.
    chat.script = lambda n, body: (500, {}, "{}") if n % 5 == 0 else good(prompt_tokens=10, completion_tokens=5)
    spec = chat.spec(price_out=1000.0)
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(i) for i in range(100)], spec, record, retry=quick, budget=0.2, concurrency=concurrency)
    answered = sum(a is not None for a in outcome.answers)
    assert outcome.cost == pytest.approx(answered * 0.005)
    assert 0.2 - 0.064 - 0.005 <= outcome.cost <= 0.2
    assert "stopped before the budget of $0.2 was exceeded" in outcome.summary


@pytest.mark.parametrize("budget", [float("nan"), float("inf"), -1.0])
def test_a_budget_that_is_no_amount_of_money_is_refused_before_anything_is_asked(chat, tmp_path, budget):
    """No sum is above NaN, so such a budget held nothing back."""
    with Record(tmp_path / "r.sqlite") as record, pytest.raises(InputError, match=f"The budget is {budget:g}"):
        ask([question(0)], chat.spec(price_out=1000.0), record, budget=budget)
    assert chat.bodies == []


def test_what_may_have_been_billed_counts_against_the_budget(chat, quick, tmp_path):
    chat.script = lambda n, body: "cut"
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(0)], chat.spec(price_out=1000.0), record, retry=quick, budget=0.2)
    assert len(chat.bodies) == 3
    assert outcome.cost == pytest.approx(3 * 0.064)


def test_hidden_reasoning_is_paid_for(chat, quick, tmp_path):
    chat.script = lambda n, body: good(prompt_tokens=10, completion_tokens=5, total_tokens=55)
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(0)], chat.spec(price_out=1000.0), record, retry=quick)
    assert outcome.answers[0].completion_tokens == 45
    assert outcome.cost == pytest.approx(0.045)


def test_no_key_in_any_file_error_or_answer(chat, quick, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("KGPERT_TEST_KEY", KEY)
    spec = chat.spec(key_env="KGPERT_TEST_KEY")
    words = json.dumps({"error": {"message": f"bad key {KEY}, header Bearer {KEY}"}})
    answer = chat.script
    for status in (400, 401, 403, 404, 429, 500):
        chat.script = lambda n, body, status=status: (status, {"Retry-After": "999999"}, words)
        with Record(tmp_path / f"{status}.sqlite") as record:
            try:
                outcome = ask([question(0)], spec, record, retry=quick, progress=True)
                shown = outcome.summary + repr(outcome)
            except InputError as error:
                shown = "".join(traceback.format_exception(error)) + repr(_chain(error))
        assert KEY not in shown
        assert "[key]" in shown or status == 500
    chat.script = lambda n, body: good(f"my headers were Authorization: Bearer {KEY}")
    with Record(tmp_path / "echo.sqlite") as record:
        outcome = ask([question(0)], spec, record, retry=quick, progress=True)
    chat.script = answer
    assert KEY not in repr(outcome)
    assert chat.headers[-1]["authorization"] == f"Bearer {KEY}"
    for file in tmp_path.rglob("*"):
        assert KEY.encode() not in file.read_bytes()
    assert KEY not in "".join(capfd.readouterr())
    assert KEY not in repr(spec)


@pytest.mark.parametrize("status", [400, 401, 404, 429])
@pytest.mark.parametrize("place", [250, 290, 297, 299])
def test_a_key_is_removed_before_an_error_is_cut(chat, quick, tmp_path, monkeypatch, status, place):
    """The text is cut at 300 characters, inside the key; what is left of it was shown."""
    monkeypatch.setenv("KGPERT_TEST_KEY", KEY)
    words = json.dumps({"error": {"message": "x" * place + KEY + " is wrong"}})
    chat.script = lambda n, body: (status, {"Retry-After": "999999"}, words)
    with Record(tmp_path / "r.sqlite") as record:
        try:
            shown = ask([question(0)], chat.spec(key_env="KGPERT_TEST_KEY"), record, retry=quick).summary
        except InputError as error:
            shown = str(error)
    assert "xxx" in shown
    assert "sk-" not in shown


def test_a_part_of_a_key_that_a_server_repeats_is_removed(chat, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_TEST_KEY", KEY)
    words = json.dumps({"error": {"message": f"Incorrect key {KEY[:12]}...{KEY[-9:]}"}})
    chat.script = lambda n, body: (401, {}, words)
    with Record(tmp_path / "r.sqlite") as record, pytest.raises(InputError) as error:
        ask([question(0)], chat.spec(key_env="KGPERT_TEST_KEY"), record, retry=quick)
    assert "Incorrect key [key]...[key]" in str(error.value)


def changed(**choice):
    """A completion whose first choice has other fields."""
    reply = good()
    reply["choices"][0] |= choice
    return reply


def positions(content):
    return changed(logprobs={"content": content})


MALFORMED = {
    "content is a list": changed(message={"role": "assistant", "content": [{"type": "text", "text": "a"}]}),
    "content is a dict": changed(message={"role": "assistant", "content": {"text": "a"}}),
    "content is a number": changed(message={"role": "assistant", "content": 3}),
    "message is a text": changed(message="a"),
    "message is a list": changed(message=["a"]),
    "message is missing": {"choices": [{"index": 0}]},
    "finish is a number": changed(finish_reason=1),
    "choices is a dict": good() | {"choices": {"0": good()["choices"][0]}},
    "choices is empty": good() | {"choices": []},
    "choices is null": good() | {"choices": None},
    "usage is a list": good() | {"usage": [10, 5]},
    "usage is a text": good() | {"usage": "15 tokens"},
    "usage holds a text": good() | {"usage": {"prompt_tokens": "ten"}},
    "usage holds a number of 400 digits": good() | {"usage": {"prompt_tokens": 10**400}},
    "a total of a million billion tokens": good() | {"usage": {"total_tokens": 10**15}},
    "usage is negative": good() | {"usage": {"prompt_tokens": -(10**6), "completion_tokens": 1}},
    "logprobs is a list": changed(logprobs=[0.5]),
    "logprobs hold null": positions([None]),
    "a log probability is null": positions([{"token": "a", "logprob": None, "top_logprobs": []}]),
    "alternatives hold null": positions([{"token": "a", "logprob": -1.0, "top_logprobs": [None]}]),
    "nested too deep": (200, {}, "[" * 100_000 + "]" * 100_000),
    "nested too deep inside": (200, {}, '{"choices": ' + '{"a":' * 100_000 + "1" + "}" * 100_000 + "}"),
    "an array": (200, {}, "[1, 2]"),
    "no JSON": (200, {}, "{not json"),
    "no text": (200, {}, ""),
}


@pytest.mark.parametrize("reply", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_reply_fails_its_own_question_and_the_others_go_on(chat, tmp_path, reply):
    answer = chat.script
    bad = ("question 0", "question 1", "question 2", "question 3")
    chat.script = lambda n, body: reply if body["messages"][-1]["content"] in bad else answer(n, body)
    retry = Retry(attempts=2, first_wait=0.001, longest_wait=0.01)
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(i) for i in range(8)], chat.spec(), record, retry=retry, concurrency=1)
    assert [a is None for a in outcome.answers] == [True] * 4 + [False] * 4
    assert len(keys_in(tmp_path / "r.sqlite")) == 4
    assert "4 failed: the server sent a reply that is no" in outcome.summary


@pytest.mark.parametrize("status", [400, 404])
def test_an_error_text_with_half_a_character_can_be_printed(chat, quick, tmp_path, status):
    chat.script = lambda n, body: (status, {}, '{"error": {"message": "wrong \\ud800 model"}}')
    with Record(tmp_path / "r.sqlite") as record:
        try:
            shown = ask([question(0)], chat.spec(), record, retry=quick).summary
        except InputError as error:
            shown = str(error)
    assert "wrong \ufffd model" in shown.encode("utf-8").decode("utf-8")


def test_an_answer_with_half_a_character_is_recorded_without_it(chat, quick, tmp_path):
    chat.script = lambda n, body: good("PSMB5 \ud800")
    with Record(tmp_path / "r.sqlite") as record:
        outcome = ask([question(0)], chat.spec(), record, retry=quick)
        assert outcome.answers[0].text == "PSMB5 \ufffd"
        assert record.get(outcome.answers[0].key) == outcome.answers[0]


def _chain(error: BaseException | None) -> list[str]:
    """Every exception linked to an error, with all that it carries."""
    seen = []
    while error is not None:
        seen.append(repr(error) + repr(vars(error)))
        error = error.__cause__ or error.__context__
    return seen


def test_a_missing_key_names_the_variable_and_the_record_needs_none(chat, quick, tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_TEST_KEY", KEY)
    spec = chat.spec(key_env="KGPERT_TEST_KEY")
    with Record(tmp_path / "r.sqlite") as record:
        ask([question(0)], spec, record, retry=quick)
        monkeypatch.delenv("KGPERT_TEST_KEY")
        assert ask([question(0)], spec, record, retry=quick).answers[0].text == "echo question 0"
        with pytest.raises(InputError, match="KGPERT_TEST_KEY"):
            ask([question(1)], spec, record, retry=quick)


def test_a_retired_model_is_only_read(chat, quick, tmp_path):
    with Record(tmp_path / "r.sqlite") as record:
        ask([question(0)], chat.spec(), record, retry=quick)
        assert ask([question(0)], chat.spec(retired="2026-06-15"), record).answers[0].text == "echo question 0"
        with pytest.raises(InputError, match="retired on 2026-06-15"):
            ask([question(1)], chat.spec(retired="2026-06-15"), record)


def test_it_works_inside_a_running_loop_as_in_a_notebook(chat, quick, tmp_path):
    async def cell():
        with Record(tmp_path / "r.sqlite") as record:
            return ask([question(0)], chat.spec(), record, retry=quick)

    assert asyncio.run(cell()).answers[0].text == "echo question 0"


ASK_IN_A_PROCESS = """
import sys
from kgpert_lib.llm.client import Retry, ask
from kgpert_lib.llm.models import ModelSpec
from kgpert_lib.llm.record import Record, Request
spec = ModelSpec(base_url=sys.argv[1], model="m", context=4096)
requests = [Request(f"q{i}", [{"role": "user", "content": f"question {i}"}]) for i in range(500)]
with Record(sys.argv[2]) as record:
    ask(requests, spec, record, retry=Retry(timeout=60), concurrency=8, progress=False)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_a_killed_run_loses_at_most_what_was_in_flight(chat, quick, tmp_path, number, code):
    reached, answer = threading.Event(), chat.script

    def script(n, body):
        if n >= 108:
            reached.set()
            return "stall"
        return answer(n, body)

    chat.script = script
    command = [sys.executable, "-c", ASK_IN_A_PROCESS, chat.base_url, str(tmp_path / "r.sqlite")]
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": root}, stderr=subprocess.PIPE)
    assert reached.wait(60)
    with chat.lock:
        answered = len(chat.bodies) - chat.under_way
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode in (code, -number)
    chat.script = answer
    with Record(tmp_path / "r.sqlite") as record:
        assert len(record) >= answered - 8
        kept = len(record)
        outcome = ask([question(i) for i in range(500)], chat.spec(sampling={}), record, retry=quick)
    assert outcome.sent == 500 - kept
    keys = keys_in(tmp_path / "r.sqlite")
    assert len(keys) == len(set(keys)) == 500
