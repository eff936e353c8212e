"""``kgpert vote`` and ``kgpert ask``: PerturbQA's questions answered by graph neighbours."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

if TYPE_CHECKING:
    from kgpert_lib.perturbqa.evaluate import Ladder
    from kgpert_lib.perturbqa.voting import Rule
    from kgpert_lib.screens.atlas import Atlas

TaskOption = Annotated[Literal["de", "dir"], typer.Option(help="de: does it change? dir: does it rise?")]
RuleOption = Annotated[
    Literal["union", "weighted", "smoothed", "lines", "completion", "mixed"], typer.Option(help="Rung of the ladder.")
]


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

    from kgpert_lib.graphs.affinity import Affinity
    from kgpert_lib.perturbqa.evaluate import climb, published
    from kgpert_lib.screens.load import load_atlas

    screen = load_atlas(atlas)
    made = climb(screen, line, split, Affinity.load(screen.perturbations()), [rule], [task])[0]
    others = published()
    others = others[(others["task"] == task) & (others["line"] == line)].drop(columns=["task", "line"])
    told = _vote(made, rule, screen)
    if as_json:
        head = {"atlas": screen.name, "kind": screen.kind, "line": line, "task": task, "split": split, "rule": rule}
        terminal.print_json({**head, **told, "published": others.to_dict("records")})
        return
    terminal.out.print(
        f"{rule} on {line}, task {task}, {split} split, atlas {screen.name} ({screen.kind}):\n"
        f"auroc {told['auroc']:.3f} [{told['low']:.3f}, {told['high']:.3f}], mean over {told['genes']} readout genes, "
        f"{told['questions']} questions;\n"
        f"gain over the plain union {told['gain']:+.3f} [{told['gain_low']:+.3f}, {told['gain_high']:+.3f}] "
        "(95 % bootstrap over perturbations);\n"
        f"stated probabilities: Brier score {told['brier']:.3f}, off by {told['calibration_error']:.3f} on average; "
        f"{told['masked']} questions about the perturbed gene itself were masked.",
        highlight=False,
    )
    if trust := told["trust"]:
        terminal.out.print(
            "Trust in the votes on one unseen gene, told from its neighbourhood: the nominal 80 % interval of the "
            f"probability of being right holds {trust['covered']:.0%} of {trust['n']:.0f} test genes "
            f"(mean width {trust['width']:.2f}; expected and reached correlate {trust['correlation']:.2f}).",
            highlight=False,
        )
    terminal.print_table(pd.DataFrame(told["stated_and_found"]), "Stated probability of label 1 and the share found")
    terminal.print_table(others, "Published (their own splits)")


def _vote(made: Ladder, rule: Rule, screen: Atlas) -> dict[str, Any]:
    """The figures of one rule that `vote` prints."""
    from kgpert_lib.metrics.auroc import calibration
    from kgpert_lib.perturbqa.trust import told_and_reached
    from kgpert_lib.studies.perturbqa import covered

    row = made.table.set_index("rule").loc[rule]
    stated = calibration(made.probability[rule], made.questions.label, bins=5)
    try:
        trust = covered(told_and_reached(made.voter, rule, screen).assign(line=made.line)).iloc[0, 1:].to_dict()
    except InputError:  # too few training perturbations to learn it from
        trust = None
    told: dict[str, Any] = {key: float(row[key]) for key in ("auroc", "low", "high", "gain", "gain_low", "gain_high")}
    told |= {key: int(row[key]) for key in ("genes", "questions")}
    told |= {"masked": made.questions.masked, "brier": stated.brier, "calibration_error": stated.error}
    told |= {"stated_and_found": stated.table.to_dict("records")}
    return told | {"trust": trust}


def ask(
    line: terminal.LineOption = "k562",
    perturb: Annotated[str | None, typer.Option(help="Gene that is knocked down.")] = None,
    readout: Annotated[str | None, typer.Option(help="Gene that is read out.")] = None,
    questions: Annotated[Path | None, typer.Option("--csv", help="Table with columns perturbation, readout.")] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Where the answers to --csv go.")] = None,
    split: terminal.SplitOption = "strict",
    rule: RuleOption = "mixed",
    atlas: terminal.AtlasOption = "perturbqa",
    top: Annotated[int, typer.Option(min=1, help="Neighbours shown.")] = 10,
    as_json: terminal.JsonOption = False,
) -> None:
    """Would knocking down one gene change another? One pair, or a csv table of pairs (resumes where it stopped)."""
    from kgpert_lib.graphs.affinity import Affinity
    from kgpert_lib.perturbqa import ask as asking
    from kgpert_lib.perturbqa import tuning
    from kgpert_lib.screens.load import load_atlas

    single = perturb is not None and readout is not None
    if single == (questions is not None) or (questions is None) != (output is None):
        raise InputError("Give --perturb and --readout, or --csv TABLE together with -o FILE.")
    screen = load_atlas(atlas)
    choices = {task: tuning.load(split, task) for task in ("de", "dir")}
    knowledge = Affinity.load(screen.perturbations())
    asker = asking.Asker.fit(screen, line, knowledge, choices, split, rule)
    if questions is not None and output is not None:
        report = asking.ask_csv(asker, questions, output)
        terminal.out.print(f"{output}: {report.answered} answered, {report.broken} broken.", soft_wrap=True)
        for example in report.examples:
            terminal.err.print(example, markup=False)
        return
    answer = asker.ask(str(perturb), str(readout), top)
    if as_json:
        terminal.print_json({"atlas": screen.name, "kind": screen.kind, "split": split, **answer.to_dict()})
        return
    terminal.out.print(
        f"Knocking down {answer.perturbation} in {line} leaves {answer.readout} {answer.answer} "
        f"with probability {answer.p_right:.2f}.\n"
        f"It changes with probability {answer.p_changes:.2f}; if it changes, it rises with {answer.p_rises:.2f}. "
        f"({rule}, {split} split, {screen.name} ({screen.kind}), {answer.status})",
        highlight=False,
    )
    for task, told in answer.trust.items():
        terminal.out.print(
            f"Votes of task {task} on {answer.perturbation} are right with an expected probability of "
            f"{told['expected']:.2f} [{told['low']:.2f}, {told['high']:.2f}] (80 % interval; from its neighbourhood).",
            highlight=False,
        )
    if answer.note:
        terminal.out.print(answer.note, markup=False)
    terminal.print_table(answer.neighbours, "Neighbours, their share of the vote, and what was measured there")
