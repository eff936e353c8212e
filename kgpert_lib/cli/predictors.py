"""Every predictor of the book by its name, with the settings of the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kgpert_lib.predictors.neighbours import Cut
    from kgpert_lib.predictors.predictions import Predictor
    from kgpert_lib.screens.screen import Screen


def build(
    name: str, screen: Screen, limit: int = 20, cut: Cut = "before", prior: float | None = None, seed: int = 0
) -> Predictor:
    """A predictor of `predictors.named`, or over graphs joined by ``+``; InputError for any other name."""
    from kgpert_lib.predictors import named

    return named.build(name, screen, named.Options(limit, cut, prior, seed))
