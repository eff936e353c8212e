"""Ask any OpenAI-compatible server many questions: bounded, retried, paid for within a budget, recorded.

Every answer goes into the record the moment it arrives, so an interrupted run loses only what was in
flight and a second run sends nothing that was answered before. A reply is validated once, when it arrives; one
that does not fit is a malformed answer to its own question and no matter of the others.
"""

from __future__ import annotations

import asyncio
import json
import math
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_random_exponential
from tqdm import tqdm

from kgpert_lib.errors import InputError
from kgpert_lib.llm.models import ModelSpec, find_model, scrub
from kgpert_lib.llm.prompts import MESSAGE_OVERHEAD, count_tokens
from kgpert_lib.llm.record import Answer, Record, Request, Text, printable, prompt_hash, request_key, sampling_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Secrets = Sequence[str | None]
Count = Annotated[int, Field(ge=0, le=10**9)]  # tokens; more than any model reads or writes
LONGEST_ERROR = 300  # characters of a server's own words that are repeated


class Retry(BaseModel):
    """When and how often a failed request is sent again; times in seconds.

    A request is sent at most `attempts` times. The wait grows from `first_wait` to `longest_wait` with
    jitter; a ``Retry-After`` header is waited out by all requests, unless it asks for more than `patience`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    attempts: int = Field(default=6, ge=1)
    first_wait: float = Field(default=1.0, gt=0)
    longest_wait: float = Field(default=30.0, gt=0)
    timeout: float = Field(default=300.0, gt=0)
    patience: float = Field(default=300.0, ge=0)


@dataclass
class Outcome:
    """What became of a list of requests.

    `answers` has one entry for each request, in order, None where there is no answer; `failed` says
    why, by position; `stopped` is the sentence with which the run ended early, if it did.
    """

    answers: list[Answer | None]
    failed: dict[int, str] = field(default_factory=dict)
    sent: int = 0
    retried: int = 0
    recorded: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    stopped: str | None = None

    @property
    def summary(self) -> str:
        """The run in one sentence."""
        have = sum(answer is not None for answer in self.answers)
        parts = [f"{have} of {len(self.answers)} answered ({have - self.recorded} of them from the record)"]
        if self.retried:
            parts.append(f"{self.retried} sent again")
        if self.failed:
            reasons = sorted(set(self.failed.values()))
            more = f" and {len(reasons) - 1} other reasons" if len(reasons) > 1 else ""
            parts.append(f"{len(self.failed)} failed: {reasons[0]}{more}")
        if self.stopped:
            parts.append(self.stopped)
        tokens = self.prompt_tokens + self.completion_tokens
        parts.append(f"{tokens:,} tokens, ${self.cost:.4f}, {self.seconds:.1f} s")
        return "; ".join(parts) + "."


def ask(
    requests: Iterable[Request],
    model: ModelSpec | str,
    record: Record,
    *,
    concurrency: int | None = None,
    budget: float | None = None,
    retry: Retry | None = None,
    fresh: bool = False,
    progress: bool | None = None,
    count: Callable[[Sequence[Mapping[str, str]]], int] | None = None,
) -> Outcome:
    """Ask every request that the record does not hold, and record each answer as it comes.

    Parameters
    ----------
    model : a name in `models.toml`, or a `ModelSpec`.
    concurrency : requests under way at once; the model's own figure by default.
    budget : US dollars. A request is sent only when the worst case of everything under way (every byte of
        the prompt a token, every allowed token of the answer used) still fits, so the sum is never exceeded.
    retry : when to send again.
    fresh : ask again what is recorded; the new answer counts from then on.
    progress : a bar with tokens, rate and cost; by default where the output is a terminal.
    count : exact tokens of messages (`Server.count`); an estimate on the safe side is used without it.

    Returns
    -------
    Outcome, in the order of the requests. A request that fails for good is listed there with its reason.

    Raises
    ------
    InputError
        When going on is pointless: no server, a refused key, an unknown model, a retired one. A `budget` that is
        negative or no finite number.
    KeyboardInterrupt
        On Ctrl-C; every finished answer is in the record by then.
    """
    if budget is not None and not 0 <= budget < math.inf:
        raise InputError(f"The budget is {budget:g}; it has to be 0 or more US dollars.")
    spec = find_model(model) if isinstance(model, str) else model
    run = _Run(list(requests), spec, record, concurrency or spec.concurrency, budget, retry or Retry(), fresh, count)
    run.look_up()
    if run.todo:
        if spec.retired:
            raise InputError(f"{spec.model} was retired on {spec.retired}: only its recorded answers can be read.")
        run.key = spec.key()
        with tqdm(total=len(run.todo), unit="answer", disable=None if progress is None else not progress) as bar:
            run.bar = bar
            start = time.monotonic()
            try:
                run_to_end(run.all())
            finally:
                run.outcome.seconds = time.monotonic() - start
    if run.fatal is not None:
        raise InputError(run.fatal)
    return run.outcome


class Transient(Exception):
    """A failure after which the request is sent again, `after` seconds later at the earliest.

    `billed` is True where the server may have done the work, so that its price has to be reckoned with.
    """

    def __init__(self, reason: str, after: float = 0.0, billed: bool = False) -> None:
        super().__init__(reason)
        self.after, self.billed = after, billed


class Malformed(Transient):
    """A reply that is no chat completion; the server answers, so that other requests go on."""


class Refused(Exception):
    """A failure of this request that no repetition mends."""


class Fatal(Exception):
    """A failure that every other request would meet as well."""


class _Part(BaseModel):
    """A part of a reply: fields that it does not name are ignored, those that it names have to fit."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Alternative(_Part):
    token: Text
    logprob: FiniteFloat


