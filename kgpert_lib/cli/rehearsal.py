"""Commands that train small models on this machine, and that answer the test questions with recorded weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kgpert_lib.cli import terminal

if TYPE_CHECKING:
    from kgpert_lib.rl.runs import RunConfig

FOLDER = Path("outputs/rehearsal")


def rehearse(
    name: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A recorded run, or its folder, to train again with its own settings."),
    ] = None,
    atlas: terminal.AtlasOption = "simulated",
    line: Annotated[
        list[str] | None,
        terminal.lines_option("k562 and rpe1 of the simulated atlas, else all; the training asks about all lines"),
    ] = None,
    without: Annotated[
        str | None, typer.Option(metavar="<line>", help="A line to be evaluated on and not trained on.")
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(min=0, metavar="<int>", help="A run for each seed; may be repeated. Default: 0, 1 and 2."),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="GRPO steps. Default: those of the recorded runs.")] = None,
    policy: Annotated[
        Literal["gene", "smollm2"],
        typer.Option(metavar="<policy>", help="gene, a small model of genes, or smollm2, the bundled language model."),
    ] = "gene",
    workers: Annotated[int, typer.Option(min=1, help="Runs side by side, one core each.")] = 2,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder that gets a folder for each run.")] = FOLDER,
) -> None:
    """Train small models by GRPO on this machine's cores; the same command goes on after a stop.

    A run is a warm start on edits that a search finds, GRPO, and the answers to the test questions before and after.
    """
    with terminal.working("Loading"):
        from kgpert_lib.rl.rehearsal import plans
        from kgpert_lib.rl.rehearsal import workers as side_by_side
        from kgpert_lib.rl.runs import Run, listing

        if name is not None:
            configs = [plans.again(Run.load(name))]
        else:
            evaluated = terminal.selected(line) or (plans.trained_lines(atlas) if line else ())
            configs = plans.plan(atlas, evaluated, without, seed or plans.SEEDS, steps, policy)
    with _progress(configs) as report:
        runs = side_by_side.train(configs, output, workers, report)
    terminal.print_table(listing(runs), terminal.plain(f"Runs in {output}"))


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A recorded run with weights, or its folder.")],
    stage: Annotated[str, typer.Option(help="The recorded answers to compare with.")] = "trained",
    csv: terminal.CsvOption = False,
) -> None:
    """Answer the test questions again with a run's recorded weights, and compare with the recorded answers."""
    with terminal.working("Answering the test questions"):
        from kgpert_lib.rl.rehearsal import plans

        plans.check_installed()
        from kgpert_lib.rl.rehearsal.evaluate import evaluated_again
        from kgpert_lib.rl.rehearsal.quiet import quiet
        from kgpert_lib.rl.runs import Run

        with quiet():
            compared = evaluated_again(Run.load(run), stage)
    if csv:
        return terminal.print_csv(compared.table)
    terminal.print_table(compared.table, terminal.plain(f"{run}, test questions, means over answers"))
    terminal.out.print(f"Largest difference of a reward from the recorded one: {compared.largest:.2g}", soft_wrap=True)


@contextmanager
def _progress(configs: list[RunConfig]) -> Iterator[Callable[[str, str, int], None]]:
    """A bar for each run on a terminal; elsewhere a line when a run begins something else."""
    if not terminal.err.is_terminal:
        doing: dict[str, str] = {}

        def say(name: str, what: str, step: int) -> None:
            if doing.get(name) != what:
                doing[name] = what
                terminal.err.print(f"{name}: {what}, {step} steps done")

        yield say
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.err) as bars:
        tasks = {config.name: bars.add_task(f"{config.name}: waiting", total=config.steps) for config in configs}
        yield lambda name, what, step: bars.update(tasks[name], description=f"{name}: {what}", completed=step)
