"""Every predictor of the book by its name, with the settings of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kgpert_lib.cli import terminal

if TYPE_CHECKING:
    from kgpert_lib.predictors.neighbourhoods import Cut
    from kgpert_lib.predictors.predictions import Predictor
    from kgpert_lib.screens.screen import Screen


def build(
    name: str, screen: Screen, limit: int = 20, cut: Cut = "before", prior: float | None = None, seed: int = 0
) -> Predictor:
    """A predictor of `predictors.named` or `llm.named`, or over graphs joined by ``+``; InputError for other names."""
    from kgpert_lib.predictors import named

    options = named.Options(limit, cut, prior, seed)
    if name.partition(":")[0] not in terminal.MODEL_PREDICTORS:
        return named.build(name, screen, options)
    from kgpert_lib.llm.named import build as build_from_answers  # only here: other predictors need no prompts

    return build_from_answers(name, screen, options)
