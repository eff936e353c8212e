"""Votes on 116,041 questions of four lines, AUROC with its bootstrap, and tables of questions.

The screens are made up in the shape of PerturbQA's four lines, so that the benchmark needs no download.
"""

import csv
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.metrics import roc_auc_score

from benchmarks.ratios import check, peak_memory, ratio
from kgpert_lib.graphs.affinity import Affinity, LinkTable, SetTable, WalkTable
from kgpert_lib.graphs.graph import KnowledgeGraph
from kgpert_lib.metrics.auroc import auroc
from kgpert_lib.perturbqa import tuning
from kgpert_lib.perturbqa.ask import Asker
from kgpert_lib.perturbqa.ask_csv import ask_csv
from kgpert_lib.perturbqa.tasks import Questions
from kgpert_lib.perturbqa.voting import Voter
from kgpert_lib.screens.atlas import Atlas, CellLine

LINES = ("k562", "rpe1", "hepg2", "jurkat")
QUESTIONS = (29_011, 29_010, 29_010, 29_010)
PERTURBATIONS, GENES, TESTS, TERMS, CARRIED = 2_000, 4_500, 350, 18_000, 90


def names(n: int, prefix: str) -> np.ndarray:
    return np.array([f"{prefix}{i:05d}" for i in range(n)])


def make_affinity() -> Affinity:
    rng = np.random.default_rng(0)
    genes = names(PERTURBATIONS, "G")
    rows = np.repeat(np.arange(PERTURBATIONS), CARRIED)
    terms = (TERMS * rng.random(len(rows)) ** 2).astype(int)
    carried = sp.csr_matrix((np.ones(len(rows), np.float32), (rows, terms)), shape=(PERTURBATIONS, TERMS))
    length = np.sqrt(np.asarray(carried.multiply(carried).sum(axis=1)).ravel())
    edges = rng.choice(genes, (2, 10_000))
    string = KnowledgeGraph.from_edges("string", *edges)
    unit = (sp.diags((1 / length).astype(np.float32)) @ carried).tocsr()
    return Affinity((SetTable("go", genes, unit), LinkTable(string), WalkTable.of(string)), (string,))


def make_atlas(wanted: tuple[str, ...] = LINES) -> Atlas:
    rng = np.random.default_rng(1)
    lines = {}
    for line in wanted:
        delta = np.full((PERTURBATIONS, GENES), np.nan, np.float32)
        asked = rng.random(delta.shape) < 0.02
        delta[asked] = rng.choice([-1, 0, 1], asked.sum(), p=[0.06, 0.88, 0.06])
        delta[:, 0] = 0
        split = np.array(["train"] * (PERTURBATIONS - TESTS) + ["test"] * TESTS)
        lines[line] = CellLine(line, names(PERTURBATIONS, "G"), names(GENES, "R"), delta, split)
    return Atlas("made up", "simulated", lines)


@pytest.fixture(scope="module")
def asked() -> dict[str, Questions]:
    rng = np.random.default_rng(2)
    tests = names(PERTURBATIONS, "G")[-TESTS:]
    out = {}
    for line, n in zip(LINES, QUESTIONS, strict=True):
        place = rng.choice(TESTS * GENES, n, replace=False)
        label = (rng.random(n) < 0.12).astype(np.int8)
        out[line] = Questions(line, "de", "test", tests, names(GENES, "R"), place // GENES, place % GENES, label, 0)
    return out


def test_affinity_votes_on_116041_questions(asked):
    affinity, atlas = make_affinity(), make_atlas()
    views = {line: atlas.view(line, "strict") for line in LINES}
    fitted = {line: Voter.fit(views[line], "de", affinity, tuning.load("strict", "de")) for line in LINES}
    for line in LINES:
        fitted[line].answer("affinity", asked[line])
        fitted[line].answer("mixed", asked[line])
    dense = affinity.tables[0].matrix.toarray()
    test, train = dense[-TESTS:], np.ascontiguousarray(dense[:-TESTS].T)

    def ours(rule: str) -> None:
        for line in LINES:
            fitted[line].data._affinities.clear()  # the affinity is part of the vote
            fitted[line].answer(rule, asked[line])

    def floor() -> None:
        for _ in LINES:
            test @ train

    total = sum(len(q) for q in asked.values())
    for rule in ("affinity", "mixed"):
        measured = ratio(lambda rule=rule: ours(rule), floor)
        check(
            f"{total:,} votes ({rule}) of four fitted lines / one dense similarity product a line",
            measured,
            at_most=5.0,
        )


def test_auroc_with_1000_draws(asked):
    q = asked["k562"]
    score = np.random.default_rng(3).random(len(q))
    groups = [np.flatnonzero(q.column == g) for g in np.unique(q.column)]
    groups = [g for g in groups if 0 < q.label[g].sum() < len(g)]

    def loop() -> None:
        for g in groups:
            roc_auc_score(q.label[g], score[g])

    measured = ratio(lambda: auroc(score, q.label, q.column, q.row, draws=1000), loop)
    check("AUROC with 1,000 draws over perturbations / one scikit-learn loop without", measured, at_most=20.0)


def answer_a_table(folder: Path) -> tuple[float, float]:
    """Pairs a second of a table of 100,000 by the committed choices, and the peak memory of this process in GB."""
    rng = np.random.default_rng(4)
    with (folder / "in.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["perturbation", "readout"])
        for i, j in zip(rng.integers(0, PERTURBATIONS, 100_000), rng.integers(0, GENES, 100_000), strict=True):
            writer.writerow([f"G{i:05d}", f"R{j:05d}"])
    choices = {task: tuning.load("strict", task) for task in ("de", "dir")}
    asker = Asker.fit(make_atlas(LINES[:2]), "k562", make_affinity(), choices)
    asker.answer_pairs(["G00000"], ["R00000"])
    start = time.perf_counter()
    ask_csv(asker, folder / "in.csv", folder / "out.csv")
    rate = 100_000 / (time.perf_counter() - start)
    return rate, peak_memory()


def test_100000_pairs_of_a_table(tmp_path):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        rate, peak = alone.submit(answer_a_table, tmp_path).result()
    check(f"20,000 / pairs a second of a table ({rate:,.0f})", 20_000 / rate, at_most=1.0)
    check("peak memory of that process, GB", peak, at_most=1.5)
