"""The parser: every notation that models use, and every text that they should not have written."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kgpert_lib.llm import prompts
from kgpert_lib.llm.answers import MOST_ITEMS, html, parse, resolver

EDITS, GENES = ("add", "remove"), ("genes",)
TABLE = resolver(["PSMB5", "PSMB6", "PSMA1", "HLA-A", "C1orf112", "NKX2-1"], {"LMPX": "PSMB5", "TTF1": "NKX2-1"})


@pytest.mark.parametrize(
    "text",
    [
        '{"add": ["PSMB5", "PSMB6"], "remove": ["HLA-A"]}',
        '{"remove": ["HLA-A"], "add": ["PSMB5", "PSMB6"]}',
        'Here it is:\n```json\n{\n  "add": [\n    "PSMB5",\n    "PSMB6",\n  ],\n  "remove": ["HLA-A",],\n}\n```\nDone!',
        "{'add': ['PSMB5', 'PSMB6'], 'remove': ['HLA-A']}",
        '{"answer": {"Add": ["PSMB5", "PSMB6"], "REMOVE": ["HLA-A"]}}',
        '{"add": "PSMB5, PSMB6", "remove": "HLA-A"}',
        '{"add": ["PSMB5, PSMB6"], "remove": ["HLA-A"]}',
        '{"add": [PSMB5, PSMB6], "remove": [HLA-A]}',
        '{"additions": ["PSMB5", "PSMB6"], "removals": ["HLA-A"]}',
        '{"add": [{"gene": "PSMB5", "why": "a [20S], \\"core\\""}, {"gene": "PSMB6"}], "remove": [{"gene": "HLA-A"}]}',
        "<think>maybe <add>PSMA1</add></think><add>PSMB5, PSMB6</add><remove>HLA-A</remove>",
        "<Add>\nPSMB5\nPSMB6\n</Add>\n<Remove>\n- HLA-A\n</Remove>",
        "Add: PSMB5, PSMB6\nRemove: HLA-A",
        "**Add:** PSMB5, PSMB6\n**Remove:** HLA-A.",
        "### Additions\n\n- **PSMB5**: core subunit\n- PSMB6 (also)\n\n### Removals\n\n1. HLA‑A, an antigen\n",
        "Genes to add:\n* PSMB5\n* PSMB6\n\nGenes to remove:\n* HLA-A\n\nThese are my edits.",
        "Add: psmb5; Psmb6\nRemove: hla-a",
        "Add: ＰＳＭＢ５, PSMB6\nRemove: HLA–A",
        'Draft: {"add": ["PSMA1"], "remove": []}\nFinal: {"add": ["PSMB5", "PSMB6"], "remove": ["HLA-A"]}',
        'thoughts without an opening </think> {"add": ["PSMB5", "PSMB6"], "remove": ["HLA-A"]}',
    ],
)
def test_one_answer_in_many_notations(text):
    parsed = parse(text, EDITS, TABLE)
    assert parsed.lists == {"add": ("PSMB5", "PSMB6"), "remove": ("HLA-A",)}
    assert parsed.complete
    assert parsed.dropped == ()


@pytest.mark.parametrize(
    "text",
    [
        '{"genes": ["PSMB5", "C1orf112"]}',
        'The closest are ["PSMB5", "C1orf112"], I think.',
        "1. PSMB5 - core subunit\n2. C1ORF112: helicase partner",
        "PSMB5, C1orf112",
        "Genes: PSMB5, C1orf112",
        "<genes>PSMB5 , C1orf112</genes>",
        "- PSMB5\n- C1orf112\n",
    ],
)
def test_one_list_in_many_notations(text):
    parsed = parse(text, GENES, TABLE)
    assert parsed["genes"] == ("PSMB5", "C1orf112")
    assert parsed.complete


def test_aliases_case_duplicates_target_and_unknown_genes_are_told_apart():
    parsed = parse(
        '{"genes": ["lmpx", "PSMB5", "PSMA1", "NOTAGENE", "ttf1", "EXAMPLE1"]}', GENES, TABLE, target="PSMA1"
    )
    assert parsed["genes"] == ("PSMB5", "NKX2-1")
    assert [(d.text, d.kind) for d in parsed.dropped] == [
        ("PSMB5", "duplicate"),
        ("PSMA1", "target"),
        ("NOTAGENE", "unknown"),
        ("EXAMPLE1", "example"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        '{"add": [], "remove": []}',
        "Add: none\nRemove: none",
        "<add></add><remove>None</remove>",
        '{"add": null, "remove": []}',
    ],
)
def test_empty_lists_are_an_answer(text):
    parsed = parse(text, EDITS, TABLE)
    assert parsed.lists == {"add": (), "remove": ()}
    assert parsed.complete
    assert parsed.dropped == ()


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ('{"add": ["PSMB5"], "remove": ["HLA-A"', {"add": ("PSMB5",), "remove": ("HLA-A",)}),
        ('{"add": ["PSMB5", "PSM', {"add": ("PSMB5",)}),
        ('{"add": ["PSMB5"]}', {"add": ("PSMB5",)}),
        ("<add>PSMB5</add><remove>HLA-A", {"add": ("PSMB5",), "remove": ("HLA-A",)}),
    ],
)
def test_a_cut_off_or_half_answer_keeps_its_genes_but_is_not_complete(text, kept):
    parsed = parse(text, EDITS, TABLE)
    assert parsed.lists == kept
    assert not parsed.complete


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I cannot answer that.",
        "Sorry.",
        "- First, PSM is a complex\n- Then nothing",
        '<think>{"genes": ["PSMB5"]}</think>',
        '<think>{"genes": ["PSMB5"]}',
        '{"genes": ["PSMB5"]} <think>wait</think>',
        '{"genes": ["EXAMPLE1", "EXAMPLE2"]}',
    ],
)
def test_no_answer_is_no_answer(text):
    parsed = parse(text, GENES, TABLE)
    assert parsed.lists == {}
    assert (parsed.complete, parsed.form) == (False, None)


def test_an_echo_of_the_prompt_is_no_answer_and_does_not_hide_one():
    neighbours = dict.fromkeys(("PSMB6", "HLA-A"), ("string",))
    for reasoning in (True, False):
        edit = prompts.edits("PSMB5", "k562", neighbours, ["PSMA1"], reasoning=reasoning)
        assert parse(edit.text, EDITS, TABLE, prompt=edit.text).lists == {}
        listed = prompts.langpert("PSMB5", "k562", ["PSMA1", "HLA-A"], reasoning=reasoning)
        assert parse(listed.text, GENES, TABLE, prompt=listed.text).lists == {}
        answer = listed.text + '\n{"genes": ["PSMA1"]}'
        assert parse(answer, GENES, TABLE, prompt=listed.text)["genes"] == ("PSMA1",)


def test_a_function_resolves_as_well_as_a_mapping():
    parsed = parse("Genes: a, b", GENES, lambda s: s.upper() if s != "b" else None)
    assert parsed["genes"] == ("A",)
    assert parsed.dropped[0].kind == "unknown"


def test_symbols_win_over_aliases():
    assert resolver(["TTF1"], {"TTF1": "NKX2-1", "ttf-1": "NKX2-1"})["TTF1"] == "TTF1"


MARKS = (
    """"add" "remove" "genes" : [ ] { } " ' , < <add> </add> </think> <think> PSMB5 EXAMPLE1 Add: ``` \\ ** none é"""
)
PIECES = st.sampled_from([*MARKS.split(), "\n", "- ", "1. ", "Genes to remove:", "\u200b"])
TEXTS = st.one_of(st.text(), st.lists(st.one_of(PIECES, st.text(max_size=3)), max_size=60).map("".join))


