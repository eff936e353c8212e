"""The book on an atlas of one's own: which chapters it holds, and two of them built on a line of another name."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from kgpert_lib.book import saved_atlas
from kgpert_lib.book.build import build
from kgpert_lib.book.chapters import read_chapters, read_yaml
from kgpert_lib.errors import InputError
from kgpert_lib.graphs import edgelist
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.load import load_screen
from tests import worlds

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def chapters():
    return read_chapters(ROOT, read_yaml(ROOT / "_toc.yml"))


def foreign(gaps: float = 0.0) -> Atlas:
    """One line of a name that no screen of the book has, without controls or halves, with six test genes."""
    line = replace(worlds.line(gaps=gaps, name="thp1"), control=None)
    names = load_screen("simulated", ["k562"], size="tiny").perturbations()
    line = replace(line, perturbations=np.array(names[: len(line.perturbations)]))
    return Atlas("mine", "real", {"thp1": line})


def test_chapters_on_records_and_calls_are_not_in_it(chapters):
    names = [chapter.number for chapter in saved_atlas.showing(chapters, foreign(), named=False)]
    assert names == ["02b", "A1", "A3", "A4"]
    assert [c.number for c in saved_atlas.showing(chapters, foreign(gaps=0.5), named=False)] == ["A4"]


@pytest.mark.parametrize(
    ("number", "gaps", "why"), [("07", 0, "recorded answers, runs or calls"), ("02b", 0.5, "have gaps")]
)
def test_a_chapter_that_is_named_and_cannot_show_it_is_refused(chapters, number, gaps, why):
    with pytest.raises(InputError, match=why):
        saved_atlas.showing([c for c in chapters if c.number == number], foreign(gaps), named=True)


def test_an_atlas_without_test_genes_is_refused(tmp_path):
    line = foreign()["thp1"]
    line = replace(line, split=np.full(len(line.split), "train"))
    Atlas("mine", "real", {"thp1": line}).save(tmp_path / "mine")
    with pytest.raises(InputError, match="no line has test genes"):
        saved_atlas.read(tmp_path / "mine")


def test_two_chapters_on_a_foreign_atlas_say_nothing_of_other_screens(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.delenv("KGPERT_MIRROR", raising=False)
    root = tmp_path / "book"
    shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
    shutil.copy(ROOT / "book" / "glossary.md", root / "book")
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    (root / "book" / "index.md").write_text("# Front\n\n```{bibliography}\n```\n")
    (root / "notebooks").mkdir()
    for name in ("A3_compare", "A4_your_screen"):
        shutil.copy(ROOT / "notebooks" / f"{name}.ipynb", root / "notebooks")
    shutil.copy(ROOT / "_config.yml", root)
    pages = ["book/glossary", "notebooks/A3_compare", "notebooks/A4_your_screen"]
    toc = {"format": "jb-book", "root": "book/index", "chapters": [{"file": page} for page in pages]}
    (root / "_toc.yml").write_text(yaml.safe_dump(toc))
    atlas = replace(foreign(), kind="simulated")  # such an atlas has the graphs beside it only: GO takes seconds
    folder = atlas.save(tmp_path / "mine")
    graph = worlds.graph(n=len(atlas["thp1"].perturbations))
    graph = graph.renamed(dict(zip(worlds.symbols(30).tolist(), atlas["thp1"].perturbations.tolist(), strict=True)))
    edgelist.write(graph, folder / "graphs" / "edges.csv")
    built = build(root, workers=2, atlas=folder)
    assert built.executed == ["A3_compare", "A4_your_screen"]
    for name in built.executed:
        page = (built.html / "notebooks" / f"{name}.html").read_text()
        text = page.partition("<article")[2].partition("</article>")[0]
        assert "Run on the atlas mine (simulated), thp1: chapters A3, A4 show it." in page
        assert "thp1: neither halves of the cells nor a second experiment, so there is no ceiling" in text
        assert "thp1" in text
        assert "Key takeaways" not in text  # of the book's own run
        assert "K562" not in text