class _Position(_Alternative):
    top_logprobs: list[_Alternative] = []


class _Logprobs(_Part):
    content: list[_Position] | None = None


class _Message(_Part):
    content: Text | None = None


class _Choice(_Part):
    message: _Message
    finish_reason: Text | None = None
    logprobs: _Logprobs | None = None

    @property
    def positions(self) -> list[Any] | None:
        """Token, log probability and alternatives of every position; None where the server gave none."""
        if self.logprobs is None or not self.logprobs.content:
            return None
        return [
            [p.token, round(p.logprob, 4), {o.token: round(o.logprob, 4) for o in p.top_logprobs}]
            for p in self.logprobs.content
        ]


class _Usage(_Part):
    prompt_tokens: Count | None = None
    completion_tokens: Count | None = None
    total_tokens: Count | None = None


class _Completion(_Part):
    """What is read of a chat completion."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None

    @property
    def tokens(self) -> tuple[int, int]:
        """Prompt tokens and billed completion tokens.

        Some servers leave hidden reasoning out of `completion_tokens` but count it in `total_tokens`.
        """
        usage = self.usage or _Usage()
        prompt = usage.prompt_tokens or 0
        return prompt, max(usage.completion_tokens or 0, (usage.total_tokens or 0) - prompt)


def connect(spec: ModelSpec, timeout: float, key: str | None) -> AsyncOpenAI:
    """An openai client for one model; it never retries by itself. InputError where openai is not installed."""
    try:
        import openai
    except ImportError:
        raise InputError("Asking a model needs the package openai: pip install 'kgpert-lib[llm]'.") from None
    client = openai.AsyncOpenAI(
        api_key=key or "none",
        base_url=spec.base_url,
        timeout=timeout,
        max_retries=0,
        http_client=openai.DefaultAsyncHttpxClient(trust_env=not spec.local),
    )
    if client.base_url.host != "api.openai.com":
        client.organization = client.project = None
    return client


async def send(
    client: AsyncOpenAI, body: dict[str, Any], timeout: float, patience: float, secrets: Secrets
) -> _Completion:
    """Send one request and return the completion.

    What is raised (`Transient`, `Malformed`, `Refused` or `Fatal`) carries one sentence without keys and no link
    to the original error, whose headers hold the key. A ``Retry-After`` beyond `patience` seconds is `Fatal`.
    """
    import openai

    problem: Exception
    try:
        async with asyncio.timeout(timeout):
            reply = await client.chat.completions.with_raw_response.create(**body)
        return _completion(reply.content)
    except Malformed as error:
        problem = error
    except openai.APIStatusError as error:
        problem = _status_problem(error, patience, secrets)
    except (openai.APITimeoutError, TimeoutError):
        problem = Transient(f"no answer within {timeout:g} s", billed=True)
    except openai.APIConnectionError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else "no connection"
        problem = Transient(f"the connection failed ({cause})", billed=cause != "ConnectError")
    except UnicodeError:
        problem = Refused("the question holds characters that cannot be sent")
    raise problem


def _completion(body: bytes) -> _Completion:
    """The reply's body, validated; `Malformed` where it is no JSON, is nested too deep, or has other types."""
    try:
        return _Completion.model_validate(json.loads(body))
    except ValidationError as error:
        place = ".".join(map(str, error.errors(include_url=False, include_input=False)[0]["loc"]))
        reason = f"the server sent a reply that is no chat completion ({place or 'its type'} does not fit)"
    except (ValueError, RecursionError):
        reason = "the server sent a reply that is not valid JSON"
    raise Malformed(reason, billed=True)


