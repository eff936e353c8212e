"""The cell lines are listed once; what is said of each elsewhere covers the same lines."""

from kgpert_lib.lines import LINES
from kgpert_lib.llm import prompts
from kgpert_lib.screens.simulated import world


def test_simulation_and_prompts_know_the_lines_of_the_screens():
    assert list(world.LINES) == list(prompts.CONTEXT) == list(LINES)
    assert [name.casefold() for name in LINES.values()] == list(LINES), "options take either spelling"
