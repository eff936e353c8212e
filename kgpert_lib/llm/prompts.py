"""Questions to a model, rendered from the templates in ``prompts/``.

They are reconstructed: the paper describes its prompts (section 4.2, appendix D.1) without printing them. The
functions take plain data and give the same text for the same data. No delta is among the data, so no prompt
can carry one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import accumulate
from typing import Any, Literal

import jinja2

from kgpert_lib.errors import InputError
from kgpert_lib.lines import LINES
from kgpert_lib.llm.answers import EXAMPLES

MESSAGE_OVERHEAD = 16
SYMBOL = "^[A-Za-z][A-Za-z0-9-]{1,11}$"
CONTEXT = {
    "k562": "chronic myeloid leukaemia, without functional TP53",
    "rpe1": "retinal pigment epithelium immortalised with hTERT, nearly diploid, TP53 functional",
    "hepg2": "hepatocellular carcinoma, TP53 functional",
    "jurkat": "acute T-cell leukaemia, without functional TP53",
}


@dataclass(frozen=True)
class Prompt:
    """A rendered question.

    `messages` go to the model; `fields` are the lists its answer has to hold and `schema` their JSON
    schema; `candidates` are the genes that the prompt offers, `form` says whether all of them
    (``"full"``) or a choice (``"compact"``); `tokens` is the count against which the room was checked.
    """

    messages: tuple[dict[str, str], ...]
    fields: tuple[str, ...]
    schema: dict[str, Any]
    form: Literal["full", "compact"]
    candidates: tuple[str, ...]
    tokens: int

    @cached_property
    def text(self) -> str:
        """All messages in one string, for reading and for finding echoes of them in an answer."""
        return "\n\n".join(message["content"] for message in self.messages)


def langpert(
    gene: str,
    line: str,
    candidates: Collection[str],
    *,
    names: Mapping[str, str] | None = None,
    knowledge: Mapping[str, str] | None = None,
    wider: Sequence[str] = (),
    most: int = 20,
    reasoning: bool = True,
    room: int | None = None,
) -> Prompt:
    """Ask which measured genes are related to a gene (LangPert; paper, section 4.2).

    Parameters
    ----------
    gene, line : target symbol and cell line.
    candidates : all training genes; the target is refused among them.
    names : full names by symbol. knowledge : what a source says about the target, by source.
    wider : the genes of the graphs' wider neighbourhood, closest first. Where the whole list of candidates
        does not fit into `room` tokens, as many of these (of those that are candidates) as fit are offered.
    most : genes that may be chosen. reasoning : ask for thoughts first (not for small models).
    room : tokens for the prompt, that is context less answer; None: no limit.

    Candidates stand in the order of the alphabet, so that their place carries no information.

    Raises
    ------
    InputError
        When the target is a candidate, there is none, or not even one candidate fits.

    Examples
    --------
    >>> from kgpert_lib.llm.prompts import langpert
    >>> prompt = langpert("INTS9", "k562", ["INTS4", "RPL3"])
    >>> prompt.fields, prompt.candidates
    (('genes',), ('INTS4', 'RPL3'))
    """
    values = _experiment(gene, line, names, knowledge) | {"limits": {"genes": most}, "reasoning": reasoning}
    return _fitted("langpert", ("genes",), gene, candidates, wider, values, room)


def edits(
    gene: str,
    line: str,
    neighbours: Mapping[str, Collection[str]],
    candidates: Collection[str],
    *,
    names: Mapping[str, str] | None = None,
    knowledge: Mapping[str, str] | None = None,
    wider: Sequence[str] = (),
    most: int = 10,
    most_removed: int | None = None,
    reasoning: bool = True,
    room: int | None = None,
    context: int | None = None,
) -> Prompt:
    """Ask for additions to and removals from a graph neighbourhood (paper, section 5.1).

    `neighbours` is ``N_train(gene)`` in the order to show, each with the graphs that give it, which are named beside
    its full name where there is room for thoughts; `candidates` are training genes, of which those that are
    neighbours already are left out. At most `most` genes may be added and `most_removed` removed (None: all).
    Where the neighbours alone need more than `room`, they may have up to `context` tokens, and no candidate is offered.
    The other parameters and errors are those of `langpert`.
    """
    if gene in neighbours:
        raise InputError(f"{gene} is among its own neighbours; leave the target out.")
    removable = len(neighbours) if most_removed is None else min(most_removed, len(neighbours))
    values = _experiment(gene, line, names, knowledge) | {"limits": {"add": most, "remove": removable}}
    values |= {"reasoning": reasoning, "limit_removed": most_removed or len(neighbours)}
    values["neighbours"] = [
        {"gene": symbol, "graphs": graphs, "name": (names or {}).get(symbol, "")}
        for symbol, graphs in neighbours.items()
    ]
    free = [c for c in candidates if c not in neighbours]
    near = [w for w in wider if w not in neighbours]
    return _fitted("edits", ("add", "remove"), gene, free, near, values, room, context)


def estimate_tokens(text: str) -> int:
    """Tokens of a text, on the safe side, without a tokenizer.

    Lower-case words count a token for every four letters begun, capitals one for every letter and a half,
    digits, marks and every other byte one each: above what the vocabularies of SmolLM2 and Qwen3 need for
    prose and for lists of gene symbols.
    """
    return sum(map(_word_tokens, text.split())) + sum(len(gap) - 1 for gap in re.findall(r"\s{2,}", text))


def count_tokens(messages: Sequence[Mapping[str, str]]) -> int:
    """Tokens of messages, on the safe side, with what a chat template puts around each."""
    return sum(estimate_tokens(m["content"]) + MESSAGE_OVERHEAD for m in messages)


def answer_schema(
    fields: Sequence[str], most: int | Mapping[str, int] = 64, pattern: str | None = None
) -> dict[str, Any]:
    """JSON schema of an object with one list of symbols for each field, at most `most` of them (or by field).

    With `pattern` every symbol has to match it: small models otherwise fill their answer with one endless word.
    """
    symbol = {"type": "string"} if pattern is None else {"type": "string", "pattern": pattern}
    limits = dict.fromkeys(fields, most) if isinstance(most, int) else most
    return {
        "type": "object",
        "properties": {f: {"type": "array", "maxItems": limits[f], "items": symbol} for f in fields},
        "required": list(fields),
        "additionalProperties": False,
    }


@lru_cache(maxsize=2**16)
def _word_tokens(word: str) -> int:
    return sum(_piece_tokens(piece) for piece in re.findall(r"[a-z]+|[A-Z]+|[^a-zA-Z]", word))


def _piece_tokens(piece: str) -> int:
    if piece.isascii():
        return -(-len(piece) // 4) if piece.islower() else -(-2 * len(piece) // 3)
    return len(piece.encode("utf-8", "replace"))


def _experiment(
    gene: str, line: str, names: Mapping[str, str] | None, knowledge: Mapping[str, str] | None
) -> dict[str, Any]:
    name = (names or {}).get(gene, "")
    return {
        "gene": gene,
        "name": name,
        "line": LINES.get(line.lower(), line),
        "context": CONTEXT.get(line.lower(), ""),
        "knowledge": sorted((knowledge or {}).items()),
    }


def _fitted(
    task: str,
    fields: tuple[str, ...],
    gene: str,
    candidates: Collection[str],
    wider: Sequence[str],
    values: dict[str, Any],
    room: int | None,
    context: int | None = None,
) -> Prompt:
    """The prompt with all candidates, or with as many of the wider neighbourhood as there is room for."""
    allowed = set(candidates)
    if gene in allowed:
        raise InputError(f"{gene} is among the candidates of its own question; leave the target out.")
    if not allowed and fields == ("genes",):
        raise InputError(f"There is no candidate for {gene}; the training set is empty.")

    def render(offered: list[str], form: Literal["full", "compact"]) -> Prompt:
        given = values | {"candidates": offered, "compact": form == "compact", "example": _example(fields)}
        given["keys"] = _keys(fields)
        messages = (
            {"role": "system", "content": _templates().get_template("system.md").render().strip()},
            {
                "role": "user",
                "content": _templates()
                .get_template(f"{task}.md" if values["reasoning"] else f"{task}_brief.md")
                .render(given)
                .strip(),
            },
        )
        schema = answer_schema(fields, values["limits"], None if values["reasoning"] else SYMBOL)
        return Prompt(messages, fields, schema, form, tuple(offered), count_tokens(messages))

    near = list(dict.fromkeys(g for g in wider if g in allowed))
    required = int(fields == ("genes",))
    if (
        room is None or 2 * len(allowed) <= room + 1 or len(near) < required
    ):  # a gene and a comma are two tokens or more
        prompt = render(sorted(allowed), "full")
        if room is None or prompt.tokens <= room:
            return prompt
    best = None
    if near:
        prompt = render(near[:1], "compact")
        further = accumulate((_word_tokens(f"{g},") for g in near[1:]), initial=prompt.tokens)
        count = sum(tokens <= room for tokens in further)
        best = render(sorted(near[:count]), "compact") if count else None
    if best is None and not required:
        prompt = render([], "compact")
        best = prompt if prompt.tokens <= max(room, context or 0) else None
    if best is None:
        raise InputError(
            f"The question about {gene} needs {prompt.tokens} tokens and has room for {room}; "
            "use a model with a larger context, or give the wider neighbourhood to choose candidates from."
        )
    return best


def _example(fields: tuple[str, ...]) -> str:
    if fields == ("genes",):
        return f'{{"genes": ["{EXAMPLES[0]}", "{EXAMPLES[1]}"]}}'
    return f'{{"add": ["{EXAMPLES[0]}", "{EXAMPLES[1]}"], "remove": ["{EXAMPLES[2]}"]}}'


def _keys(fields: tuple[str, ...]) -> str:
    if fields == ("genes",):
        return 'its key is "genes"'
    return 'its keys are "add" and "remove"'


@lru_cache(maxsize=1)
def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader("kgpert_lib.llm", "prompts")
    return jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, autoescape=False, auto_reload=False)
