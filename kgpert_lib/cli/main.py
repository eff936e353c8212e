"""The ``kgpert`` command from its start to its exit code.

Codes: 0 done; 1 the reader of the output went away; 2 input that cannot be used, in one sentence; 130 Ctrl-C;
129 and 143 a training job that was stopped by SIGHUP or SIGTERM.
Nothing slow is imported before the interrupt is watched.
"""

from __future__ import annotations

import os
import sys

from kgpert_lib import interrupts
from kgpert_lib.errors import InputError

# Packages that come with an extra only, as they are imported.
EXTRAS = {
    "book": (
        "IPython",
        "jupyter_book",
        "jupytext",
        "nbclient",
        "nbformat",
        "papermill",
        "playwright",
        "pyarrow",
        "pypdf",
        "sphinx",
    ),
    "llm": ("huggingface_hub", "openai", "xllamacpp"),
}


def main() -> None:
    """Run the command that the arguments name, and exit."""
    interrupts.watch()
    try:
        code = _run()
    except SystemExit as exit_:  # completion in the shell ends this way
        code = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:
        # After Ctrl-C any error may surface: of a half-imported module, of a table cut short, of a closed pool.
        if not interrupts.end():
            raise
        code = 130
    if interrupts.end() or code == 130:
        code = 130
        _complain("stopped.")
    sys.exit(code)


def _run() -> int:
    import warnings

    from kgpert_lib.cli.commands import USAGE_ERROR, app

    warnings.filterwarnings("ignore", module="anndata")
    warnings.showwarning = lambda message, *_: _complain(str(message), "Note")
    try:
        code = app(prog_name="kgpert", standalone_mode=False) or 0
        sys.stdout.flush()
        return code
    except InputError as error:
        _complain(str(error))
    except USAGE_ERROR as error:
        if message := error.format_message():  # empty where the help was printed instead
            _complain(message)
    except ModuleNotFoundError as error:
        _complain(_which_extra(error))
    except BrokenPipeError:
        _drop_output()
        return 1
    except OSError as error:
        if error.filename is not None:  # of a file, which `kgpert_lib.files` should have answered
            raise
        _drop_output()
        _complain(f"The output could not be written ({error.strerror}); make room or write it elsewhere.")
    return 2


def _drop_output() -> None:
    """Send what standard output still holds to nowhere, so that closing it does not fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _which_extra(error: ModuleNotFoundError) -> str:
    """The sentence for a package of an extra that is not installed; raises the error again for any other."""
    package = (error.name or "").partition(".")[0]
    for extra, packages in EXTRAS.items():
        if package in packages:
            return f"This command needs {package}, which is not installed; run: pip install 'kgpert-lib[{extra}]'"
    raise error


def _complain(sentence: str, who: str = "kgpert") -> None:
    from kgpert_lib.cli import terminal

    terminal.err.print(f"{who}: {sentence}")
