"""The reference of the library: what it lists, and how docstrings are read."""

import pkgutil
from pathlib import Path

import pytest
import yaml

import kgpert_lib
from kgpert_lib.book import api, command_line
from kgpert_lib.book.chapters import toc_pages
from kgpert_lib.book.docstrings import numpydoc, short_types
from kgpert_lib.book.generated import Staging

ROOT = Path(__file__).parents[2]
NOT_LISTED = ("cli", "book", "studies")  # and book/api.md says why
WITHOUT_NAMES = ("__main__", "cards", "interrupts")


@pytest.fixture
def stage(tmp_path) -> Path:
    """A staged book with the generated texts of the reference."""
    (tmp_path / "book").mkdir()
    staging = Staging(ROOT, tmp_path, {}, {}, print)
    api.write(staging)
    command_line.write(staging)
    return tmp_path / "book"


def test_every_room_has_a_page_in_the_table_of_contents(stage):
    pages = {page for page in toc_pages(yaml.safe_load((ROOT / "_toc.yml").read_text())) if "book/api/" in page}
    assert pages == {f"book/api/{path.stem}" for path in stage.glob("api/*.rst")}


def test_every_part_of_the_library_is_listed_or_left_out_with_a_reason():
    listed = {package.partition(".")[0] for room in api.ROOMS for package in room.packages}
    parts = {info.name for info in pkgutil.iter_modules(kgpert_lib.__path__)}
    assert parts - listed - set(WITHOUT_NAMES) == set(NOT_LISTED)
    page = (ROOT / "book" / "api.md").read_text()
    left_out = [*NOT_LISTED, *(package for room in api.ROOMS for package in room.without)]
    assert [name for name in left_out if f"`kgpert_lib.{name}`" not in page] == []


def test_pages_and_tables_name_what_the_library_defines(stage):
    assert ".. autofunction:: kgpert_lib.screens.load.load_screen" in (stage / "api" / "screens.rst").read_text()
    tables = (stage / "api" / "tables.txt").read_text()
    for name in kgpert_lib.__all__:
        if not name.startswith("_"):
            assert f"   ~{api.home(name)}\n" in tables


def test_a_page_changes_with_the_source_of_its_modules(tmp_path, monkeypatch):
    module = api.ROOMS[0].modules[0]
    before = api._state(api.ROOMS[0])
    changed = tmp_path / "atlas.py"
    changed.write_text(Path(module.__file__).read_text() + "# more\n")
    monkeypatch.setattr(module, "__file__", str(changed))
    assert api._state(api.ROOMS[0]) != before


def test_commands_are_written_with_anchors_examples_and_options(stage):
    text = (stage / "commands.txt").read_text()
    assert "(kgpert-graph-list)=\n### `kgpert graph list`" in text
    assert "\nkgpert predict INTS9 --line rpe1 --csv\n" in text
    assert "| `--limit <int>` | Most neighbours that one graph gives." in text


def read(text: str) -> str:
    lines = text.split("\n")
    numpydoc(None, "function", "f", None, None, lines)
    return "\n".join(lines)


def test_text_about_a_parameter_moves_below_its_name_and_other_text_out_of_the_section():
    before = """Mean : of values.

Parameters
----------
a, b : (n,) numbers;
    in metres.
c : a unit.

No section: text.
And more.

Raises
------
InputError
    Where a : b."""
    assert (
        read(before)
        == """Mean : of values.

Parameters
----------
a, b
    (n,) numbers;
    in metres.
c
    a unit.


No section: text.
And more.

Raises
------
InputError
    Where a : b."""
    )


def test_signatures_write_arrays_shortly_and_functions_as_dots():
    signature = "(x: ~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.float32]], f = <function <lambda>>)"
    assert short_types(None, "function", "f", None, None, signature, None) == (
        "(x: NDArray[~numpy.float32], f = ...)",
        None,
    )
