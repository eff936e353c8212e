import csv
import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.screens import perturbqa
from kgpert_lib.screens.atlas import Atlas
from kgpert_lib.screens.load import load_atlas

TABLES = Path(__file__).parents[1] / "data" / "perturbqa"
GROUP = "perturbqa"


def by_hand(de, direction):
    """The deltas as a dict of pairs, read row by row."""
    with open(de) as file:
        deltas = {(r["pert"], r["gene"]): 0.0 for r in csv.DictReader(file)}
    with open(direction) as file:
        deltas |= {(r["pert"], r["gene"]): 1.0 if r["label"] == "1" else -1.0 for r in csv.DictReader(file)}
    return deltas


def as_dict(line):
    i, j = np.nonzero(~np.isnan(line.delta))
    return {
        (str(line.perturbations[a]), str(line.genes[b])): float(line.delta[a, b]) for a, b in zip(i, j, strict=True)
    }


def splits_by_hand(de):
    with open(de) as file:
        return {r["pert"]: r["split"] for r in csv.DictReader(file)}


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """A mirror of its own with the made-up tables, free to be broken."""
    folder = tmp_path / "copies" / GROUP
    shutil.copytree(TABLES, folder)
    monkeypatch.setenv("KGPERT_MIRROR", str(folder.parent))
    return folder


@pytest.fixture
def registry(make_registry, server):
    """The made-up tables of K562 and RPE1; those of HepG2 and Jurkat are on no server."""
    fields = {}
    for line in perturbqa.LINES:
        for task in ("de", "dir"):
            path = TABLES / f"{line}-{task}.csv"
            digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else "0" * 64
            url = f"{server.address}/{path.name}"
            fields[path.name] = {"urls": [url], "checksum": f"sha256:{digest}"}
            if path.exists():
                server.files[f"/{path.name}"] = path.read_bytes()
    return make_registry(fields, GROUP)


@pytest.mark.parametrize("line", ["k562", "rpe1"])
def test_deltas_are_the_signed_calls(line):
    files = TABLES / f"{line}-de.csv", TABLES / f"{line}-dir.csv"
    got = perturbqa.read_line(line, *files)
    assert as_dict(got) == by_hand(*files)
    assert dict(zip(got.perturbations, got.split, strict=True)) == splits_by_hand(files[0])
    assert list(got.perturbations) == sorted(got.perturbations)
    assert list(got.genes) == sorted(got.genes)


def test_symbols_that_look_like_missing_values_stay_symbols():
    line = perturbqa.read_line("k562", TABLES / "k562-de.csv", TABLES / "k562-dir.csv")
    assert "NA" in line.index
    assert {"NA", "NULL"} <= set(line.genes)


def test_the_order_of_rows_and_columns_does_not_matter(tables, tmp_path):
    for task in ("de", "dir"):
        path = tables / f"k562-{task}.csv"
        rows = list(csv.DictReader(path.read_text().splitlines()))[::-1]
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["split", "label", "gene", "pert"])
            writer.writeheader()
            writer.writerows(rows)
    shuffled = perturbqa.read_line("k562", tables / "k562-de.csv", tables / "k562-dir.csv")
    straight = perturbqa.read_line("k562", TABLES / "k562-de.csv", TABLES / "k562-dir.csv")
    np.testing.assert_array_equal(shuffled.delta, straight.delta)
    np.testing.assert_array_equal(shuffled.split, straight.split)


# --- which lines can be had ---


def test_lines_that_cannot_be_had_are_named_with_the_reason(registry):
    atlas = perturbqa.load(registry=registry)
    assert (atlas.name, atlas.kind, list(atlas.lines)) == ("perturbqa", "real", ["k562", "rpe1"])
    assert set(atlas.missing) == {"hepg2", "jurkat"}
    assert "hepg2-de.csv" in atlas.missing["hepg2"]
    assert "404" in atlas.missing["hepg2"]
    with pytest.raises(InputError, match=r"hepg2-de\.csv"):
        atlas["hepg2"]


def test_without_download_only_local_files_count(registry, tables, server):
    atlas = perturbqa.load(download=False, registry=registry)
    assert list(atlas.lines) == ["k562", "rpe1"]
    assert atlas.missing["jurkat"] == "jurkat-de.csv is neither in the cache nor in a mirror"
    assert server.requests == []


def test_lines_come_in_the_order_asked_for(registry):
    assert list(perturbqa.load(["rpe1", "k562"], registry=registry).lines) == ["rpe1", "k562"]


def test_without_any_line_the_message_gives_the_command(registry):
    with pytest.raises(InputError, match="run `kgpert fetch perturbqa`"):
        perturbqa.load(download=False, registry=registry)


def test_a_wrong_copy_is_a_reason_not_a_line(registry, tables):
    (tables / "rpe1-de.csv").write_text("pert,gene,label,split\nA,B,1,train\n")
    atlas = perturbqa.load(download=False, registry=registry)
    assert list(atlas.lines) == ["k562"]
    assert "sha256" in atlas.missing["rpe1"]


@pytest.mark.parametrize(("lines", "message"), [(["k652"], "no cell line 'k652'"), ([], "without a cell line")])
def test_lines_that_do_not_exist(registry, lines, message):
    with pytest.raises(InputError, match=message):
        perturbqa.load(lines, registry=registry)


# --- broken tables ---

