"""`kgpert record` with the bundled model: questions asked, answers exported, nothing asked twice."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from typer.testing import CliRunner

from kgpert_lib.cli.commands import app
from kgpert_lib.llm.question_data import question_data
from kgpert_lib.llm.record import Record, read_export
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.load import load_screen
from kgpert_lib.studies import langpert

TRAIN = ["PSMB5", "PSMB6", "PSMA1", "PSMA3", "RPL3", "RPL5", "RPL7", "MED1", "MED12", "INTS1", "INTS2", "POLR2A"]
TEST = ["PSMB7", "RPL4", "MED4"]


@pytest.fixture(scope="module")
def screen() -> Atlas:
    rng = np.random.default_rng(0)
    names = np.array([*TRAIN, *TEST])
    split = np.array(["train"] * len(TRAIN) + ["test"] * len(TEST))
    delta = rng.normal(size=(len(names), 20)).astype(np.float32)
    line = CellLine("k562", names, np.array([f"R{i}" for i in range(20)]), delta, split)
    return Atlas("mine", "real", {"k562": line})


def test_answers_are_recorded_exported_and_not_asked_again(screen, tmp_path):
    screen.save(tmp_path / "mine")
    options = ["record", "--atlas", str(tmp_path / "mine"), "--line", "k562", "-o", str(tmp_path / "answers")]
    first = CliRunner().invoke(app, [*options, "--serve", "--threads", "1"], catch_exceptions=False)
    assert first.exit_code == 0
    assert first.output.count("3 of 3 answered (0 of them from the record)") == 2
    files = sorted(path.name for path in (tmp_path / "answers").iterdir())
    assert files == ["mine-k562-edits-smollm2.jsonl.gz", "mine-k562-langpert-smollm2.jsonl.gz"]
    for name in files:
        text = gzip.decompress((tmp_path / "answers" / name).read_bytes()).decode()
        assert "messages" not in text
        assert "cell biologist" not in text
        assert len(read_export(tmp_path / "answers" / name)) == len(TEST)
    again = CliRunner().invoke(app, options, catch_exceptions=False)  # no server runs: nothing may be sent
    assert again.exit_code == 0
    assert again.output.count("3 of 3 answered (3 of them from the record)") == 2

    data = question_data(load_screen(tmp_path / "mine"))
    recorded = langpert.read(data, ["smollm2"], Record(None, [tmp_path / "answers"]))
    counted = langpert.counts(recorded)
    assert (counted["missing"] == 0).all()
    assert (counted["unreadable"] == 0).all()
    for scores in (langpert.langpert_scores(data, recorded, draws=2), langpert.edit_scores(data, recorded, draws=2)):
        assert (scores.groupby("predictor").size() == len(TEST)).all()
