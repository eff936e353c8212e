"""The loader on small files in the authors' format: every rule, every oddity, every broken file."""

import re
import shutil
import warnings
from dataclasses import replace

import anndata as ad
import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from sklearn.model_selection import train_test_split

from kgpert_lib.downloads.fetch import FetchError
from kgpert_lib.errors import InputError
from kgpert_lib.graphs.symbols import gene_names
from kgpert_lib.screens import replogle
from kgpert_lib.screens.load import default_atlas, load_atlas, load_screen
from kgpert_lib.screens.replogle import FILES, Options, load, second
from tests.replogle_mirror import Mirror, written_without_perturbqa

RULE = Options(split="rule")
ALL = Options(split="rule", filtered=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return written_without_perturbqa(tmp_path_factory.mktemp("replogle"))


@pytest.fixture
def mirror(written, tmp_path, monkeypatch):
    """A copy of the small files, free to be changed."""
    mirror = Mirror(shutil.copytree(written, tmp_path / "files"))
    mirror.use(monkeypatch)
    return mirror


@pytest.fixture
def only(mirror):
    """Loads one line without the network."""
    return lambda line="k562", options=ALL: load([line], download=False, options=options)[line]


def table(data):
    """The rows of a file with the parts of their names, read independently of the library."""
    rows = data.obs.copy()
    rows[["id", "symbol", "transcript", "ensembl"]] = [name.split("_") for name in rows.index]
    return rows


def renamed(data, rows):
    """The file with other row names, by position."""
    names = data.obs_names.to_list()
    for i, name in rows.items():
        names[i] = name
    data.obs_names = names


# --- what is loaded ---


def test_two_lines_are_loaded_and_called_what_they_are(mirror):
    atlas = load(download=False, options=RULE)
    assert list(atlas.lines) == ["k562", "rpe1"]
    assert atlas.label == "replogle (simulated)"
    for line in atlas.lines.values():
        assert line.perturbations.tolist() == sorted(line.perturbations)
        assert (line.control, line.half_a, line.half_b) == (None, None, None)
        assert line.delta.dtype == np.float32
    assert atlas.provenance["options"]["split"] == "rule"
    assert atlas.provenance["files"][FILES["k562"]] == mirror.registry[FILES["k562"]].checksum
    assert {"licence", "citation", "attribution"} <= set(atlas.provenance)


def test_a_file_without_the_mark_is_real(mirror):
    for line in ("k562", "rpe1"):
        mirror.edit(line, lambda data: data.uns.clear())
    assert load(download=False, options=RULE).kind == "real"
    assert load(["k562", "k562_gw"], download=False, options=RULE).kind == "simulated"


def test_a_row_is_the_delta_of_its_gene(mirror, only):
    data, line = mirror.read("k562"), only()
    rows = table(data)
    single = rows[~rows["symbol"].duplicated(keep=False) & (rows["symbol"] != "non-targeting")]
    assert len(single) > 50
    for name, row in single.iterrows():
        i = line.index[row["symbol"]]
        np.testing.assert_array_equal(line.delta[i], data[name].X[0])
        assert line.n_cells[i] == row["num_cells_filtered"]


def test_no_control_is_a_perturbation(mirror, only):
    assert "non-targeting" not in only().index
    counts = load(["k562"], download=False, options=ALL).provenance["lines"]["k562"]
    assert counts["controls"] == mirror.read("k562").obs_names.str.contains("non-targeting").sum() == 12
    assert counts["rows"] == 80


def test_the_filter_is_the_papers_and_counts_what_it_drops(mirror, only):
    rows = table(mirror.read("k562"))
    rows = rows[rows["symbol"] != "non-targeting"]
    few, weak, silent = (
        rows["num_cells_filtered"] <= 25,
        ~(rows["fold_expr"] <= 0.7),
        rows["anderson_darling_counts"] <= 50,
    )
    kept = rows[~(few | weak | silent)]
    assert only(options=RULE).perturbations.tolist() == sorted(set(kept["symbol"]))
    dropped = load(["k562"], download=False, options=RULE).provenance["lines"]["k562"]["dropped"]
    assert dropped == {
        "num_cells_filtered": few.sum(),
        "fold_expr": weak.sum(),
        "anderson_darling_counts": silent.sum(),
    }
    assert rows["fold_expr"].isna().any()  # a target that is no readout gene fails
    assert only().perturbations.tolist() == sorted(set(rows["symbol"]))


@pytest.mark.parametrize(
    ("column", "value", "stays"),
    [
        ("num_cells_filtered", 25, False),
        ("num_cells_filtered", 26, True),
        ("fold_expr", 0.7, True),
        ("fold_expr", 0.71, False),
        ("fold_expr", np.nan, False),
        ("fold_expr", np.inf, False),
        ("fold_expr", -np.inf, False),
        ("anderson_darling_counts", 50, False),
        ("anderson_darling_counts", 51, True),
    ],
)
def test_the_bounds_of_the_filter(mirror, only, column, value, stays):
    gene = only(options=RULE).perturbations[0]

    def change(data):
        rows = table(data)["symbol"] == gene
        data.obs[column] = data.obs[column].astype(float).where(~rows.to_numpy(), value)

    mirror.edit("k562", change)
    assert (gene in only(options=RULE).index) is stays


# --- several rows of one gene ---


@pytest.mark.parametrize("rule", ["most-cells", "mean", "weighted"])
def test_several_rows_of_a_gene_become_one(mirror, only, rule):
    data = mirror.read("k562")
    rows = table(data)
    several = rows[rows["symbol"].duplicated(keep=False) & (rows["symbol"] != "non-targeting")]
    assert sorted(set(several["transcript"])) == ["P1", "P1P2", "P2"]
    line = only(options=Options(split="rule", filtered=False, transcripts=rule))
    for gene, group in several.groupby("symbol"):
        cells = group["num_cells_filtered"].to_numpy()
        values = data[group.index].X.astype(float)
        weights = {"most-cells": cells == cells.max(), "mean": np.ones(len(cells)), "weighted": cells}[rule]
        i = line.index[gene]
        np.testing.assert_allclose(line.delta[i], np.average(values, axis=0, weights=weights), rtol=1e-5, atol=1e-6)
        assert line.n_cells[i] == (cells.max() if rule == "most-cells" else cells.sum())


def test_of_two_rows_with_as_many_cells_the_first_name_counts(mirror, only):
    data = mirror.read("k562")
    rows = table(data)
    gene = rows["symbol"][rows["symbol"].duplicated() & (rows["symbol"] != "non-targeting")].iloc[0]
    names = rows.index[rows["symbol"] == gene]

    def change(data):
        data.obs.loc[names, "num_cells_filtered"] = 500
        return data[::-1].copy()  # the order in the file does not matter

    mirror.edit("k562", change)
    line = only()
    np.testing.assert_array_equal(line.delta[line.index[gene]], data[min(names)].X[0])


def test_the_filter_comes_before_the_rule(mirror, only):
    """A failed knock-down does not stand for its gene, however many cells it has."""
    rows = table(mirror.read("k562"))
    gene = rows["symbol"][rows["symbol"].duplicated() & (rows["symbol"] != "non-targeting")].iloc[0]
    good, *bad = rows.index[rows["symbol"] == gene]

    def change(data):
        data.obs["fold_expr"] = data.obs["fold_expr"].where(data.obs_names != good, 0.1)
        data.obs.loc[[good], ["num_cells_filtered", "anderson_darling_counts"]] = [30, 60]
        data.obs.loc[bad, ["num_cells_filtered", "fold_expr"]] = [900, 0.9]

    mirror.edit("k562", change)
    line = only(options=RULE)
    np.testing.assert_array_equal(line.delta[line.index[gene]], mirror.read("k562")[good].X[0])


# --- readout genes ---


def expected_readouts(line, controls, number):
    seen = np.concatenate([line.delta[line.split == "train"], controls]).astype(float)
    order = np.lexsort((line.genes, -np.nanvar(seen, axis=0)))
    return line.genes[np.sort(order[:number])]


def controls_of(data):
    return data.X[data.obs_names.str.contains("non-targeting")]


@pytest.mark.parametrize("number", [1, 7, 100, 10_000])
def test_the_most_variable_readouts_in_the_files_order(mirror, only, number):
    line = only("rpe1")
    few = only("rpe1", Options(split="rule", filtered=False, readouts=number))
    expected = expected_readouts(line, controls_of(mirror.read("rpe1")), number)
    assert few.genes.tolist() == expected.tolist()
    np.testing.assert_array_equal(few.delta, line.delta[:, np.isin(line.genes, expected)])


def test_held_out_rows_choose_no_readout(mirror, only):
    options = Options(split="rule", filtered=False, readouts=20, transcripts="mean")
    before = only(options=options)
    held = before.perturbations[before.split != "train"]
    assert len(held) > 15

    def change(data):
        rows = table(data)["symbol"].isin(held).to_numpy()
        data.X[rows] *= np.linspace(-1e4, 1e4, data.n_vars, dtype=np.float32)

    mirror.edit("k562", change)
    after = only(options=options)
    assert after.genes.tolist() == before.genes.tolist()
    assert not np.array_equal(after.delta, before.delta)


def test_controls_take_part_in_the_choice(mirror, only):
    def change(data):
        data.X[data.obs_names.str.contains("non-targeting"), 5] = np.linspace(-900, 900, 12)

    mirror.edit("k562", change)
    assert only(options=Options(split="rule", readouts=1)).genes.tolist() == [only().genes[5]]


def test_equal_variances_are_ordered_by_name(mirror, only):
    mirror.edit("k562", lambda data: data.X.__setitem__(slice(None), 1.0))
    few = only(options=Options(split="rule", readouts=3))
    assert sorted(few.genes) == sorted(only().genes)[:3]


def test_without_controls_all_readouts_can_be_had_and_a_choice_cannot(mirror, only):
    mirror.edit("k562", lambda data: data[~data.obs_names.str.contains("non-targeting")].copy())
    assert only().delta.shape[1] == 190
    with pytest.raises(InputError, match="has no row of a control, which readouts=5 needs"):
        only(options=Options(split="rule", readouts=5))


# --- names ---


def test_every_target_that_is_read_out_is_recognised_as_its_own_readout(mirror, only):
    data, line = mirror.read("k562"), only()
    rows = table(data)
    targets = rows[rows["ensembl"].isin(data.var_names)].drop_duplicates("symbol")
    other = [s for s, e in zip(targets["symbol"], targets["ensembl"], strict=True) if data.var["gene_name"][e] != s]
    assert len(other) >= 3  # the file calls these readout genes by another name
    for symbol, ensembl in zip(targets["symbol"], targets["ensembl"], strict=True):
        assert line.genes[data.var_names.get_loc(ensembl)] == symbol


def test_a_knock_down_lowers_its_own_readout_most(only):
    line = only(options=RULE)
    lower = [
        (line.delta[:, j] < line.delta[line.index[g], j]).mean() for j, g in enumerate(line.genes) if g in line.index
    ]
    assert len(lower) > 40
    assert np.median(lower) < 0.05  # in most columns hardly another row is as low


def test_a_name_that_two_readouts_share_gets_the_second_ones_identifier(mirror, only):
    var = mirror.read("k562").var
    twice = var.index[var["gene_name"].duplicated()]
    assert len(twice) == 2
    genes = only().genes
    for identifier in twice:
        name = var["gene_name"][identifier]
        assert genes[var.index.get_loc(identifier)] == f"{name}_{identifier}"
        assert name in genes
    assert len(set(genes)) == len(genes)


def test_of_readouts_that_share_a_name_the_one_that_is_knocked_down_keeps_it(mirror, only):
    data = mirror.read("k562")
    rows = table(data)
    last = data.var_names[np.isin(data.var_names, rows["ensembl"])][-1]
    symbol = rows["symbol"][rows["ensembl"] == last].iloc[0]

    def change(data):
        names = data.var["gene_name"].astype(str)
        names.iloc[0] = names[last] = symbol
        data.var["gene_name"] = names

    mirror.edit("k562", change)
    genes = only().genes
    assert genes[data.var_names.get_loc(last)] == symbol
    assert genes[0] == f"{symbol}_{data.var_names[0]}"


def test_a_symbol_that_means_another_readout_is_not_taken_over(mirror, only):
    """The target A has the identifier of the readout B, and another readout is called A."""
    data = mirror.read("k562")
    rows = table(data)
    identifier = next(e for e in data.var_names if (rows["ensembl"] == e).any())
    symbol = rows["symbol"][rows["ensembl"] == identifier].iloc[0]
    free = next(i for i, e in enumerate(data.var_names) if not (rows["ensembl"] == e).any())

    def change(data):
        names = data.var["gene_name"].astype(str)
        names[identifier], names.iloc[free] = "OTHER", symbol
        data.var["gene_name"] = names

    mirror.edit("k562", change)
    genes = only().genes
    assert genes[data.var_names.get_loc(identifier)] == "OTHER"
    assert genes[free] == symbol


def test_a_readout_without_a_name_is_called_by_its_identifier(mirror, only):
    def change(data):
        names = data.var["gene_name"].cat.add_categories("")
        names.iloc[:2] = ["", np.nan]
        data.var["gene_name"] = names

    identifiers = mirror.read("k562").var_names[:2]
    rows = table(mirror.read("k562"))
    mirror.edit("k562", change)
    expected = [dict(zip(rows["ensembl"], rows["symbol"], strict=True)).get(i, i) for i in identifiers]
    assert only().genes[:2].tolist() == expected


def test_one_gene_under_two_symbols_is_one_perturbation_in_all_lines(mirror):
    rows = table(mirror.read("rpe1"))
    first = rows.iloc[0]
    name = f"{first['id']}_AAA1_{first['transcript']}_{first['ensembl']}"
    mirror.edit("rpe1", lambda data: renamed(data, {0: name}))
    atlas = load(download=False, options=ALL)
    for line in atlas.lines.values():
        assert first["symbol"] in line.index, "as the file of k562 writes it"
        assert "AAA1" not in line.index


def test_targets_without_an_identifier_and_symbols_with_underscores_are_read(mirror, only):
    mirror.edit("k562", lambda data: renamed(data, {0: "7_A_B_P1P2_nan"}))
    assert "A_B" in only().index
    assert "UNIDENTIFIED1" in only("k562_gw").index


# --- gaps ---


def test_values_that_are_not_finite_are_gaps_and_counted(mirror):
    data = mirror.read("rpe1")
    assert np.isposinf(data.X).sum() == 1
    atlas = load(["rpe1"], download=False, options=ALL)
    counts = atlas.provenance["lines"]["rpe1"]
    line = atlas["rpe1"]
    assert np.isnan(line.delta).sum() == counts["gaps"] == 1
    [readout] = counts["readouts_with_gaps"]
    assert np.isnan(line.delta[:, line.genes == readout]).sum() == 1
    assert np.isposinf(mirror.read("k562_gw").X).any(axis=0).sum() == 6


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_mean_over_rows_leaves_gaps_out(mirror, only, value):
    rows = table(mirror.read("k562"))
    gene = rows["symbol"][rows["symbol"].duplicated() & (rows["symbol"] != "non-targeting")].iloc[0]
    places = np.flatnonzero(rows["symbol"] == gene)

    def change(data):
        data.X[places[0], 3] = value
        data.X[places, 4] = value

    mirror.edit("k562", change)
    for rule in ("mean", "weighted"):
        line = only(options=Options(split="rule", filtered=False, transcripts=rule))
        values, cells = mirror.read("k562").X[places[1:], 3], rows["num_cells_filtered"].iloc[places[1:]]
        weights = cells if rule == "weighted" else None
        assert line.delta[line.index[gene], 3] == pytest.approx(np.average(values, weights=weights), rel=1e-5)
        assert np.isnan(line.delta[line.index[gene], 4])


def test_a_row_of_gaps_is_left_out_and_named(mirror):
    rows = table(mirror.read("k562"))
    gene = rows["symbol"].iloc[0]
    mirror.edit("k562", lambda data: data.X.__setitem__(np.flatnonzero(rows["symbol"] == gene), np.inf))
    atlas = load(["k562"], download=False, options=ALL)
    assert gene not in atlas["k562"].index
    assert atlas.provenance["lines"]["k562"]["rows_of_gaps"] == [gene]
    assert len(atlas["k562"].n_cells) == len(atlas["k562"].split) == 63


# --- splits ---


def test_the_rule_is_scikit_learns(only):
    line = only()
    train, test = train_test_split(line.perturbations.tolist(), test_size=0.25, random_state=42)
    train, val = train_test_split(train, test_size=0.1, random_state=42)
    assert line.names("test") == sorted(test)
    assert line.names("val") == sorted(val)
    other = only(options=Options(split="rule", filtered=False, test=0.5, val=0, seed=1))
    assert other.names("test") == sorted(
        train_test_split(line.perturbations.tolist(), test_size=0.5, random_state=1)[1]
    )
    assert other.names("val") == []


def test_perturbqas_test_genes_are_held_out_under_any_spelling(mirror):
    line = load(["k562"], download=False, options=ALL)["k562"]
    aliases = {o[0]: a for a, o in gene_names().owners.items() if len(o) == 1}
    spelt = next(p for p in line.perturbations.tolist() if p in aliases)
    exact = next(p for p in line.perturbations.tolist() if p != spelt)
    mirror.put_perturbqa("k562", {aliases[spelt]: "test", exact: "test", "NOSUCHGENE": "test", "ACTB": "train"})
    line = load(["k562"], download=False, options=Options(filtered=False))["k562"]
    assert line.names("test") == sorted([spelt, exact])
    assert line.names("val") == []


def test_perturbqas_split_needs_its_table(mirror):
    message = "The split of replogle needs k562-de.csv .*neither in the cache.*`kgpert fetch perturbqa`.*split=rule"
    with pytest.raises(InputError, match=message):
        load(["k562"], download=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gene,label\nA,1\n", "is not a table of pert"),
        ("pert,gene,label,split\nA,B,0,dev\n", "split is 'dev'; expected train or test"),
        ("pert,gene,label,split\nA,B,0,test\nA,C,0,train\n", "perturbation 'A' is in both train and test"),
    ],
)
def test_a_broken_table_of_the_split_is_one_sentence(mirror, text, message):
    mirror.put("k562-de.csv", text.encode())
    with pytest.raises(InputError, match=message):
        load(["k562"], download=False)


