"""``kgpert evaluate``: predictors against the test perturbations of a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

REFERENCE = "mean"  # the predictor that the others are tested against


def evaluate(
    atlas: terminal.AtlasOption = "perturbqa",
    line: terminal.LinesOption = None,
    graph: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<graph>",
            help="Graphs to predict from, joined by +; may be repeated. Default: each graph of the screen and all.",
        ),
    ] = None,
    predictor: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<name>",
            help=f"{terminal.PREDICTOR_HELP} May be repeated.",
            autocompletion=terminal.complete_predictor,
        ),
    ] = None,
    limit: terminal.LimitOption = 20,
    cut: terminal.CutOption = "before",
    prior: terminal.PriorOption = None,
    split: terminal.SplitOption = terminal.DEFAULT_SPLIT,
    seed: terminal.SeedOption = 0,
    reference: Annotated[
        Literal["test", "all"], typer.Option(help="Perturbations that retrieval ranks: test, or all of the line.")
    ] = "test",
    outside: Annotated[
        list[str] | None, typer.Option(metavar="<file>", help="LINE=FILE with predictions made elsewhere.")
    ] = None,
    changed: Annotated[
        float | None,
        typer.Option(
            metavar="<float>",
            help="Size of a delta from which a readout counts as changed. Default: any change of a call, else four "
            "robust standard deviations of the training deltas, for each line.",
        ),
    ] = None,
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """Score predictors on test perturbations: means with intervals, and paired tests.

    The mean training delta and the linear baseline are always scored beside them. Where a line holds deltas of two
    halves of its cells, or was screened twice, scores between the training mean and the replicate follow.
    """
    files = _by_line(outside or [])
    with terminal.working("Loading") as say:
        from kgpert_lib.cli.predictors import build
        from kgpert_lib.evaluation import summaries
        from kgpert_lib.evaluation.evaluate import evaluate_lines
        from kgpert_lib.evaluation.replicates import metric_ranges, replicated_lines, scaled_scores
        from kgpert_lib.graphs.provenance import in_words, provenance, records
        from kgpert_lib.predictors.named import of_graphs
        from kgpert_lib.screens.load import load_screen

        screen = load_screen(atlas, terminal.selected(line), seed=seed)
        names = [*(graph or ()), *(predictor or ())] or of_graphs(screen)
        models = [
            build(name, screen, limit, cut, prior, seed)
            for name in [*(name for name in (REFERENCE, "linear") if name not in names), *names]
        ]
        say(f"Scoring {len(models)} predictors in {', '.join(screen.lines)}")
        files = {terminal.spelt_in(screen.lines, name): paths for name, paths in files.items()}
        scores = evaluate_lines(screen.atlas, list(screen.lines), models, split, files, reference, changed)
        summary = summaries.scores(scores, seed=seed)
        further = summaries.further(scores, seed=seed).merge(summaries.diversity(scores), on=summaries.HEAD)
        control = next(model.name for model in models if model.name == build(REFERENCE, screen).name)
        tests = summaries.paired_tests(scores, reference=control, seed=seed)
        repeated = {}
        if as_json or not as_csv:  # rows of perturbations have no place for them
            again = replicated_lines(screen, models, split, files, reference, changed)
            if not again.empty:
                repeated = {"scaled": scaled_scores(again, seed), "ranges": metric_ranges(again, seed)}
    if as_json:
        tables = {"scores": summary, "further": further, "tests": tests, **repeated}
        rows = {name: table.to_dict("records") for name, table in tables.items()}
        terminal.print_json({"graphs": records(provenance(models)), **rows})
    elif as_csv:
        terminal.print_csv(scores)
    else:
        terminal.out.print(f"Atlas {screen.atlas.label}, {split} split; means with 95 % bootstrap intervals.")
        terminal.out.print(in_words(provenance(models)))
        for name, part in summary.groupby("line", sort=False):
            terminal.print_table(_score_rows(part), f"{name}: {part['n'].iloc[0]} test perturbations")
        terminal.out.print("\nfallback: perturbations that got the training mean, because they have no neighbour.")
        for name, part in further.groupby("line", sort=False):
            terminal.print_table(_score_rows(part.dropna(axis="columns", how="all")), f"{name}: further scores")
        terminal.out.print(
            "\nDirection and Jaccard over readouts that change; vendi: effective number of different deltas.\n\n"
            f"Pearson delta minus that of the {control}; paired Wilcoxon test, p corrected by Holm."
        )
        for name, part in tests.groupby("line", sort=False):
            terminal.print_table(_test_rows(part), str(name))
        if repeated:
            _print_repeated(**repeated)
    for name, why in screen.atlas.missing.items():
        terminal.err.print(f"{name} is missing: {why}")


def _by_line(pairs: list[str]) -> dict[str, list[str]]:
    """The files of predictions by cell line."""
    files: dict[str, list[str]] = {}
    for pair in pairs:
        line, separator, path = pair.partition("=")
        if not separator:
            raise InputError(f"--outside {pair!r} is not LINE=FILE, such as k562=mine.h5ad.")
        files.setdefault(line, []).append(path)
    return files


def _score_rows(summary: pd.DataFrame) -> pd.DataFrame:
    """`summaries.scores` without what the title says."""
    from kgpert_lib.evaluation import summaries

    rows = summaries.formatted(summary.drop(columns=["atlas", "kind", "line", "split", "n"]))
    return rows.rename(columns=lambda c: c.removesuffix(" [95 %]").replace("_", " "))


def _print_repeated(scaled: pd.DataFrame, ranges: pd.DataFrame) -> None:
    """Scores between training mean and replicate, and what the controls reach in each metric."""
    from kgpert_lib.evaluation import summaries

    terminal.out.print(
        "\nAgainst one of two measurements: 0 is the training mean, 1 the other measurement (the replicate): a second "
        "experiment, or half of the cells where the other half is scored against.\n"
        "Blank: the replicate does not clearly beat the training mean."
    )
    for name, part in scaled.groupby("line", sort=False):
        rows = _score_rows(part.dropna(axis="columns", how="all"))
        terminal.print_table(rows, f"{name}: scaled scores")
    terminal.out.print(
        "\nIs a metric usable? drf: how much of its range the interpolated duplicate reaches above the training mean; "
        "bds: share of perturbations on which it beats it."
    )
    for name, part in ranges.groupby("line", sort=False):
        rows = summaries.formatted(part.drop(columns=["atlas", "kind", "line"]))
        rows = rows.assign(score=rows["score"].str.replace("_", " "))
        terminal.print_table(rows.rename(columns=lambda c: c.removesuffix(" [95 %]")), f"{name}: metrics")


def _test_rows(tests: pd.DataFrame) -> pd.DataFrame:
    """`summaries.paired_tests` without the control, which is the same in every row."""
    from kgpert_lib.evaluation import summaries

    rows = summaries.formatted(tests.drop(columns=["line", "method_b"]))
    names = {"method_a": "predictor", "n_pairs": "pairs", "n_nonzero": "differ", "p_holm": "p (Holm)"}
    return rows.rename(columns={**names, "mean_difference [95 %]": "mean difference"})
