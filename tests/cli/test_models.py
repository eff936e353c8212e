"""`kgpert record` and `kgpert serve`: answers of a server on this machine, and what cannot be done in one sentence."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from kgpert_lib import paths
from kgpert_lib.cli.commands import app
from kgpert_lib.errors import InputError
from kgpert_lib.llm.question_data import question_data
from kgpert_lib.llm.record import Record, read_export
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.load import load_screen
from kgpert_lib.studies import langpert
from tests.llm.conftest import Chat, completion

TRAIN = ["PSMB5", "PSMB6", "PSMA1", "PSMA3", "RPL3", "RPL5", "RPL7", "MED1", "MED12", "INTS1", "INTS2", "POLR2A"]
TEST = ["PSMB7", "RPL4", "MED4"]


@pytest.fixture
def chat():
    server = Chat()
    yield server
    server.stop()


@pytest.fixture
def screen(tmp_path) -> Atlas:
    rng = np.random.default_rng(0)
    names = np.array([*TRAIN, *TEST])
    split = np.array(["train"] * len(TRAIN) + ["test"] * len(TEST))
    delta = rng.normal(size=(len(names), 20)).astype(np.float32)
    line = CellLine("k562", names, np.array([f"R{i}" for i in range(20)]), delta, split)
    atlas = Atlas("mine", "real", {"k562": line})
    atlas.save(tmp_path / "mine")
    return atlas


def record(tmp_path, *more: str) -> str:
    options = ["record", "--atlas", str(tmp_path / "mine"), "--line", "k562", "--limit", "5", *more]
    return CliRunner().invoke(app, options, catch_exceptions=False).output


def test_answers_are_recorded_exported_and_not_asked_again(chat, screen, tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "cache"))
    wanted = json.dumps({"genes": ["PSMB5", "RPL3"], "add": ["POLR2A"], "remove": []})
    chat.script = lambda n, body: completion(wanted)
    to = ["-o", str(tmp_path / "answers"), "--base-url", chat.base_url]
    first = record(tmp_path, *to)
    assert first.count("3 of 3 answered (0 of them from the record)") == 2
    assert len(chat.bodies) == 6
    names = sorted(path.name for path in (tmp_path / "answers").iterdir())
    assert names == ["mine-k562-edits-smollm2.jsonl.gz", "mine-k562-langpert-smollm2.jsonl.gz"]
    for name in names:
        text = gzip.decompress((tmp_path / "answers" / name).read_bytes()).decode()
        assert "cell biologist" in str(chat.bodies[0])
        assert "cell biologist" not in text
        assert len(read_export(tmp_path / "answers" / name)) == len(TEST)
    chat.script = lambda n, body: (500, {}, "{}")
    assert record(tmp_path, *to).count("3 of 3 answered (3 of them from the record)") == 2
    assert len(chat.bodies) == 6

    data = question_data(load_screen(tmp_path / "mine"), limit=5)
    recorded = langpert.read(data, ["smollm2"], Record(None, [tmp_path / "answers"]))
    counts = langpert.counts(recorded).set_index("task")
    assert (counts["missing"] == 0).all()
    assert counts.loc["langpert", "used"] == 6
    for scores in (langpert.langpert_scores(data, recorded, draws=2), langpert.edit_scores(data, recorded, draws=2)):
        assert (scores.groupby("predictor").size() == len(TEST)).all()


@pytest.mark.parametrize("named", ["K562", "all"])
def test_the_line_may_be_written_in_any_case_and_all_is_every_line(chat, screen, tmp_path, monkeypatch, named):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "cache"))
    chat.script = lambda n, body: completion(json.dumps({"genes": ["PSMB5"]}))
    options = ["record", "--atlas", str(tmp_path / "mine"), "--line", named, "--task", "langpert"]
    to = ["-o", str(tmp_path / "answers"), "--base-url", chat.base_url]
    result = CliRunner().invoke(app, [*options, *to], catch_exceptions=False)
    assert result.output.startswith("k562, langpert: 3 of 3 answered")
    assert [path.name for path in (tmp_path / "answers").iterdir()] == ["mine-k562-langpert-smollm2.jsonl.gz"]


def test_asking_about_few_genes_leaves_the_screen_as_it_is(screen, tmp_path):
    """Test genes that were not asked about were relabelled as validation genes, on a screen without any."""
    data = question_data(load_screen(tmp_path / "mine"), 2, limit=5)
    assert len(data.genes["k562"]) == 2
    assert set(data.genes["k562"]) < set(TEST)
    assert data.screen["k562"].names("test") == TEST
    assert data.screen["k562"].names("val") == []


def test_words_of_a_server_are_no_markup(chat, screen, tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "cache"))
    chat.script = lambda n, body: (400, {}, '{"error": {"message": "[/x] [red]no[/red]"}}')
    options = ["record", "--atlas", str(tmp_path / "mine"), "--line", "k562", "--limit", "5"]
    result = CliRunner().invoke(app, [*options, "-o", str(tmp_path / "answers"), "--base-url", chat.base_url])
    assert "[/x] [red]no[/red]" in result.output
    assert isinstance(result.exception, InputError), "nothing was answered"
    assert str(result.exception) == "None of 6 questions was answered."


def test_an_older_record_is_taken_over_and_named(chat, screen, tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache" / "answers").mkdir(parents=True)
    (tmp_path / "cache" / "answers" / "record.jsonl").write_text('{"key": ["a"]}\n')
    output = record(tmp_path, "-o", str(tmp_path / "answers"), "--base-url", chat.base_url)
    assert "1 lines that are no answers were skipped" in " ".join(output.split())


def test_an_installed_library_is_not_written_to(monkeypatch, tmp_path):
    """In a wheel the committed data stand inside the package: without -o, nothing says where answers should go."""
    from pathlib import Path

    monkeypatch.setattr(paths, "DATA", Path(paths.__file__).parent / "_data")
    result = CliRunner().invoke(app, ["record", "--base-url", "http://127.0.0.1:9/v1", "--atlas", str(tmp_path)])
    assert isinstance(result.exception, InputError)
    assert "-o" in str(result.exception)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["record", "--model", "nobody"], "No model is called 'nobody'"),
        (["record", "--serve", "--base-url", "http://127.0.0.1:1/v1"], "not both"),
        (["record", "--task", "poems", "--atlas", "simulated"], "Unknown task 'poems'"),
        (["record", "--base-url", "http://127.0.0.1:99999999/v1"], "has to be an http or https address"),
        (["record", "--base-url", ""], "has to be an http or https address"),
        (["record", "--serve", "--base-url", ""], "not both"),
        (["record", "--base-url", "http://[::1/v1"], "has to be an http or https address"),
        (["record", "--base-url", "http://a..b/v1"], "has to be an http or https address"),
        (["serve", "--context", "0"], "at least one token of context"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(options, sentence, tmp_path):
    more = ["-o", str(tmp_path / "answers")] if options[0] == "record" else []
    result = CliRunner().invoke(app, [*options, *more])
    assert isinstance(result.exception, InputError), result.output
    assert sentence in str(result.exception)
    assert not (tmp_path / "answers").exists()


@pytest.mark.parametrize("budget", ["nan", "-1"])
def test_a_budget_that_is_no_amount_of_money_is_refused(budget):
    result = CliRunner().invoke(app, ["record", "--budget", budget])
    assert result.exit_code == 2
    assert "Invalid value for '--budget'" in result.output


def test_a_port_that_does_not_exist_is_refused_with_its_range():
    result = CliRunner().invoke(app, ["serve", "--port", "99999999"])
    assert result.exit_code == 2
    assert "65535" in result.output
