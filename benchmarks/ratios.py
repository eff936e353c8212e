"""Speed as ratios of medians that were timed alternately in one run, so that a busy machine slows both sides."""

from __future__ import annotations

import resource
from collections.abc import Callable
from math import inf
from pathlib import Path
from statistics import median
from time import perf_counter

ROWS: list[tuple[str, float, str, bool]] = []


def ratio(fast: Callable[[], object], floor: Callable[[], object], repeats: int = 5) -> float:
    """Median time of `fast` over that of `floor`, after one untimed call of each."""
    times: dict[Callable[[], object], list[float]] = {fast: [], floor: []}
    for turn in range(repeats + 1):
        for call in (fast, floor):
            start = perf_counter()
            call()
            if turn:
                times[call].append(perf_counter() - start)
    return median(times[fast]) / median(times[floor])


def peak_memory() -> float:
    """GB. Linux hands a parent's ``ru_maxrss`` on to its children, but not the high-water mark of its memory map."""
    status = Path("/proc/self/status")
    if status.is_file():
        marks = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(marks["VmHWM"].split()[0]) / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**30


def check(name: str, value: float, *, at_most: float | None = None, at_least: float | None = None) -> None:
    """Add one line to the table at the end of the run, and fail where the bound is missed."""
    low = -inf if at_least is None else at_least
    high = inf if at_most is None else at_most
    required = "-" if low == -high else f"<= {high:g}" if low == -inf else f">= {low:g}"
    met = low <= value <= high
    ROWS.append((name, value, required, met))
    assert met, f"{name}: {value:.3g}, required {required}"
