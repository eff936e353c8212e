"""The builder on a book of two small chapters: what runs again, what a failure and a kill leave behind."""

import contextlib
import hashlib
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nbformat
import psutil
import pytest

from kgpert_lib.book import chapters, execution
from kgpert_lib.book.build import build, chapter_digest, library_state, store
from kgpert_lib.book.execution import BuildError
from kgpert_lib.errors import InputError
from kgpert_lib.files import locked

ROOT = Path(__file__).parents[2]
FIXTURE = ROOT / "tests" / "book" / "fixture"
PATIENCE = 120


def tree(html: Path) -> dict[str, str]:
    """Content hash of every file of a rendered book but the builder's own stamp."""
    files = (p for p in html.rglob("*") if p.is_file() and p.name != ".kgpert-book.json")
    return {str(p.relative_to(html)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def edit(notebook: Path, old: str, new: str) -> None:
    """Replace text in the cells of a stored notebook."""
    content = nbformat.read(notebook, as_version=4)
    assert any(old in cell.source for cell in content.cells)
    for cell in content.cells:
        cell.source = cell.source.replace(old, new)
    nbformat.write(content, notebook)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Downloads in an empty folder, no mirror, and this checkout on the path of every process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGPERT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("KGPERT_MIRROR", raising=False)
        patch.setenv("PYTHONPATH", str(ROOT))
        yield


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """The fixture book with the project's own settings and style."""
    root = tmp_path_factory.mktemp("source") / "book"
    shutil.copytree(FIXTURE, root)
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    shutil.copy(ROOT / "_config.yml", root)
    return root


@pytest.fixture(scope="module")
def built(source, environment, tmp_path_factory) -> Path:
    """The fixture book, built once; tests work on copies."""
    root = tmp_path_factory.mktemp("built") / "book"
    shutil.copytree(source, root)
    result = build(root)
    assert (result.executed, result.rendered) == (["01_table", "02_figure"], True)
    return root


@pytest.fixture
def book(built, tmp_path) -> Path:
    """A copy of the built book, with times, for one test to change."""
    return Path(shutil.copytree(built, tmp_path / "book"))


def test_pages_show_the_outputs_and_a_second_build_does_nothing(book):
    table = (book / "_build/html/notebooks/01_table.html").read_text()
    figure = (book / "_build/html/notebooks/02_figure.html").read_text()
    assert re.search(r"INTS9.*-1\.5", re.sub(r"<[^>]+>", "", table))
    assert 'alt="Bars of the deltas of three genes"' in figure
    before = {p: p.stat().st_mtime_ns for p in (book / "_build/html").rglob("*")}
    result = build(book)
    assert (result.executed, result.rendered) == ([], False)
    assert {p: p.stat().st_mtime_ns for p in (book / "_build/html").rglob("*")} == before


def test_a_page_offers_its_notebook_which_installs_what_is_missing(book):
    page = (book / "_build/html/notebooks/02_figure.html").read_text()
    assert 'href="../_sources/notebooks/02_figure.ipynb"' in page
    assert "find_spec" not in page
    download = nbformat.read(book / "_build/html/_sources/notebooks/02_figure.ipynb", as_version=4)
    first, *others = (cell for cell in download.cells if cell.cell_type == "code")
    assert first.metadata.tags == ["install"]
    assert any("image/" in str(cell.outputs) for cell in others)


def test_numbers_of_a_figure_are_linked_and_not_stored_and_stored_notebooks_install_from_the_address(book):
    (page,) = (book / "_build/executed").glob("02_figure-*.ipynb")
    executed = nbformat.read(page, as_version=4)
    executed.cells[-1].outputs[-1].data["text/csv"] = "gene,delta\nINTS9,-1.5\n"
    nbformat.write(executed, page)
    (book / "pyproject.toml").write_text('[project.urls]\nRepository = "https://example.org/owner/name"\n')
    store(book)
    html = book / "_build/html"
    link = "numbers/02_figure-fig-deltas.csv"
    assert (html / link).read_text() == "gene,delta\nINTS9,-1.5\n"
    assert f'href="../{link}"' in (html / "notebooks/02_figure.html").read_text()
    for notebook in (html / "_sources/notebooks/02_figure.ipynb", book / "notebooks/02_figure.ipynb"):
        assert "text/csv" not in notebook.read_text()
        assert "figure-numbers" not in notebook.read_text()
        assert "git+https://example.org/owner/name" in notebook.read_text()


def test_changed_code_runs_one_chapter_and_changed_prose_none(book):
    edit(book / "notebooks/01_table.ipynb", "Largest first:", "The largest come first:")
    edit(book / "notebooks/02_figure.ipynb", "rows = ", "n = 3\nrows = ")
    result = build(book)
    assert result.executed == ["02_figure"]
    assert "The largest come first:" in (book / "_build/html/notebooks/01_table.html").read_text()
    assert build(book).executed == []


def test_changed_data_runs_the_chapters_again(book):
    table = book / "data/deltas.csv"
    table.write_text(table.read_text().replace("-1.5", "-2.5"))
    assert build(book).executed == ["01_table", "02_figure"]
    assert "-2.5" in (book / "_build/html/notebooks/01_table.html").read_text()


@pytest.mark.parametrize(
    "changed", ["kgpert_lib/library.py", "requirements.lock", "data/deltas.csv", "cache/answers/record.sqlite"]
)
def test_a_chapter_depends_on_library_lock_data_own_answers_and_parameters(source, tmp_path, monkeypatch, changed):
    root = Path(shutil.copytree(source, tmp_path / "book"))
    monkeypatch.setenv("KGPERT_CACHE", str(root / "cache"))
    notebook = chapters.Chapter(root / "notebooks/01_table.ipynb", "notebooks/01_table").notebook
    before = library_state(root)
    assert chapter_digest(notebook, {}, before) != chapter_digest(notebook, {"limit": 1}, before)
    (root / changed).parent.mkdir(exist_ok=True, parents=True)
    with (root / changed).open("a") as file:
        file.write("\n# more\n")
    assert chapter_digest(notebook, {}, before) != chapter_digest(notebook, {}, library_state(root))


@pytest.mark.parametrize("damage", ["", "{", '{"cells": 3}'])
def test_a_damaged_page_of_an_earlier_run_is_executed_again(book, damage):
    good = tree(book / "_build/html")
    page = next((book / "_build/executed").glob("01_table-*.ipynb"))
    page.write_text(damage)
    assert build(book).executed == ["01_table"]
    assert tree(book / "_build/html") == good


def test_a_page_without_its_outputs_is_executed_again(book):
    page = next((book / "_build/executed").glob("02_figure-*.ipynb"))
    stored = nbformat.read(page, as_version=4)
    stored.cells[-1].update(outputs=[], execution_count=None)
    nbformat.write(stored, page)
    assert build(book).executed == ["02_figure"]


@pytest.mark.parametrize("removed", ["index.html", "notebooks/02_figure.html"])
def test_a_page_that_was_removed_is_rendered_again(book, removed):
    (book / "_build/html" / removed).unlink()
    result = build(book)
    assert (result.executed, result.rendered) == ([], True)
    assert (book / "_build/html" / removed).is_file()


@pytest.mark.parametrize(
    "code",
    [
        "for k in range(50):\n    print('x' * 1_000_000)",
        "display('x' * 50_000_000)",
        "display(HTML('<b>x</b>' * 10_000_000))",
        "for k in range(3):\n    display('x' * 60_000)\n    print('x' * 60_000)",
    ],
    ids=["printed", "displayed", "markup", "both"],
)
def test_what_a_cell_prints_is_limited_and_the_page_says_so(source, tmp_path, environment, code):
    root = Path(shutil.copytree(source, tmp_path / "book"))
    edit(root / "notebooks/01_table.ipynb", "rows = ", f"from IPython.display import HTML, display\n{code}\nrows = ")
    notebook = chapters.Chapter(root / "notebooks/01_table.ipynb", "notebooks/01_table")
    page = tmp_path / "page.ipynb"
    execution.execute({notebook: (notebook.notebook, {}, page)}, 1, tmp_path / "failed", print)
    assert page.stat().st_size < 200_000
    assert page.read_text().count("[The rest is not kept: a cell may print 100,000 characters.]") == 1


def test_a_page_with_as_much_print_as_is_kept_is_rendered(book):
    """Ten times as many characters in one line took a quarter of an hour."""
    edit(book / "notebooks/01_table.ipynb", "rows = ", "print('x' * 1_000_000)\nrows = ")
    assert "[The rest is not kept" in (build(book).html / "notebooks/01_table.html").read_text()


FAULTS = {
    "no settings": ("_config.yml", b"html: [", "_config.yml is not YAML text; restore it."),
    "settings in no text": ("_toc.yml", b"\xff\xfe\x00", "_toc.yml is not YAML text; restore it."),
    "settings that are a list": ("_toc.yml", b"- a\n", r"_toc.yml holds no settings \(a YAML mapping\); restore it."),
    "settings that contain themselves": ("_toc.yml", b"root: a\nchapters: &a [*a]", "a part that contains itself"),
    "nested settings": ("_toc.yml", b"[" * 100_000, "_toc.yml is not YAML text"),
    "a section that is a number": ("_config.yml", b"html: 3", "html holds no settings"),
    "an empty notebook": ("notebooks/01_table.ipynb", b"", "01_table.ipynb is not a notebook; restore it or"),
    "half a notebook": ("notebooks/01_table.ipynb", b'{"cells": [', "01_table.ipynb is not a notebook"),
    "a list": ("notebooks/01_table.ipynb", b"[]", "01_table.ipynb is not a notebook"),
    "nested lists": ("notebooks/01_table.ipynb", b"[" * 100_000, "01_table.ipynb is not a notebook"),
    "cells that are a number": (
        "notebooks/01_table.ipynb",
        b'{"cells": 3, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}',
        "01_table.ipynb is not a notebook",
    ),
    "no text": ("notebooks/01_table.ipynb", b"\xff\xfe\x00", "01_table.ipynb is not a notebook"),
    "another encoding": ("notebooks/01_table.py", "# %% [markdown]\n# Größe".encode("latin-1"), "save it as UTF-8"),
}


@pytest.mark.parametrize("fault", list(FAULTS))
def test_a_file_that_cannot_be_read_is_named_in_one_sentence(source, tmp_path, fault):
    name, content, message = FAULTS[fault]
    root = Path(shutil.copytree(source, tmp_path / "book"))
    (root / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        build(root)
    assert "\n" not in str(error.value)


def test_a_folder_without_pages_is_named(source, tmp_path):
    root = Path(shutil.copytree(source, tmp_path / "book"))
    shutil.rmtree(root / "book")
    with pytest.raises(InputError, match="book is missing; run this in the folder that holds the book"):
        build(root)


def test_a_failing_cell_is_shown_and_the_last_good_book_stays(book):
    good = tree(book / "_build/html")
    edit(book / "notebooks/01_table.ipynb", "broken = False", "broken = True")
    with pytest.raises(BuildError) as failure:
        build(book)
    message = str(failure.value)
    copy = re.search(r"jupyter lab (\S+\.ipynb)", message)
    assert "01_table failed in cell In [2]" in message
    assert "rows = list(csv.DictReader" in message
    assert "ValueError: the table is broken" in message
    assert copy
    outputs = [o for cell in nbformat.read(copy[1], as_version=4).cells for o in cell.get("outputs", [])]
    assert any(output.get("ename") == "ValueError" for output in outputs)
    assert tree(book / "_build/html") == good
    assert not list((book / "_build").glob(".scratch-*"))


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.exit()", r"01_table failed in cell In \[2\]:\n    import sys; sys.exit()"),
        ("import os; os._exit(1)", "01_table failed in its kernel, which died"),
    ],
)
def test_a_cell_that_ends_its_kernel_fails(book, code, message):
    edit(book / "notebooks/01_table.ipynb", "import csv", f"{code}\nimport csv")
    with pytest.raises(BuildError, match=message.replace("()", r"\(\)")):
        build(book)
    assert (book / "_build/failed/01_table.ipynb").is_file()


def test_the_first_failure_stops_the_other_chapters(book):
    edit(book / "notebooks/01_table.ipynb", "rows = ", "broken = True\nrows = ")
    edit(book / "notebooks/02_figure.ipynb", "rows = ", "while True:\n    pass\nrows = ")
    children = psutil.Process().children(recursive=True)
    with pytest.raises(BuildError, match="01_table failed in cell"):
        build(book, workers=2)
    assert psutil.Process().children(recursive=True) == children
    assert [page.name for page in (book / "_build/failed").iterdir()] == ["01_table.ipynb"]


def test_an_executed_chapter_holds_no_times_and_is_the_same_file_each_run(book):
    store = book / "_build"
    runs = []
    for _ in range(2):
        shutil.rmtree(store)
        runs.append(build(book, ["1"], {"limit": 1}))
        page = runs[-1].pages["01_table"].read_text()
        assert "papermill" not in page
        assert "iopub" not in page
        assert "limit = 1" in page
        runs[-1] = page, tree(runs[-1].html)
    assert runs[0] == runs[1]


def test_a_terminal_shows_how_far_each_chapter_is(book):
    """A pipe gets one line per chapter and no bar."""
    shutil.rmtree(book / "_build/executed")
    code = "import sys; from pathlib import Path; from kgpert_lib.book.build import build; build(Path(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(book)]
    reader, writer = pty.openpty()
    termios.tcsetwinsize(writer, (24, 80))
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, text=True, check=True)
    os.close(writer)
    screen = b""
    with contextlib.suppress(OSError):  # the end of a terminal
        while part := os.read(reader, 10_000):
            screen += part
    os.close(reader)
    assert re.search(rb"01_table: +\d+%.*/6 ", screen)
    assert re.search(rb"02_figure: +\d+%.*/4 ", screen)
    assert [re.sub(r" in \d+ s", "", line) for line in sorted(done.stdout.splitlines())] == [
        "01_table: executed",
        "02_figure: executed",
        "The book is up to date.",
    ]
    shutil.rmtree(book / "_build/executed")
    assert "%" not in subprocess.run(command, capture_output=True, text=True, check=True).stderr


