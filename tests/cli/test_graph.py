"""``kgpert graph``."""

import csv
import io
import json
import re

import pytest

from kgpert_lib.files import digest
from kgpert_lib.graphs import DATED, GRAPHS
from tests.cli import WIDTH, process

ORIGIN = "edge list mine.csv, sha256 {}"


def test_neighbours_of_a_gene_in_a_users_edge_list(kgpert, here):
    code, out, _ = kgpert("graph", "neighbours", "only2", "--graph", "mine.csv", "--json")
    assert code == 0
    assert json.loads(out)["graphs"] == [{"name": "mine", "provenance": ORIGIN.format(digest(here / "mine.csv")[:12])}]
    assert json.loads(out)["neighbours"] == [
        {"gene": "G0001", "name": "", "mine": 0.5},
        {"gene": "G0002", "name": "", "mine": 0.5},
    ]


def test_several_genes_are_one_table_each_and_one_csv(kgpert, here):
    ask = ("graph", "neighbors", "only2", "G0001", "--graph", "mine.csv")
    code, out, _ = kgpert(*ask)
    assert code == 0
    assert "Graphs: edge list mine.csv, sha256 " in " ".join(out.split())
    assert re.findall(r"^(\w+) in mine\.csv: \d+ neighbours", out, re.MULTILINE) == ["ONLY2", "G0001"]
    first, second = json.loads(kgpert(*ask, "--json")[1])
    assert first == json.loads(kgpert("graph", "neighbours", "ONLY2", "--graph", "mine.csv", "--json")[1])
    rows = list(csv.DictReader(io.StringIO(kgpert(*ask, "--csv")[1])))
    expected = [(answer["gene"], row["gene"]) for answer in (first, second) for row in answer["neighbours"]]
    assert [(row["neighbour_of"], row["gene"]) for row in rows] == expected


def test_rows_of_an_edge_list_that_were_left_out_are_told(kgpert, here):
    with (here / "mine.csv").open("a") as file:
        file.write("G0001,,0.5\n")
    code, _, err = kgpert("graph", "neighbours", "ONLY2", "--graph", "mine.csv")
    assert code == 0
    assert re.fullmatch(r"Note: mine\.csv: \d+ rows used, 1 left out \(line \d+: a gene is missing\)\.\n", err)


def test_the_neighbours_of_a_ribosomal_gene_are_ribosomal(real_cache):
    done = process("graph", "neighbours", "RPL3", "--graph", "string+go", KGPERT_CACHE=str(real_cache))
    assert done.returncode == 0
    genes = [row.split()[0] for row in done.stdout.split("\n\n")[0].splitlines()[4:]]
    assert sum(g.startswith(("RPL", "RPS")) for g in genes) >= 0.7 * len(genes) >= 16
    assert "ribosomal protein L4" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= WIDTH
    assert "Graphs: STRING v11.0, combined score from 800 (2019-03, CC BY 4.0); Gene Ontology" in " ".join(
        done.stdout.split()
    )


def listed(real_cache, *arguments, **environment):
    done = process("graph", "list", *arguments, KGPERT_CACHE=str(real_cache), **environment)
    assert done.returncode == 0
    return done


@pytest.mark.needs_mirror
def test_the_list_gives_date_licence_size_and_the_share_of_each_lines_perturbations(real_cache, mirror):
    environment = {"KGPERT_MIRROR": str(mirror)}
    rows = {row["graph"]: row for row in json.loads(listed(real_cache, "--json", **environment).stdout)}
    assert list(rows) == list(GRAPHS)
    assert [name for name, row in rows.items() if row["older"]] == list(DATED)
    assert (rows["biogrid"]["date"], rows["biogrid"]["licence"], rows["biogrid"]["edges"]) == ("2021-08", "MIT", 592676)
    assert rows["biogrid"]["coverage"]["k562"] == pytest.approx(1813 / 1831)
    assert set(rows["string"]["coverage"]) == {"k562", "rpe1", "hepg2", "jurkat"}
    assert not rows["string-full"]["fetched"]
    assert rows["string-full"]["genes"] is None
    assert "coverage" not in rows["string-full"]

    table = list(csv.DictReader(io.StringIO(listed(real_cache, "--csv", **environment).stdout)))
    assert [row["graph"] for row in table] == list(GRAPHS)
    assert float(table[4]["k562"]) == pytest.approx(1813 / 1831)

    text = listed(real_cache, **environment).stdout
    assert max(map(len, text.splitlines())) <= WIDTH
    assert re.search(r"^biogrid +BioGRID +2021-08 +yes +MIT", text, re.MULTILINE)
    assert re.search(r"^biogrid +21747 +592676 +0\.990", text, re.MULTILINE)
    assert re.search(r"^string-full +not fetched +not fetched", text, re.MULTILINE)


def test_without_a_screen_the_list_has_no_coverage_and_says_why(real_cache, tmp_path):
    done = listed(real_cache, "--csv", KGPERT_MIRROR=str(tmp_path))
    header = done.stdout.splitlines()[0].split(",")
    assert header == ["graph", "title", "date", "older", "licence", "fetched", "genes", "edges"]
    assert re.fullmatch(r"The share of perturbations .* left out: No PerturbQA line can be had .*\n", done.stderr)


def test_a_simulation_is_no_screen_to_list_graphs_for(kgpert, here):
    code, out, err = kgpert("graph", "list", "--atlas", "./toy")
    assert (code, out) == (2, "")
    assert "toy is a simulation" in " ".join(err.split())
