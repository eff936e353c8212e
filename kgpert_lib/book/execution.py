"""Executing chapters with papermill: each in a kernel of its own, several at a time, stopped by the first failure.

The kernels watch this process and end with it, however it ends.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import nbformat
from nbclient.exceptions import DeadKernelError
from papermill import PapermillExecutionError, execute_notebook
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from tqdm.auto import tqdm

from kgpert_lib.book.chapters import Chapter
from kgpert_lib.errors import InputError
from kgpert_lib.files import atomic
from kgpert_lib.studies.numbers import MIME

ENGINE = "kgpert"
KERNEL_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
# Kernels that run side by side would each start a thread on every core and wait for one another.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MOST_PRINTED = 100_000  # Sphinx takes seconds for a line of this length, and minutes for ten times that
SOURCE_HEAD = 6


class BuildError(InputError):
    """The book was not built; the message says which cell or page, the error, and how to look at it."""


class _Client(PapermillNotebookClient):
    """Runs one notebook, and keeps at most `MOST_PRINTED` characters of what a cell prints and shows.

    The numbers of a figure are not among them, as no page shows them.
    """

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Collect one message of a cell; text above the limit gives way to one sentence, markup as a whole."""
        content = msg["content"] if msg["msg_type"] != "error" else {}
        texts = content.get("data", content)  # a result has one text for each kind, a stream has one
        room = MOST_PRINTED - sum(map(_printed, outs))
        for kind in [kind for kind, text in texts.items() if _is_shown(kind) and len(text) > max(room, 0)]:
            head = texts[kind][:room] if kind in ("text", "text/plain") else ""
            sentence = f"\n[The rest is not kept: a cell may print {MOST_PRINTED:,} characters.]\n"
            texts[kind] = head + sentence if room >= 0 else ""  # below 0 the sentence stands there already
        return super().output(outs, msg, display_id, cell_index)

    def stop(self) -> None:
        """End the kernel at once; `execute` then raises."""
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        if process is not None:
            process.kill()


def _printed(output: Any) -> int:
    """Characters of text in an output."""
    texts = output.get("data", output)
    return sum(len(text) for kind, text in texts.items() if _is_shown(kind))


def _is_shown(kind: str) -> bool:
    """True for what a page shows as text."""
    return kind.startswith("text") and kind != MIME


class _Engine(NBClientEngine):
    """Papermill's engine with our client, which it hands to `register` before the kernel starts."""

    @classmethod
    def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> None:
        """Run the notebook in `folder`; papermill's own `cwd` would move this process, which all threads share."""
        resources = {"metadata": {"path": str(options["folder"])}}
        quiet = ["--IPKernelApp.log_level=CRITICAL"]  # its notes on encryption and its end would stand between the bars
        settings = {"timeout": None, "record_timing": False, "resources": resources, "extra_arguments": quiet}
        client = _Client(nb_man, kernel_name=kernel_name, **settings)
        options["register"](client)
        client.execute(env=options["environment"])


papermill_engines.register(ENGINE, _Engine)


def execute(
    runs: Mapping[Chapter, tuple[Any, Mapping[str, Any], Path]],
    workers: int,
    failed: Path,
    say: Callable[[str], None],
) -> None:
    """Execute chapters and write their pages; a terminal shows a bar for each one that runs.

    Parameters
    ----------
    runs : for each chapter the notebook to run, the parameters that replace stored ones, and the page to write;
        they start in this order.
    workers : how many run at once.
    failed : folder for the copy of a notebook in which a cell failed.
    say : receives one line for each chapter.

    Raises
    ------
    BuildError
        A cell raised or its kernel died; the other chapters are stopped.
    """
    environment = os.environ | KERNEL_ENVIRONMENT | (ONE_THREAD if min(workers, len(runs)) > 1 else {})
    clients: dict[Chapter, _Client] = {}
    stopping = False

    def run(chapter: Chapter) -> None:
        if stopping:
            return
        notebook, parameters, page = runs[chapter]
        begun = time.monotonic()
        try:
            notebook = execute_notebook(
                notebook,
                None,
                parameters,
                engine_name=ENGINE,
                kernel_name="python3",
                progress_bar={"desc": chapter.name, "leave": False, "disable": None},
                environment=environment,
                folder=chapter.path.parent,
                register=lambda client: clients.update({chapter: client}),
            )
            complete = not notebook.metadata.papermill["exception"]  # papermill takes `sys.exit()` for an end
        except (PapermillExecutionError, DeadKernelError):
            complete = False
        if stopping:
            return
        if not complete:
            raise BuildError(_report(chapter, clients[chapter].nb, failed))
        with atomic(page) as scratch:
            nbformat.write(_without_times(notebook), scratch)
        with tqdm.external_write_mode():
            say(f"{chapter.name}: executed in {time.monotonic() - begun:.0f} s")

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(run, chapter) for chapter in runs]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # the end of all, the first failure, or an interrupt
            stopping = True
            while wait(futures, timeout=0.1).not_done:
                for client in list(clients.values()):
                    client.stop()
    for future in done:
        future.result()


def _without_times(notebook: Any) -> Any:
    """The notebook without papermill's times and the random name of its cell, so that each run gives the same file."""
    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill")
        if "injected-parameters" in part.metadata.get("tags", []):
            part.id = "injected-parameters"
    return notebook


def _report(chapter: Chapter, notebook: Any, failed: Path) -> str:
    """Which cell failed, the head of its source and the error; a copy of the notebook goes to `failed`."""
    copy = failed / chapter.path.name
    with atomic(copy) as scratch:
        nbformat.write(notebook, scratch)
    text = "its kernel, which died: is there enough memory?"
    for cell in notebook.cells:
        for error in (output for output in cell.get("outputs", ()) if output.output_type == "error"):
            lines = cell.source.strip().splitlines()
            head = [*lines[:SOURCE_HEAD], "..."] if len(lines) > SOURCE_HEAD else lines
            source = "\n".join(f"    {line}" for line in head)
            text = f"cell In [{cell.execution_count}]:\n{source}\n{error.ename}: {error.evalue}"
    return (
        f"{chapter.name} failed in {text}\nLook at it with: jupyter lab {os.path.relpath(copy)}\n"
        "The last good book is unchanged."
    )