def test_a_host_that_cannot_be_reached_is_asked_once_for_all_chapters(book, monkeypatch, tmp_path):
    for chapter in ("01_table", "02_figure"):
        path = book / f"notebooks/{chapter}.ipynb"
        content = nbformat.read(path, as_version=4)
        content.cells[-1].metadata["tags"] = ["needs-data"]
        nbformat.write(content, path)
    asked = []

    class Proxy(BaseHTTPRequestHandler):
        def do_CONNECT(self):
            asked.append(self.path)
            self.send_error(403)

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.setenv("KGPERT_CACHE", str(tmp_path / "empty"))
        result = build(book)
        stored = {path: path.read_bytes() for path in (book / "notebooks").glob("*.ipynb")}
        with pytest.raises(
            InputError, match=r"02_figure\.ipynb would lose its outputs on real screens; run `kgpert fetch"
        ):
            store(book)
        server.shutdown()
    assert {path: path.read_bytes() for path in stored} == stored
    assert asked == ["raw.githubusercontent.com:443"] * 2  # once for each of the two builds
    assert "PerturbQA is not on this machine" in (result.html / "notebooks/02_figure.html").read_text()


def test_a_warning_stops_the_build_and_the_last_good_book_stays(book):
    good = tree(book / "_build/html")
    with (book / "book/index.md").open("a") as page:
        page.write("\nSee [nothing](nowhere.md).\n")
    for _ in range(2):
        with pytest.raises(BuildError, match=r"book/index\.md:\d+: WARNING.*nowhere"):
            build(book)
    assert tree(book / "_build/html") == good


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ("format: jb-book\nchapters:\n  - file: book/index", "'root' key not found"),
        ("format: jb-book\nroot: 3", "'docname' must be"),
    ],
)
def test_contents_that_jupyter_book_refuses_are_named_in_one_line(source, tmp_path, environment, contents, message):
    root = Path(shutil.copytree(source, tmp_path / "book"))
    (root / "_toc.yml").write_text(contents)
    with pytest.raises(BuildError) as error:
        build(root)
    first, reason, last = str(error.value).splitlines()
    assert (first, last) == ("Jupyter Book did not accept the pages:", "The last good book is unchanged.")
    assert reason.startswith("The Table of Contents file is malformed")
    assert message in reason