def _status_problem(error: Any, patience: float, secrets: Secrets) -> Exception:
    status, body = error.status_code, error.body if isinstance(error.body, dict) else {}
    message = " ".join(str(printable(str(body.get("message") or error.message))).split())
    words = scrub(message, secrets)[:LONGEST_ERROR]  # in this order: a cut inside a key would hide it from `scrub`
    if status in (401, 403):
        return Fatal(f"The server refused the key ({status}: {words}).")
    if status == 404:
        return Fatal(f"The server knows no such model or address ({status}: {words}).")
    if status == 429 and body.get("code") == "insufficient_quota":
        return Fatal(f"The account has no credit left ({words}).")
    if status in (408, 409, 425, 429) or status >= 500:
        after = _retry_after(error.response.headers)
        if after > patience:
            return Fatal(f"The server asks to wait {after:.0f} s ({status}: {words}); run again later.")
        return Transient(f"the server answered {status}", after)
    return Refused(f"the server refused the request ({status}: {words})")


def _retry_after(headers: Mapping[str, str]) -> float:
    """Seconds that a ``Retry-After`` header (a number or a date) asks for; 0 without one."""
    value = headers.get("retry-after", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, TypeError):
        return 0.0


def run_to_end(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, also where a notebook has a loop running already (then in a thread of its own)."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
        return
    loop = asyncio.new_event_loop()
    failures: list[BaseException] = []

    def target() -> None:
        try:
            loop.run_until_complete(task)
        except BaseException as error:
            failures.append(error)
        finally:
            loop.close()

    task = loop.create_task(work)
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    try:
        thread.join()
    except KeyboardInterrupt:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if failures:
        raise failures[0]


class _OverBudget(Exception):
    """The next request could exceed the budget."""


@dataclass
class _Run:
    requests: list[Request]
    spec: ModelSpec
    record: Record
    concurrency: int
    budget: float | None
    retry: Retry
    fresh: bool
    count: Callable[[Sequence[Mapping[str, str]]], int] | None
    fatal: str | None = None
    bar: Any = None

    def __post_init__(self) -> None:
        self.outcome = Outcome([None] * len(self.requests))
        self.todo: list[tuple[int, str, str]] = []
        self.reserved = 0.0
        self.not_before = 0.0
        self.lost_in_a_row = 0
        self.key: str | None = None
        self.over = asyncio.Event()

    def look_up(self) -> None:
        """Fill in what the record holds; the rest is to be asked, each key once."""
        self.copies: dict[str, list[int]] = {}
        for i, request in enumerate(self.requests):
            hashed = prompt_hash(request.messages)
            key = request_key(request, self.spec)
            known = None if self.fresh else self.record.get(key)
            if known is not None:
                self.outcome.answers[i] = known
                continue
            self.copies.setdefault(key, []).append(i)
            if len(self.copies[key]) == 1 and self.fits(i, request):
                self.todo.append((i, key, hashed))

    def fits(self, i: int, request: Request) -> bool:
        """Whether prompt and answer fit the model's context; if not, the request is listed as failed."""
        allowed = self.spec.sampling.max_tokens
        if _most_tokens(request) + allowed <= self.spec.context:
            return True
        tokens = (self.count or count_tokens)(request.messages)
        if tokens + allowed > self.spec.context:
            self.outcome.failed[i] = (
                f"{request.question}: {tokens} tokens and {allowed} for the answer "
                f"do not fit the context of {self.spec.context} tokens"
            )
        return i not in self.outcome.failed

    async def all(self) -> None:
        """A fixed number of workers take request after request until none is left or the run is over."""
        queue = iter(self.todo)
        async with connect(self.spec, self.retry.timeout, self.key) as client:
            workers = [
                asyncio.create_task(self.work(client, queue)) for _ in range(min(self.concurrency, len(self.todo)))
            ]
            try:
                done, _ = await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
                for worker in done:
                    worker.result()
            finally:
                self.over.set()
                for worker in workers:
                    worker.cancel()
                await asyncio.gather(*workers, return_exceptions=True)

    async def work(self, client: AsyncOpenAI, queue: Iterable[tuple[int, str, str]]) -> None:
        for i, key, hashed in queue:
            if self.over.is_set() or self.outcome.stopped:
                return
            try:
                answer = await self.one(client, self.requests[i], key, hashed)
            except _OverBudget:
                self.outcome.stopped = f"stopped before the budget of ${self.budget:g} was exceeded"
                return
            except Fatal as error:
                self.end(str(error))
                return
            except (Refused, Transient) as error:
                self.outcome.failed[i] = str(error)
                self.give_up_if_hopeless(error)
                continue
            for copy in self.copies[key]:
                self.outcome.answers[copy] = answer
                self.outcome.recorded += 1
            self.bar.update()
            tokens = self.outcome.prompt_tokens + self.outcome.completion_tokens
            self.bar.set_postfix_str(f"{tokens:,} tokens, ${self.outcome.cost:.4f}", refresh=False)

    def give_up_if_hopeless(self, error: Exception) -> None:
        """End the run when a server has never answered, or has stopped answering everyone."""
        if isinstance(error, Transient) and not isinstance(error, Malformed):
            self.lost_in_a_row += 1
            if self.lost_in_a_row >= (max(3, self.concurrency) if self.outcome.recorded else 3):
                self.end(f"{self.spec.base_url} does not answer ({error}); what was answered before is recorded.")

    def end(self, sentence: str) -> None:
        """Send nothing more; requests under way may finish, those that wait to be sent again do not."""
        self.fatal = self.fatal or sentence
        self.over.set()

    async def pause(self, seconds: float) -> None:
        """Sleep, or less when the run ends meanwhile."""
        try:
            async with asyncio.timeout(seconds):
                await self.over.wait()
        except TimeoutError:
            return
        raise Fatal(self.fatal or "The run was interrupted.")

    async def one(self, client: AsyncOpenAI, request: Request, key: str, hashed: str) -> Answer:
        """One request through its attempts, and the answer into the record."""
        backoff = wait_random_exponential(self.retry.first_wait, self.retry.longest_wait)

        def wait(state: RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome else None
            return max(backoff(state), error.after if isinstance(error, Transient) else 0.0)

        attempts = AsyncRetrying(
            stop=stop_after_attempt(self.retry.attempts),
            wait=wait,
            retry=retry_if_exception_type(Transient),
            sleep=self.pause,
            reraise=True,
        )
        start, reply = time.monotonic(), None
        async for attempt in attempts:
            with attempt:
                start, reply = await self.attempt(client, request, attempt.retry_state.attempt_number > 1)
        assert reply is not None  # the last attempt has raised otherwise
        answer = self.read(request, key, hashed, reply, time.monotonic() - start)
        self.record.add(answer, replace=self.fresh)
        self.lost_in_a_row = 0
        return answer

    async def attempt(self, client: AsyncOpenAI, request: Request, again: bool) -> tuple[float, _Completion]:
        """Send once; errors become the three kinds above, and money that may be owed is counted."""
        worst = self.worst_cost(request)
        await self.reserve(worst)
        spent = 0.0
        try:
            while (wait := self.not_before - time.monotonic()) > 0:
                await self.pause(wait)
            start = time.monotonic()
            self.outcome.sent += 1
            self.outcome.retried += again
            reply = await send(client, self.body(request), self.retry.timeout, self.retry.patience, [self.key])
            prompt, completion = reply.tokens
            self.outcome.prompt_tokens += prompt
            self.outcome.completion_tokens += completion
            spent = self.cost(prompt, completion) if reply.usage else worst
            return start, reply
        except Transient as error:
            spent = worst if error.billed else 0.0
            self.not_before = max(self.not_before, time.monotonic() + error.after)
            raise
        finally:
            self.reserved -= worst
            self.outcome.cost += spent

    async def reserve(self, worst: float) -> None:
        """Set money aside; wait for others to finish where that could make room."""
        while self.budget is not None and self.outcome.cost + self.reserved + worst > self.budget:
            if self.reserved <= 1e-12 or self.outcome.stopped:
                raise _OverBudget
            await asyncio.sleep(0.01)
        self.reserved += worst

    def cost(self, prompt: float, completion: float) -> float:
        """US dollars for that many tokens."""
        return (prompt * self.spec.price_in + completion * self.spec.price_out) / 1e6

    def worst_cost(self, request: Request) -> float:
        """US dollars when every byte is a token and the answer has its full length."""
        return self.cost(_most_tokens(request), self.spec.sampling.max_tokens)

    def body(self, request: Request) -> dict[str, Any]:
        """Arguments of `chat.completions.create`."""
        sampling = sampling_of(request, self.spec)
        body: dict[str, Any] = {"model": self.spec.model, "messages": [dict(m) for m in request.messages]}
        body |= {k: sampling[k] for k in ("temperature", "top_p") if k in sampling}
        body[self.spec.max_tokens_field] = sampling["max_tokens"]
        if "seed" in sampling:
            body["seed"] = sampling["seed"] + request.sample
        if "top_logprobs" in sampling:
            body |= {"logprobs": True, "top_logprobs": sampling["top_logprobs"]}
        if "schema" in sampling:
            schema = {"name": "answer", "strict": True, "schema": sampling["schema"]}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        if sampling.get("extra"):
            body["extra_body"] = sampling["extra"]
        return body

    def read(self, request: Request, key: str, hashed: str, reply: _Completion, seconds: float) -> Answer:
        """The reply as a recorded answer, without any key that a server might echo."""
        choice, (prompt, completion) = reply.choices[0], reply.tokens
        return Answer(
            key=key,
            question=request.question,
            prompt_hash=hashed,
            model=self.spec.model,
            sampling=sampling_of(request, self.spec),
            sample=request.sample,
            text=scrub(choice.message.content or "", [self.key]),
            finish=choice.finish_reason,
            prompt_tokens=prompt,
            completion_tokens=completion,
            seconds=round(seconds, 3),
            cost=self.cost(prompt, completion),
            logprobs=choice.positions,
            messages=[dict(m) for m in request.messages],
        )


def _most_tokens(request: Request) -> int:
    """Tokens that the prompt cannot exceed in a vocabulary of bytes and their combinations: one for every byte."""
    size = sum(len(m["content"].encode("utf-8", "replace")) + MESSAGE_OVERHEAD for m in request.messages)
    return size + (len(json.dumps(request.schema)) if request.schema else 0)
