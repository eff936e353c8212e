"""Commands around training: the job in Prime-RL checked, launched, watched and served, and recorded runs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

SHOWN = 20  # last steps of `watch`

_PrimeOption = Annotated[
    Path | None,
    typer.Option("--prime-rl", metavar="<folder>", help="Prime-RL's checkout. Default: KGPERT_PRIME_RL, if set."),
]


def check(
    files: Annotated[list[Path], typer.Argument(help="TOML files, each laid over those before it.")],
    prime_rl: _PrimeOption = None,
) -> None:
    """Find what is wrong with the files of a training job or an evaluation, one line each.

    Questions are rendered and measured against the limits. With a checkout, Prime-RL's own classes judge as well.
    The exit code is 2 for errors, 0 for warnings.
    """
    with terminal.working("Reading the questions"):
        from kgpert_lib.rl.job import check as checks
        from kgpert_lib.rl.job import config as job
        from kgpert_lib.rl.job.prime import find_checkout

        config = job.read(files)
        measured, failed = checks.counted(config) if job.kind(config) == "rl" else ({}, [])
        findings = [*checks.check(config, measured), *failed]
        if checkout := find_checkout(prime_rl):
            findings += checkout.refusals(config, job.kind(config))
    for finding in findings:
        terminal.out.print(terminal.plain(str(finding)), soft_wrap=True)
    errors = sum(finding.level == "error" for finding in findings)
    if errors:
        raise InputError(f"{errors} errors in {', '.join(map(str, files))}; correct them.")
    terminal.out.print(f"No error. {_asked(checkout)}", soft_wrap=True)


def launch(
    files: Annotated[
        list[Path] | None, typer.Argument(help="TOML files in place of the job's own; --overlay is laid over them.")
    ] = None,
    overlay: Annotated[
        list[str] | None,
        typer.Option(metavar="<name>", help="h100x4, one_gpu, multi_node_slurm or three_lines; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check, show the settings, and start nothing.")] = False,
    prime_rl: _PrimeOption = None,
    run_dir: Annotated[
        Path | None, typer.Option(metavar="<folder>", help="Folder of the run. Default: outputs/kgpert.")
    ] = None,
) -> None:
    """Check the machine, start the training in Prime-RL and follow it; the same command goes on after a stop.

    Every check is a line. SIGTERM is passed on, and Prime-RL ends what it started.
    """
    with terminal.working("Loading"):
        from kgpert_lib.files import locked
        from kgpert_lib.rl.job import config as job
        from kgpert_lib.rl.job import launch as launching
        from kgpert_lib.rl.job.prime import find_checkout

    layers = [*(files or job.job_files()), *job.job_files(overlay or [])[1:]]
    config = job.read(layers)
    run = launching.Run.of(config, run_dir)
    checkout = find_checkout(prime_rl)
    checks = []
    for result in launching.preflight(config, run, checkout):
        checks.append(result)
        terminal.out.print(terminal.plain(str(result)), soft_wrap=True)
    if dry_run:
        step = launching.start_step(config, run)
        terminal.print_table(job.resolved(config), "Settings")
        words = launching.command(layers, run, step)
        start = f"\nThe run in {run.folder} {launching.beginning(step)}; it would be started by\n{_line(words)}"
        terminal.out.print(start, soft_wrap=True)
        return
    if not launching.ready(checks):
        if any(check.name == "GPUs" and not check.passed for check in checks):
            terminal.out.print(launching.WITHOUT_GPU, soft_wrap=True)
        raise InputError(f"{sum(not check.passed for check in checks)} things are missing; nothing was started.")
    assert checkout is not None
    with locked(run.folder, wait=False):
        step = launching.start_step(config, run)
        words = launching.command(layers, run, step)
        if step is None and run.used:
            terminal.out.print(
                f"No whole checkpoint in {run.folder}; it is now {launching.set_aside(run)}", soft_wrap=True
            )
        terminal.out.print(f"The run in {run.folder} {launching.beginning(step)}.\n{_line(words)}", soft_wrap=True)
        cards = launching.list_cards()
        env = launching.environment(config, [] if isinstance(cards, str) else cards)
        end = launching.follow(words, checkout.folder, env, _say)
    again = f"the same command {launching.beginning(run.last_step)}"
    if end.signal is not None:
        terminal.err.print(f"kgpert: stopped; {again}.")
        raise typer.Exit(128 + end.signal)
    if end.code:
        logs = run.folder / "logs" / "latest"
        raise InputError(f"Prime-RL ended with code {end.code}; its logs are in {logs}, and {again}.")
    if job.get(config, "slurm") is not None:
        terminal.out.print(f"Submitted. Next: kgpert rl watch {run.folder}", soft_wrap=True)
    elif (step := launching.last_weights(run)) is not None:
        terminal.out.print(f"Done. Next: kgpert rl serve {run.folder} --step {step} -o DIR", soft_wrap=True)


def watch(
    run: Annotated[Path, typer.Argument(help="Folder of the run, such as outputs/kgpert.")],
    once: Annotated[bool, typer.Option("--once", help="Print once and end.")] = False,
    last: Annotated[int, typer.Option(min=1, help="Steps to show, the last ones.")] = SHOWN,
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 5.0,
    csv: terminal.CsvOption = False,
) -> None:
    """Show rewards, their parts, gap and lengths of answers of a run, step by step, until Ctrl-C.

    Parts are weighted, so that they sum to the reward. Where the output is no terminal it is printed once.
    """
    with terminal.working("Loading"):
        from kgpert_lib.rl.job.watch import Progress

        progress = Progress.of(run).update()
    if csv:
        return terminal.print_csv(progress.table())
    title = f"{run}, means over all answers of a step"
    if not once and terminal.out.is_terminal:
        _live(progress, title, last, every)
    if not progress.rows:
        raise InputError(f"{progress.path} holds no metrics of a step yet; try again when the first step is done.")
    terminal.print_table(progress.table(last), terminal.plain(title))


def serve(
    run: Annotated[Path, typer.Argument(help="Folder of the run, such as outputs/kgpert.")],
    step: Annotated[int, typer.Option(min=0, help="Step whose weights are served.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to make.")],
    base: Annotated[
        str | None, typer.Option(help="Folder or hub name of the base model. Default: the one of the run.")
    ] = None,
) -> None:
    """Make a folder that vLLM serves, of a step's weights and the base model's configuration and tokenizer."""
    with terminal.working("Assembling"):
        from kgpert_lib.rl.job.serve import assemble

        served = assemble(run, step, output, base)
    for note in served.notes:
        terminal.err.print(f"kgpert: {terminal.plain(note)}")
    terminal.out.print(f"{served.folder} is there. Serve it with\n{terminal.plain(served.command)}", soft_wrap=True)


def record(
    run: Annotated[Path, typer.Argument(help="Folder of a run of Prime-RL, such as outputs/kgpert.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder to make, such as data/runs/qwen3; its name is the run's.")
    ],
    answers: Annotated[
        list[str] | None,
        typer.Option(
            metavar="<stage>=<folder>",
            help="Scored answers of an evaluation: base or trained, and its folder; may be repeated.",
        ),
    ] = None,
) -> None:
    """Read a run of Prime-RL into the form of recorded runs, which the chapters on results read."""
    with terminal.working("Reading"):
        from kgpert_lib.rl.job.record import record as read
        from kgpert_lib.rl.runs import listing

        recorded = read(run, output, dict(map(_stage, answers or ())))
        table = listing([recorded])
    terminal.print_table(table, terminal.plain(f"Recorded in {output}"))


def runs(
    folder: Annotated[
        Path | None, typer.Option(metavar="<folder>", help="Folder of runs. Default: those that come with kgpert.")
    ] = None,
    csv: terminal.CsvOption = False,
) -> None:
    """List recorded runs: what was trained, its reward at the first and the last step, and the stages with answers."""
    with terminal.working("Reading"):
        from kgpert_lib.rl import runs as recorded

        folder = folder or recorded.RUNS
        table = recorded.listing(recorded.runs(folder=folder))
    if table.empty:
        raise InputError(f"{folder} holds no recorded run; `kgpert rl record` reads one of Prime-RL.")
    if csv:
        return terminal.print_csv(table)
    terminal.print_table(table, terminal.plain(f"Recorded runs in {folder}"))


def _stage(option: str) -> tuple[str, Path]:
    """Name and folder of ``--answers``."""
    stage, sign, folder = option.partition("=")
    if not (stage and sign and folder):
        raise InputError(f"--answers {option} has to be a stage and a folder, such as trained=outputs/kgpert-test.")
    return stage, Path(folder)


def _live(progress: Any, title: str, last: int, every: float) -> NoReturn:
    from rich.live import Live
    from rich.text import Text

    pause = threading.Event()
    last = min(last, max(terminal.out.height // 2 - 4, 3))  # a narrow terminal shows the columns in two parts
    with Live(console=terminal.out, auto_refresh=False) as live:
        while True:
            frame = progress.update().table(last)
            table = terminal.rendered(frame, title) if len(frame) else Text(f"{title}\nno step yet")
            live.update(table, refresh=True)
            pause.wait(every)


def _say(line: str) -> None:
    terminal.out.print(terminal.plain(line), soft_wrap=True)


def _line(words: list[str]) -> str:
    import shlex

    return terminal.plain(shlex.join(words))


def _asked(checkout: Any) -> str:
    if checkout is None:
        return "Prime-RL itself was not asked; --prime-rl DIR does that."
    return f"Prime-RL in {checkout.folder} takes the files."