def test_chosen_chapters_and_parameters_go_to_a_folder_of_their_own(book):
    good = tree(book / "_build/html")
    result = build(book, ["1"], {"limit": 1, "atlas": "<b>own</b>"})
    page = (result.html / "notebooks/01_table.html").read_text()
    shown = re.sub(r"<[^>]+>", "", page)
    assert result.html.is_relative_to(book / "_build/runs")
    assert result.executed == ["01_table"]
    assert "RPL3" not in shown
    assert "INTS9" in shown
    assert "atlas=&lt;b&gt;own&lt;/b&gt;" in page
    assert not (result.html / "notebooks/02_figure.html").exists()
    assert tree(book / "_build/html") == good
    assert build(book, ["01_table"], {"atlas": "<b>own</b>", "limit": 1}).rendered is False


@pytest.mark.parametrize(
    ("chosen", "parameters", "message"),
    [
        (["07"], {}, "There is no chapter '07'; the book has 01_table, 02_figure."),
        (None, {"atlass": "x"}, "There is no parameter 'atlass'.*atlas, broken, limit"),
        (["02"], {"atlas": "x"}, "There is no parameter 'atlas' in 02_figure: they have limit"),
        (None, {"limit": "many"}, "limit='many' is not usable"),
        (None, {"limit": True}, "limit=True is not usable"),
    ],
)
def test_unknown_chapters_and_parameters_are_named(source, chosen, parameters, message):
    with pytest.raises(InputError, match=message):
        build(source, chosen, parameters)
    assert not (source / "_build").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "atlas=perturbqa limit=10 correction=sqrt",
            {"atlas": "perturbqa", "limit": 10, "correction": "sqrt"},
        ),
        ("lines=[k562, rpe1]  prior=1e-3", {"lines": ["k562", "rpe1"], "prior": 0.001}),
        ("atlas=simulated,perturbqa cut=no strict=true", {"atlas": "simulated,perturbqa", "cut": "no", "strict": True}),
        ("", {}),
    ],
)
def test_settings_are_yaml_values(text, expected):
    assert chapters.parse_settings(text) == expected


