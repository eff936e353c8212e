"""One parser from a model's text to lists of genes: JSON, tags, or headed and bulleted lines.

It never raises, whatever the text, and its time grows linearly with the text. Of what follows the last
thought, the final 100,000 characters are read: more than any answer's length allowed in `models.toml`.
LangPert, edits, the training environment and the evaluation all read answers with `parse`.
"""

from __future__ import annotations

import html as _html
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple

EXAMPLES = ("EXAMPLE1", "EXAMPLE2", "EXAMPLE3")
LONGEST_ANSWER = 100_000
MOST_ITEMS = 5_000
LONGEST_SYMBOL = 40

Kind = Literal["duplicate", "target", "unknown", "example", "not measured", "present", "absent"]
Form = Literal["json", "tags", "lines"]
Lookup = Callable[[str], str | None]
Resolve = Mapping[str, str] | Lookup

_WORDS = {
    "genes": "genes?|related(?:[ _]genes)?|answer",
    "add": "add|adds|added|additions?",
    "remove": "remove|removes|removed|removals?",
}
_THOUGHT = re.compile(r"</\s*(?:think|thinking|thought|reasoning)\s*>", re.IGNORECASE)
_THOUGHT_OPEN = re.compile(r"<\s*(?:think|thinking|thought|reasoning)\s*>", re.IGNORECASE)
_QUOTED = re.compile(r"""["'“”‘’`]([^"'“”‘’`\n]*)["'“”‘’`]""")
_NAMED = re.compile(r"""["'](?:gene|symbol|name)["'][ \t\n]{0,4}:[ \t\n]{0,4}["']([^"'\n]*)["']""", re.IGNORECASE)
_BARE = re.compile(r"[^,;|\n\[\]{}]+")
_BULLET = re.compile(r"[ \t]{0,16}(?:[-*+•‣–—·]|\d{1,4}[.)])[ \t]{1,8}(.*)")
_SYMBOL = re.compile(r"[^\W_][\w.\-/@]*")
_NOTHING = {"", "none", "n/a", "na", "nothing", "null", "empty", "no", "no genes", "no gene", "[]", "-"}
_MARKUP = str.maketrans("", "", "*`_\"'“”‘’")
_LOOKALIKES = dict.fromkeys("‐‑‒–—―−﹘﹣－", "-") | dict.fromkeys("\u200b\u200c\u200d\ufeff\xad", "")
_IN_LIST = r"""(?:[^\[\]"]++|"(?:[^"\\\n]++|\\.)*+"|")*+"""
_BARE_ARRAY = re.compile(rf"""\[(?P<list>\s*+(?="){_IN_LIST})(?P<end>\])?""")


class Dropped(NamedTuple):
    """A proposal that does not count: the list it stood in, its text, and why.

    `parse` itself knows the first four kinds. Of what it resolved, the sets of `kgpert_lib.llm.proposals` drop
    genes that are no training perturbation (``"not measured"``), additions that are neighbours already
    (``"present"``) and removals of genes that are none (``"absent"``).
    """

    field: str
    text: str
    kind: Kind


@dataclass(frozen=True)
class Parsed:
    """What an answer holds.

    `lists` has the genes of each list that was found, in order, resolved, each once; `dropped` the other
    proposals by kind. `complete` is True when every wanted list was found and none was cut off.
    `form` is the notation that was read, None when there was none. `overlong` says that a list went on
    beyond 5,000 proposals, where reading stops.
    """

    lists: Mapping[str, tuple[str, ...]]
    dropped: tuple[Dropped, ...] = ()
    complete: bool = False
    form: Form | None = None
    overlong: bool = False

    def __getitem__(self, field: str) -> tuple[str, ...]:
        return self.lists.get(field, ())


class _RawList(NamedTuple):
    """The raw content of one list, and whether its end was there."""

    field: str
    content: str
    closed: bool


_Reader = Callable[[str, Sequence[str], Lookup], Iterator[_RawList]]


def parse(
    text: str,
    fields: Sequence[str],
    resolve: Resolve,
    *,
    target: str | None = None,
    prompt: str = "",
) -> Parsed:
    """Read lists of genes out of a model's answer.

    Parameters
    ----------
    text : the answer. What stands before the end of a ``<think>`` block is skipped.
    fields : lists wanted: ``("genes",)`` or ``("add", "remove")``.
    resolve : a mapping from spellings to symbols (tried as written, then in capitals), such as
        `resolver` gives, or a function from a spelling to a symbol or None. What it does not know is ``"unknown"``.
    target : the gene asked about, dropped from every list.
    prompt : the question; lines of the answer that repeat a line of it are skipped.

    The last full set of lists counts, so a draft before the final answer does no harm. A list that
    holds nothing but the prompt's example symbols is no list.

    Examples
    --------
    >>> from kgpert_lib.llm.answers import parse, resolver
    >>> symbols = resolver(["INTS4", "INTS6"], {"INT6": "INTS6"})
    >>> answer = parse('{"genes": ["INTS4", "nonsense", "int6"]}', ["genes"], symbols)
    >>> answer.lists, [dropped.text for dropped in answer.dropped]
    ({'genes': ('INTS4', 'INTS6')}, ['nonsense'])
    """
    body = _final_part(text, prompt)
    lookup = resolve if callable(resolve) else _lookup(resolve)
    readers: dict[Form, _Reader] = {"json": _json_lists, "tags": _tag_lists, "lines": _line_lists}
    for form, reader in readers.items():
        raw = _last_set(reader(body, fields, lookup), fields)
        if raw:
            return _resolved(raw, fields, lookup, target, form)
    return Parsed({})


