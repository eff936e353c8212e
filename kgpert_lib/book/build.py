"""The book: papermill executes the chapters that changed, Jupyter Book renders a staged copy of the sources.

Everything is written under a scratch name inside ``_build`` and renamed when whole, so that a build which fails or
is killed leaves the last good book, and the next one ends with the same book. Layout of ``_build``::

    executed/<chapter>-<digest>.ipynb    a chapter's page with outputs, by all that they depend on
    html/                                the default book
    runs/<slug>/html/                    a book with chosen chapters or parameters
    failed/<chapter>.ipynb               the copy of a chapter in which a cell failed
"""

from __future__ import annotations

import fcntl
import hashlib
import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kgpert_lib.book import cells
from kgpert_lib.book import chapters as ch
from kgpert_lib.book.chapters import Chapter, parse_settings
from kgpert_lib.errors import InputError

__all__ = ["BuildError", "BuildResult", "build", "parse_settings"]

RENDER_ENVIRONMENT = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1767225600"}
KEPT_PER_CHAPTER = 8
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
STAMP = ".kgpert-book.json"
Say = Callable[[str], None]


class BuildError(InputError):
    """The book was not built; the message says which cell or page, the error, and how to look at it."""


@dataclass(frozen=True)
class BuildResult:
    """`html` is the folder of the pages, `executed` and `reused` are chapter names.

    `rendered` is False where the folder held this very book already.
    """

    html: Path
    executed: list[str]
    reused: list[str]
    rendered: bool
    seconds: float


def build(
    root: Path,
    chapters: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    workers: int = 1,
    say: Say = print,
) -> BuildResult:
    """Execute the chapters that changed and render the book.

    Parameters
    ----------
    root : folder with ``_config.yml``, ``_toc.yml``, ``book/`` and ``notebooks/``.
    chapters : numbers or names; the book then holds the prose pages and these chapters, in a folder of its own.
    parameters : values that replace the stored ones in every chapter that has them, in a folder of its own.
    workers : chapters executed at the same time (1 or 2); the book is the same.
    say : receives one line for each step.

    Raises
    ------
    InputError
        An unknown chapter or parameter, a missing page, or another build under way.
    BuildError
        A cell failed or Sphinx warned; the last good book is untouched.
    """
    started = time.monotonic()
    root = root.resolve()
    parameters = dict(sorted((parameters or {}).items()))
    if workers not in (1, 2):
        raise InputError(f"workers={workers} is not possible; chapters run 1 or 2 at a time.")
    toc = _read_yaml(root / "_toc.yml")
    chosen = ch.choose(ch.read_chapters(root, toc), chapters)
    ch.check_parameters(chosen, parameters)
    for chapter in chosen:
        chapter.check_pairing()
    target = _target(root, chosen, chapters, parameters)
    with _scratch(root / "_build") as scratch:
        runs = {c.name: {k: v for k, v in parameters.items() if k in c.defaults} for c in chosen}
        pages, executed = _execute(root, chosen, runs, workers, scratch, say)
        stage = _stage(root, toc, chosen if chapters is not None else None, parameters, pages, scratch)
        rendered = _render(stage, target, scratch, say)
    reused = [c.name for c in chosen if c.name not in executed]
    return BuildResult(target, executed, reused, rendered, time.monotonic() - started)


def _target(root: Path, chosen: list[Chapter], chapters: Sequence[str] | None, parameters: Mapping[str, Any]) -> Path:
    if chapters is None and not parameters:
        return root / "_build" / "html"
    names = [c.name for c in chosen] if chapters is not None else None
    label = "-".join(c.number for c in chosen) if names is not None else "all"
    return root / "_build" / "runs" / f"{label}-{ch.hash_of([names, parameters])[:8]}" / "html"


@contextmanager
def _scratch(build_dir: Path) -> Iterator[Path]:
    """A scratch folder, for one build at a time; what a killed build left behind is swept away first."""
    build_dir.mkdir(exist_ok=True)
    with (build_dir / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InputError(f"Another build is at work in {build_dir}; wait for it or stop it.") from error
        for old in build_dir.glob(".scratch-*"):
            shutil.rmtree(old, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=".scratch-", dir=build_dir))
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _execute(
    root: Path, chosen: list[Chapter], runs: Mapping[str, Mapping[str, Any]], workers: int, scratch: Path, say: Say
) -> tuple[dict[str, Path], list[str]]:
    """The executed page of each chapter, and the names of those that had to run."""
    store = root / "_build" / "executed"
    store.mkdir(exist_ok=True)
    code, data = ch.code_state(root), ch.data_state(root)
    pages = {c.name: store / f"{c.name}-{ch.digest(c, runs[c.name], code, data)}.ipynb" for c in chosen}
    waiting = [c for c in chosen if not pages[c.name].is_file()]
    for chapter in chosen:
        if chapter not in waiting:
            say(f"{chapter.name}: unchanged, not executed")
    _run_all(waiting, runs, pages, workers, scratch, root)
    pages = _after_downloads(root, chosen, runs, pages, code, data)
    for chapter in chosen:
        _prune(store, chapter, pages[chapter.name])
    return pages, [c.name for c in waiting]


