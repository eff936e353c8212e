"""The text of all commands for the book."""

import re

import typer
from markdown_it import MarkdownIt

from kgpert_lib.cli.commands import COMMANDS, RL_COMMANDS, app
from kgpert_lib.cli.reference import reference

TEXT = reference()


def paths(command, path="kgpert"):
    yield path
    for name, below in getattr(command, "commands", {}).items():
        yield from paths(below, f"{path} {name}")


def test_every_command_has_a_heading_and_an_anchor_of_its_own():
    every = list(paths(typer.main.get_command(app)))
    assert re.findall(r"^##+ `(.*)`$", TEXT, re.MULTILINE) == every
    assert re.findall(r"^\((.*)\)=$", TEXT, re.MULTILINE) == [path.replace(" ", "-") for path in every]


def test_every_example_is_shown():
    examples = {line for lines in (COMMANDS | RL_COMMANDS).values() for line in lines}
    assert examples <= set(TEXT.splitlines())


def test_all_rows_of_the_tables_have_a_name_and_a_meaning():
    tokens = MarkdownIt("commonmark").enable("table").parse(TEXT)
    cells = [tokens[k + 1].content for k, token in enumerate(tokens) if token.type == "td_open"]
    assert cells
    assert all(cells)
    assert all(name.startswith("`") for name in cells[::2])
    assert not any(token.type.startswith("html") for token in tokens)


def test_options_in_help_texts_stand_as_code():
    assert "with `--top` N a table" in TEXT
