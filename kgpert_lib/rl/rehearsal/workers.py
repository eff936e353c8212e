"""Runs side by side, each in a process of its own on one thread, so that their number changes no result.

A worker ends when the process that started it is gone, however that went. Nothing here imports torch before a run
begins.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing import connection, get_context, parent_process
from multiprocessing.context import SpawnProcess
from pathlib import Path

from kgpert_lib.errors import InputError
from kgpert_lib.rl.runs import Run, RunConfig

Report = Callable[[str, str, int], None]  # name of a run, what is being done, steps that are done


def train(configs: Sequence[RunConfig], folder: Path, workers: int, report: Report) -> list[Run]:
    """Train each run in a folder of its name, `workers` at a time, or go on with it; a single one in this process.

    InputError of a run, or naming one whose process ended before it; the other runs are ended then and go on with the
    same call, as after an interrupt.
    """
    if len(configs) == 1:
        return [_train(config, folder / config.name, report) for config in configs]
    waiting, running = list(configs), dict[connection.Connection, tuple[SpawnProcess, RunConfig]]()
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                config = waiting.pop(0)
                running |= _start(config, folder / config.name)
            for end in connection.wait(list(running)):
                assert isinstance(end, connection.Connection)
                process, config = running[end]
                if not _heard(end, process, config, report):
                    del running[end]
    finally:
        for process, _ in running.values():
            process.terminate()
            process.join()
    return [Run.load(folder / config.name) for config in configs]


def _start(config: RunConfig, folder: Path) -> dict[connection.Connection, tuple[SpawnProcess, RunConfig]]:
    context = get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(config, folder, theirs), name=config.name)
    process.start()
    theirs.close()
    return {ours: (process, config)}


def _heard(end: connection.Connection, process: SpawnProcess, config: RunConfig, report: Report) -> bool:
    """Pass on what a worker says; False when it has come to its end."""
    try:
        message = end.recv()
    except EOFError:
        process.join()
        if process.exitcode:
            raise InputError(
                f"The run {config.name} ended with code {process.exitcode}; the same command goes on from its last "
                "checkpoint."
            ) from None
        return False
    if isinstance(message, str):
        raise InputError(message)
    report(config.name, *message)
    return True


def _work(config: RunConfig, folder: Path, parent: connection.Connection) -> None:
    """What a worker does; it tells `parent` how far it is, or in a sentence why it cannot go on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent too, which then ends its workers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _train(config, folder, lambda name, doing, step: parent.send((doing, step)))
    except InputError as error:
        parent.send(str(error))


def _end_with_parent() -> None:
    started_by = parent_process()
    assert started_by is not None
    started_by.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _train(config: RunConfig, folder: Path, report: Report) -> Run:
    from threadpoolctl import threadpool_limits

    from kgpert_lib.rl.rehearsal.quiet import quiet
    from kgpert_lib.rl.rehearsal.run import rehearse

    with quiet(), threadpool_limits(1):
        return rehearse(config, folder, report=lambda doing, step: report(config.name, doing, step))