def _run_all(
    waiting: Sequence[Chapter],
    runs: Mapping[str, Mapping[str, Any]],
    pages: Mapping[str, Path],
    workers: int,
    scratch: Path,
    root: Path,
) -> None:
    """Execute chapters, each in a process that ends with this one; the first failure stops the others."""
    queue = list(waiting)
    running: dict[int, tuple[Chapter, subprocess.Popen[bytes]]] = {}
    try:
        while queue or running:
            for slot in range(workers):
                if queue and slot not in running:
                    chapter = queue.pop(0)
                    running[slot] = (chapter, _start(chapter, runs[chapter.name], slot, scratch))
            for slot, (chapter, process) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[slot]
                if process.returncode:
                    raise BuildError(_failure(root, chapter, scratch))
                (scratch / chapter.name / "page.ipynb").replace(pages[chapter.name])
            time.sleep(0.05)
    finally:
        for _, process in running.values():
            _stop(process)


def _start(chapter: Chapter, run: Mapping[str, Any], slot: int, scratch: Path) -> subprocess.Popen[bytes]:
    folder = scratch / chapter.name
    folder.mkdir()
    command = [sys.executable, "-m", "kgpert_lib.book.chapters", str(chapter.path), str(folder / "page.ipynb")]
    command += ["--parameters", json.dumps(run), "--position", str(slot), "--attached"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, start_new_session=True)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(timeout=15)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _failure(root: Path, chapter: Chapter, scratch: Path) -> str:
    """What went wrong in a chapter; its copy is kept under ``_build/failed``."""
    folder = scratch / chapter.name
    error = folder / "page.error"
    text = error.read_text(encoding="utf-8") if error.is_file() else "its process ended without a message"
    copy = root / "_build" / "failed" / chapter.path.name
    running = folder / f"{chapter.name}.running.ipynb"
    if running.is_file():
        copy.parent.mkdir(exist_ok=True)
        running.replace(copy)
    opened = os.path.relpath(copy if copy.is_file() else chapter.path)
    jupyter = os.path.relpath(Path(sys.executable).with_name("jupyter"))
    return f"{chapter.name} failed in {text}\nLook at it with: {jupyter} lab {opened}\nThe last good book is unchanged."


def _after_downloads(
    root: Path,
    chosen: Sequence[Chapter],
    runs: Mapping[str, Mapping[str, Any]],
    pages: Mapping[str, Path],
    code: Mapping[str, str],
    before: Mapping[str, str],
) -> dict[str, Path]:
    """File pages under the data as it is now, where chapters have only added downloads to it.

    Without this the second build would run again whatever ran before a download. A page that tells its reader to
    fetch data keeps its old digest, so that it runs again now that there is more.
    """
    import nbformat

    now = ch.data_state(root)
    if now == before or any(now.get(path) != stamp for path, stamp in before.items()):
        return dict(pages)
    moved = dict(pages)
    for chapter in chosen:
        page = pages[chapter.name]
        if not ch.asks_for_data(nbformat.read(page, as_version=4)):
            moved[chapter.name] = page.with_name(
                f"{chapter.name}-{ch.digest(chapter, runs[chapter.name], code, now)}.ipynb"
            )
            page.replace(moved[chapter.name])
    return moved


def _prune(store: Path, chapter: Chapter, current: Path) -> None:
    """Keep a chapter's newest pages and the current one."""
    pages = sorted(store.glob(f"{chapter.name}-*.ipynb"), key=lambda p: p.stat().st_mtime_ns, reverse=True)
    for page in pages[KEPT_PER_CHAPTER:]:
        if page != current:
            page.unlink()


