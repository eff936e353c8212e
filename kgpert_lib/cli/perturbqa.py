"""``kgpert vote`` and ``kgpert ask``: PerturbQA's questions answered by graph neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    from kgpert_lib.perturbqa.ask import Answer
    from kgpert_lib.perturbqa.evaluate import RuleScores
    from kgpert_lib.perturbqa.voting import Rule
    from kgpert_lib.screens.screen import Screen

TaskOption = Annotated[Literal["de", "dir"], typer.Option(help="de: does it change? dir: does it rise?")]
RuleOption = Annotated[
    Literal["union", "weighted", "smoothed", "lines", "completion", "mixed"], typer.Option(help="Voting rule.")
]
VERBS = {"up": "raises", "down": "lowers"}


def vote(
    line: terminal.LineOption = "k562",
    task: TaskOption = "de",
    split: terminal.SplitOption = "strict",
    rule: RuleOption = "mixed",
    atlas: terminal.AtlasOption = "perturbqa",
    as_json: terminal.JsonOption = False,
) -> None:
    """Score a voting rule on a line's test questions: mean AUROC per readout gene, beside published figures."""
    import pandas as pd

    from kgpert_lib.perturbqa.ask import voting_lines
    from kgpert_lib.perturbqa.evaluate import evaluate_rules, published
    from kgpert_lib.screens.load import load_screen

    with terminal.working("Loading the screen") as say:
        screen = load_screen(atlas)
        line = terminal.spelt_in(screen.lines, line)
        say("Fitting the votes")
        scores = evaluate_rules(screen.atlas, line, split, screen.affinity, [rule], [task])[0]
        say("Learning how far to trust them")
        figures = _figures(scores, rule, screen)
    lines = voting_lines([scores.voter], rule)
    others = published()
    others = others[(others["task"] == task) & (others["line"] == line)].drop(columns=["task", "line"])
    if as_json:
        head = {"atlas": screen.name, "kind": screen.kind, "line": line, "task": task, "split": split, "rule": rule}
        terminal.print_json({**head, "voting_lines": lines, **figures, "published": others.to_dict("records")})
        return
    terminal.out.print(
        f"{rule} on {line}, task {task}, {split} split, atlas {screen.name} ({screen.kind}); "
        f"voting lines: {', '.join(lines)}:\n"
        f"auroc {figures['auroc']:.3f} [{figures['low']:.3f}, {figures['high']:.3f}], mean over {figures['genes']} "
        f"readout genes, {figures['questions']} questions;\n"
        f"gain over the plain union {figures['gain']:+.3f} "
        f"[{figures['gain_low']:+.3f}, {figures['gain_high']:+.3f}] (95 % bootstrap over perturbations);\n"
        f"probabilities: Brier score {figures['brier']:.3f} (base rates alone {figures['brier_base_rate']:.3f}), "
        f"off by {figures['calibration_error']:.3f} on average; "
        f"{figures['masked']} questions about the perturbed gene itself were masked."
    )
    if trust := figures["trust"]:
        terminal.out.print(
            "Trust in the votes on one unseen gene, from its neighbourhood: the nominal 80 % interval of the "
            f"probability of the measured answer covers {trust['covered']:.0%} of {trust['n']:.0f} test genes "
            f"(mean width {trust['width']:.2f}; expected and reached correlate {trust['correlation']:.2f})."
        )
    terminal.print_table(pd.DataFrame(figures["reliability"]), "Stated probability of label 1 and the measured share")
    terminal.print_table(others, "Published (on the benchmark's own split, per-line)")


def _figures(scores: RuleScores, rule: Rule, screen: Screen) -> dict[str, Any]:
    """The figures of one rule that `vote` prints."""
    from kgpert_lib.metrics.auroc import calibration
    from kgpert_lib.perturbqa.trust import TooFewPerturbationsError, expected_and_reached
    from kgpert_lib.studies.perturbqa import covered

    row, questions = scores.table.set_index("rule").loc[rule], scores.questions
    reliability = calibration(scores.probability[rule], questions.label, bins=5)
    try:
        table = expected_and_reached(scores.voter, rule, screen.atlas).assign(line=scores.line)
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
    perturb: Annotated[str | None, typer.Option(help="Gene that is knocked down.")] = None,
    readout: Annotated[str | None, typer.Option(help="Gene that is read out.")] = None,
    questions: Annotated[
        Path | None, typer.Option("--table", help="CSV table with columns perturbation, readout.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where the answers to --table go.")] = None,
    split: terminal.SplitOption = "strict",
    rule: RuleOption = "mixed",
    atlas: terminal.AtlasOption = "perturbqa",
    top: Annotated[int, typer.Option(min=1, help="Neighbours listed.")] = 10,
    as_json: terminal.JsonOption = False,
) -> None:
    """Would knocking down one gene change another? One pair, or a csv table of pairs (resumes where it stopped)."""
    from kgpert_lib.perturbqa import ask as asking
    from kgpert_lib.perturbqa import tuning
    from kgpert_lib.perturbqa.ask_csv import ask_csv
    from kgpert_lib.screens.load import load_screen

    single = perturb is not None and readout is not None
    if single == (questions is not None) or (questions is None) != (output is None):
        raise InputError("Give --perturb and --readout, or --table FILE together with -o FILE.")
    with terminal.working("Loading the screen") as say:
        screen = load_screen(atlas)
        line = terminal.spelt_in(screen.lines, line)
        choices = {task: tuning.load(split, task) for task in ("de", "dir")}
        asker = asking.Asker.fit(screen.atlas, line, screen.affinity, choices, split, rule)
        say("Fitting the votes, and how far to trust them" if single else "Answering the table")
        if questions is not None and output is not None:
            report = ask_csv(asker, questions, output)
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
        return
    if as_json:
        terminal.print_json({"atlas": screen.name, "kind": screen.kind, "split": split, **answer.to_dict()})
        return
    terminal.out.print(f"{_sentence(answer)}\n({rule}, {split} split, {screen.name} ({screen.kind}), {answer.status})")
    terminal.out.print(_reasons(answer))
    if len(answer.neighbours):
        title = f"Neighbours that measured {answer.readout}, their shares of the vote, and the call there"
        terminal.print_table(answer.neighbours, title)
    else:
        terminal.out.print(f"No neighbour of {answer.perturbation} measured {answer.readout}.")


def _sentence(answer: Answer) -> str:
    """The answer, and what its probabilities are."""
    verb = VERBS.get(answer.answer)
    effect = f"{verb} {answer.readout}" if verb else f"leaves {answer.readout} unchanged"
    return (
        f"Knocking down {answer.perturbation} in {answer.line} {effect} with probability {answer.p_right:.2f}.\n"
        f"{answer.readout} changes with probability {answer.p_changes:.2f}; if it changes, it rises with "
        f"{answer.p_rises:.2f}. The probability of a rise is their product, of a fall the rest of the first."
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
