"""Slices that cover the rows or columns of a matrix that is too large to be worked on at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

CACHE = 2**17  # values of one row-wise chunk, which stay in the processor's cache


def chunks(n: int, size: int) -> Iterator[slice]:
    """Slices of at most `size` that cover 0 to n in order."""
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def each_chunk(work: Callable[[slice], T], shape: tuple[int, ...]) -> list[T]:
    """What `work` returns for each chunk of the rows of a matrix, in order, on as many threads as processors.

    `work` reads and writes its own slice only, so that the result does not depend on the number of threads.
    """
    slices = list(chunks(shape[0], max(1, CACHE // shape[1])))
    if len(slices) == 1:
        return [work(slices[0])]
    with ThreadPoolExecutor(min(len(slices), os.cpu_count() or 1)) as pool:
        return list(pool.map(work, slices))
