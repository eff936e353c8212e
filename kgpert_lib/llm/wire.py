"""One HTTP request to an OpenAI-compatible server, with every error turned into one scrubbed sentence."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from kgpert_lib.errors import InputError
from kgpert_lib.llm.models import ModelSpec, scrub

if TYPE_CHECKING:
    from openai import AsyncOpenAI

Secrets = Sequence[str | None]


class Transient(Exception):
    """A failure after which the request is sent again, `after` seconds later at the earliest.

    `billed` is True where the server may have done the work, so that its price has to be reckoned with.
    """

    def __init__(self, reason: str, after: float = 0.0, billed: bool = False) -> None:
        super().__init__(reason)
        self.after, self.billed = after, billed


class Refused(Exception):
    """A failure of this request that no repetition mends."""


class Fatal(Exception):
    """A failure that every other request would meet as well."""


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


async def send(client: AsyncOpenAI, body: dict[str, Any], timeout: float, patience: float, secrets: Secrets) -> Any:
    """Send one request and return the completion.

    What is raised (`Transient`, `Refused` or `Fatal`) carries one sentence without keys and no link to the
    original error, whose headers hold the key. A ``Retry-After`` beyond `patience` seconds is `Fatal`.
    """
    import openai

    problem: Exception
    try:
        async with asyncio.timeout(timeout):
            reply = await client.chat.completions.create(**body)
        if getattr(reply, "choices", None) and getattr(reply.choices[0], "message", None):
            return reply
        problem = Transient("the server sent a reply that is no chat completion", billed=True)
    except openai.APIStatusError as error:
        problem = _status_problem(error, patience, secrets)
    except (openai.APITimeoutError, TimeoutError):
        problem = Transient(f"no answer within {timeout:g} s", billed=True)
    except openai.APIConnectionError as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else "no connection"
        problem = Transient(f"the connection failed ({cause})", billed=cause != "ConnectError")
    except (openai.APIResponseValidationError, ValueError, AttributeError, TypeError):
        problem = Transient("the server sent a reply that is not valid JSON", billed=True)
    raise problem


def _status_problem(error: Any, patience: float, secrets: Secrets) -> Exception:
    status, body = error.status_code, error.body if isinstance(error.body, dict) else {}
    said = scrub(" ".join(str(body.get("message") or error.message).split())[:300], secrets)
    if status in (401, 403):
        return Fatal(f"The server refused the key ({status}: {said}).")
    if status == 404:
        return Fatal(f"The server knows no such model or address ({status}: {said}).")
    if status == 429 and body.get("code") == "insufficient_quota":
        return Fatal(f"The account has no credit left ({said}).")
    if status in (408, 409, 425, 429) or status >= 500:
        after = _retry_after(error.response.headers)
        if after > patience:
            return Fatal(f"The server asks to wait {after:.0f} s ({status}: {said}); run again later.")
        return Transient(f"the server answered {status}", after)
    return Refused(f"the server refused the request ({status}: {said})")


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


def tokens_of(reply: Any) -> tuple[int, int]:
    """Prompt tokens and billed completion tokens.

    Some servers leave hidden reasoning out of `completion_tokens` but count it in `total_tokens`.
    """
    if not reply.usage:
        return 0, 0
    prompt, completion = reply.usage.prompt_tokens or 0, reply.usage.completion_tokens or 0
    return prompt, max(completion, (reply.usage.total_tokens or 0) - prompt)


def logprobs_of(choice: Any) -> list[Any] | None:
    """Token, log probability and alternatives of every position of an answer; None where the server gave none."""
    tokens = choice.logprobs.content if choice.logprobs else None
    if not tokens:
        return None
    return [[t.token, round(t.logprob, 4), {o.token: round(o.logprob, 4) for o in t.top_logprobs}] for t in tokens]
