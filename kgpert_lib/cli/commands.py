"""All commands in one application, with their examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

import kgpert_lib
from kgpert_lib.cli import (
    book,
    evaluate,
    explorer,
    fetch,
    graph,
    models,
    perturbqa,
    predict,
    predictions,
    rehearsal,
    rl,
    screen,
    simulate,
    terminal,
)

# Typer brings its own copy of click, whose error of usage has no public name.
USAGE_ERROR: Any = typer.BadParameter.__base__

COMMANDS: dict[Callable[..., None], list[str]] = {
    fetch.fetch: ["kgpert fetch perturbqa"],
    predict.predict: [
        "kgpert predict INTS9",
        "kgpert predict INTS9 --line rpe1 --csv",
        "kgpert predict INTS9 --atlas replogle:split=rule:readouts=5000",
        "kgpert predict ENSG00000104299 --predictor weighted --specific",
        "kgpert predict --all -o predictions.h5ad",
        "kgpert predict --all --line all --top 50 -o strongest.csv.gz",
    ],
    predictions.predictions: ["kgpert predictions -o predictions", "kgpert predictions -o k562 --line k562 --top 20"],
    evaluate.evaluate: ["kgpert evaluate --line k562", "kgpert evaluate --graph string --graph mine.csv --csv"],
    perturbqa.vote: ["kgpert vote --line rpe1 --task dir", "kgpert vote --line all --csv"],
    perturbqa.ask: [
        "kgpert ask --line k562 --perturb INTS9 --readout PFDN5",
        "kgpert ask --table questions.csv -o answers.csv",
    ],
    models.serve: ["kgpert serve --port 8080"],
    models.record: ["kgpert record --model smollm2 --serve"],
    simulate.simulate: ["kgpert simulate -o screen --size tiny", "kgpert simulate -o files --format replogle"],
    explorer.explorer: [
        "kgpert explorer -o explorer",
        "kgpert explorer -o explorer --line k562 --predictor union --predictor weighted",
    ],
    screen.screen: [
        "kgpert screen cells.h5ad -o mine --graph edges.csv",
        "kgpert screen deltas.h5ad -o mine --line thp1 --perturbed gene --split 0.2",
    ],
    book.book: ["kgpert book --chapters '02 07' --set 'limit=10'"],
}


NOTES = dict.fromkeys((predict.predict, predictions.predictions, evaluate.evaluate), terminal.PREDICTOR_LIST)


def _epilog(lines: list[str], note: str = "") -> str:
    head = "Examples:" if len(lines) > 1 else "Example:"
    return "\n\n".join([*([note] if note else []), head, *lines])


def _typer(text: str, **options: Any) -> typer.Typer:
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        **options,
    )


def _print_version(value: bool) -> None:
    if value:
        terminal.out.print(f"kgpert {kgpert_lib.__version__}")
        raise typer.Exit()


app = _typer("What would knocking down a gene do, and how far may I trust it?")


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


_graph_app = _typer(
    "Look at the knowledge graphs.", epilog=_epilog(["kgpert graph list", "kgpert graph neighbours RPL3"])
)
for _name, _text in (("neighbours", None), ("neighbors", "The same as neighbours.")):
    _lines = [f"kgpert graph {_name} RPL3", f"kgpert graph {_name} INTS9 RPL3 --graph string+mine.csv"]
    _graph_app.command(_name, help=_text, epilog=_epilog(_lines))(graph.neighbours)
_graph_app.command("list", epilog=_epilog(["kgpert graph list", "kgpert graph list --csv"]))(graph.listed)
app.add_typer(_graph_app, name="graph")

RL_COMMANDS: dict[Callable[..., None], list[str]] = {
    rl.check: ["kgpert rl check env/prime_rl/rl.toml env/prime_rl/h100x4.toml"],
    rl.launch: [
        "kgpert rl launch --overlay h100x4 --dry-run",
        "kgpert rl launch --overlay h100x4 --prime-rl ~/prime-rl",
        "kgpert rl launch --overlay three_lines --overlay h100x4 --run-dir outputs/three-lines",
    ],
    rl.watch: ["kgpert rl watch outputs/kgpert"],
    rl.serve: ["kgpert rl serve outputs/kgpert --step 1500 -o served"],
    rl.record: [
        "kgpert rl record outputs/kgpert -o data/runs/qwen3 --answers trained=outputs/kgpert-test",
    ],
    rl.runs: ["kgpert rl runs"],
    rehearsal.rehearse: [
        "kgpert rl rehearse simulated-s0",
        "kgpert rl rehearse --seed 0 --steps 20",
        "kgpert rl rehearse --atlas perturbqa --without k562",
    ],
    rehearsal.evaluate: ["kgpert rl evaluate simulated-s0"],
}
_rl_app = _typer("Train a model on edits of neighbourhoods: in Prime-RL, or rehearsed on this machine.")
for _command, _lines in RL_COMMANDS.items():
    _rl_app.command(epilog=_epilog(_lines))(_command)
app.add_typer(_rl_app, name="rl")
for _command, _lines in COMMANDS.items():
    app.command(epilog=_epilog(_lines, NOTES.get(_command, "")))(_command)
