"""The environment's page says what its options and metrics are; neither needs Verifiers to be compared."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

from kgpert_lib.rl.tasks import KINDS, Settings, Verdict

ENVIRONMENT = Path(__file__).parents[2] / "env" / "kgpert"
README = ENVIRONMENT / "README.md"


def table(title: str) -> list[list[str]]:
    """Cells of the table below a heading, without its head."""
    section = README.read_text(encoding="utf-8").split(f"\n## {title}\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_every_argument_is_listed_with_its_default():
    listed = {name.strip("`"): json.loads(default.strip("`")) for name, default, _ in table("Arguments")}
    assert listed == Settings().model_dump(mode="json")
    assert list(listed) == list(Settings.model_fields)


def test_every_metric_is_listed():
    listed = [name for cell, _ in table("Metrics") for name in re.findall(r"`(\w+)`", cell)]
    verdict = Verdict(0, 0, 0, {}, 0, 0, 0, (), (), dict.fromkeys(KINDS, 0))
    assert sorted(listed) == sorted(verdict.metrics)


def test_the_evaluation_on_the_page_and_the_example_have_options_that_exist():
    example = re.findall(r"```toml\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    for text in [*example, (ENVIRONMENT / "evaluation.toml").read_text(encoding="utf-8")]:
        config = tomllib.loads(text)
        options = config["env"]["taskset"]
        assert options.pop("id") == "kgpert"
        assert Settings.model_validate(options).prompt == "brief"
        assert config["push"] is False
