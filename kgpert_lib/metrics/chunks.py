"""Slices that cover the rows or columns of a matrix that is too large to be worked on at once."""

from __future__ import annotations

from collections.abc import Iterator


def chunks(n: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover 0 to n in order."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))
