"""``kgpert evaluate``: predictors against the test perturbations of a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd


def evaluate(
    atlas: terminal.AtlasOption = "perturbqa",
    line: Annotated[list[str] | None, typer.Option(help="Cell line; may be repeated. Default: all.")] = None,
    graph: Annotated[
        list[str] | None, typer.Option(help="Names joined by +; may be repeated. Default: string, go and string+go.")
    ] = None,
    limit: terminal.LimitOption = 20,
    cut: terminal.CutOption = "before",
    prior: terminal.PriorOption = None,
    split: terminal.SplitOption = "per-line",
    seed: terminal.SeedOption = 0,
    fill: Annotated[Literal["none", "lowrank"], typer.Option(help="Also fill the gaps of training deltas.")] = "none",
    reference: Annotated[Literal["test", "all"], typer.Option(help="Perturbations that retrieval ranks.")] = "test",
    outside: Annotated[list[str] | None, typer.Option(help="LINE=FILE with predictions made elsewhere.")] = None,
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """Score predictors on test perturbations: means with intervals, and paired tests."""
    from kgpert_lib.evaluation import summaries
    from kgpert_lib.evaluation.evaluate import evaluate_lines
    from kgpert_lib.predictors.named import Options, build
    from kgpert_lib.screens.load import load_screen

    screen = load_screen(atlas, line, seed=seed)
    specs = graph or [*(g.name for g in screen.graphs), "union"]
    options = [Options(limit, cut, prior, seed)]
    if fill != "none":
        options.append(Options(limit, cut, prior, seed, fill))
    predictors = [build(name, screen) for name in ("mean", "linear")]
    predictors += [build(name, screen, choice) for choice in options for name in specs]
    scores = evaluate_lines(screen.atlas, list(screen.lines), predictors, split, _by_line(outside or []), reference)
    summary = summaries.scores(scores, seed=seed)
    tests = summaries.paired_tests(scores, reference="training mean", seed=seed)
    if as_json:
        terminal.print_json({"scores": summary.to_dict("records"), "tests": tests.to_dict("records")})
    elif as_csv:
        terminal.print_csv(scores)
    else:
        terminal.out.print(f"Atlas {screen.name} ({screen.kind}), {split} split; means with 95 % bootstrap intervals.")
        for name, part in summary.groupby("line", sort=False):
            terminal.print_table(_score_rows(part), f"{name}: {part['n'].iloc[0]} test perturbations")
        terminal.out.print(
            "\nfallback: perturbations that got the training mean for want of anything better.\n\n"
            "Pearson delta against the training mean; paired Wilcoxon test, p corrected by Holm."
        )
        for name, part in tests.groupby("line", sort=False):
            terminal.print_table(_test_rows(part), str(name))
    for name, why in screen.atlas.missing.items():
        terminal.err.print(f"{name} is missing: {why}")


def _by_line(pairs: list[str]) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for pair in pairs:
        line, found, path = pair.partition("=")
        if not found:
            raise InputError(f"--outside {pair!r} is not LINE=FILE, such as k562=mine.h5ad.")
        files.setdefault(line, []).append(path)
    return files


def _score_rows(summary: pd.DataFrame) -> pd.DataFrame:
    """The columns of `summaries.scores` that fit into 80 characters."""
    from kgpert_lib.evaluation import summaries

    rows = summaries.formatted(summary.drop(columns=["atlas", "kind", "line", "split", "n"]))
    return rows.rename(columns=lambda c: c.removesuffix(" [95 %]").replace("_", " "))


def _test_rows(tests: pd.DataFrame) -> pd.DataFrame:
    """The columns of `summaries.paired_tests` that fit into 80 characters."""
    from kgpert_lib.evaluation import summaries

    rows = summaries.formatted(tests.drop(columns=["line", "method_b"]))
    names = {"method_a": "predictor", "n_pairs": "pairs", "n_nonzero": "differ", "p_holm": "p (Holm)"}
    return rows.rename(columns={**names, "mean_difference [95 %]": "mean difference"})
