"""Whatever a gene is called, the explorer knows which gene is meant and what is known of it."""

from kgpert_lib.errors import InputError
from kgpert_lib.explorer import genes as names
from kgpert_lib.graphs.symbols import gene_names, identifiers, resolve


def found(files, spelling):
    typed = spelling.lower()
    return files[f"search/{names.shard(typed)}"][typed]


def test_every_gene_of_the_gene_table_is_found_by_symbol_and_identifier_and_has_facts(files):
    facts = files.of("facts")
    shown = names.spellings(files["names"]["genes"])
    for symbol, name in shown.items():
        assert found(files, symbol) == [name]
        assert facts[name]["name"] == gene_names().full[symbol]
    for entrez, symbol in identifiers("entrez").items():
        assert found(files, entrez) == [shown[symbol]]
        assert facts[shown[symbol]]["entrez"] == int(entrez)
    for alias, owners in gene_names().owners.items():
        if alias.lower() not in {symbol.lower() for symbol in owners}:
            assert found(files, alias)


def test_a_search_agrees_with_what_kgpert_predict_understands(files):
    recorded = files["names"]["genes"]
    every = sorted(set(names.spellings(recorded).values()) | set(recorded))
    for typed in ("AARS1", "aars", "AARS", "C7orf26", "RPL3", "ENSG00000104299", "55756", "p53", "</script>", "g0005"):
        try:
            meant = [resolve(typed, every)]
        except InputError:
            meant = None
        if meant is not None:
            assert found(files, typed) == meant


def test_an_alias_of_several_genes_names_them_all_and_an_own_symbol_one(files):
    owners = gene_names().owners
    several = next(a for a, o in owners.items() if len(o) > 1 and a.upper() not in gene_names().full and a.isupper())
    assert set(owners[several]) <= set(found(files, several))
    assert found(files, "AARS1") == found(files, "aars") == ["AARS"]


def test_known_facts(files):
    facts = files.of("facts")
    assert facts["INTS9"]["ensembl"] == "ENSG00000104299"
    assert facts["INTS9"]["entrez"] == 55756
    assert "GO:0032039" in [term for term, _, _ in facts["INTS9"]["go"]]
    assert ["GO:0016180", "snRNA processing"] in [row[:2] for row in facts["INTS9"]["go"]]
    assert facts["AARS"]["name"] == "alanyl-tRNA synthetase 1"
    assert facts["G0005"] == {"name": "", "entrez": None, "ensembl": None, "go": []}
    assert max(len(fact["go"]) for fact in facts.values()) == names.TERMS


def test_every_shard_holds_what_its_name_promises(files):
    buckets = files["meta"]["buckets"]
    for key, shard in files.items():
        kind, _, name = key.rpartition("/")
        if kind == "search":
            assert all(names.shard(spelling) == name for spelling in shard)
        elif name.isdecimal():
            assert all(sum(gene.encode()) % buckets == int(name) for gene in shard)
