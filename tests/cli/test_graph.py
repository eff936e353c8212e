"""``kgpert graph``."""

import csv
import io
import json
import re

from tests.cli import WIDTH, process


def test_neighbours_of_a_gene_in_a_users_edge_list(kgpert, here):
    code, out, _ = kgpert("graph", "neighbours", "only2", "--graph", "mine.csv", "--json")
    assert code == 0
    assert json.loads(out)["neighbours"] == [
        {"gene": "G0001", "name": "", "mine": 0.5},
        {"gene": "G0002", "name": "", "mine": 0.5},
    ]


def test_several_genes_are_one_table_each_and_one_csv(kgpert, here):
    ask = ("graph", "neighbors", "only2", "G0001", "--graph", "mine.csv")
    code, out, _ = kgpert(*ask)
    assert code == 0
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
    genes = [row.split()[0] for row in done.stdout.splitlines()[4:]]
    assert sum(g.startswith(("RPL", "RPS")) for g in genes) >= 0.8 * len(genes) >= 16
    assert "ribosomal protein L4" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= WIDTH
