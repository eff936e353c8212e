"""``kgpert fetch``."""

import hashlib
import re

import pytest

from kgpert_lib.downloads import fetch
from tests.cli import NOWHERE, everything


@pytest.fixture
def lab(tmp_path, monkeypatch, make_registry):
    """A registry with one file, and a mirror that holds it."""
    copy = tmp_path / "mirror" / "lab" / "table.csv"
    copy.parent.mkdir(parents=True)
    copy.write_bytes(b"pert,gene\n")
    digest = hashlib.sha256(copy.read_bytes()).hexdigest()
    registry = make_registry({copy.name: {"urls": [f"{NOWHERE}/{copy.name}"], "checksum": f"sha256:{digest}"}})
    monkeypatch.setattr(fetch, "default_registry", lambda: registry)
    monkeypatch.setenv("KGPERT_MIRROR", str(copy.parents[1]))
    return copy


def test_fetch_prints_the_path_of_every_file(kgpert, lab):
    assert kgpert("fetch", "lab") == (0, f"table.csv: {lab}\n", "")


def test_a_wrong_checksum_in_the_mirror_is_one_sentence_and_nothing_is_kept(kgpert, lab, cache):
    lab.write_bytes(b"pert,gone\n")
    code, out, err = kgpert("fetch", "lab")
    assert (code, out) == (2, "")
    assert err.count("\n") == 1
    assert re.match(r"kgpert: The mirror's .*table\.csv has sha256 \w+ instead of \w+; replace the copy", err)
    assert everything(cache) == {}


@pytest.mark.needs_mirror
def test_fetch_finds_perturbqa_in_the_mirror(real, mirror):
    done = real("fetch", "perturbqa")
    assert f"k562-de.csv: {mirror}/perturbqa/k562-de.csv\n" in done.stdout
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
