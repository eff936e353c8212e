import csv
import json

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.files import OutputError
from kgpert_lib.perturbqa import ask_csv as module
from kgpert_lib.perturbqa.ask import Asker
from kgpert_lib.perturbqa.ask_csv import ADDED, ask_csv
from kgpert_lib.perturbqa.voting import RULES, Choices, Voter
from tests.perturbqa.world import affinity, screen, with_deltas


@pytest.fixture(scope="module")
def asker():
    return Asker.fit(screen(), "k562", affinity())


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
    answer = asker.ask(gene, "R020")
    assert answer.status == "test"
    assert answer.answer in ("unchanged", "up", "down")
    three = [1 - answer.p_changes, answer.p_changes * answer.p_rises, answer.p_changes * (1 - answer.p_rises)]
    assert answer.p_right == pytest.approx(max(three), abs=1e-6)
    assert set(answer.neighbours["gene"]) <= set(asker.atlas["k562"].names("train"))
    assert answer.to_dict()["neighbours"][0]["gene"] == answer.neighbours["gene"].iloc[0]


def test_a_pair_measured_in_training_is_said_and_shown(asker):
    cells = asker.atlas["k562"]
    gene = cells.names("train")[0]
    column = int(np.flatnonzero(~np.isnan(cells.delta[cells.index[gene]]))[-1])
    answer = asker.ask(gene, str(cells.genes[column]))
    assert answer.measured == cells.delta[cells.index[gene], column]
    assert "measured in training" in answer.note


def test_a_gene_in_no_graph_gets_the_base_rate_and_a_note():
    atlas = screen()
    alone = Asker.fit(atlas, "k562", affinity(150))
    answer = alone.ask("G155", "R020")
    assert answer.p_changes == pytest.approx(
        float(alone.voters["de"].base[list(alone.voters["de"].genes).index("R020")]), abs=1e-6
    )
    assert "in no graph" in answer.note


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
        Asker.fit(screen(), "hela", affinity())


def test_a_table_is_answered_as_single_questions_are(asker, tmp_path):
    rows = questions(asker, 30)
    report = ask_csv(asker, table(tmp_path / "in.csv", rows), tmp_path / "out.csv")
    assert (report.answered, report.broken, report.resumed) == (30, 0, 0)
    for row in read(tmp_path / "out.csv"):
        answer = asker.ask(row["perturbation"], row["readout"])
        assert float(row["p_changes"]) == pytest.approx(answer.p_changes, abs=1e-4)
        assert row["answer"] == answer.answer
        assert row["status"] == answer.status
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
    answer = read(tmp_path / "out.csv")
    assert [i for i, row in enumerate(answer) if not row["answer"]] == [10, 20, 30, 40]
    assert list(answer[0])[3:] == list(ADDED)
    assert "no readout gene of k562" in answer[40]["note"]


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_run_that_was_cut_off_goes_on_and_ends_with_the_same_file(asker, tmp_path, monkeypatch, after):
    source = table(tmp_path / "in.csv", questions(asker, 100))
    ask_csv(asker, source, tmp_path / "whole.csv", chunk=25)
    original, calls = module._answer_rows, []

    def cut_off(*args):
        calls.append(1)
        if len(calls) > after:
            raise KeyboardInterrupt
        return original(*args)

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
    trust = asker.ask(asker.atlas["k562"].names("test")[0], "R020").trust
    assert set(trust) == {"de", "dir"}
    for ends in trust.values():
        assert 0 <= ends["low"] <= ends["expected"] <= ends["high"] <= 1
    small = Asker.fit(screen(n=50, tests=10), "k562", affinity(50))
    assert small.ask("G001", "R020").trust == {}


def test_only_too_few_perturbations_leave_the_trust_out(monkeypatch):
    def broken(*_):
        raise InputError("The graph is broken.")

    monkeypatch.setattr("kgpert_lib.perturbqa.ask.trust_in_votes", broken)
    with pytest.raises(InputError, match="The graph is broken"):
        Asker.fit(screen(), "k562", affinity()).ask("G001", "R020")


CHOICES = Choices(signed=True, other=0.5, same=1.0, joint=True, level=0.3, rank=4)


@pytest.mark.parametrize("split", ["strict", "per-line"])
@pytest.mark.parametrize("rule", RULES)
def test_the_shares_and_parts_give_the_vote_back(rule, split):
    """What is listed beside an answer is what voted: shares times residuals, plus the other parts, is the evidence."""
    one = Asker.fit(screen(), "k562", affinity(), {"de": CHOICES, "dir": CHOICES}, split, rule)
    for gene, readout in (("G003", "R020"), ("G050", "R041"), (one.atlas["k562"].names("test")[2], "R033")):
        answer = one.ask(gene, readout, top=1000)
        column = int(np.flatnonzero(one.data.genes == readout)[0])
        rows = [one.data.line().index[name] for name in answer.neighbours["gene"]]
        assert answer.base_rate["de"] == pytest.approx(float(one.voters["de"].base[column]))
        for task, share in (("de", "share_changes"), ("dir", "share_rises")):
            voter = one.voters[task]
            evidence = voter.evidence(rule, [gene])[0, column]
            assert sum(answer.parts[task].values()) == pytest.approx(evidence, abs=1e-5)
            if rule == "completion":
                assert answer.neighbours[share].isna().all()
                continue
            residual = voter.data.residual(task, CHOICES.signed and rule != "union", CHOICES.base_prior)
            from_shares = answer.neighbours[share] @ residual[rows, column].toarray()[:, 0]
            assert from_shares == pytest.approx(answer.parts[task]["vote"], abs=1e-5)
            assert (answer.neighbours[share] >= 0).all()
            assert answer.neighbours[share].sum() < 1
        assert answer.neighbours["measured"].notna().all()


