"""Commands that serve a model on this machine and record a model's answers."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

BOOK_LINES = ("k562", "rpe1")


def serve(
    model: Annotated[str | None, typer.Option(help="GGUF file, folder or hub name. Default: SmolLM2-135M.")] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.", min=0, max=65535)] = 8080,
    context: Annotated[int, typer.Option(help="Tokens of prompt and answer for each request.")] = 2048,
    parallel: Annotated[int, typer.Option(help="Requests answered at once.")] = 8,
    threads: Annotated[int | None, typer.Option(help="All cores by default; fewer on a busy machine.")] = None,
) -> None:
    """Serve a model on this machine until Ctrl-C; it can answer when its address is printed."""
    with ExitStack() as stack:
        with terminal.working("Starting the server"):
            from kgpert_lib.llm import local

            serving = local.serve(model, context=context, parallel=parallel, port=port, threads=threads)
            server = stack.enter_context(serving)
        terminal.out.print(
            f"{server.model} answers at {server.base_url} ({parallel} requests at once, "
            f"{context} tokens each). Ctrl-C ends it.",
            soft_wrap=True,
        )
        server.wait()
    raise InputError("The server ended by itself.")


def record(
    task: Annotated[
        list[str] | None, typer.Option(metavar="<task>", help="langpert or edits; may be repeated. Default: both.")
    ] = None,
    line: Annotated[list[str] | None, terminal.lines_option("k562 and rpe1")] = None,
    atlas: terminal.AtlasOption = "perturbqa",
    genes: Annotated[int, typer.Option(min=1, help="Test genes per line.")] = 100,
    model: Annotated[str, typer.Option(help="A name in models.toml.")] = "smollm2",
    models: Annotated[Path | None, typer.Option(help="A file of your own models, as models.toml.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address of the model's server.")] = None,
    served: Annotated[bool, typer.Option("--serve", help="Serve the bundled model meanwhile.")] = False,
    threads: Annotated[int | None, typer.Option(help="Threads of --serve.")] = None,
    budget: Annotated[float | None, typer.Option(min=0, help="US dollars that are never exceeded.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what is recorded.")] = False,
    graph: terminal.GraphOption = "string+go",
    limit: terminal.LimitOption = 20,
    seed: terminal.SeedOption = 0,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Folder of the export; data/answers in a source tree."),
    ] = None,
) -> None:
    """Ask a model for related genes and edits, record every answer, and export them for the book."""
    with terminal.working("Loading"):
        from kgpert_lib.llm import record as answers
        from kgpert_lib.llm.client import ask
        from kgpert_lib.llm.local import serve as serving
        from kgpert_lib.llm.models import find_model
        from kgpert_lib.llm.question_data import TASKS, question_data
        from kgpert_lib.screens.load import load_screen, named

    spec = find_model(model, models)
    if served and base_url is not None:
        raise InputError("Give --serve or --base-url, not both.")
    for name in task or ():
        if name not in TASKS:
            raise InputError(f"Unknown task {name!r}; it is {' or '.join(TASKS)}.")
    if base_url is not None:
        spec = spec.at(base_url)
    folder = output or _source_folder()
    names = line or list(BOOK_LINES)
    # Spellings depend on all lines loaded: with those of the book, the questions are those of the book.
    loaded = terminal.selected([*BOOK_LINES, *names] if named(atlas) else names)
    with terminal.working("Loading"):
        screen = load_screen(atlas, loaded, graph)
        lines = [screen[name].name for name in terminal.selected_in(screen.lines, names)]
        data = question_data(screen, genes, limit, seed=seed)
    results: list[Any] = []
    with (
        answers.local_record() as local,
        serving(context=spec.context, threads=threads) if served else nullcontext() as server,
    ):
        for notice in local.notices:
            terminal.err.print(f"kgpert: {notice}")
        if server and server.model != spec.model:
            raise InputError(f"--serve serves {server.model}, not {spec.model}.")
        spec = spec.at(server.base_url) if server else spec
        for name, kind in product(lines, task or TASKS):
            with terminal.working(f"Writing the questions for {name}"):
                requests = data.sets(kind, spec, local).requests(screen.view(name), data.genes[name])
            run = ask(requests, spec, local, budget=budget, fresh=fresh)
            results += run.answers
            path = folder / f"{screen.name}-{name}-{kind}-{model}.jsonl.gz"
            count = answers.add_to_export(run.answers, path)
            terminal.out.print(f"{name}, {kind}: {run.summary} {path} holds {count}.", soft_wrap=True)
            if run.stopped:
                break
    if results and not any(results):
        raise InputError(f"None of {len(results)} questions was answered.")


def _source_folder() -> Path:
    """``data/answers`` of the source tree; InputError where the library was installed and there is none."""
    from kgpert_lib import paths

    if paths.DATA.parent == Path(paths.__file__).parent:
        raise InputError("Name a folder for the exported answers with -o; the installed library is not written to.")
    return paths.DATA / "answers"
