import pytest

from kgpert_lib.downloads.registry import Registry, default_registry
from kgpert_lib.errors import InputError

NO_TABLES = [
    "[groups]\nlab = 3",
    "[groups]\nlab = [1]",
    "[groups.lab]\nfiles = 3",
    "[groups.lab.files]\na = 3",
    "[groups.lab.files.a]\nurls = 3",
    "[groups.lab.files.a]\nurls = [3]",
]
GOOD = {"urls": ["https://example.org/a"], "checksum": "first-use"}


def test_perturbqa_has_every_table_pinned_with_two_addresses():
    entries = default_registry().group("perturbqa")
    assert {e.name for e in entries} == {
        f"{c}-{t}.csv" for c in ("k562", "rpe1", "hepg2", "jurkat") for t in ("de", "dir")
    }
    for entry in entries:
        assert entry.checksum.startswith("sha256:")
        assert [url.split("/")[3] for url in entry.urls] == ["genentech", "jonasargelo"]
        assert all(url.endswith(entry.name) for url in entry.urls)


def test_large_files_are_pinned_by_size_and_checksum():
    for group in ("scperturb", "replogle-cells", "nadig", "txpert", "depmap"):
        for entry in default_registry().group(group):
            assert entry.bytes > 4e8
            assert not entry.first_use


def test_the_pseudobulk_of_two_lines_is_one_group_and_the_genome_wide_screen_another():
    sizes = {g: [e.bytes for e in default_registry().group(g)] for g in ("replogle", "replogle-gw")}
    assert sizes == {"replogle": [79_766_954, 95_350_546], "replogle-gw": [374_587_922]}
    for group in sizes:
        for entry in default_registry().group(group):
            assert entry.checksum.startswith("sha256:")
            assert entry.licence == "CC BY 4.0"


def test_every_file_says_whom_to_thank():
    for entry in default_registry().entries.values():
        assert len(entry.licence) > 3
        assert len(entry.citation) > 20
        assert len(entry.attribution) > 5
        assert "{" not in "".join(entry.urls)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"checksum": "sha256:123"}, "bad checksum"),
        ({"checksum": "crc32:12345678"}, "bad checksum"),
        ({"bytes": 0}, "bad bytes"),
        ({"urls": []}, "bad urls"),
        ({"urls": ["ftp://example.org/a"]}, r"bad urls\.0"),
        ({"size": 5}, "bad size"),
    ],
)
def test_a_bad_field_is_named_with_its_file(write_registry, change, message):
    with pytest.raises(InputError, match=f"file 'a' has a {message}"):
        Registry.read(write_registry({"a": {**GOOD, **change}}))


def test_a_name_that_leaves_the_cache_is_refused(write_registry):
    with pytest.raises(InputError, match="not a plain file name"):
        Registry.read(write_registry({"../a": GOOD}))


def test_a_file_in_two_groups_is_refused(write_registry):
    path = write_registry({"a": GOOD})
    path.write_text(path.read_text() + "\n" + path.read_text().replace("lab", "shop"))
    with pytest.raises(InputError, match="'a' in both lab and shop"):
        Registry.read(path)


def test_a_written_registry_is_read_back_as_it_was(tmp_path):
    registry = default_registry()
    assert Registry.read(registry.write(tmp_path / "registry.toml")) == registry


def test_a_registry_of_ones_own_stands_in_for_the_packaged_one(write_registry, monkeypatch):
    monkeypatch.setenv("KGPERT_REGISTRY", str(write_registry({"a": GOOD})))
    assert list(default_registry().entries) == ["a"]
    monkeypatch.delenv("KGPERT_REGISTRY")
    assert "k562-de.csv" in default_registry().entries


def test_a_registry_of_ones_own_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("KGPERT_REGISTRY", str(tmp_path / "none.toml"))
    with pytest.raises(InputError, match=r"none\.toml is not a registry of downloads"):
        default_registry()


@pytest.mark.parametrize("text", ["groups = [", "", "groups = 3", "[groups.lab]\ntitle = 'x'", *NO_TABLES])
def test_what_is_no_registry_is_one_sentence(tmp_path, text):
    path = tmp_path / "registry.toml"
    path.write_text(text)
    with pytest.raises(InputError, match="is not a registry of downloads"):
        Registry.read(path)
