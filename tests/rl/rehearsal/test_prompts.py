"""Questions of the gene-edit model: a known answer, and no test gene and no delta among their words."""

from dataclasses import replace

import numpy as np
import pytest

from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.rl.rehearsal.prompts import CANDIDATES, NEIGHBOURS, UNKNOWN, Words, answer, quoted
from kgpert_lib.rl.tasks import EditTasks, Settings
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.screen import Screen
from tests import worlds
from tests.perturbqa.world import affinity, screen

EDGES = [(1, 2, 1.0), (1, 3, 0.5), (2, 3, 0.8), (1, 4, 0.2), (1, 7, 0.9), (5, 6, 1.0)]
TOY = screen()


def on(atlas, graphs, **options):
    return EditTasks.on(Screen(atlas, graphs, brings_graphs=True), Settings(**options))


@pytest.fixture
def seven():
    """Six training perturbations and the test perturbation XX7, which is the second closest to XX1."""
    names = np.array([f"XX{i}" for i in range(1, 8)])
    delta = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    line = CellLine("k562", names, np.array(["R1", "R2", "R3"]), delta, np.array(["train"] * 6 + ["test"]))
    ends, weights = np.array([edge[:2] for edge in EDGES]), np.array([weight for *_, weight in EDGES])
    graph = KnowledgeGraph.from_edges("string", names[ends[:, 0] - 1], names[ends[:, 1] - 1], weights)
    tasks = on(Atlas("toy", "simulated", {"k562": line}), (graph,), limit=2)
    return tasks, Words({"string": (10, 17)}, tuple(names), (), ("k562",))


def test_a_question_says_how_each_gene_is_tied_to_the_target_and_to_its_neighbours(seven):
    tasks, words = seven
    asked = words.prompts(tasks.lines["k562"])
    # ties to XX1 by the walk are 18.1, 15.4 and 8.3; XX3 is beside XX2, all of the neighbourhood, and XX4 is not
    assert asked["XX1"].text == 'k562 size1 near n1-30 "XX2", far c-23 "XX3", c-10 "XX4", ask'
    assert (asked["XX1"].neighbours, asked["XX1"].candidates) == (("XX2",), ("XX3", "XX4"))
    assert asked["XX5"].text == 'k562 size1 near n1-30 "XX6", far ask'


def test_every_word_of_every_question_is_in_the_vocabulary_once():
    tasks = on(TOY, affinity().graphs)
    words = Words.of(tasks, [gene for line in TOY.lines.values() for gene in line.perturbations])
    assert len(words.vocabulary) == len(set(words.vocabulary))
    for name, line in tasks.lines.items():
        for gene, prompt in words.prompts(line).items():
            assert set(prompt.text.split()) <= {*words.vocabulary, UNKNOWN}
            assert quoted(gene) not in prompt.text.split()
            assert len(prompt.neighbours) <= NEIGHBOURS
            assert len(prompt.candidates) <= CANDIDATES
            assert prompt.text.startswith(f"{name} size")


def test_a_line_that_was_not_trained_on_has_no_word():
    tasks = on(TOY, affinity().graphs)
    words = Words.of(replace(tasks, lines={"k562": tasks.lines["k562"]}), TOY["k562"].perturbations)
    assert all(prompt.text.startswith(UNKNOWN) for prompt in words.prompts(tasks.lines["rpe1"]).values())


@pytest.mark.parametrize("split", ["train", "test"])
def test_no_test_delta_reaches_words_or_questions(split):
    genes = TOY["k562"].perturbations
    both = []
    for atlas in (TOY, worlds.poisoned(TOY)):
        words = Words.of(on(atlas, affinity().graphs), genes)
        asked = on(atlas, affinity().graphs, split=split)
        both.append((words, {name: words.prompts(line) for name, line in asked.lines.items()}))
    assert both[0] == both[1]


def test_the_words_of_an_answer_are_read_as_json_of_its_genes():
    tasks = on(TOY, affinity().graphs)
    question = next(q for q in tasks.questions if len(q.neighbours) >= 2)
    free = [g for g in tasks.lines[question.line].view.target.index if g not in (question.gene, *question.neighbours)]
    read = tasks.lines[question.line].read(question.gene, answer(free[:3], question.neighbours[:2]))
    assert read.complete
    assert (set(read.added), set(read.removed)) == (set(free[:3]), set(question.neighbours[:2]))
    assert not read.dropped
