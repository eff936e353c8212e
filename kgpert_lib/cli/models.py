"""Commands that serve a model on this machine and record a model's answers."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Literal

import typer

from kgpert_lib.cli import terminal
from kgpert_lib.errors import InputError

BOOK_LINES = ("k562", "rpe1")

EngineOption = Annotated[Literal["llama.cpp", "vllm"], typer.Option(help="Server; vllm has to be installed.")]


def serve(
    engine: EngineOption = "llama.cpp",
    model: Annotated[str | None, typer.Option(help="GGUF file, folder or hub name. Default: SmolLM2-135M.")] = None,
    port: Annotated[int, typer.Option(help="0 takes a free one.")] = 8080,
    context: Annotated[int, typer.Option(help="Tokens of prompt and answer for each request.")] = 2048,
    parallel: Annotated[int, typer.Option(help="Requests answered at once.")] = 8,
    threads: Annotated[int | None, typer.Option(help="All cores by default; fewer on a busy machine.")] = None,
) -> None:
    """Serve a model on this machine until Ctrl-C; it can answer when its address is printed."""
    from kgpert_lib.llm import local

    with local.serve(model, engine=engine, context=context, parallel=parallel, port=port, threads=threads) as server:
        terminal.out.print(
            f"{server.model} answers at {server.base_url} ({engine}; {parallel} requests at once, "
            f"{context} tokens each). Ctrl-C ends it.",
            soft_wrap=True,
        )
        server.wait()
    raise InputError("The server ended by itself.")


def record(
    task: Annotated[list[str] | None, typer.Option(help="langpert or edits; may be repeated. Default: both.")] = None,
    line: Annotated[list[str] | None, typer.Option(help="Cell line; may be repeated. Default: k562 and rpe1.")] = None,
    atlas: terminal.AtlasOption = "perturbqa",
    genes: Annotated[int, typer.Option(min=1, help="Test genes a line.")] = 100,
    model: Annotated[str, typer.Option(help="A name in models.toml.")] = "smollm2",
    models: Annotated[Path | None, typer.Option(help="A file of your own models, as models.toml.")] = None,
    base_url: Annotated[str | None, typer.Option(help="Another address of the model's server.")] = None,
    served: Annotated[bool, typer.Option("--serve", help="Serve the bundled model meanwhile.")] = False,
    threads: Annotated[int | None, typer.Option(help="Threads of --serve.")] = None,
    budget: Annotated[float | None, typer.Option(help="US dollars that are never exceeded.")] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what is recorded.")] = False,
    graph: terminal.GraphOption = "string+go",
    limit: terminal.LimitOption = 20,
    seed: terminal.SeedOption = 0,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Folder of the export: data/answers.")] = None,
) -> None:
    """Ask a model for related genes and edits, record every answer, and export them for the book."""
    from kgpert_lib import paths
    from kgpert_lib.llm import recording
    from kgpert_lib.llm.local import serve as serving
    from kgpert_lib.llm.models import find_model
    from kgpert_lib.llm.setting import TASKS, setting
    from kgpert_lib.screens.load import ATLASES, load_screen

    spec = find_model(model, models)
    if served and base_url:
        raise InputError("Give --serve or --base-url, not both.")
    for wanted in task or ():
        if wanted not in TASKS:
            raise InputError(f"Unknown task {wanted!r}; it is {' or '.join(TASKS)}.")
    lines = line or list(BOOK_LINES)
    # Spellings depend on all lines loaded: with those of the book, the questions are those of the book.
    with_book = list(dict.fromkeys([*BOOK_LINES, *lines]))
    screen = load_screen(atlas, with_book if atlas in ATLASES else lines, graph)
    chosen = setting(screen, genes, limit, seed=seed)
    folder = output or paths.DATA / "answers"
    with (
        recording.local_record() as answers,
        serving(context=spec.context, threads=threads) if served else nullcontext() as server,
    ):
        if server and server.model != spec.model:
            raise InputError(f"--serve serves {server.model}, not {spec.model}.")
        spec = spec.model_copy(update={"base_url": server.base_url if server else base_url or spec.base_url})
        for name in lines:
            for wanted in task or TASKS:
                asked = recording.record_answers(chosen, name, wanted, spec, answers, budget=budget, fresh=fresh)
                path = folder / recording.export_name(chosen.atlas.name, name, wanted, model)
                held = recording.export_answers(asked.answers, path)
                terminal.out.print(f"{name}, {wanted}: {asked.summary} {path} holds {held}.", soft_wrap=True)
                if asked.stopped:
                    return
