"""Cells on data that is not here give way to a box; where the data is, nothing changes."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from kgpert_lib.book import cells
from kgpert_lib.lines import LINES

PARTS = {"real": "needs-data", "expression": "dense", "truth": "simulated"}
TWO = {"atlas": "simulated,perturbqa", "lines": ["k562"]}


def needing(source):
    return new_code_cell(source, metadata={"tags": ["needs-data", "remove-input"]})


@pytest.fixture
def notebook():
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("a = 1"),
        needing("real = load()"),
        new_markdown_cell("A claim."),
        needing("real.table()"),
        new_markdown_cell("Prose.\n\n## Section"),
        needing("real.figure()"),
        new_code_cell("a + 1"),
    ]
    return new_notebook(cells=cells)


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def test_one_box_per_section_stands_in_place_of_the_cells_that_need_data(notebook):
    before = nbformat.from_dict(notebook)
    bare = cells.runnable(notebook, TWO, absent={"needs-data"})
    nbformat.validate(bare)
    boxed = [i for i, text in enumerate(sources(bare)) if "PerturbQA is not on this machine" in text]
    assert boxed == [2, 6], "the first below each heading"
    assert sources(bare)[4] == "None"
    untouched = (0, 1, 3, 5, 7)
    assert [sources(bare)[i] for i in untouched] == [sources(notebook)[i] for i in untouched]
    assert [c.metadata for c in bare.cells] == [c.metadata for c in notebook.cells]
    assert notebook == before


def test_the_box_says_how_to_fetch_the_data(notebook):
    space = {}
    exec(sources(cells.runnable(notebook, TWO, absent={"needs-data"}))[2].replace("\nHTML", "\nbox = HTML"), space)
    assert "<code>kgpert fetch perturbqa</code>" in space["box"].data


def test_with_another_atlas_nothing_stands_in_their_place(notebook):
    bare = cells.runnable(notebook, {"atlas": "simulated", "lines": ["k562"]}, absent={"needs-data"})
    assert [sources(bare)[i] for i in (2, 4, 6)] == ["None"] * 3


def test_a_chapter_without_such_cells_is_used_as_it_is():
    plain = new_notebook(cells=[new_code_cell("1 + 1"), new_markdown_cell("needs-data")])
    assert cells.runnable(plain, TWO, absent={"needs-data"}) == plain


def test_where_the_data_is_nothing_changes(notebook):
    assert cells.runnable(notebook, TWO) == notebook


@pytest.mark.parametrize(
    ("parameters", "files"),
    [
        (TWO, ["k562-de.csv", "k562-dir.csv"]),
        (TWO | {"graph_lines": ["k562", "rpe1"]}, ["k562-de.csv", "k562-dir.csv", "rpe1-de.csv", "rpe1-dir.csv"]),
        ({"atlas": "perturbqa"}, [f"{line}-{kind}.csv" for line in LINES for kind in ("de", "dir")]),
        ({"atlas": "simulated"}, []),
    ],
)
def test_a_chapter_needs_the_files_of_its_lines(notebook, parameters, files):
    assert cells.data_files(notebook, parameters) == files


def test_a_chapter_with_more_results_on_more_lines_is_more_work(notebook):
    four = TWO | {"lines": list(LINES)}
    assert cells.work(notebook, four) == 4 * cells.work(notebook, TWO) > 0
    assert cells.work(notebook, {"atlas": "simulated"}) == 0


@pytest.fixture
def three_parts():
    cells = [new_markdown_cell("# Title"), new_code_cell("shared = 1")]
    for word, tag in PARTS.items():
        cells += [
            new_markdown_cell(f"## {word}", metadata={"tags": [tag]}),
            new_code_cell(f"{word} = 1", metadata={"tags": [tag]}),
            new_code_cell(f"{word} + 1", metadata={"tags": [tag]}),
        ]
    return new_notebook(cells=cells)


@pytest.mark.parametrize(
    ("atlas", "parts"),
    [
        ("simulated,perturbqa", ["real", "expression", "truth"]),
        ("perturbqa", ["real"]),
        ("simulated", ["expression", "truth"]),
        ("perturbqa, /data/screen", ["real", "expression"]),
    ],
)
def test_only_the_parts_of_named_atlases_run_and_stay_on_the_page(three_parts, atlas, parts):
    run = cells.runnable(three_parts, {"atlas": atlas, "lines": ["k562"]})
    sources = [cell.source for cell in run.cells if cell.cell_type == "code"]
    assert len(sources) == 7, "a cell that does not run keeps its place"
    assert sources[0] == "shared = 1"
    assert {word for word in PARTS if f"{word} = 1" in sources} == set(parts)
    assert not any("HTML" in source for source in sources)
    page = cells.without_unused(nbformat.from_dict(three_parts), {"atlas": atlas})
    assert [cell.source for cell in page.cells if cell.source.startswith("## ")] == [f"## {word}" for word in parts]
    assert len(page.cells) == 2 + 3 * len(parts)


def test_a_box_keeps_the_text_of_its_section_and_the_other_parts(three_parts):
    bare = cells.runnable(three_parts, TWO, absent={"needs-data"})
    assert sum("kgpert fetch perturbqa" in source for source in sources(bare)) == 1
    assert "real = 1" not in sources(bare)
    assert "expression = 1" in sources(bare)
    assert len(cells.without_unused(nbformat.from_dict(three_parts), TWO).cells) == len(three_parts.cells)


def test_a_chapter_without_the_parameter_is_left_whole(three_parts):
    assert len(cells.without_unused(nbformat.from_dict(three_parts), {}).cells) == len(three_parts.cells)


@pytest.mark.parametrize(
    ("parameters", "absent"),
    [
        ({"expression": "replogle"}, {"needs-replogle"}),
        ({"expression": "replogle:split=rule", "lines": ["k562"]}, {"needs-replogle"}),
        ({"atlas": "simulated,replogle"}, {"needs-replogle"}),
        ({"expression": "/data/screen"}, set()),
        ({"atlas": "simulated"}, set()),
    ],
)
def test_expression_is_asked_for_only_where_it_is_named_and_never_downloaded(parameters, absent):
    notebook = new_notebook(cells=[new_code_cell("a", metadata={"tags": ["needs-replogle"]})])
    assert cells.absent_tags(notebook, parameters, failed=[]) == absent
    assert cells.data_files(notebook, parameters) == []


def test_each_kind_of_absent_data_has_its_own_box():
    both = new_notebook(
        cells=[
            new_markdown_cell("# A"),
            new_code_cell("real", metadata={"tags": ["needs-data"]}),
            new_markdown_cell("# B"),
            new_code_cell("expression", metadata={"tags": ["needs-replogle"]}),
            new_code_cell("both", metadata={"tags": ["needs-data", "needs-replogle"]}),
        ]
    )
    bare = sources(cells.runnable(both, {}, absent={"needs-data", "needs-replogle"}))
    assert "kgpert fetch perturbqa" in bare[1]
    assert "kgpert fetch replogle" in bare[3]
    assert bare[4] == "None"
    only = sources(cells.runnable(both, {}, absent={"needs-replogle"}))
    assert only[1] == "real"
    assert "kgpert fetch replogle" in only[3]


def test_a_failed_download_leaves_only_the_calls_out(notebook):
    assert cells.absent_tags(notebook, TWO, failed=["k562-de.csv"]) == {"needs-data"}
    assert cells.absent_tags(notebook, TWO, failed=["rpe1-de.csv"]) == set()