def _stage(
    root: Path,
    toc: Any,
    chosen: Sequence[Chapter] | None,
    parameters: Mapping[str, Any],
    pages: Mapping[str, Path],
    scratch: Path,
) -> Path:
    """The book's sources under their own paths in a folder of their own, with the executed chapters.

    `chosen` narrows the table of contents to the prose pages and these chapters; links to the others become text.
    """
    import nbformat

    stage = scratch / "source"
    shutil.copytree(root / "book", stage / "book")
    config = _read_yaml(root / "_config.yml")
    chapters = {chapter.page: chapter for chapter in ch.read_chapters(root, toc)}
    if chosen is not None:
        toc = _without(toc, set(chapters) - {c.page for c in chosen})
        settings = config.setdefault("sphinx", {}).setdefault("config", {})
        settings["suppress_warnings"] = [*settings.get("suppress_warnings", []), "myst.xref_missing", "ref"]
    if parameters:
        shown = " ".join(f"{name}={value}" for name, value in parameters.items())
        config.setdefault("html", {})["announcement"] = f"Run with {html.escape(shown)}"
    for page in ch.toc_pages(toc):
        name = page.removesuffix(".ipynb")
        if name in chapters:
            chapter = chapters[name]
            copy = stage / f"{name}.ipynb"
            copy.parent.mkdir(parents=True, exist_ok=True)
            executed = nbformat.read(pages[chapter.name], as_version=4)
            whole = ch.page_of(chapter, executed)
            nbformat.write(cells.fitting(whole, chapter.defaults | dict(parameters)), copy)
        else:
            _stage_file(root, name, stage)
    (stage / "_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    (stage / "_toc.yml").write_text(yaml.safe_dump(toc, sort_keys=False), encoding="utf-8")
    return stage


def _stage_file(root: Path, page: str, stage: Path) -> None:
    source = next((p for p in (root / page, root / f"{page}.md") if p.is_file()), None)
    if source is None:
        raise InputError(f"_toc.yml names {page}, but there is no such notebook or {page}.md.")
    copy = stage / source.relative_to(root)
    copy.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, copy)


def _without(node: Any, pages: set[str]) -> Any:
    """A table of contents less some pages, and less the parts that are empty then."""
    if isinstance(node, Mapping):
        return {key: _without(value, pages) for key, value in node.items()}
    if isinstance(node, list):
        kept = [child for child in node if str(child.get("file", "")).removesuffix(".ipynb") not in pages]
        narrowed = [_without(child, pages) for child in kept]
        return [child for child in narrowed if child.get("chapters", True)]
    return node


def _render(stage: Path, target: Path, scratch: Path, say: Say) -> bool:
    """Render the staged book into `target`; False where that holds this very book already."""
    wanted = ch.hash_of({str(p.relative_to(stage)): _hash(p) for p in sorted(stage.rglob("*")) if p.is_file()})
    _restore(target)
    if _stamp(target) == {"book": wanted, "files": _listing(target)}:
        say("The book is up to date.")
        return False
    say("Rendering the pages")
    begun = time.monotonic()
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(stage)]
    command += ["--path-output", str(scratch), "-W", "--keep-going", "-q"]
    done = subprocess.run(
        command,
        env=os.environ | RENDER_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    pages = scratch / "_build" / "html"
    if done.returncode or not (pages / "index.html").is_file():
        lines = COLOUR.sub("", done.stdout).replace(f"{stage}/", "").strip().splitlines()
        report = "\n".join([line for line in lines if "WARNING" in line or "ERROR" in line] or lines)
        raise BuildError(f"Jupyter Book did not accept the pages:\n{report}\nThe last good book is unchanged.")
    stamp = {"book": wanted, "files": _listing(pages)}
    (pages / STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    old = _old(target)
    if target.exists():
        target.replace(old)
    pages.replace(target)
    shutil.rmtree(old, ignore_errors=True)
    say(f"Rendered in {time.monotonic() - begun:.0f} s")
    return True


def _old(target: Path) -> Path:
    return target.with_name(f".{target.name}-last")


def _restore(target: Path) -> None:
    """Bring the last good book back if a build was killed between the two renames."""
    old = _old(target)
    if old.exists() and not target.exists():
        old.replace(target)
    shutil.rmtree(old, ignore_errors=True)


def _stamp(target: Path) -> Any:
    try:
        return json.loads((target / STAMP).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None


def _listing(pages: Path) -> str:
    """A hash over name, size and time of every file, so that pages changed by hand are rendered again."""
    files = [p for p in sorted(pages.rglob("*")) if p.is_file() and p.name != STAMP]
    return ch.hash_of([(str(p.relative_to(pages)), p.stat().st_size, p.stat().st_mtime_ns) for p in files])


def _hash(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path} is missing; run this in the folder that holds the book.")
    content: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return content