def test_the_parts_of_a_mixture_are_worked_out_once(asker, monkeypatch):
    tasks, parts = [], Voter.parts
    gene = str(asker.atlas["k562"].names("test")[0])
    asker.ask(gene, "R019")  # learns the trust in votes, which later questions share
    monkeypatch.setattr(Voter, "parts", lambda voter, *names: tasks.append(voter.task) or parts(voter, *names))
    asker.ask(gene, "R020")
    assert tasks == ["de", "dir"]


def test_the_voting_lines_are_those_with_a_weight():
    atlas, known = screen(), affinity()
    alone = Choices(other=0.0, same=0.0, rank=4)
    lines = [
        Asker.fit(atlas, "k562", known, {"de": c, "dir": c}, "strict", rule).voting_lines
        for c, rule in ((CHOICES, "mixed"), (CHOICES, "affinity"), (alone, "mixed"), (alone, "lines"))
    ]
    assert lines == [["k562", "rpe1"], ["k562"], ["k562"], ["k562"]]


def stopped_run(asker, source, target, monkeypatch):
    """A run over 100 rows that is cut off after its first chunk of 25."""
    original, calls = module._answer_rows, []

    def cut_off(*args):
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return original(*args)

    with monkeypatch.context() as patch:
        patch.setattr(module, "_answer_rows", cut_off)
        with pytest.raises(KeyboardInterrupt):
            ask_csv(asker, source, target, chunk=25)


@pytest.mark.parametrize("change", ["calls", "graphs", "test calls"])
def test_a_run_on_other_data_or_graphs_of_the_same_name_starts_anew(asker, tmp_path, monkeypatch, change):
    source = table(tmp_path / "in.csv", questions(asker, 100))
    stopped_run(asker, source, tmp_path / "out.csv", monkeypatch)
    atlas, known = asker.atlas, asker.affinity
    if change == "calls":
        atlas = with_deltas(atlas, lambda line: -line.delta)
    elif change == "graphs":
        known = affinity(seed=1)
    else:
        atlas = with_deltas(atlas, lambda v: np.where((v.split == "test")[:, None], -v.delta, v.delta))
    assert ask_csv(Asker.fit(atlas, "k562", known), source, tmp_path / "out.csv", chunk=25).resumed == 0


@pytest.mark.parametrize(
    "damage",
    [{"rows": "25"}, {"rows": -1}, {"bytes": None}, {"examples": "x"}, {"examples": [1]}, {"extra": 1}, {"rows": 25.0}],
)
def test_a_state_of_wrong_types_starts_anew(asker, tmp_path, monkeypatch, damage):
    source, target = table(tmp_path / "in.csv", questions(asker, 100)), tmp_path / "out.csv"
    stopped_run(asker, source, target, monkeypatch)
    state = tmp_path / "out.csv.part.json"
    state.write_text(json.dumps(json.loads(state.read_text()) | damage))
    assert ask_csv(asker, source, target, chunk=25).resumed == 0
    state.write_text("[" * 100_000)
    assert ask_csv(asker, source, target, chunk=25).answered == 100


def test_a_cell_beyond_the_limit_of_csv_is_one_sentence_and_leaves_nothing(asker, tmp_path):
    source = table(tmp_path / "in.csv", [["G001", "R020"], ["G001", "R" * 131_073]])
    with pytest.raises(InputError, match=r"in\.csv cannot be read as csv .* at most 131,072 characters"):
        ask_csv(asker, source, tmp_path / "out.csv", chunk=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv"]


@pytest.mark.parametrize("place", ["folder", "below a file", "empty", "/dev/full"])
def test_answers_that_cannot_be_written_are_one_sentence_and_leave_nothing(asker, tmp_path, place):
    source = table(tmp_path / "in.csv", questions(asker, 5))
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("kept as it is")
    target = {"folder": tmp_path / "folder", "below a file": tmp_path / "file" / "x.csv", "empty": ""}.get(place, place)
    with pytest.raises(OutputError):
        ask_csv(asker, source, target)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder", "in.csv"]
    assert (tmp_path / "file").read_text() == "kept as it is"
    assert not list((tmp_path / "folder").iterdir())


def test_a_disk_that_refuses_midway_is_one_sentence_and_leaves_the_old_answers(asker, tmp_path):
    """The system's limit on the size of files stands for a full disk: writing beyond it fails the same way."""
    resource = pytest.importorskip("resource")
    source, target = table(tmp_path / "in.csv", questions(asker, 300)), tmp_path / "out.csv"
    target.write_text("old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(OutputError, match=r"out\.csv\.part cannot be written"):
            ask_csv(asker, source, target)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert target.read_text() == "old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.csv", "out.csv"]
