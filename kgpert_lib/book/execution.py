"""Executing chapters: each in a kernel of its own, several at a time, all stopped by the first failure.

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
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat.v4 import new_code_cell

from kgpert_lib.book.chapters import Chapter
from kgpert_lib.errors import InputError

KERNEL_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}
# Kernels that run side by side would each start a thread on every core and wait for one another.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
MOST_PRINTED = 1_000_000
SOURCE_HEAD = 6


class BuildError(InputError):
    """The book was not built; the message says which cell or page, the error, and how to look at it."""


class _Client(NotebookClient):
    """Runs one notebook, and keeps at most `MOST_PRINTED` characters of what a cell prints."""

    def __init__(self, notebook: Any, folder: Path) -> None:
        super().__init__(
            notebook,
            timeout=None,
            record_timing=False,
            kernel_name="python3",
            resources={"metadata": {"path": str(folder)}},
        )
        self.printed: dict[int, int] = {}

    def output(self, outs: list[Any], msg: dict[str, Any], display_id: str | None, cell_index: int) -> Any:
        """Collect one message of a cell; the text above the limit gives way to one sentence."""
        if msg["msg_type"] == "stream":
            before, text = self.printed.get(cell_index, 0), msg["content"]["text"]
            self.printed[cell_index] = before + len(text)
            if before > MOST_PRINTED:
                return None
            if before + len(text) > MOST_PRINTED:
                sentence = f"\n[The rest is not kept: a cell may print {MOST_PRINTED:,} characters.]\n"
                msg["content"]["text"] = text[: MOST_PRINTED - before] + sentence
                self.printed[cell_index] = MOST_PRINTED + 1
        return super().output(outs, msg, display_id, cell_index)

    def stop(self) -> None:
        """End the kernel at once; `execute` then raises."""
        process = getattr(getattr(self.km, "provisioner", None), "process", None)
        if process is not None:
            process.kill()


def execute(
    runs: Mapping[Chapter, tuple[Any, Mapping[str, Any], Path]],
    workers: int,
    failed: Path,
    say: Callable[[str], None],
) -> None:
    """Execute chapters and write their pages.

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
    clients: list[_Client] = []
    stopping = False

    def run(chapter: Chapter) -> None:
        notebook, parameters, page = runs[chapter]
        if stopping:
            return
        begun = time.monotonic()
        if parameters:
            _inject(notebook, parameters)
        client = _Client(notebook, chapter.path.parent)
        clients.append(client)
        try:
            client.execute(env=environment)
        except (CellExecutionError, DeadKernelError) as error:
            raise BuildError(_report(chapter, notebook, error, failed)) from error
        seconds = time.monotonic() - begun
        notebook.metadata["seconds"] = round(seconds, 1)
        scratch = page.with_suffix(".scratch")
        nbformat.write(notebook, scratch)
        scratch.replace(page)
        say(f"{chapter.name}: executed in {seconds:.0f} s")

    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(run, chapter) for chapter in runs]
        try:
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # the end of all, the first failure, or an interrupt
            stopping = True
            while wait(futures, timeout=0.1).not_done:
                for client in clients:
                    client.stop()
    for future in done:
        future.result()


def _inject(notebook: Any, parameters: Mapping[str, Any]) -> None:
    """Put a cell that sets the parameters after the one that stores them, as papermill does."""
    place = next(k for k, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    source = "\n".join(["# Parameters", *(f"{name} = {value!r}" for name, value in parameters.items())])
    tags = {"tags": ["injected-parameters"]}
    notebook.cells.insert(place + 1, new_code_cell(source, id="injected-parameters", metadata=tags))


def _report(chapter: Chapter, notebook: Any, error: Exception, failed: Path) -> str:
    """Which cell failed, the head of its source and the error; a copy of the notebook goes to `failed`."""
    failed.mkdir(exist_ok=True)
    copy = failed / chapter.path.name
    nbformat.write(notebook, copy)
    text = "its kernel, which died: is there enough memory?"
    if isinstance(error, CellExecutionError):
        cell = next(
            cell for cell in notebook.cells if any(output.output_type == "error" for output in cell.get("outputs", ()))
        )
        lines = cell.source.strip().splitlines()
        head = [*lines[:SOURCE_HEAD], "..."] if len(lines) > SOURCE_HEAD else lines
        source = "\n".join(f"    {line}" for line in head)
        text = f"cell In [{cell.execution_count}]:\n{source}\n{error.ename}: {error.evalue}"
    return (
        f"{chapter.name} failed in {text}\nLook at it with: jupyter lab {os.path.relpath(copy)}\n"
        "The last good book is unchanged."
    )
