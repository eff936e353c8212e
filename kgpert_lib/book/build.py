"""The book: chapters that changed are executed, Jupyter Book renders a staged copy of the sources.

Everything is written under a scratch name inside ``_build`` and renamed when whole, so that a build which fails or
is killed leaves the last good book, and the next one ends with the same book. Layout of ``_build``::

    executed/<chapter>-<digest>.ipynb    a chapter with outputs, by all that they depend on
    html/                                the default book
    publish/html/                        the same without measured calls, to be passed on
    explorer/<digest>/                   the gene explorer, by all that it depends on
    runs/<slug>/html/                    a book with some chapters or other parameters
    failed/<chapter>.ipynb               the copy of a chapter in which a cell failed
"""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import nbformat
import yaml

from kgpert_lib import paths
from kgpert_lib.book import address, cells, figures, notebooks, saved_atlas
from kgpert_lib.book.chapters import (
    Chapter,
    check_parameters,
    read_chapters,
    read_notebook,
    read_yaml,
    select,
    toc_pages,
)
from kgpert_lib.book.execution import BuildError, execute
from kgpert_lib.book.generated import EXTRA, Staging, generate
from kgpert_lib.downloads.fetch import fetch_all
from kgpert_lib.errors import InputError
from kgpert_lib.files import digest, locked
from kgpert_lib.screens.atlas import Atlas

RENDER_ENVIRONMENT = {"PYTHONHASHSEED": "0", "SOURCE_DATE_EPOCH": "1767225600"}
DOWNLOADS = "_downloads"
KEPT_PER_CHAPTER = 8
STAMP = ".kgpert-book.json"
OTHER_RUN = "Text and captions describe the stored run; figures and tables name the atlas that they show."
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_LAST_WORDS = re.compile(r"^\w*Error:[\s=]*(.+)", re.MULTILINE)  # of a traceback; the rest of it helps nobody here


@dataclass(frozen=True)
class BuildResult:
    """`html` is the folder of the pages, `executed` names the chapters that ran, `pages` are all executed notebooks.

    `rendered` is False where the folder held this very book already.
    """

    html: Path
    executed: list[str]
    pages: dict[str, Path]
    rendered: bool


def build(
    root: Path,
    chapters: Sequence[str] | None = None,
    parameters: Mapping[str, Any] | None = None,
    workers: int | None = None,
    say: Callable[[str], None] = print,
    atlas: str | Path | None = None,
    publish: bool = False,
) -> BuildResult:
    """Execute the chapters that changed and render the book.

    Parameters
    ----------
    root : folder with ``_config.yml``, ``_toc.yml``, ``book/`` and ``notebooks/``.
    chapters : numbers or names; the book then holds the prose pages and these chapters, in a folder of its own.
    parameters : values that replace the stored ones in every chapter that has them, in a folder of its own.
    workers : chapters executed at the same time, as many as there are cores for None; the book is the same.
    say : receives one line for each step.
    atlas : folder of a saved atlas; the book then holds the prose pages and the chapters that can show it.
    publish : leave out measured calls, for a book that is passed on (data page), in a folder of its own.

    Raises
    ------
    InputError
        An unknown chapter or parameter, an unreadable page, or another build under way.
    BuildError
        A cell failed or Sphinx warned, as it does of a page that is missing; the last good book is untouched.
    """
    root, parameters = root.resolve(), _absolute(parameters or {})
    workers = (os.cpu_count() or 1) if workers is None else workers
    if workers < 1:
        raise InputError(f"workers={workers} is not possible; give 1 or more.")
    config, toc = read_yaml(root / "_config.yml", ("html", "sphinx")), read_yaml(root / "_toc.yml")
    if not (root / "book").is_dir():
        raise InputError(f"{root / 'book'} is missing; run this in the folder that holds the book.")
    if repository := address.repository(root):
        address.link(config, repository)
    every = read_chapters(root, toc)
    selected = select(every, chapters)
    own: Atlas | None = None
    if atlas is not None:
        own = saved_atlas.read(atlas)
        selected = saved_atlas.showing(selected, own, named=chapters is not None)
        parameters = saved_atlas.parameters(selected, own, atlas) | parameters
        chapters = [chapter.name for chapter in selected]
    check_parameters(selected, parameters)
    for chapter in selected:
        chapter.check_pairing()
    with _scratch(root / "_build") as scratch:
        pages, executed = _executed(root, selected, parameters, workers, say)
        if chapters is not None:
            others = {c.page for c in every if c not in selected}
            root_page, *pages_left = (page for page in toc_pages(toc) if page not in others)
            toc = {"format": "jb-book", "root": root_page, "chapters": [{"file": page} for page in pages_left]}
            # links to the other chapters become text
            config["sphinx"].setdefault("config", {})["suppress_warnings"] = ["myst.xref_missing", "ref"]
        if own is not None:
            config["html"]["announcement"] = saved_atlas.announcement(selected, own)
        elif parameters:
            values = " ".join(f"{name}={value}" for name, value in parameters.items())
            config["html"]["announcement"] = f"Run with {html.escape(values)}. {OTHER_RUN}"
        staging = Staging(root, scratch / "source", {c: pages[c.name] for c in selected}, parameters, say, publish)
        _stage(staging, config, toc, own)
        target = root / "_build" / "publish" / "html" if publish else root / "_build" / "html"
        if chapters is not None or parameters:
            names = [c.name for c in selected] if chapters is not None else None
            label = "-".join(c.number for c in selected) if names else "all"
            slug = f"{label}-{digest(json.dumps([names, parameters, *([True] if publish else [])], default=str))[:8]}"
            target = root / "_build" / "runs" / slug / "html"
        rendered = _render(staging.folder, target, scratch, say)
    return BuildResult(target, executed, pages, rendered)


