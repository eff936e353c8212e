"""The page on predictions to download says where a release has them once there is an address."""

import shutil
from pathlib import Path

import pytest

from kgpert_lib.book import downloads
from kgpert_lib.book.generated import Staging

ROOT = Path(__file__).parents[2]
GITHUB = "https://github.com/some-lab/kgpert"


@pytest.fixture
def staging(tmp_path):
    (tmp_path / "staged" / "book").mkdir(parents=True)
    shutil.copy(ROOT / "book" / "downloads.md", tmp_path / "staged" / "book")
    return Staging(tmp_path, tmp_path / "staged", {}, {}, print)


def page(staging):
    downloads.write(staging)
    return (staging.folder / "book" / "downloads.md").read_text(encoding="utf-8")


def test_without_an_address_the_page_names_no_release(staging):
    assert downloads.PLACE in (ROOT / "book" / "downloads.md").read_text(encoding="utf-8")
    text = page(staging)
    assert downloads.ARCHIVE not in text
    assert downloads.PLACE not in text


def test_with_an_address_the_archive_of_the_latest_release_is_linked(staging):
    (staging.root / "pyproject.toml").write_text(f"[project.urls]\nRepository = '{GITHUB}'\n")
    assert f"({GITHUB}/releases/latest/download/kgpert-predictions.zip)" in page(staging)


def test_a_host_of_unknown_releases_gets_no_link(staging):
    (staging.root / "pyproject.toml").write_text(
        "[project.urls]\nRepository = 'https://code.example/some-lab/kgpert'\n"
    )
    assert downloads.ARCHIVE not in page(staging)
