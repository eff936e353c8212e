"""`kgpert record` and `kgpert serve`: what cannot be done is one sentence, before anything is sent or written."""

import pytest
from typer.testing import CliRunner

from kgpert_lib.cli.commands import app
from kgpert_lib.errors import InputError


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["record", "--model", "nobody"], "No model is called 'nobody'"),
        (["record", "--serve", "--base-url", "http://127.0.0.1:1/v1"], "not both"),
        (["record", "--task", "poems", "--atlas", "simulated"], "Unknown task 'poems'"),
        (["serve", "--context", "0"], "at least one token of context"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(options, sentence, tmp_path):
    more = ["-o", str(tmp_path / "answers")] if options[0] == "record" else []
    result = CliRunner().invoke(app, [*options, *more])
    assert isinstance(result.exception, InputError)
    assert sentence in str(result.exception)
    assert not (tmp_path / "answers").exists()
