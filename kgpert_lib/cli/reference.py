"""The commands as a page of Markdown: ``python -m kgpert_lib.cli.reference`` prints it for the book."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import typer

from kgpert_lib.cli.commands import app

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|$~])")
_OPTION = re.compile(r"(?<![\w-])(-[a-z]|--[a-z][\w-]*)(?![\w-])")  # of a command, as help texts mention it


def reference() -> str:
    """Every command with what it does, its examples, arguments and options, each below a heading of its own."""
    root: Any = typer.main.get_command(app)
    return "\n\n".join(_described(root, typer.Context(root, info_name="kgpert"))) + "\n"


def _described(command: Any, context: typer.Context) -> Iterator[str]:
    """The parts of one command's text, then those of the commands below it.

    `command` is a command of typer's own copy of click, whose classes have no public name.
    """
    path = context.command_path
    note, examples = _epilog(command.epilog or "")
    yield f"({path.replace(' ', '-')})=\n{'#' * max(2, len(path.split()))} `{path}`"
    yield _prose(command.help or "")
    yield f"```text\n{path} {' '.join(command.collect_usage_pieces(context))}\n```"
    if examples:
        yield "For example:\n\n```bash\n" + "\n".join(examples) + "\n```"
    for kind, title in (("argument", "Argument"), ("option", "Option")):
        parameters = (p for p in command.params if p.param_type_name == kind and not p.hidden)
        if rows := [p.get_help_record(context) for p in parameters]:
            yield _table(title, rows)
    if note:
        yield _prose(note)
    for name, below in getattr(command, "commands", {}).items():
        if not below.hidden:
            yield from _described(below, typer.Context(below, parent=context, info_name=name))


def _epilog(text: str) -> tuple[str, list[str]]:
    """The note and the examples of what is printed below a command's help (`commands`)."""
    note, *examples = re.split(r"(?:^|\n\n)Examples?:\n\n", text, maxsplit=1)
    return note, examples[0].split("\n\n") if examples else []


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    lines = [f"| `{name.replace('|', chr(92) + '|')}` | {_prose(text)} |" for name, text in rows]
    return "\n".join([f"| {title} | Meaning |", "|---|---|", *lines])


def _prose(text: str) -> str:
    """Help text in which nothing is read as Markdown, and options stand as code."""
    paragraphs = (" ".join(part.split()) for part in text.split("\n\n"))
    return "\n\n".join(_OPTION.sub(r"`\1`", _SPECIAL.sub(r"\\\1", part)) for part in paragraphs)


if __name__ == "__main__":
    print(reference(), end="")
