"""The prompts, word for word, and what must never be in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.llm import prompts
from kgpert_lib.llm.prompts import count_tokens, edits, langpert

SNAPSHOTS = Path(__file__).parent / "snapshots"
NAMES = {"PSMB5": "proteasome 20S subunit beta 5", "PSMB6": "proteasome 20S subunit beta 6", "MED1": ""}
KNOWLEDGE = {"STRING": "binds PSMB6, PSMA1", "GO": "proteasome core complex; proteolysis"}
NEIGHBOURS = {"PSMB6": ("string", "go"), "MED1": ("go",)}
MANY = [f"GENE{i}" for i in range(500)]

CASES = {
    "langpert": lambda: langpert("PSMB5", "k562", ["PSMB6", "MED1", "PSMA1"], names=NAMES, knowledge=KNOWLEDGE),
    "langpert_brief": lambda: langpert("PSMB5", "rpe1", ["PSMB6", "MED1"], reasoning=False, most=5),
    "langpert_compact": lambda: langpert("PSMB5", "jurkat", MANY, wider=["X", *MANY[100:400]], room=500, names=NAMES),
    "edits": lambda: edits("PSMB5", "hepg2", NEIGHBOURS, ["PSMA1", "PSMB6"], names=NAMES, knowledge=KNOWLEDGE),
    "edits_brief": lambda: edits("PSMB5", "my line", {}, [], reasoning=False),
    "edits_brief_full": lambda: edits(
        "PSMB5", "k562", NEIGHBOURS, MANY[:4], names=NAMES, knowledge=KNOWLEDGE, reasoning=False, most=2, most_removed=1
    ),
    "edits_compact": lambda: edits("PSMB5", "k562", NEIGHBOURS, MANY, wider=MANY[7:9], room=700, names=NAMES),
}


@pytest.mark.parametrize("name", CASES)
def test_the_text_is_what_it_was(name):
    prompt = CASES[name]()
    assert prompt.text + "\n" == (SNAPSHOTS / f"{name}.md").read_text(encoding="utf-8")
    assert CASES[name]() == prompt


def test_the_order_of_candidates_does_not_matter():
    assert langpert("A", "k562", ["C", "B"]) == langpert("A", "k562", {"B", "C"})


def test_the_target_is_refused_among_candidates_and_neighbours():
    with pytest.raises(InputError, match="PSMB5 is among the candidates"):
        langpert("PSMB5", "k562", ["PSMB5", "PSMB6"])
    with pytest.raises(InputError, match="PSMB5 is among its own neighbours"):
        edits("PSMB5", "k562", {"PSMB5": ("go",)}, ["PSMB6"])
    with pytest.raises(InputError, match="no candidate"):
        langpert("PSMB5", "k562", [])


@settings(max_examples=50, deadline=None)
@given(st.integers(450, 1500), st.integers(1, 400))
def test_a_prompt_fits_its_room_with_as_many_candidates_as_possible(room, near):
    names = sorted(MANY)
    prompt = langpert("PSMB5", "k562", MANY, wider=names[:near], room=room)
    assert prompt.tokens <= room
    assert prompt.form == "compact"
    offered = len(prompt.candidates)
    assert list(prompt.candidates) == names[:offered]
    if offered < near:
        one_more = prompt.text.replace(names[offered - 1], f"{names[offered - 1]}, {names[offered]}")
        assert count_tokens([{"role": "system", "content": one_more}]) + prompts.MESSAGE_OVERHEAD > room - 2


def test_a_prompt_without_room_for_one_candidate_is_a_sentence():
    for room, wider in ((100, MANY), (600, [])):
        with pytest.raises(InputError, match=f"has room for {room}"):
            langpert("PSMB5", "k562", MANY, wider=wider, room=room)


def test_edits_can_be_asked_without_naming_a_single_candidate():
    prompt = edits("PSMB5", "k562", NEIGHBOURS, MANY, room=600)
    assert prompt.candidates == ()
    assert "You may also add other genes" in prompt.text


def test_a_large_neighbourhood_is_shown_whole_where_the_context_allows():
    many = {f"GENE{i:03}": ("go",) for i in range(60)}
    options = {"wider": MANY, "room": 300, "reasoning": False}
    with pytest.raises(InputError, match="room for 300"):
        edits("PSMB5", "k562", many, MANY, **options)
    prompt = edits("PSMB5", "k562", many, MANY, **options, context=1000)
    assert prompt.candidates == ()
    assert all(gene in prompt.text for gene in many)


def test_neighbours_are_not_offered_as_additions():
    prompt = edits("PSMB5", "k562", NEIGHBOURS, ["PSMB6", "PSMA1"])
    assert prompt.candidates == ("PSMA1",)


def test_a_gene_list_and_prose_are_never_estimated_below_one_token_per_four_letters():
    messages = [{"role": "user", "content": ", ".join(MANY)}]
    assert count_tokens(messages) > len(", ".join(MANY)) / 4
    assert prompts.estimate_tokens("") == 0


def test_the_schema_describes_the_wanted_lists():
    schema = langpert("A", "k562", ["B"], most=3).schema
    assert schema["required"] == ["genes"]
    assert schema["properties"]["genes"]["maxItems"] == 3
    assert edits("A", "k562", {}, ["B"]).schema["required"] == ["add", "remove"]
    short = edits("A", "k562", {"C": ("go",)}, ["B"], most=2, most_removed=5, reasoning=False).schema
    assert {k: v["maxItems"] for k, v in short["properties"].items()} == {"add": 2, "remove": 1}
    assert "pattern" in short["properties"]["add"]["items"]
    assert "pattern" not in schema["properties"]["genes"]["items"]
    json.dumps(schema)


def test_no_template_is_left_out_of_the_tests_or_has_a_hole():
    files = {p.stem for p in (Path(prompts.__file__).parent / "prompts").glob("*.md")}
    brief = {"langpert_brief", "edits_brief", "known_brief"}
    assert files == {"system", "experiment", "answer", "langpert", "edits"} | brief
    for name in CASES:
        assert "{" not in CASES[name]().text.replace(prompts._example(CASES[name]().fields), "")