def test_txperts_split_is_of_k562_and_elsewhere_the_rule(mirror):
    names = load(["k562"], download=False, options=ALL)["k562"].perturbations.tolist()
    parts = {"train": names[10:], "valid": names[5:10], "test": names[:5]}
    mirror.put_txpert({key: [f"{name}+ctrl" for name in part] for key, part in parts.items()})
    atlas = load(download=False, options=Options(split="txpert", filtered=False))
    assert atlas["k562"].names("test") == sorted(names[:5])
    assert atlas["k562"].names("val") == sorted(names[5:10])
    assert atlas.provenance["lines"]["k562"]["split"] == "txpert"
    assert atlas["rpe1"].split.tolist() == load(["rpe1"], download=False, options=ALL)["rpe1"].split.tolist()
    assert "rule (TxPert published a split of k562 only)" in atlas.provenance["lines"]["rpe1"]["split"]


def prepared(mirror, split):
    """Whatever a split needs, with some genes of the genome-wide screen held out."""
    rows = table(mirror.read("k562_gw"))
    names = sorted(set(rows["symbol"]) - {"non-targeting"})
    held = dict.fromkeys(names[::5], "test")
    mirror.put_perturbqa("k562", held | {"ZZZ": "train"})
    mirror.put_txpert({"train": ["ZZZ+ctrl"], "val": [], "test": [f"{n}+ctrl" for n in held]})
    return Options(split=split)


