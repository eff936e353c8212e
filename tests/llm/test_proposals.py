"""LangPert, edits and their controls on answers that are known, and what must never reach a prompt."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.affinity import fixed_weights
from kgpert_lib.llm.controls import FirstOffered, InsideGraphs, NamePrefix, RandomSets, same_prefix, union_edges
from kgpert_lib.llm.edits import NeighbourhoodEdits
from kgpert_lib.llm.langpert import LangPert
from kgpert_lib.llm.models import ModelSpec, Sampling
from kgpert_lib.llm.proposals import ModelSets, RecordedSets, read_answer
from kgpert_lib.llm.question_data import QuestionData
from kgpert_lib.llm.questions import sample_genes, sample_test_genes, spellings
from kgpert_lib.llm.record import Answer, Record, prompt_hash, request_key
from kgpert_lib.predictors.neighbours import AffinityNeighbourhood, GraphNeighbourhood, NeighbourPredictor
from kgpert_lib.predictors.predictions import Predictions
from kgpert_lib.screens.atlas import Atlas, TrainingView
from kgpert_lib.screens.screen import Screen
from kgpert_lib.studies import langpert as studies
from tests import worlds

ATLAS = worlds.atlas()
TEST = ATLAS["k562"].names("test")
VIEW = ATLAS.view("k562")
TRAIN = [str(p) for p in VIEW.target.perturbations]
GRAPH = worlds.graph()
UNION = GraphNeighbourhood([GRAPH])
KNOWN = worlds.affinity({}, GRAPH)
WIDER = AffinityNeighbourhood(KNOWN, fixed_weights(KNOWN), 50)
SPEC = ModelSpec(
    base_url="http://127.0.0.1:1/v1", model="m", context=4096, reasoning=False, sampling=Sampling(max_tokens=64)
)


def both_tasks(record: Record, spec: ModelSpec = SPEC) -> tuple[LangPert, NeighbourhoodEdits]:
    return LangPert(spec, record, WIDER), NeighbourhoodEdits(spec, record, WIDER, base=UNION)


def predict(sets, view: TrainingView, genes) -> Predictions:
    return NeighbourPredictor(sets, 0.0).predict(view, genes)


def recorded(sets: ModelSets, atlas: Atlas) -> RecordedSets:
    """What was read for every test gene of an atlas."""
    proposals = {
        (line.name, p.gene): p
        for line in atlas.lines.values()
        for p in sets.proposals(atlas.view(line.name), line.names("test"))
    }
    return RecordedSets(sets.name, "m", proposals)


def data_of(atlas: Atlas) -> QuestionData:
    screen = Screen(atlas, (GRAPH,))
    return QuestionData(screen, UNION, WIDER, {line.name: line.names("test") for line in atlas.lines.values()})


def say(record: Record, sets: ModelSets, texts: dict[str, str], line: str = "k562") -> None:
    """Put answers into the record as if the model had given them."""
    for question in sets.questions(ATLAS.view(line), list(texts)):
        request = question.request
        record.add(
            Answer(
                key=request_key(request, sets.spec),
                question=request.question,
                prompt_hash=prompt_hash(request.messages),
                model=sets.spec.model,
                sampling={},
                sample=0,
                text=texts[question.gene],
                finish="stop",
                prompt_tokens=1,
                completion_tokens=1,
                seconds=0.0,
                cost=0.0,
            )
        )


@pytest.fixture
def record(tmp_path):
    with Record(tmp_path / "r.sqlite") as opened:
        yield opened


def rows(genes) -> np.ndarray:
    return VIEW.target.delta[[VIEW.target.index[gene] for gene in genes]]


def genes_of(gene: str) -> list[str]:
    return [n.gene for n in UNION.neighbourhoods(VIEW, [gene]).of(gene)]


def test_langpert_averages_the_genes_that_the_answer_names(record):
    langpert, _ = both_tasks(record)
    gene, named = TEST[0], TRAIN[:3]
    say(record, langpert, {gene: json.dumps({"genes": [*named, TEST[1], "PSMB5", "NONSENSE", named[0], gene]})})
    proposal = langpert.proposals(VIEW, [gene])[0]
    assert proposal.added == tuple(named)
    assert proposal.size == 3
    assert sorted(d.kind for d in proposal.dropped) == [
        *("duplicate", "not measured", "target", "unknown", "unknown")  # a test gene of the toy is no human gene
    ]
    predictions = predict(langpert, VIEW, [gene])
    np.testing.assert_allclose(predictions.delta[0], rows(named).mean(0), atol=1e-6)
    assert predictions.n_neighbours[0] == 3
    assert not predictions.fallback[0]


@pytest.mark.parametrize("text", ['{"genes": []}', '{"genes": ["NONSENSE"]}', "I do not know.", ""])
def test_an_answer_without_a_usable_gene_gives_the_training_mean(record, text):
    langpert, _ = both_tasks(record)
    say(record, langpert, {TEST[0]: text})
    predictions = predict(langpert, VIEW, TEST[:1])
    np.testing.assert_array_equal(predictions.delta[0], VIEW.target.mean)
    assert predictions.fallback[0]
    assert langpert.proposals(VIEW, TEST[:1])[0].answered


def test_edits_are_the_union_with_additions_without_removals(record):
    _, edits = both_tasks(record)
    gene = max(TEST, key=lambda g: len(genes_of(g)))
    shown = genes_of(gene)
    new = [g for g in TRAIN if g not in shown][:2]
    answer = {"add": [*new, shown[1], "NONSENSE"], "remove": [shown[0], new[0], TRAIN[-1]]}
    absent = {new[0], TRAIN[-1]} - set(shown)
    say(record, edits, {gene: json.dumps(answer)})
    proposal = edits.proposals(VIEW, [gene])[0]
    assert proposal.added == tuple(new)
    assert proposal.removed[0] == shown[0]
    members = set(edits.neighbourhoods(VIEW, [gene]).members(0))
    assert members == ({*shown, *new} - {shown[0]} - ({TRAIN[-1]} & set(shown)))
    assert proposal.size == len(members)
    assert recorded(edits, ATLAS).neighbourhoods(VIEW, [gene]).members(0) == sorted(members, key=TRAIN.index)
    assert {d.text for d in proposal.dropped if d.kind == "absent"} == absent
    assert {d.text for d in proposal.dropped if d.kind == "present"} == {shown[1]}
    predictions = predict(edits, VIEW, [gene])
    np.testing.assert_allclose(predictions.delta[0], rows(members).mean(0), atol=1e-6)


def test_the_graphs_are_read_once_for_edits(record):
    class Counted:
        name = UNION.name
        calls = 0

        def neighbourhoods(self, view, perturbations):
            self.calls += 1
            return UNION.neighbourhoods(view, perturbations)

    base = Counted()
    edits = NeighbourhoodEdits(SPEC, record, WIDER, base=base)
    say(record, edits, dict.fromkeys(TEST, json.dumps({"add": TRAIN[:2], "remove": []})))
    base.calls = 0
    assert edits.neighbourhoods(VIEW, TEST).sizes.min() > 0
    assert base.calls == 1


def test_a_neighbourhood_emptied_by_removals_gives_the_training_mean(record):
    spec = SPEC.model_copy(update={"reasoning": True})
    _, edits = both_tasks(record, spec)
    gene = min(TEST, key=lambda g: len(genes_of(g)) or 99)
    say(record, edits, {gene: json.dumps({"add": [], "remove": genes_of(gene)})})
    predictions = predict(edits, VIEW, [gene])
    np.testing.assert_array_equal(predictions.delta[0], VIEW.target.mean)
    assert predictions.fallback[0]


def test_an_unreadable_answer_leaves_the_neighbourhood_as_it_was(record):
    _, edits = both_tasks(record)
    say(record, edits, dict.fromkeys(TEST, "no idea"))
    np.testing.assert_array_equal(predict(edits, VIEW, TEST).delta, predict(UNION, VIEW, TEST).delta)
    assert not any(p.readable for p in edits.proposals(VIEW, TEST))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_edited_sets_follow_the_definition(data):
    gene = data.draw(st.sampled_from(TEST))
    names = st.lists(st.sampled_from([*TRAIN, *TEST, "NONSENSE"]), max_size=12)
    add, remove = data.draw(names), data.draw(names)
    base = UNION.neighbourhoods(VIEW, [gene])
    before = set(base.members(0))
    after = base.edited([add], [remove])
    assert set(after.members(0)) == (before | (set(add) & set(TRAIN) - {gene})) - (set(remove) & before)
    assert set(base.members(0)) == before
    assert (after.weights.data == 1).all()


def test_a_missing_record_is_counted_and_never_asked(record):
    langpert, edits = both_tasks(record)
    say(record, langpert, {TEST[0]: json.dumps({"genes": TRAIN[:2]})})
    assert [p.answered for p in langpert.proposals(VIEW, TEST)] == [True] + [False] * (len(TEST) - 1)
    by_task = {(sets.task, "m"): recorded(sets, ATLAS) for sets in (langpert, edits)}
    counted = studies.counts(by_task).set_index(["line", "task"])
    assert counted.loc[("k562", "langpert"), "missing"] == len(TEST) - 1
    assert counted.loc[("k562", "edits"), "missing"] == len(TEST)
    scores = studies.langpert_scores(data_of(ATLAS), by_task, 0.0, draws=2)
    assert scores[scores["predictor"].str.startswith("LangPert")]["perturbation"].unique().tolist() == [TEST[0]]
    assert (scores[scores["predictor"] == "training mean"].groupby("line").size() == len(TEST)).all()


def corrupted(atlas: Atlas) -> Atlas:
    """The same atlas with another delta for every test perturbation."""
    rng = np.random.default_rng(9)
    lines = {}
    for name, line in atlas.lines.items():
        delta = line.delta.copy()
        delta[line.split == "test"] = rng.normal(size=((line.split == "test").sum(), delta.shape[1])) * 9
        lines[name] = replace(line, delta=delta)
    return replace(atlas, lines=lines)


@pytest.mark.parametrize("reasoning", [True, False])
def test_corrupting_every_delta_of_test_genes_changes_no_prompt_and_no_prediction(record, reasoning):
    spec = SPEC.model_copy(update={"reasoning": reasoning})
    for sets in both_tasks(record, spec):
        before = sets.questions(VIEW, TEST)
        other = corrupted(ATLAS).view("k562")
        assert sets.questions(other, TEST) == before
        say(record, sets, dict.fromkeys(TEST, json.dumps({"genes": TRAIN[:3], "add": TRAIN[:3], "remove": []})))
        np.testing.assert_array_equal(predict(sets, other, TEST).delta, predict(sets, VIEW, TEST).delta)
        for question in before:
            assert question.gene not in question.prompt.candidates
            assert question.gene not in question.neighbours
            assert not set(question.prompt.candidates) & set(TEST)


def test_a_training_gene_asked_about_is_not_among_its_own_candidates(record):
    for sets in both_tasks(record):
        for question in sets.questions(VIEW, TRAIN[:4]):
            assert question.gene not in (*question.prompt.candidates, *question.neighbours)


def test_deltas_do_not_shape_prompts_at_all(record):
    flipped = replace(VIEW, lines={k: replace(v, delta=-v.delta) for k, v in VIEW.lines.items()})
    for sets in both_tasks(record):
        assert sets.questions(flipped, TEST) == sets.questions(VIEW, TEST)


def test_random_sets_have_the_sizes_of_the_models_and_depend_on_seed_and_gene_only(record):
    _, edits = both_tasks(record)
    big = sorted(TEST, key=lambda g: -len(genes_of(g)))[:2]
    answers = {
        g: json.dumps({"add": [t for t in TRAIN if t not in genes_of(g)][:2], "remove": genes_of(g)[:1]}) for g in big
    }
    say(record, edits, answers)
    proposals = {p.gene: p for p in edits.proposals(VIEW, big)}
    for pool in ("offered", "training"):
        control = RandomSets(edits, pool, 3)
        drawn = control.neighbourhoods(VIEW, big)
        alone = control.neighbourhoods(VIEW, big[1:])
        assert drawn.members(1) == alone.members(0)
        for row, gene in enumerate(big):
            before, after = set(genes_of(gene)), set(drawn.members(row))
            assert len(after - before) == len(proposals[gene].added) == 2
            assert len(before - after) == len(proposals[gene].removed) == 1
            if pool == "offered":
                assert after - before <= set(proposals[gene].offered)
    draws = {tuple(RandomSets(edits, "training", s).neighbourhoods(VIEW, big).members(0)) for s in range(8)}
    assert len(draws) > 1


def test_the_first_offered_and_the_inside_of_the_graphs(record):
    langpert, _ = both_tasks(record)
    gene = max(TEST, key=lambda g: len(genes_of(g)))
    joined = [g for g in TRAIN if g in GRAPH.neighbours(gene)]
    foreign = [g for g in TRAIN if g not in GRAPH.neighbours(gene)]
    say(record, langpert, {gene: json.dumps({"genes": [joined[0], *foreign[:2]]})})
    offered = langpert.proposals(VIEW, [gene])[0].offered
    assert FirstOffered(langpert).neighbourhoods(VIEW, [gene]).members(0) == sorted(offered[:3])
    assert InsideGraphs(langpert, [GRAPH]).neighbourhoods(VIEW, [gene]).members(0) == joined[:1]


@pytest.mark.parametrize(
    ("gene", "training", "relatives"),
    [
        ("MRPL27", ["MRPL3", "MRPL9", "MRPS5"], ["MRPL3", "MRPL9"]),
        ("MRPLX", ["MRPL3", "MRPS5"], ["MRPL3"]),
        ("MRPX1", ["MRPL3", "MRPS5", "MED1"], ["MRPL3", "MRPS5"]),
        ("C7orf26", ["C7orf50", "CDK1"], []),
        ("MED1", ["MED1", "MED4"], ["MED4"]),
    ],
)
def test_the_rule_of_name_prefixes(gene, training, relatives):
    assert same_prefix(gene, training) == relatives
    view = replace(VIEW, lines={"k562": replace(VIEW.target, perturbations=np.array(TRAIN))})
    assert predict(NamePrefix(), view, ["ZZZ1"]).fallback[0]


def test_the_choice_of_test_genes_is_fixed_and_shared_between_lines():
    names = [f"G{i}" for i in range(50)]
    first = sample_genes(names, 10)
    assert sample_genes(reversed(names), 10) == first
    assert set(sample_genes(names[:40], 8)) >= set(sample_genes(names, 8)) & set(names[:40])
    assert sample_genes(names, 10, seed=1) != first
    assert sample_test_genes(ATLAS["k562"], 2) == [g for g in TEST if g in sample_genes(TEST, 2)]
    assert sample_test_genes(ATLAS["k562"], 10**6) == TEST


def test_scores_are_of_the_genes_that_were_asked_about(record):
    langpert, _ = both_tasks(record)
    genes = sample_genes(TEST, 2)
    say(record, langpert, dict.fromkeys(genes, json.dumps({"genes": TRAIN[:2]})))
    data = replace(data_of(ATLAS.select(["k562"])), genes={"k562": genes})
    by_task = studies.read(data, ["m"], record, tasks=()) | {("langpert", "m"): recorded(langpert, data.screen.atlas)}
    scores = studies.langpert_scores(data, by_task, 0.0, draws=1)
    assert set(scores["perturbation"]) == set(genes)


def test_old_names_are_read_as_the_screen_spells_them(record):
    line = replace(ATLAS["k562"], perturbations=np.array(["AARS", "C7orf26", *ATLAS["k562"].perturbations[2:]]))
    line = replace(line, split=np.where(np.arange(len(line.split)) < 2, "train", line.split))
    view = Atlas("toy", "simulated", {"k562": line}).view("k562")
    gene = line.names("test")[0]
    langpert, _ = both_tasks(record)
    question = langpert.questions(view, [gene])[0]
    answer = Answer("k", "q", "h", "m", {}, 0, '{"genes": ["aars1", "INTS15", "PSMB5"]}', "stop", 1, 1, 0.0, 0.0)
    proposal = read_answer(question, answer, set(map(str, view.target.perturbations)), spellings(view))
    assert proposal.added == ("AARS", "C7orf26")
    assert [(d.text, d.kind) for d in proposal.dropped] == [("PSMB5", "not measured")]


def test_shares_and_fates_add_up(record):
    langpert, _ = both_tasks(record)
    say(record, langpert, dict.fromkeys(TEST, json.dumps({"genes": [TRAIN[0], TRAIN[0], "NONSENSE"]})))
    data = data_of(ATLAS.select(["k562"]))
    by_task = {("langpert", "m"): recorded(langpert, data.screen.atlas)}
    fates = studies.fates(by_task).set_index("fate")
    assert fates.loc["used", "n"] == len(TEST)
    assert fates["share"].sum() == pytest.approx(1)
    inside = studies.inside_graphs(data, by_task).set_index("who")
    expected = np.mean([TRAIN[0] in union_edges([GRAPH], g) for g in TEST])
    assert inside.loc["m", "share"] == pytest.approx(expected)
    assert inside[inside["published"]].index.tolist() == ["Gemini 2.5 Pro", "Claude Sonnet 4"]
    row = studies.inside_against_offered(data, by_task).iloc[0]
    assert (row["model"], row["n"]) == ("m", len(TEST))
    assert row["inside"] == pytest.approx(expected)
    assert row["difference"] == pytest.approx(expected - inside.loc["genes offered", "share"])
    assert row["difference_low"] <= row["difference"] <= row["difference_high"]


def test_a_gene_that_was_not_read_is_named():
    with pytest.raises(InputError, match=r"No proposal of m was read for"):
        RecordedSets("x", "m", {}).neighbourhoods(VIEW, TEST[:1])