HEAD = "pert,gene,label,split\n"
GOOD = {"de": HEAD + "A,G,0,train\nA,H,1,train\nB,G,1,test\n", "dir": HEAD + "A,H,1,train\nB,G,0,test\n"}


def test_the_table_that_the_broken_ones_start_from_is_good(tmp_path):
    line = read(tmp_path, GOOD)
    np.testing.assert_array_equal(line.delta, [[0, 1], [-1, np.nan]])


@pytest.mark.parametrize(
    ("task", "old", "new", "message"),
    [
        ("de", "pert,gene,label,split", "pert,gene,label", r"de\.csv has the columns pert, gene, label; expected"),
        ("dir", "label", "outcome", r"dir\.csv has the columns pert, gene, outcome, split; expected"),
        ("de", "A,G,0", "A,G,2", r"de\.csv, line 2: label is '2'; expected 0 or 1"),
        ("dir", "B,G,0", "B,G,0.0", r"dir\.csv, line 3: label is '0\.0'"),
        ("de", "B,G,1,test\n", "B,G,1,te", r"de\.csv, line 4: split is 'te'; expected train or test"),
        ("de", "B,G,1,test\n", "B,G", r"de\.csv, line 4: label is ''"),
        ("de", "A,H,1,train\n", "\nA,H,1,train\n", r"de\.csv, line 3: pert is ''; expected a gene symbol"),
        ("de", "B,G,1,test", "B,G,1,test,more", r"de\.csv is not a table .*line 4"),
        ("de", "A,G,0,train", "A,G,0,test", r"de\.csv, line 2: perturbation 'A' is in both train and test"),
        ("de", "A,G,0,train\n", "A,G,0,train\nA,G,0,train\n", r"de\.csv, line 3: the pair A, G was given before"),
        ("dir", "A,H,1,train", "A,G,1,train", r"dir\.csv: the pair A, G has a direction but is no call in de\.csv"),
        ("dir", "A,H,1,train", "A,Z,1,train", r"dir\.csv: the pair A, Z has a direction but is no call in de\.csv"),
        ("dir", "A,H,1,train", "A,H,1,test", r"dir\.csv: the pair A, H is in another split than in de\.csv"),
        ("dir", "B,G,0,test\n", "", r"de\.csv: the pair B, G is a call without a direction in dir\.csv"),
        ("de", GOOD["de"], "", r"de\.csv is not a table"),
        ("de", GOOD["de"], HEAD, r"de\.csv has no row"),
    ],
)
def test_a_broken_table_is_one_sentence_with_file_and_line_or_pair(tmp_path, task, old, new, message):
    assert old in GOOD[task]
    with pytest.raises(InputError, match=message):
        read(tmp_path, {**GOOD, task: GOOD[task].replace(old, new, 1)})


def test_bytes_that_are_no_text_are_one_sentence(tmp_path):
    (tmp_path / "de.csv").write_bytes(HEAD.encode() + b"\xff\xfe\x00,G,1,train\n")
    (tmp_path / "dir.csv").write_text(GOOD["dir"])
    with pytest.raises(InputError, match=r"de\.csv"):
        perturbqa.read_line("toy", tmp_path / "de.csv", tmp_path / "dir.csv")


def read(folder, tables):
    for task, text in tables.items():
        (folder / f"{task}.csv").write_text(text)
    return perturbqa.read_line("toy", folder / "de.csv", folder / "dir.csv")


# --- load_atlas ---


def test_a_saved_atlas_loads_by_its_directory(registry, tmp_path):
    perturbqa.load(registry=registry).save(tmp_path / "mine")
    atlas = load_atlas(tmp_path / "mine", lines=["rpe1"])
    assert isinstance(atlas, Atlas)
    assert list(atlas.lines) == ["rpe1"]


def test_an_unknown_atlas_lists_the_known_ones():
    with pytest.raises(InputError, match=r"Unknown atlas 'perturbQA'; it is .*perturbqa"):
        load_atlas("perturbQA")


# --- the real tables ---


@pytest.mark.needs_mirror
def test_real_lines_have_the_published_shapes(mirror):
    atlas = load_atlas("perturbqa", lines=["k562", "rpe1"], download=False)
    shapes = {
        name: (*line.delta.shape, len(line.names("train")), len(line.names("test")))
        for name, line in atlas.lines.items()
    }
    assert shapes == {"k562": (1831, 4136, 1564, 267), "rpe1": (2002, 4760, 1596, 406)}
    assert sum(gene in atlas["rpe1"].names("train") for gene in atlas["k562"].names("test")) == 207


@pytest.mark.needs_mirror
@pytest.mark.parametrize("line", ["k562", "rpe1"])
def test_real_deltas_are_the_signed_calls(mirror, line):
    files = mirror / GROUP / f"{line}-de.csv", mirror / GROUP / f"{line}-dir.csv"
    assert as_dict(perturbqa.read_line(line, *files)) == by_hand(*files)


@pytest.mark.needs_mirror
def test_strict_hides_the_207_shared_test_genes(mirror):
    atlas = load_atlas("perturbqa", lines=["k562", "rpe1"], download=False)
    loose, strict = (atlas.view("k562", split).lines["rpe1"] for split in ("per-line", "strict"))
    assert len(loose.perturbations) - len(strict.perturbations) == 207
    assert not set(strict.perturbations) & set(atlas["k562"].names("test"))