@pytest.mark.parametrize("split", ["perturbqa", "txpert", "rule"])
def test_the_second_experiment_trains_on_no_gene_that_the_first_holds_out(mirror, split):
    options = prepared(mirror, split)
    first, other = load(["k562"], False, options=options)["k562"], second("k562", False, options=options)
    shared = set(first.perturbations) & set(other.perturbations)
    assert len(shared) > 20
    for gene in shared:
        assert other.split[other.index[gene]] == first.split[first.index[gene]]
    assert set(first.names("test")).isdisjoint(other.names("train"))
    both = load(["k562", "k562_gw"], False, options=options)
    assert both["k562_gw"].split.tolist() == other.split.tolist()
    assert both["k562"].split.tolist() == first.split.tolist()
    if split != "rule":  # held out there although the first experiment lacks it
        assert set(other.names("test")) - set(first.perturbations)


@pytest.mark.parametrize("split", ["perturbqa", "rule"])
@pytest.mark.parametrize("spelling", ["aaa", "zzz"])
def test_the_second_experiment_recognises_a_held_out_gene_by_its_identifier(mirror, split, spelling):
    """The genome-wide file writes the symbol of a held-out gene otherwise."""
    options = replace(prepared(mirror, split), filtered=False)
    first = load(["k562"], False, options=options)["k562"]
    rows = table(mirror.read("k562_gw"))
    i = int(np.flatnonzero(rows["symbol"].isin(first.names("test")))[0])
    row = rows.iloc[i]
    other = f"{row['id']}_{spelling}_{row['transcript']}_{row['ensembl']}"
    mirror.edit("k562_gw", lambda data: renamed(data, {i: other}))
    again = second("k562", False, options=options)
    labels = dict(zip(again.perturbations.tolist(), again.split.tolist(), strict=True))
    assert spelling not in labels
    assert labels[row["symbol"]] == "test"
    assert set(again.names("train")).isdisjoint(first.names("test"))