def _absolute(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters by name; a path of a reader's file is made absolute, because chapters run in their own folder."""
    own = {name: value for name, value in parameters.items() if cells.own_files({name: value})}
    whole = {name: str(Path(value).resolve()) for name, value in own.items() if Path(value).exists()}
    return dict(sorted({**parameters, **whole}.items()))


def library_state(root: Path) -> str:
    """Digest of all that every chapter's outputs depend on: library, lock, Python, committed data, own answers, the
    files of the training job.

    Downloads are not among it: each is verified against its checksum before it is used, so one that is there is
    always the same.
    """
    files = [
        *(
            p
            for p in _files(root / "kgpert_lib")
            if not {"book", "cli", "explorer", "release", "_data"} & set(p.relative_to(root).parts)
        ),
        *(p for p in _files(root / "data") if p.suffix != ".md"),
        *_files(root / "env" / "prime_rl"),
        *_files(paths.cache_dir() / "answers"),
        *root.glob("requirements.lock"),
    ]
    names = [os.path.relpath(path, root) for path in files]
    return digest(str(sys.version_info[:2]), *names, *files)


def chapter_digest(notebook: Any, parameters: Mapping[str, Any], state: str) -> str:
    """Digest of a chapter's code cells, its parameters and `library_state`; its text is not among it."""
    code = [(cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells if cell.cell_type == "code"]
    return digest(json.dumps([code, parameters, state], sort_keys=True, default=str))[:16]


@contextmanager
def _scratch(build_dir: Path) -> Iterator[Path]:
    """A scratch folder, for one build at a time; what a killed build left behind goes first."""
    with locked(build_dir / "book", wait=False):
        for old in (*build_dir.glob(".scratch-*"), *build_dir.glob("*/.kgpert-*")):
            shutil.rmtree(old, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".scratch-", dir=build_dir, ignore_cleanup_errors=True) as scratch:
            yield Path(scratch)


def _executed(
    root: Path, chapters: Sequence[Chapter], parameters: Mapping[str, Any], workers: int, say: Callable[[str], None]
) -> tuple[dict[str, Path], list[str]]:
    """The executed notebook of each chapter by name, and the names of those that had to run."""
    store = root / "_build" / "executed"
    store.mkdir(exist_ok=True)
    state = library_state(root)
    needed = {c: cells.data_files(c.notebook, c.defaults | c.own(parameters)) for c in chapters}
    failed = fetch_all(dict.fromkeys(chain(*needed.values()))).failed  # a host is asked once for all chapters
    pages, runs = {}, {}
    for chapter in chapters:
        own = chapter.own(parameters)
        every = chapter.defaults | own
        notebook = cells.runnable(chapter.notebook, every, cells.absent_tags(chapter.notebook, every, failed))
        key = chapter_digest(notebook, own, digest(state, *cells.expression_files(every), *cells.own_files(every)))
        page = pages[chapter.name] = store / f"{chapter.name}-{key}.ipynb"
        if _has_outputs(page):
            say(f"{chapter.name}: unchanged, not executed")
        else:
            runs[chapter] = notebook, own, page
    longest_first = sorted(runs, key=lambda c: -cells.work(c.notebook, c.defaults | c.own(parameters)))
    execute({c: runs[c] for c in longest_first}, workers, root / "_build" / "failed", say)
    for chapter in chapters:
        newest_first = sorted(store.glob(f"{chapter.name}-*.ipynb"), key=lambda page: -page.stat().st_mtime_ns)
        for old in newest_first[KEPT_PER_CHAPTER:]:
            if old != pages[chapter.name]:
                old.unlink()
    return pages, [chapter.name for chapter in runs]


def _has_outputs(page: Path) -> bool:
    """True for a notebook all of whose code cells were executed."""
    try:
        code = [cell for cell in read_notebook(page).cells if cell.cell_type == "code"]
    except InputError:
        return False
    return all(cell.execution_count for cell in code if cell.source.strip())


def _stage(
    staging: Staging,
    config: dict[str, Any],
    toc: Mapping[str, Any],
    own: Atlas | None,
) -> None:
    """Write the book's sources under their own paths into the staged folder, chapters with the outputs of their run.

    A chapter's page has links to the numbers of its figures; readers download its notebook from `DOWNLOADS`.
    Chapters on an atlas of the reader's `own` say below their title what it cannot answer.
    """
    stage = staging.folder
    shutil.copytree(staging.root / "book", stage / "book")
    repository = address.repository(staging.root)
    for chapter, executed in staging.chapters.items():
        page = with_outputs(chapter.notebook, read_notebook(executed))
        page = notebooks.without_install(cells.without_unused(page, chapter.defaults | dict(staging.parameters)))
        if own is not None and saved_atlas.FILE not in chapter.defaults:  # that chapter has the box itself
            page = saved_atlas.with_limits(page, own)
        download = notebooks.with_install(figures.without_numbers(page), repository)
        copies = {"": figures.with_links(page, chapter, staging.extra, staging.publish), DOWNLOADS: download}
        for folder, copy in copies.items():
            path = stage / folder / f"{chapter.page}.ipynb"
            path.parent.mkdir(parents=True, exist_ok=True)
            nbformat.write(copy, path)
    generate(staging, set(toc_pages(toc)))
    if (stage / EXTRA).is_dir():
        config["sphinx"].setdefault("config", {})["html_extra_path"] = [EXTRA]
    for settings, content in (("_config.yml", config), ("_toc.yml", toc)):
        (stage / settings).write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")


def with_outputs(notebook: Any, executed: Any) -> Any:
    """A copy of the notebook, its text as it is now, with the outputs of an executed copy and without times.

    A cell of other parameters stands after the chapter's own.
    """
    page = nbformat.from_dict(notebook)
    code = iter([cell for cell in page.cells if cell.cell_type == "code"])
    for result in (cell for cell in executed.cells if cell.cell_type == "code"):
        if "injected-parameters" in result.metadata.get("tags", []):
            place = next(k for k, cell in enumerate(page.cells) if "parameters" in cell.metadata.get("tags", []))
            page.cells.insert(place + 1, result)
        else:
            next(code).update(outputs=result.outputs, execution_count=result.execution_count)
    return page


def _render(stage: Path, target: Path, scratch: Path, say: Callable[[str], None]) -> bool:
    """Render the staged book into `target`; False where that holds this very book already."""
    old = target.with_name(f".{target.name}-last")
    if old.exists() and not target.exists():  # an earlier build was killed between the last two renames
        old.replace(target)
    if (target / STAMP).is_file() and (target / STAMP).read_text(encoding="utf-8") == _stamp(stage, target):
        say("The book is up to date.")
        return False
    say("Rendering the pages")
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(stage)]
    done = subprocess.run(
        [*command, "--path-output", str(scratch), "-W", "--keep-going", "-q"],
        env=os.environ | RENDER_ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    pages = scratch / "_build" / "html"
    if done.returncode or not (pages / "index.html").is_file():
        text = _COLOUR.sub("", done.stdout).replace(f"{stage}/", "").strip()
        warned = [line for line in text.splitlines() if "WARNING" in line or "ERROR" in line]
        report = "\n".join(warned or _LAST_WORDS.findall(text)[-1:] or text.splitlines()[-1:])
        raise BuildError(f"Jupyter Book did not accept the pages:\n{report}\nThe last good book is unchanged.")
    if (stage / DOWNLOADS).is_dir():  # what the download button of a page leads to
        shutil.copytree(stage / DOWNLOADS, pages / "_sources", dirs_exist_ok=True)
    (pages / STAMP).write_text(_stamp(stage, pages), encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.replace(old)
    pages.replace(target)
    shutil.rmtree(old, ignore_errors=True)
    return True


def _stamp(*folders: Path) -> str:
    """Digest of the sources of a book and of its pages: a page that was changed by hand is rendered again."""
    files = [(folder, path) for folder in folders for path in _files(folder)]
    return digest(*(str(path.relative_to(folder)) for folder, path in files), *(path for _, path in files))


def _files(folder: Path) -> list[Path]:
    """All files below a folder but hidden ones and compiled modules."""
    files = (p for p in folder.rglob("*") if p.is_file() and not p.name.startswith("."))
    return sorted(p for p in files if "__pycache__" not in p.parts)


def store(root: Path) -> None:
    """Keep the outputs of a run at the stored parameters in the notebooks themselves: `make store`.

    Cells on data that most machines do not have are stored without outputs, figures without their numbers. Where the
    repository has an address, the notebooks install the library from it, as they are opened there alone (Colab).

    InputError, and no notebook changed, where cells were left out of the run because their data could not be had.
    """
    pages = {root / "notebooks" / f"{name}.ipynb": read_notebook(page) for name, page in build(root).pages.items()}
    repository = address.repository(root)
    for path, executed in pages.items():
        if any(cells.BOXES[cells.TAG].html in str(cell.get("outputs", "")) for cell in executed.cells):
            raise InputError(f"{path} would lose its outputs on real screens; run `kgpert fetch perturbqa` first.")
    for path, executed in pages.items():
        page = figures.without_numbers(with_outputs(read_notebook(path), executed))
        if repository:
            page = notebooks.with_install(page, repository)
        for cell in filter(cells.never_stored, page.cells):
            cell.update(outputs=[], execution_count=None)
        nbformat.write(page, path)


if __name__ == "__main__":
    store(Path())
