import csv

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.perturbqa import ask as module
from kgpert_lib.perturbqa.ask import ADDED, Asker, ask_csv
from tests.perturbqa.world import knowledge, screen


@pytest.fixture(scope="module")
def asker():
    return Asker.fit(screen(), "k562", knowledge())


def table(path, rows, header=("perturbation", "readout")):
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])
    return path


def read(path):
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def questions(asker, n, seed=0):
    rng = np.random.default_rng(seed)
    cells = asker.atlas["k562"]
    return [[str(rng.choice(cells.perturbations)), str(rng.choice(cells.genes[20:]))] for _ in range(n)]


def test_one_question_shows_answer_probability_and_neighbours(asker):
    gene = asker.atlas["k562"].names("test")[0]
    made = asker.ask(gene, "R020")
    assert made.status == "test"
    assert made.answer in ("unchanged", "up", "down")
    three = [1 - made.p_changes, made.p_changes * made.p_rises, made.p_changes * (1 - made.p_rises)]
    assert made.p_right == pytest.approx(max(three), abs=1e-6)
    assert set(made.neighbours["gene"]) <= set(asker.atlas["k562"].names("train"))
    assert made.neighbours["share"].is_monotonic_decreasing
    assert made.to_dict()["neighbours"][0]["gene"] == made.neighbours["gene"].iloc[0]


def test_a_pair_measured_in_training_is_said_and_shown(asker):
    cells = asker.atlas["k562"]
    gene = cells.names("train")[0]
    column = int(np.flatnonzero(~np.isnan(cells.delta[cells.index[gene]]))[-1])
    made = asker.ask(gene, str(cells.genes[column]))
    assert made.measured == cells.delta[cells.index[gene], column]
    assert "measured in training" in made.note


def test_a_gene_in_no_graph_gets_the_base_rate_and_a_note():
    atlas = screen()
    alone = Asker.fit(atlas, "k562", knowledge(150))
    made = alone.ask("G155", "R020")
    assert made.p_changes == pytest.approx(float(alone.changes.base[list(alone.changes.genes).index("R020")]), abs=1e-6)
    assert "in no graph" in made.note


@pytest.mark.parametrize(
    ("gene", "readout", "words"),
    [
        ("QQQQQQ", "R020", "Unknown gene 'QQQQQQ'"),
        ("G001", "QQQQQQ", "Unknown gene 'QQQQQQ'"),
        ("G001", "G001", "perturbed gene itself"),
    ],
)
def test_what_cannot_be_asked_is_one_sentence(asker, gene, readout, words):
    with pytest.raises(InputError, match=words):
        asker.ask(gene, readout)


def test_unknown_line():
    with pytest.raises(InputError, match="no cell line 'hela'"):
        Asker.fit(screen(), "hela", knowledge())


def test_a_table_is_answered_as_single_questions_are(asker, tmp_path):
    rows = questions(asker, 30)
    report = ask_csv(asker, table(tmp_path / "in.csv", rows), tmp_path / "out.csv")
    assert (report.answered, report.broken, report.resumed) == (30, 0, 0)
    for row in read(tmp_path / "out.csv"):
        made = asker.ask(row["perturbation"], row["readout"])
        assert float(row["p_changes"]) == pytest.approx(made.p_changes, abs=1e-4)
        assert row["answer"] == made.answer
        assert row["status"] == made.status
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]


def test_broken_rows_are_reported_and_the_rest_answered(asker, tmp_path):
    rows = [["id", *q] for q in questions(asker, 200)]
    rows[10] = ["id", "QQQQQQ", "R020"]
    rows[20] = ["id", "G001"]
    rows[30] = ["id", "", "R020"]
    rows[40] = ["id", "G001", "R999"]
    source = table(tmp_path / "in.csv", rows, ("id", "perturbation", "readout"))
    report = ask_csv(asker, source, tmp_path / "out.csv", chunk=37)
    assert (report.answered, report.broken) == (196, 4)
    assert report.examples[0] == "row 12: unknown gene: 'QQQQQQ'"
    assert report.examples[1] == "row 22: 2 cells where the header has 3"
    made = read(tmp_path / "out.csv")
    assert [i for i, row in enumerate(made) if not row["answer"]] == [10, 20, 30, 40]
    assert list(made[0])[3:] == list(ADDED)
    assert "no readout gene of k562" in made[40]["note"]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_that_was_cut_off_goes_on_and_ends_with_the_same_file(asker, tmp_path, monkeypatch, after):
    source = table(tmp_path / "in.csv", questions(asker, 100))
    ask_csv(asker, source, tmp_path / "whole.csv", chunk=25)
    answer, calls = module._answer_rows, []

    def cut_off(*args):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return answer(*args)

    monkeypatch.setattr(module, "_answer_rows", cut_off)
    with pytest.raises(KeyboardInterrupt):
        ask_csv(asker, source, tmp_path / "out.csv", chunk=25)
    assert not (tmp_path / "out.csv").exists()
    with (tmp_path / "out.csv.part").open("a") as torn:
        torn.write("half a ro")
    monkeypatch.undo()
    assert ask_csv(asker, source, tmp_path / "out.csv", chunk=25).resumed == 25 * after
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_another_table_does_not_resume_an_old_one(asker, tmp_path):
    (tmp_path / "out.csv.part").write_text("old")
    (tmp_path / "out.csv.part.json").write_text('{"key": "other", "rows": 5, "bytes": 3}')
    report = ask_csv(asker, table(tmp_path / "in.csv", questions(asker, 5)), tmp_path / "out.csv")
    assert (report.answered, report.resumed) == (5, 0)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (("gene", "readout"), "no column 'perturbation'"),
        (("perturbation", "readout", "note"), "already has a column 'note'"),
    ],
)
def test_wrong_columns(asker, tmp_path, header, words):
    source = table(tmp_path / "in.csv", [], header)
    with pytest.raises(InputError, match=words):
        ask_csv(asker, source, tmp_path / "out.csv")
    with pytest.raises(InputError, match="does not exist"):
        ask_csv(asker, tmp_path / "none.csv", tmp_path / "out.csv")


def test_trust_in_the_votes_on_a_gene_stands_beside_its_answer(asker):
    told = asker.ask(asker.atlas["k562"].names("test")[0], "R020").trust
    assert set(told) == {"de", "dir"}
    for ends in told.values():
        assert 0 <= ends["low"] <= ends["expected"] <= ends["high"] <= 1
    small = Asker.fit(screen(n=50, tests=10), "k562", knowledge(50))
    assert small.ask("G001", "R020").trust == {}