def test_the_second_experiment_is_loaded_where_its_file_is_at_hand_and_else_is_none(mirror):
    assert second("k562", False, options=RULE).name == "k562_gw"
    assert second("rpe1", False, options=RULE) is None
    shutil.rmtree(mirror.folder / "replogle-gw")
    assert second("k562", True, options=RULE) is None
    with pytest.raises(InputError, match=r"No line of replogle can be had .*run `kgpert fetch replogle-gw`"):
        load(["k562_gw"], download=False)


def test_the_rule_of_the_second_experiment_needs_the_first(mirror):
    shutil.rmtree(mirror.folder / "replogle")
    with pytest.raises(InputError, match=r"needs K562_essential_normalized_bulk_01.h5ad .*`kgpert fetch replogle`"):
        second("k562", False, options=RULE)


# --- files that cannot be used ---


def rewrite(mirror, line, change):
    """Change the HDF5 file itself."""
    with h5py.File(mirror.path(FILES[line]), "r+") as file:
        change(file)
    mirror.enter(FILES[line])


def put(content):
    return lambda mirror: mirror.put(FILES["k562"], content)


def edit(change):
    return lambda mirror: mirror.edit("k562", change)


def cut(mirror):
    content = mirror.path(FILES["k562"]).read_bytes()
    mirror.put(FILES["k562"], content[: len(content) // 2])


def without(part, column):
    return edit(lambda data: getattr(data, part).drop(columns=column, inplace=True))


def text_in_fold(data):
    data.obs["fold_expr"] = "low"


def no_cells(data):
    data.obs["num_cells_filtered"] = 0


def gaps_only(data):
    data.X[~data.obs_names.str.contains("non-targeting")] = np.nan


def other_readouts(data):
    data.var["gene_name"] = [f"G{i}" for i in range(data.n_vars)]
    data.var_names = [f"ENSG{i:011d}" for i in range(data.n_vars)]


def controls_only(data):
    return data[data.obs_names.str.contains("non-targeting")].copy()


def integers(data):
    return ad.AnnData(np.zeros(data.shape, np.int32), obs=data.obs, var=data.var)


BROKEN = {
    "web page": (put(b"\n<!DOCTYPE html><html><body>404</body></html>"), "is a web page .HTML. and not HDF5"),
    "text": (put(b"gene,delta\nA,1\n"), "is not an HDF5 file"),
    "cut short": (cut, "is cut short or damaged"),
    "no var": (lambda m: rewrite(m, "k562", lambda file: file.pop("var")), "has no var; expected Replogle's"),
    "no table": (
        lambda m: rewrite(m, "k562", lambda file: file["obs"].attrs.pop("_index")),
        "keeps obs in another layout",
    ),
    "sparse": (edit(lambda data: ad.AnnData(sp.csr_matrix(data.X), obs=data.obs, var=data.var)), "has a sparse X"),
    "integers": (edit(integers), "type int32; expected real numbers in 80 rows and 190 columns"),
    "no fold_expr": (without("obs", "fold_expr"), "has no column 'fold_expr' in obs; it is another release"),
    "no gene_name": (without("var", "gene_name"), "has no column 'gene_name' in var"),
    "text in a measure": (edit(text_in_fold), "has no numbers in num_cells_filtered, fold_expr"),
    "single cells": (edit(lambda d: renamed(d, {3: "AAACCTG-1"})), "a row called 'AAACCTG-1'; expected <id>_<GENE>"),
    "symbols as columns": (edit(lambda d: setattr(d, "var_names", range(190))), "columns that are not Ensembl ids"),
    "no cells": (edit(no_cells), "without a cell; expected 1 or more"),
    "gaps only": (edit(gaps_only), "has no finite value in any row of a perturbation"),
    "columns of another file": (edit(other_readouts), "has no perturbed gene among its readout genes"),
    "controls only": (edit(controls_only), "has no row of a perturbation that is kept"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_file_that_cannot_be_used_is_one_sentence_with_its_name(mirror, fault):
    spoil, message = BROKEN[fault]
    spoil(mirror)
    with pytest.raises(InputError, match=message) as error:
        load(["k562"], download=False, options=ALL)
    assert str(mirror.path(FILES["k562"])) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("place", [0.3, 0.9, 0.97])
def test_flipped_bytes_are_caught_by_the_checksum_or_named(mirror, place):
    path = mirror.path(FILES["k562"])
    content = bytearray(path.read_bytes())
    at = int(place * len(content))
    content[at : at + 64] = bytes(255 - byte for byte in content[at : at + 64])
    path.write_bytes(bytes(content))
    with pytest.raises(InputError, match=r"sha256 .* instead of"):
        load(["k562"], download=False, options=ALL)


def test_a_page_of_another_size_is_named_by_the_registry(mirror):
    mirror.path(FILES["k562"]).write_text("<html>not found</html>")
    with pytest.raises(InputError, match="has 22 bytes instead of"):
        load(["k562"], download=False, options=ALL)


def test_the_file_may_be_compressed_or_of_double_precision(mirror, only):
    before = only()
    mirror.edit("k562", lambda data: ad.AnnData(data.X.astype(np.float64), obs=data.obs, var=data.var, uns=data.uns))
    np.testing.assert_array_equal(only().delta, before.delta)
    with h5py.File(mirror.path(FILES["k562"]), "r+") as file:
        values = file["X"][:]
        del file["X"]
        file.create_dataset("X", data=values, compression="gzip", chunks=(7, 50))
    mirror.enter(FILES["k562"])
    np.testing.assert_array_equal(only().delta, before.delta)


def test_categories_in_the_old_layout_of_anndata_are_read(mirror, only):
    """Files of 2022 keep categories beside the columns, which refer to them."""
    before = only()

    def change(file):
        for part in ("obs", "var"):
            group = file[part]
            columns = [name for name in group if isinstance(group[name], h5py.Group)]
            for name in columns:
                codes, categories = group[name]["codes"][:], group[name]["categories"][:]
                del group[name]
                group[f"__categories/{name}"] = categories
                group[name] = codes
                group[name].attrs["categories"] = group[f"__categories/{name}"].ref
            group.attrs["encoding-version"] = "0.1.0"
        assert "gene_name" in file["var/__categories"]

    rewrite(mirror, "k562", change)
    with warnings.catch_warnings(action="error"):
        assert only().genes.tolist() == before.genes.tolist()


def test_a_line_that_is_absent_is_missing_and_the_other_is_loaded(mirror):
    mirror.path(FILES["rpe1"]).unlink()
    atlas = load(download=False, options=RULE)
    assert list(atlas.lines) == ["k562"]
    assert "rpe1_normalized_bulk_01.h5ad is neither in the cache nor in a mirror" in atlas.missing["rpe1"]
    with pytest.raises(InputError, match="no cell line 'hepg2'; it has k562, rpe1, k562_gw"):
        load(["hepg2"])
    with pytest.raises(InputError, match="nothing to load without a cell line"):
        load([])


# --- options as text ---


def test_options_follow_the_name_of_the_atlas(mirror):
    atlas = load_atlas(
        "replogle:split=rule:filtered=no:readouts=50:transcripts=mean:test=0.5:val=0:seed=3", ["K562"], False
    )
    assert atlas["k562"].delta.shape == (64, 50)
    assert atlas["k562"].names("val") == []
    expected = Options("mean", False, 50, "rule", 0.5, 0, 3)
    assert load(["k562"], False, options=expected)["k562"].delta.tobytes() == atlas["k562"].delta.tobytes()
    screen = load_screen("replogle:split=rule", ["k562"])
    assert [graph.name for graph in screen.graphs] == ["string", "go"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "replogle:spilt=rule",
            "has no option 'spilt'; it has transcripts, filtered, readouts, split, test, val, seed",
        ),
        ("replogle:split=best", "option split of replogle is 'best'; it is perturbqa, txpert, rule"),
        ("replogle:transcripts=max", "it is most-cells, mean, weighted"),
        ("replogle:filtered=maybe", "option filtered of replogle is 'maybe'; it is yes or no"),
        ("replogle:readouts=many", "option readouts of replogle is 'many'; it is a whole number or all"),
        ("replogle:readouts=0", "readouts of replogle is 0; it is a number from 1, or all"),
        ("replogle:test=half", "it is a share such as 0.25"),
        ("replogle:test=1", "are no shares below 1"),
        ("replogle:val=nan", "are no shares below 1"),
        ("replogle:seed=-1", "seed of replogle is -1; it is a number from 0"),
        ("replogle:rule", "'rule' of the atlas replogle is not of the form key=value"),
        ("replogle:seed=1:seed=2", "'seed=2' of the atlas replogle is given twice"),
        ("perturbqa:split=rule", "The atlas perturbqa takes no options; 'split=rule' follows its name"),
        ("simulated:seed=one", "The option seed of simulated is 'one'; it is a whole number from 0"),
        ("simulated:size=tiny", "The atlas simulated has no option 'size'; it has seed"),
        ("nowhere:split=rule", "Unknown atlas 'nowhere:split=rule'"),
    ],
)
def test_an_option_that_is_none_is_one_sentence(mirror, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        load_screen(text, ["k562"])


def test_all_readouts_is_a_text_too():
    assert Options.parse({"readouts": "all", "filtered": "yes"}) == Options()


# --- the default of predictions ---


def test_predictions_are_made_from_replogle_where_the_lines_are_at_hand(mirror):
    assert default_atlas(["K562"]) == "replogle"
    assert default_atlas(["k562", "rpe1"]) == "replogle"
    assert default_atlas(["k562_gw"]) == "replogle"
    assert default_atlas(["k562", "hepg2"]) == "perturbqa"
    assert default_atlas(None) == "perturbqa"
    mirror.path(FILES["rpe1"]).unlink()
    assert default_atlas(["rpe1"]) == "perturbqa"


def test_without_files_predictions_are_made_from_perturbqa():
    assert default_atlas(["k562"]) == "perturbqa"


def test_a_mirror_whose_copy_is_wrong_is_not_passed_over(mirror):
    mirror.path(FILES["k562"]).write_bytes(b"x")
    with pytest.raises(FetchError, match="bytes instead of"):
        default_atlas(["k562"])


def test_what_is_at_hand_is_looked_for_without_the_network(mirror, monkeypatch):
    monkeypatch.delenv("KGPERT_MIRROR")
    assert not replogle.at_hand(["k562"])
