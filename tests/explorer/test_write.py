"""The explorer's files: scripts that end where they should, the same on every run, whole or absent."""

import hashlib
import json
from functools import partial

import pytest

from kgpert_lib.book.explorer import write_explorer
from kgpert_lib.book.generated import Staging
from kgpert_lib.errors import InputError
from kgpert_lib.explorer import shown
from kgpert_lib.explorer.write import Settings, script, state, write
from kgpert_lib.graphs.edgelist import write as write_edges
from kgpert_lib.screens.load import load_screen
from tests.explorer.conftest import CALL, SETTINGS, Files, screen


def contents(folder):
    return {p.relative_to(folder): hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


def test_no_name_ends_the_script_that_holds_it(files, folder):
    text = script("names", {"genes": ["</script>", "a\u2028b", "<!--"]})
    assert "</" not in text
    assert "\u2028" not in text
    assert json.loads(CALL.fullmatch(text)[2]) == {"genes": ["</script>", "a\u2028b", "<!--"]}
    assert not any("</" in path.read_text(encoding="utf-8") for path in (folder / "data").rglob("*.js"))
    assert "</script>" in files["names"]["genes"]
    assert "</script>" in files.of("k562/union")


def test_the_head_counts_and_names_what_the_files_hold(files, toy):
    head = files["meta"]
    assert head["listed"] == len(files["names"]["genes"])
    assert set(toy.perturbations()) <= set(files["names"]["genes"])
    assert [line["name"] for line in head["lines"]] == ["k562", "rpe1"]
    for line in head["lines"]:
        cells = toy[line["name"]]
        assert (line["train"], line["test"], line["readouts"]) == (58, 12, len(cells.genes))
        assert files[f"readouts/{line['name']}"]["genes"] == cells.genes.tolist()
        for predictor in head["predictors"]:
            numbers = {
                key.rpartition("/")[2] for key in files if key.startswith(f"{line['name']}/{predictor['name']}/")
            }
            assert numbers == {str(k) for k in range(head["buckets"])}
            assert set(files.of(f"{line['name']}/{predictor['name']}")) <= set(files["names"]["genes"])
            expected, low, high, level = line["mean_expected"][predictor["name"]]
            assert -1 <= low <= expected <= high <= 1
            assert level == 0.8
    assert (head["kind"], head["measured"], head["split"]) == ("simulated", True, "strict")
    assert head["first"]["gene"] in files.of(f"{head['first']['line']}/{head['first']['predictor']}")
    assert all(predictor["steps"] for predictor in head["predictors"])


def test_a_second_run_writes_the_same_files_and_other_settings_replace_them(folder, tmp_path):
    target = tmp_path / "out"
    write(target, screen(), SETTINGS, lambda step: None)
    assert contents(target) == contents(folder)
    write(target, screen(), Settings(("one",), measured=False), lambda step: None)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    files = Files(target)
    assert {key.partition("/")[2].partition("/")[0] for key in files if key.startswith("k562/")} == {"one"}
    assert files["meta"]["measured"] is False
    for line in ("k562", "rpe1"):
        records = files.of(f"{line}/one").values()
        assert any(row[3] for record in records for row in record["up"])
        assert all(row[4] is None for record in records for row in record["up"] + record["down"])


def test_a_folder_that_holds_something_else_is_left_alone(toy, tmp_path):
    (tmp_path / "thesis.txt").write_text("all of it")
    with pytest.raises(InputError, match="holds no explorer"):
        write(tmp_path, toy, SETTINGS, lambda step: None)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_what_the_files_depend_on_changes_their_digest(toy):
    first = state(toy, Settings())
    assert state(screen(), Settings()) == first
    assert state(toy, Settings(measured=False)) != first
    assert state(load_screen("simulated", ["k562"], size="tiny"), Settings()) != first


def test_without_calls_the_simulated_lines_are_shown_and_the_note_says_what_to_fetch(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setattr(shown, "load_screen", partial(load_screen, size="tiny"))
    screen, note = shown.screen_or_simulated(None, ["k562"])
    assert (screen.kind, list(screen.lines)) == ("simulated", ["k562"])
    assert "kgpert fetch perturbqa" in note
    with pytest.raises(InputError, match="kgpert fetch perturbqa"):
        shown.screen_or_simulated("perturbqa", ["k562"])


@pytest.mark.needs_mirror
def test_with_calls_they_are_shown_without_a_note(mirror, tmp_path):
    graph = tmp_path / "mine.csv"
    graph.write_text("gene1,gene2\nINTS9,INTS8\n")
    screen, note = shown.screen_or_simulated(None, ["k562"], str(graph))
    assert (screen.name, screen.kind, note) == ("perturbqa", "real", "")


def test_the_part_of_the_book_is_written_once_for_the_atlas_of_the_parameters(toy, tmp_path, monkeypatch):
    atlas = tmp_path / "mine"
    toy.atlas.save(atlas)
    (atlas / "graphs").mkdir()
    for graph in toy.graphs:
        write_edges(graph, atlas / "graphs" / f"{graph.name}.csv")
    steps = []

    def part(name, publish=False):
        folder = tmp_path / name
        folder.mkdir()
        parameters = {"atlas": str(atlas), "lines": ["rpe1"]}
        write_explorer(Staging(tmp_path, folder, {}, parameters, steps.append, publish))
        return folder / "_extra" / "explorer"

    first = Files(part("first"))
    assert [line["name"] for line in first["meta"]["lines"]] == ["rpe1"]
    assert (first["meta"]["atlas"], first["meta"]["measured"]) == ("toy", True)
    wrote = len(steps)
    again = part("again")
    assert steps[wrote:] == ["Gene explorer: unchanged"]
    assert contents(again) == contents(first.folder)
    assert Files(part("published", publish=True))["meta"]["measured"] is False