@pytest.mark.parametrize(
    "text", ["limit", "limit 10 atlas=x", "lines=[k562", "limit=2024-13-45", "limit=" + "[" * 100_000]
)
def test_settings_that_cannot_be_read_are_named(text):
    with pytest.raises(InputError, match=r"limit|lines"):
        chapters.parse_settings(text)


def test_a_pair_that_differs_is_named(source, tmp_path):
    root = Path(shutil.copytree(source, tmp_path / "book"))
    (root / "notebooks/01_table.py").write_text("# %%\nprint(1)\n")
    with pytest.raises(InputError, match=r"01_table\.ipynb and 01_table\.py hold different cells"):
        build(root)


def test_two_builds_at_once_do_not_mix(book):
    with locked(book / "_build/book"), pytest.raises(InputError, match=r"Another process is using .*_build.book; wait"):
        build(book)


def test_two_workers_make_the_same_book(book):
    good = tree(book / "_build/html")
    shutil.rmtree(book / "_build")
    assert build(book, workers=2).executed == ["01_table", "02_figure"]
    assert tree(book / "_build/html") == good


def test_an_interrupted_build_run_again_ends_with_the_same_book(book):
    """SIGINT and kill -9 in a cell, kill -9 while the pages render, a kill between the last two renames."""
    good = tree(book / "_build/html")
    shutil.rmtree(book / "_build")
    hang = book / "hang"

    for kill in (signal.SIGINT, signal.SIGKILL):
        hang.touch()
        stopped = interrupted(book, kill, lambda _: not hang.exists())
        assert stopped != 0
        assert not (book / "_build/html").exists()
    assert interrupted(book, signal.SIGKILL, lambda line: line.startswith("Rendering")) != 0
    assert not (book / "_build/html").exists()

    assert build(book).executed == []
    assert tree(book / "_build/html") == good
    (book / "_build/html").rename(book / "_build/.html-last")
    assert build(book).rendered is False
    assert tree(book / "_build/html") == good


def interrupted(book: Path, kill: signal.Signals, now: Callable[[str], bool]) -> int:
    """Exit code of a build that gets a signal as soon as `now(last line)`; its processes must end with it."""
    code = "import sys; from pathlib import Path; from kgpert_lib.book.build import build; build(Path(sys.argv[1]))"
    log = book / "log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-u", "-c", code, str(book)], stdout=output, stderr=subprocess.DEVNULL
        )
    deadline = time.monotonic() + PATIENCE
    while not now((log.read_text().splitlines() or [""])[-1]):
        assert process.poll() is None, "the build ended before it was interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.02)
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(kill)
    process.wait(PATIENCE)
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert not alive
    return process.returncode
