"""Prints the table of ratios at the end of ``pytest benchmarks/``, and leaves out what needs an extra."""

from importlib.util import find_spec

from benchmarks.ratios import ROWS

collect_ignore = [] if find_spec("trl") else ["test_bench_rehearsal.py"]


def pytest_terminal_summary(terminalreporter):
    for name in collect_ignore:
        terminalreporter.write_line(f"left out {name}: the extra rehearsal is not installed")
    if not ROWS:
        return
    width = max(len(name) for name, *_ in ROWS)
    terminalreporter.section("ratios of interleaved medians")
    for name, value, required, met in ROWS:
        terminalreporter.write_line(f"{name:<{width}}  {value:>10.3g}  {required:<10}{'' if met else '  MISSED'}")
