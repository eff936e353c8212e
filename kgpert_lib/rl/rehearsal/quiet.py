"""The packages that train without their own progress bars and warnings, which say nothing that a user could act on."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

PACKAGES = ("accelerate", "datasets", "huggingface_hub", "peft", "torch", "transformers", "trl")


@contextmanager
def quiet() -> Iterator[None]:
    """Errors of these packages are raised in the block as ever; below them they print nothing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=rf"({'|'.join(PACKAGES)})(\.|$)")
        import datasets
        from transformers.utils import logging as transformers_logging

        transformers_logging.disable_progress_bar()
        datasets.disable_progress_bars()
        for name in PACKAGES:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
