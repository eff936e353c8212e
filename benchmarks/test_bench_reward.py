import json
from time import perf_counter

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from benchmarks.ratios import check, ratio
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics.deltas import pearson_delta
from kgpert_lib.rl.tasks import EditTasks, Settings
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.screen import Screen

PERTURBATIONS, GROUP, TARGETS = 2_000, 8, 500


def screen(genes, measured=1.0):
    """Random deltas of 2,000 perturbations, dense or calls, in a graph of about 10 edges a gene."""
    rng = np.random.default_rng(0)
    names = np.array([f"G{i:04d}" for i in range(PERTURBATIONS)])
    if measured == 1:
        delta = rng.standard_normal((PERTURBATIONS, genes), dtype=np.float32)
    else:
        delta = rng.choice([-1, 0, 1], (PERTURBATIONS, genes)).astype(np.float32)
        delta[rng.random(delta.shape) > measured] = np.nan
    split = np.full(PERTURBATIONS, "train")
    split[:10] = "test"
    line = CellLine("k562", names, np.array([f"R{i:04d}" for i in range(genes)]), delta, split)
    ends = rng.integers(0, PERTURBATIONS, (2, 5 * PERTURBATIONS))
    graph = KnowledgeGraph.from_edges("string", names[ends[0]], names[ends[1]])
    return Screen(Atlas("random", "simulated", {"k562": line}), (graph,), brings_graphs=True)


def case(genes, measured=1.0):
    """Tasks with everything built that is built once, and 8 answers to each of 500 questions."""
    tasks = EditTasks.on(screen(genes, measured), Settings())
    rng = np.random.default_rng(1)
    asked = []
    for line, gene in tasks.stream[:TARGETS]:
        question = tasks.question(line, gene)
        names = [g for g in tasks.lines[line].view.target.index if g != gene]
        for _ in range(GROUP):
            remove = list(map(str, rng.choice(question.neighbours, min(2, len(question.neighbours)), replace=False)))
            asked.append((line, gene, json.dumps({"add": list(map(str, rng.choice(names, 3))), "remove": remove})))
    tasks.judge_all(asked)
    return tasks, asked


@pytest.fixture(autouse=True)
def one_core():
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def dense():
    return case(2_000)


@pytest.fixture(scope="module")
def wide():
    return case(8_000)


def a_second(tasks, asked):
    start = perf_counter()
    tasks.judge_all(asked)
    return len(asked) / (perf_counter() - start)


def test_rewards_on_dense_deltas_do_not_depend_on_the_number_of_genes(dense, wide):
    value = ratio(lambda: wide[0].judge_all(wide[1]), lambda: dense[0].judge_all(dense[1]), repeats=7)
    check("rewards of 4,000 answers: 8,000 readout genes / 2,000", value, at_most=1.2)
    check("rewards a second from the answers' texts, dense, 2,000 readout genes, one core", a_second(*dense))


def test_rewards_on_dense_deltas_against_averaging_and_correlating(wide):
    tasks, asked = wide
    line = tasks.lines["k562"].view.target
    verdicts = tasks.judge_all(asked)
    few = range(0, len(asked), 40)

    def loop():
        out = []
        for i in few:
            gene = asked[i][1]
            near = set(tasks.question("k562", gene).neighbours)
            members = [line.index[g] for g in (near | set(verdicts[i].added)) - set(verdicts[i].removed)]
            rest = np.delete(np.arange(len(line.delta)), line.index[gene])
            pred = line.delta[members or rest].mean(axis=0)
            out.append(pearson_delta(pred[None], line.delta[[line.index[gene]]])[0])
        return out

    reached = [verdicts[i].gap + verdicts[i].unedited for i in few]
    np.testing.assert_allclose(reached, loop(), atol=1e-5)
    value = ratio(loop, lambda: tasks.judge_all(asked), repeats=3) * 40
    check("averaging and correlating edited sets (scaled) / reading and rewarding the answers", value, at_least=2)


def test_rewards_on_calls():
    tasks, asked = case(5_000, measured=0.02)
    check("rewards a second from the answers' texts, calls of 2 % of 5,000 readout genes", a_second(tasks, asked))


def test_prompts():
    tasks = EditTasks.on(screen(50), Settings())
    start = perf_counter()
    count = sum(len(question.prompt.text) > 0 for question in tasks.questions)
    check("prompts a second", count / (perf_counter() - start))
