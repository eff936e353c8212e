"""Which models can be asked, and how: `models.toml`, checked; keys come from the environment only."""

from __future__ import annotations

import ipaddress
import os
import re
import tomllib
from collections.abc import Iterable
from datetime import date
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from kgpert_lib.errors import InputError

BUILT_IN = Path(__file__).with_name("models.toml")
PART_OF_A_KEY = 8
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


class _Checked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(_Checked):
    """How an answer is drawn. Every field is part of the key under which the answer is recorded.

    `seed` is the seed of sample 0; sample k is asked with ``seed + k``. `top_logprobs` asks for the
    log-probabilities of that many tokens at each place. `extra` is passed in the body as it stands.
    """

    temperature: float | None = Field(default=None, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    max_tokens: int = Field(default=1024, gt=0)
    seed: int | None = None
    top_logprobs: int | None = Field(default=None, ge=1, le=20)
    extra: dict[str, Any] = {}


class ModelSpec(_Checked):
    """One model behind one OpenAI-compatible address.

    `context` is in tokens, prompt and answer together; `prompt_tokens` caps the prompt below what the context
    allows, for a model that reads slowly; prices are US dollars per million tokens;
    `json_schema` and `logprobs` say whether the server honours them (where it does not, they are not
    sent); `reasoning` says whether prompts ask for thoughts before the answer.
    """

    base_url: str
    model: str
    key_env: str | None = None
    context: int = Field(gt=0)
    prompt_tokens: int | None = Field(default=None, gt=0)
    price_in: float = Field(default=0.0, ge=0)
    price_out: float = Field(default=0.0, ge=0)
    json_schema: bool = False
    logprobs: bool = False
    reasoning: bool = True
    concurrency: int = Field(default=16, ge=1)
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    retired: date | None = None
    sampling: Sampling = Sampling()

    @field_validator("base_url")
    @classmethod
    def _no_secret_in_address(cls, value: str) -> str:
        address = "has to be an http or https address such as http://127.0.0.1:8080/v1"
        try:
            parts = urlsplit(value)
            usable = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and parts.port != 0
        except ValueError:  # brackets without an IPv6 address, or a port that is no number from 0 to 65535
            raise ValueError(address) from None
        if parts.username or parts.password or parts.query:
            raise ValueError("must not carry a key; name an environment variable in key_env")
        if not usable:
            raise ValueError(address)
        return value

    @property
    def local(self) -> bool:
        """True for a server on this machine, which is reached without a proxy."""
        return urlsplit(self.base_url).hostname in ("127.0.0.1", "localhost", "::1")

    @property
    def room(self) -> int:
        """Tokens that a prompt may have."""
        free = self.context - self.sampling.max_tokens
        return free if self.prompt_tokens is None else min(free, self.prompt_tokens)

    def key(self) -> str | None:
        """The key from the environment; None where the model needs none. InputError names a missing variable."""
        if self.key_env is None:
            return None
        value = os.environ.get(self.key_env, "").strip()
        if not value:
            raise InputError(f"{self.model} needs a key: set the environment variable {self.key_env}.")
        if not value.isascii() or not value.isprintable():
            raise InputError(f"The key in {self.key_env} holds characters that no key has; copy it again.")
        return value

    def at(self, base_url: str) -> ModelSpec:
        """The same model behind another address; InputError where that is no http address or carries a key."""
        try:
            return ModelSpec.model_validate(self.model_dump() | {"base_url": base_url})
        except ValidationError as error:
            raise InputError(f"The address of {self.model} cannot be used: {first_problem(error)}.") from None


def load_models(path: str | Path | None = None) -> dict[str, ModelSpec]:
    """All models by name: the built-in ones, with those of a user's own file of the same form laid over them.

    Raises
    ------
    InputError
        When the file is missing, is no TOML, or holds a field that does not fit; file, model and field are named.
    """
    files = [BUILT_IN] if path is None else [BUILT_IN, Path(path)]
    return {name: spec for file in files for name, spec in _read(file).items()}


def find_model(name: str, path: str | Path | None = None) -> ModelSpec:
    """One model by name; InputError lists the names that exist.

    Examples
    --------
    >>> from kgpert_lib.llm.models import find_model
    >>> find_model("gemini-2-5-pro").key_env
    'GEMINI_API_KEY'
    """
    known = load_models(path)
    if name not in known:
        raise InputError(f"No model is called {name!r}; there are {', '.join(sorted(known))}.")
    return known[name]


def scrub(text: str, secrets: Iterable[str | None]) -> str:
    """The text without keys: each secret, each part of one of 8 characters or more, and what follows ``Bearer``.

    Scrub before a text is cut: of a key that the cut leaves fewer characters of, nothing would be recognised.
    """
    for secret in secrets:
        if secret:
            text = _without_parts(text, secret, min(PART_OF_A_KEY, len(secret)))
    return re.sub(r"(?i)\bbearer +[^\s\"',;]+", "Bearer [key]", text)


def _without_parts(text: str, secret: str, size: int) -> str:
    """Every run of `text` that is made of pieces of `secret` of `size` characters becomes ``[key]``."""
    pieces = {secret[i : i + size] for i in range(len(secret) - size + 1)}
    covered = [False] * len(text)
    for start in range(len(text) - size + 1):
        if text[start : start + size] in pieces:
            covered[start : start + size] = [True] * size
    runs = groupby(zip(covered, text, strict=True), key=itemgetter(0))
    return "".join("[key]" if inside else "".join(c for _, c in run) for inside, run in runs)


def _is_host(name: str) -> bool:
    """Whether a server can have this name: an IP address, or labels of letters, digits, ``-`` and ``_``."""
    try:
        ipaddress.ip_address(name.partition("%")[0])
        return True
    except ValueError:
        pass
    try:
        plain = name.encode("idna").decode("ascii")
    except UnicodeError:  # an empty label, or one above 63 characters
        return False
    return len(plain) <= 253 and all(_LABEL.fullmatch(label) for label in plain.removesuffix(".").split("."))


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found, as ``field: message``; never the value, which could be a key."""
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg'].removeprefix('Value error, ')}"


def _read(file: Path) -> dict[str, ModelSpec]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise InputError(f"{file} cannot be read as TOML ({error}).") from None
    specs = {}
    for name, table in tables.items():
        try:
            specs[name] = ModelSpec.model_validate(table)
        except ValidationError as error:
            raise InputError(f"{file}, model {name!r}: {first_problem(error)}.") from None
    return specs
