"""Prints the table of ratios at the end of ``pytest benchmarks/``."""

from benchmarks.ratios import ROWS


def pytest_terminal_summary(terminalreporter):
    if not ROWS:
        return
    width = max(len(name) for name, *_ in ROWS)
    terminalreporter.section("ratios of interleaved medians")
    for name, value, required, met in ROWS:
        terminalreporter.write_line(f"{name:<{width}}  {value:>10.3g}  {required:<10}{'' if met else '  MISSED'}")