def resolver(symbols: Iterable[str], aliases: Mapping[str, str] | None = None) -> dict[str, str]:
    """A mapping for `parse`: every symbol and alias, as written and in capitals, to its symbol; symbols win.

    Examples
    --------
    >>> from kgpert_lib.llm.answers import resolver
    >>> resolver(["C1orf112"], {"FIRRM": "C1orf112"})["C1ORF112"]
    'C1orf112'
    """
    table: dict[str, str] = {}
    names = list(symbols)
    for spelling, symbol in [*zip(names, names, strict=True), *(aliases or {}).items()]:
        table.setdefault(spelling, symbol)
    for spelling, symbol in list(table.items()):
        table.setdefault(spelling.upper(), symbol)
    return table


def html(text: str) -> str:
    """Model text made safe for a page: markup escaped, control characters shown as U+FFFD."""
    clean = re.sub(r"[^\S \n\t]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "\ufffd", text)
    return _html.escape(clean, quote=True)


def _final_part(text: str, prompt: str) -> str:
    """The text after the last closed thought, without an unclosed one and without lines of the prompt."""
    ends = [match.end() for match in _THOUGHT.finditer(text)]
    text = text[ends[-1] :] if ends else text
    opened = _THOUGHT_OPEN.search(text)
    if opened:
        text = text[: opened.start()]
    text = text[-LONGEST_ANSWER:]
    if not text.isascii():
        for character, plain in _LOOKALIKES.items():
            text = text.replace(character, plain)
    if prompt:
        known = _lines_of(prompt)
        text = "\n".join(line for line in text.splitlines() if line.strip() not in known)
    return text


@lru_cache(maxsize=64)
def _lines_of(prompt: str) -> frozenset[str]:
    """The lines of a question that an answer may not repeat; answers to one question come together."""
    return frozenset(line.strip() for line in prompt.splitlines() if len(line.strip()) > 11)


def _json_lists(text: str, fields: Sequence[str], lookup: Lookup) -> Iterator[_RawList]:
    """Lists after a quoted field name and a colon, whatever stands around them and whether or not they end."""
    words = "|".join(f"(?P<{f}>{_WORDS.get(f, re.escape(f))})" for f in fields)
    pattern = (
        rf"""["'“”‘’`](?:{words})["'“”‘’`]\s{{0,64}}[:=]\s{{0,64}}"""
        rf"""(?:\[(?P<list>{_IN_LIST})(?P<end>\])?|"(?P<one>[^"\n]*)"|null\b)"""
    )
    keyed = False
    for match in re.finditer(pattern, text, re.IGNORECASE):
        keyed = True
        content = match["list"] if match["list"] is not None else match["one"] or ""
        closed = match["list"] is None or match["end"] is not None
        yield _RawList(next(f for f in fields if match[f]), content, closed)
    if len(fields) == 1 and not keyed:
        for match in _BARE_ARRAY.finditer(text):
            yield _RawList(fields[0], match["list"], match["end"] is not None)


def _tag_lists(text: str, fields: Sequence[str], lookup: Lookup) -> Iterator[_RawList]:
    """Lists between tags; an unclosed one goes on to the next tag."""
    words = "|".join(f"(?P<{f}>{_WORDS.get(f, re.escape(f))})" for f in fields)
    for match in re.finditer(rf"<(?:{words})>(?P<list>[^<]*)(?P<end></)?", text, re.IGNORECASE):
        yield _RawList(next(f for f in fields if match[f]), match["list"], match["end"] is not None)


def _line_lists(text: str, fields: Sequence[str], lookup: Lookup) -> Iterator[_RawList]:
    """Lists after a heading (``Add: A, B`` or ``Add:`` and bullets); one wanted list needs no heading."""
    words = "|".join(f"(?P<{f}>{_WORDS.get(f, re.escape(f))})" for f in fields)
    heading = re.compile(
        rf"[\s#*_>•\-]{{0,12}}(?:genes? to )?(?:be )?(?:{words})(?:[ _]?genes?)?[\s*_]{{0,4}}"
        r"(?:[:=][\s*_]{0,4}(?P<rest>.*)|[\s*_]{0,4}$)",
        re.IGNORECASE,
    )
    current: str | None = None
    items: list[str] = []
    free: list[str] = []
    for line in text.splitlines():
        head = heading.match(line)
        bullet = None if head else _BULLET.match(line)
        if head:
            if current:
                yield _RawList(current, "\n".join(items), True)
            current, items = next(f for f in fields if head[f]), [head["rest"]] if (head["rest"] or "").strip() else []
        elif bullet and current:
            items.append(_first_symbol(bullet[1]))
        elif bullet:
            free.append(_first_symbol(bullet[1]))
        elif current and line.strip():
            if items or not _is_list(line):
                yield _RawList(current, "\n".join(items), True)
                current = None
            else:
                items.append(line)
    if current:
        yield _RawList(current, "\n".join(items), True)
    elif len(fields) == 1 and _names_a_gene(free, lookup):
        yield _RawList(fields[0], "\n".join(free), True)
    elif len(fields) == 1 and _is_list(text) and _names_a_gene(_items(text), lookup):
        yield _RawList(fields[0], text, True)


def _names_a_gene(words: Iterable[str], lookup: Lookup) -> bool:
    """Whether one of the first 200 words is a known gene; prose without a heading is no answer otherwise."""
    return any(_symbol(item, lookup) for word in islice(words, 200) for item in islice(_items(word), 50))


def _first_symbol(line: str) -> str:
    """The symbols of a bullet: all of a plain list, else the first word, what follows being an explanation."""
    plain = line.translate(_MARKUP)
    if _is_list(plain):
        return plain
    match = _SYMBOL.search(plain[: 2 * LONGEST_SYMBOL])
    return match[0].rstrip(".-/") if match else plain[:LONGEST_SYMBOL]


def _is_list(text: str) -> bool:
    """Whether a text is nothing but single words set apart by commas, judged by its first 4,000 characters."""
    words = [w.strip() for w in re.split(r"[,;\n]", text[:4000].strip().rstrip("."))]
    return bool(words) and all(w and " " not in w for w in words)


def _last_set(raw: Iterable[_RawList], fields: Sequence[str]) -> dict[str, _RawList]:
    """The last group of lists with every field; without a full one, the last group."""
    full: dict[str, _RawList] = {}
    group: dict[str, _RawList] = {}
    for item in raw:
        if _only_examples(item.content):
            continue
        if item.field in group:
            group = {}
        group[item.field] = item
        if len(group) == len(fields):
            full = group
    return full or group


def _only_examples(content: str) -> bool:
    if EXAMPLES[0][:-1] not in content.upper():
        return False
    items = list(islice(_items(content), len(EXAMPLES) + 1))
    return bool(items) and all(item.upper() in EXAMPLES for item in items)


def _items(content: str) -> Iterator[str]:
    """The proposals in the content of one list, as written."""
    if "{" in content:
        matches: Iterator[re.Match[str]] = _NAMED.finditer(content)
        group = 1
    elif any(mark in content for mark in "\"'“‘`"):
        matches, group = _QUOTED.finditer(content), 1
    else:
        matches, group = _BARE.finditer(content), 0
    for match in matches:
        for part in match[group].split(",") if "," in match[group] else (match[group],):
            item = part.strip(" \t\r\n*_-•.\"'`")
            if item.lower() not in _NOTHING:
                yield item


def _resolved(
    raw: Mapping[str, _RawList],
    fields: Sequence[str],
    lookup: Lookup,
    target: str | None,
    form: Form,
) -> Parsed:
    lists: dict[str, tuple[str, ...]] = {}
    dropped: list[Dropped] = []
    overlong = False
    for name in fields:
        if name not in raw:
            continue
        genes: dict[str, None] = {}
        items = _items(raw[name].content)
        for item in islice(items, MOST_ITEMS):
            symbol = _symbol(item, lookup)
            kind: Kind | None = None
            if item.upper() in EXAMPLES:
                kind = "example"
            elif symbol is None:
                kind = "unknown"
            elif symbol == target:
                kind = "target"
            elif symbol in genes:
                kind = "duplicate"
            if kind:
                dropped.append(Dropped(name, item[:LONGEST_SYMBOL], kind))
            elif symbol is not None:
                genes[symbol] = None
        overlong |= next(items, None) is not None
        lists[name] = tuple(genes)
    complete = len(lists) == len(fields) and all(raw[name].closed for name in fields)
    return Parsed(lists, tuple(dropped), complete, form, overlong)


def _symbol(item: str, lookup: Lookup) -> str | None:
    if len(item) > LONGEST_SYMBOL:
        return None
    symbol = lookup(item)
    if symbol is None and not item.isascii():
        symbol = lookup(unicodedata.normalize("NFKC", item))
    return symbol


def _lookup(table: Mapping[str, str]) -> Lookup:
    def look(spelling: str) -> str | None:
        return table.get(spelling) or table.get(spelling.upper())

    return look
