"""The one option of an atlas that is drawn or split by chance, as in ``simulated:seed=1``."""

from __future__ import annotations

from collections.abc import Mapping

from kgpert_lib.errors import InputError


def parse_seed(name: str, texts: Mapping[str, str]) -> int | None:
    """The seed among the options by name that follow an atlas' `name`; None without one.

    InputError for any other option, and for a seed that is no whole number from 0.
    """
    if unknown := [option for option in texts if option != "seed"]:
        raise InputError(f"The atlas {name} has no option {unknown[0]!r}; it has seed.")
    text = texts.get("seed")
    if text is not None and not (text.isascii() and text.isdigit()):
        raise InputError(f"The option seed of {name} is {text!r}; it is a whole number from 0.")
    return None if text is None else int(text)