@settings(max_examples=300, deadline=None)
@given(TEXTS, TEXTS, st.sampled_from([EDITS, GENES]))
@example("\ud800 \x00", "", GENES)
@example('"add"' * 500 + "[" * 5000, "", EDITS)
def test_it_never_raises_and_only_known_genes_come_out(text, prompt, fields):
    parsed = parse(text, fields, TABLE, target="PSMB5", prompt=prompt)
    known = set(TABLE.values()) - {"PSMB5"}
    for genes in parsed.lists.values():
        assert set(genes) <= known
        assert len(set(genes)) == len(genes)
    assert set(parsed.lists) <= set(fields)
    assert (parsed.form is None) == (not parsed.lists)
    assert parse(text, fields, TABLE, target="PSMB5", prompt=prompt) == parsed


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(sorted(set(TABLE.values()))), unique=True),
    st.lists(st.sampled_from(sorted(set(TABLE.values()))), unique=True),
    st.text(st.characters(exclude_characters="\"'[]{}<>:`“”‘’="), max_size=80),
)
def test_valid_json_in_any_prose_is_read_exactly(add, remove, prose):
    text = prose + json.dumps({"add": add, "remove": remove}, indent=2) + prose
    parsed = parse(text, EDITS, TABLE)
    assert parsed.lists == {"add": tuple(add), "remove": tuple(remove)}
    assert parsed.complete


@pytest.mark.parametrize(
    "piece",
    [
        "{",
        "[",
        '"add": [',
        "<add>",
        "\n",
        "- A\n",
        "A,",
        '"',
        "<think>",
        "</think>",
        "add:A\n",
        '["A',
        "\\",
        "`",
        "<",
        " ",
    ],
)
def test_a_megabyte_of_anything_ends(piece):
    for fields in (EDITS, GENES):
        parsed = parse(piece * (1_000_000 // len(piece)), fields, TABLE, prompt="a line of the prompt")
        assert not any(parsed.lists.values())
        assert len(parsed.dropped) <= MOST_ITEMS * len(fields)


def test_a_list_without_end_is_read_up_to_a_limit():
    parsed = parse("Genes: " + "PSMB5," * 10_000, GENES, TABLE)
    assert parsed["genes"] == ("PSMB5",)
    assert parsed.overlong


@given(st.text())
@example("<script>alert(1)</script>")
@example("\u202egenes")
def test_html_is_inert(text):
    shown = html(text)
    assert not set("<>\"'") & set(shown)
    assert "\u202e" not in shown
    shown.encode("utf-8")
