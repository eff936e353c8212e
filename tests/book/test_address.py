"""The repository's address: where it is read, what the pages show with one and without."""

import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kgpert_lib.book.address import link, release_file, repository
from kgpert_lib.book.build import build
from kgpert_lib.errors import InputError

ROOT = Path(__file__).parents[2]
GITHUB = "https://github.com/some-lab/kgpert"


def with_address(folder: Path, value: str) -> Path:
    (folder / "pyproject.toml").write_text(f"[project.urls]\nPaper = 'https://a.org'\nRepository = {value}\n")
    return folder


class Links(HTMLParser):
    """Addresses of all links of a page."""

    def __init__(self, page: Path):
        super().__init__()
        self.addresses: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        if tag == "a":
            self.addresses.add(dict(attributes).get("href") or "")


def test_a_folder_without_the_file_or_without_the_line_has_no_address(tmp_path):
    assert repository(tmp_path) is None
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert repository(tmp_path) is None


@pytest.mark.parametrize("address", [GITHUB, "https://gitlab.com/group/part/kgpert", "https://lab.org:8443/x/k.tools"])
def test_an_address_is_read(tmp_path, address):
    assert repository(with_address(tmp_path, f'"{address}"')) == address


@pytest.mark.parametrize(
    "value",
    [
        f'"{GITHUB}/"',
        f'"{GITHUB}.git"',
        f'" {GITHUB}"',
        '"http://github.com/some-lab/kgpert"',
        '"git@github.com:some-lab/kgpert"',
        '"https://github.com/some-lab"',
        '"https://github.com/some lab/kgpert"',
        '"https://github.com/a/\\"><script>"',
        '"https://user@github.com/a/b"',
        '""',
        "7",
        "[]",
    ],
)
def test_what_is_no_address_ends_in_one_sentence(tmp_path, value):
    with pytest.raises(InputError, match=r"no repository's address; write https://HOST/OWNER/NAME[^.]*\.git[^.]*\.$"):
        repository(with_address(tmp_path, value))


@pytest.mark.parametrize("text", ["[project", "[project]\nurls = 3\n", "project = 3\n"])
def test_a_damaged_file_ends_in_one_sentence(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(InputError, match=r"pyproject.toml"):
        repository(tmp_path)


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """`pages(address)`: the fixture's first chapter with the project's own settings, rendered with that address."""

    def render(address: str | None) -> set[str]:
        root = tmp_path_factory.mktemp("address") / "book"
        shutil.copytree(ROOT / "tests" / "book" / "fixture", root)
        shutil.copytree(ROOT / "book" / "_static", root / "book" / "_static")
        shutil.copy(ROOT / "_config.yml", root)
        if address:
            with_address(root, f'"{address}"')
        return Links(build(root, chapters=["01"]).html / "notebooks" / "01_table.html").addresses

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGPERT_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.delenv("KGPERT_MIRROR", raising=False)
        patch.setenv("PYTHONPATH", str(ROOT))
        yield render


def test_pages_point_to_the_repository_its_issues_the_pdf_and_colab(pages):
    links = pages(GITHUB)
    assert {GITHUB, f"{GITHUB}/releases/latest/download/kgpert.pdf"} <= links
    assert any(a.startswith(f"{GITHUB}/issues/new?") for a in links)
    colab = "https://colab.research.google.com/github/some-lab/kgpert/blob/main/notebooks/01_table.ipynb"
    assert [a for a in links if "colab" in a] == [colab]


def test_pages_without_an_address_point_nowhere(pages):
    assert not [a for a in pages(None) if re.search("github|gitlab|colab|issues|releases", a)]


def test_other_hosts_get_what_they_can_serve():
    gitlab = {"html": {}}
    link(gitlab, "https://gitlab.com/group/kgpert")
    assert gitlab["html"]["use_issues_button"]
    assert "launch_buttons" not in gitlab  # Colab opens GitHub only
    assert (
        release_file("https://gitlab.com/g/k", "x.pdf")
        == "https://gitlab.com/g/k/-/releases/permalink/latest/downloads/x.pdf"
    )
    other = {"html": {}}
    link(other, "https://code.example.org/lab/kgpert")
    assert other == {"html": {"extra_footer": '<a href="https://code.example.org/lab/kgpert">Source</a>'}}
