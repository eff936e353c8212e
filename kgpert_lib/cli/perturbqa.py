"""``kgpert vote`` and ``kgpert ask``: PerturbQA's questions answered by graph neighbours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    from kgpert_lib.perturbqa.ask import Answer
    from kgpert_lib.perturbqa.evaluate import RuleScores
    from kgpert_lib.perturbqa.tasks import Task
    from kgpert_lib.perturbqa.voting import Rule
    from kgpert_lib.screens.screen import Screen
    from kgpert_lib.types import Split

TaskOption = Annotated[Literal["de", "dir"], typer.Option(help="de: does it change? dir: does it rise?")]
RuleOption = Annotated[
    Literal["union", "affinity", "smoothed", "lines", "completion", "mixed"],
    typer.Option(metavar="<rule>", help="Voting rule: union, affinity, smoothed, lines, completion or mixed."),
]
VERBS = {"up": "raises", "down": "lowers"}
CALLS = {1: "rises", -1: "falls", 0: "does not change"}
HEADS = {"share_changes": "share, change", "share_rises": "share, rise", "measured": "call"}


def vote(
    line: terminal.K562Option = None,
    task: TaskOption = "de",
    split: terminal.SplitOption = terminal.DEFAULT_SPLIT,
    rule: RuleOption = "mixed",
    atlas: terminal.AtlasOption = "perturbqa",
    as_json: terminal.JsonOption = False,
    as_csv: terminal.CsvOption = False,
) -> None:
    """Score a voting rule on a line's test questions: mean AUROC per readout gene, beside published figures.

    Every line of the atlas may vote, whichever is scored; CSV has one row for each line that is scored.
    """
    with terminal.working("Loading the screen") as say:
        import pandas as pd

        from kgpert_lib.graphs.provenance import in_words, provenance
        from kgpert_lib.perturbqa.evaluate import published
        from kgpert_lib.screens.load import load_screen

        screen = load_screen(atlas)
        names = [screen[name].name for name in terminal.selected_in(screen.lines, line or ["k562"])]
        results = [_result(screen, name, split, rule, task, say) for name in names]
    others = published()
    others = others[others["task"] == task]
    for result in results:
        result["published"] = others[others["line"] == result["line"]].drop(columns=["task", "line"]).to_dict("records")
    if as_json:
        terminal.print_json(results[0] if len(results) == 1 else results)
    elif as_csv:
        rows = pd.json_normalize([{**result, "voting_lines": "+".join(result["voting_lines"])} for result in results])
        terminal.print_csv(
            rows.drop(columns=["graphs", "reliability", "published"]).rename(columns=lambda c: c.replace(".", "_"))
        )
    else:
        for number, result in enumerate(results):
            if number:
                terminal.out.print()
            _print_vote(result, screen.atlas.label)
        terminal.out.print(f"\n{in_words(provenance(screen.affinity))}")


def _print_vote(result: dict[str, Any], atlas: str) -> None:
    """The figures of one line in sentences, and its tables."""
    import pandas as pd

    terminal.out.print(
        f"{result['rule']} on {result['line']}, task {result['task']}, {result['split']} split, atlas {atlas}; "
        f"voting lines: {', '.join(result['voting_lines'])}.\n"
        f"auroc {result['auroc']:.3f} [{result['low']:.3f}, {result['high']:.3f}], mean over {result['genes']} "
        f"readout genes, {result['questions']} questions;\n"
        f"gain over the plain union {result['gain']:+.3f} "
        f"[{result['gain_low']:+.3f}, {result['gain_high']:+.3f}] (95 % bootstrap over perturbations);\n"
        f"probabilities: Brier score {result['brier']:.3f} (base rates alone {result['brier_base_rate']:.3f}), "
        f"off by {result['calibration_error']:.3f} on average; "
        f"{result['masked']} questions about the perturbed gene itself were masked."
    )
    if trust := result["trust"]:
        terminal.out.print(
            "Trust in the votes on one unseen gene, from its neighbourhood: the nominal 80 % interval of the "
            f"probability of the measured answer covers {trust['covered']:.0%} of {trust['n']:.0f} test genes "
            f"(mean width {trust['width']:.2f}; expected and reached correlate {trust['correlation']:.2f})."
        )
    terminal.print_table(pd.DataFrame(result["reliability"]), "Stated probability of label 1 and the measured share")
    if result["published"]:
        terminal.print_table(pd.DataFrame(result["published"]), "Published (on the benchmark's own split, per-line)")


def _result(
    screen: Screen, line: str, split: Split, rule: Rule, task: Task, say: Callable[[str], None]
) -> dict[str, Any]:
    """What `vote` prints of one line; its fits, hundreds of megabytes, end with the call."""
    from kgpert_lib.graphs.provenance import provenance, records
    from kgpert_lib.perturbqa.ask import voting_lines
    from kgpert_lib.perturbqa.evaluate import evaluate_rules

    say(f"Fitting the votes in {line}")
    scores = evaluate_rules(screen.atlas, line, split, screen.affinity, [rule], [task])[0]
    say(f"Learning how far to trust the votes in {line}")
    head: dict[str, Any] = {"atlas": screen.name, "kind": screen.kind, "line": line}
    head |= {"task": task, "split": split, "rule": rule}
    head["graphs"] = records(provenance(screen.affinity))
    return {**head, "voting_lines": voting_lines([scores.voter], rule), **_figures(scores, rule)}


def _figures(scores: RuleScores, rule: Rule) -> dict[str, Any]:
    """The figures of one rule."""
    from kgpert_lib.metrics.auroc import calibration
    from kgpert_lib.perturbqa.trust import TooFewPerturbationsError, expected_and_reached
    from kgpert_lib.studies.perturbqa import covered

    row, questions = scores.table.set_index("rule").loc[rule], scores.questions
    reliability = calibration(scores.probability[rule], questions.label, bins=5)
    try:
        table = expected_and_reached(scores, rule).assign(line=scores.line)
        trust = covered(table).iloc[0, 1:].to_dict()
    except TooFewPerturbationsError:
        trust = None
    names = ("auroc", "low", "high", "gain", "gain_low", "gain_high")
    figures: dict[str, Any] = {name: float(row[name]) for name in names}
    figures |= {key: int(row[key]) for key in ("genes", "questions")}
    figures |= {"masked": questions.masked, "brier": reliability.brier, "calibration_error": reliability.error}
    figures["brier_base_rate"] = calibration(scores.voter.base[questions.column], questions.label).brier
    return figures | {"reliability": reliability.table.to_dict("records"), "trust": trust}


def ask(
    line: terminal.LineOption = "k562",
    perturb: Annotated[
        str | None, typer.Option(metavar="<gene>", help=f"Gene that is knocked down, {terminal.GENE_HELP}.")
    ] = None,
    readout: Annotated[
        str | None, typer.Option(metavar="<gene>", help=f"Gene that is read out, {terminal.GENE_HELP}.")
    ] = None,
    questions: Annotated[
        Path | None, typer.Option("--table", help="CSV table with columns perturbation, readout.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where the answers to --table go.")] = None,
    split: terminal.SplitOption = terminal.DEFAULT_SPLIT,
    rule: RuleOption = "mixed",
    atlas: terminal.AtlasOption = "perturbqa",
    top: Annotated[int, typer.Option(min=1, metavar="<int>", help="Neighbours listed.")] = 10,
    as_json: terminal.JsonOption = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print the row that --table would write, without neighbours.")
    ] = False,
) -> None:
    """Would knocking down one gene change another? One pair, or a csv table of pairs (resumes where it stopped)."""
    single = perturb is not None and readout is not None
    if single == (questions is not None) or (questions is None) != (output is None):
        raise InputError("Give --perturb and --readout, or --table FILE together with -o FILE.")
    with terminal.working("Loading the screen") as say:
        import pandas as pd

        from kgpert_lib.graphs.provenance import in_words, provenance, records
        from kgpert_lib.perturbqa import ask as asking
        from kgpert_lib.perturbqa import ask_csv, tuning
        from kgpert_lib.screens.load import load_screen

        screen = load_screen(atlas)
        line = terminal.spelt_in(screen.lines, line)
        choices = {task: tuning.load(split, task) for task in ("de", "dir")}
        asker = asking.Asker.fit(screen.atlas, line, screen.affinity, choices, split, rule)
        say("Fitting the votes, and how far to trust them" if single else "Answering the table")
        if questions is not None and output is not None:
            report = ask_csv.ask_csv(asker, questions, output)
        else:
            answer = asker.ask(str(perturb), str(readout), top)
    if questions is not None:
        terminal.out.print(
            f"{output}: {report.answered} answered, {report.broken} broken; "
            f"voting lines: {', '.join(asker.voting_lines)}.",
            soft_wrap=True,
        )
        for example in report.examples:
            terminal.err.print(example)
    elif as_json:
        head = {"atlas": screen.name, "kind": screen.kind, "split": split}
        terminal.print_json({**head, **answer.to_dict(), "graphs": records(provenance(screen.affinity))})
    elif as_csv:
        columns = (*ask_csv.COLUMNS, *ask_csv.ADDED)
        terminal.print_csv(pd.DataFrame([{name: getattr(answer, name) for name in columns}]))
    else:
        terminal.out.print(f"{_sentence(answer)}\n({rule}, {split} split, {screen.atlas.label})")
        terminal.out.print(_reasons(answer))
        if len(answer.neighbours):
            title = f"Neighbours that measured {answer.readout}, their shares of the vote, and the call there"
            terminal.print_table(answer.neighbours.rename(columns=HEADS), title)
        else:
            terminal.out.print(f"No neighbour of {answer.perturbation} measured {answer.readout}.")
        terminal.out.print(f"\n{in_words(provenance(screen.affinity))}")


def _sentence(answer: Answer) -> str:
    """The answer, and what its probabilities are."""
    verb = VERBS.get(answer.answer)
    effect = f"{verb} {answer.readout}" if verb else f"leaves {answer.readout} unchanged"
    return (
        f"Knocking down {answer.perturbation} in {answer.line} {effect} with probability {answer.p_right:.2f}.\n"
        f"{answer.readout} changes with probability {answer.p_changes:.2f}; if it changes, it rises with "
        f"{answer.p_rises:.2f}. The probability of a rise is their product, of a fall the rest of the first.\n"
        f"Measured: {'not tested' if answer.measured is None else CALLS[answer.measured]} ({answer.status})."
    )


def _reasons(answer: Answer) -> str:
    """What decided, who voted, and how far to trust it."""
    names = {"de": "change", "dir": "a rise"}
    lines = []
    for task, parts in answer.parts.items():
        terms = ", ".join(f"{part} {value:+.3f}" for part, value in parts.items())
        most = f"; most from {answer.decided_by[task]}" if answer.decided_by[task] else ""
        lines.append(f"Base rate of {names[task]} {answer.base_rate[task]:.2f}; evidence: {terms}{most}.")
    lines.append(f"Voting lines: {', '.join(answer.voting_lines)}.")
    lines += [
        f"Trust: votes on {names[task]} after knocking down {answer.perturbation} give the measured "
        f"answer an expected probability of {value['expected']:.2f} [{value['low']:.2f}, {value['high']:.2f}], "
        "on average over its questions (80 % interval, from its neighbourhood)."
        for task, value in answer.trust.items()
    ]
    return "\n".join([*lines, answer.note] if answer.note else lines)
