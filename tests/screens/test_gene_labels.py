"""What labels of perturbations and names of readout genes mean."""

import pandas as pd
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.screens import gene_labels

ENSEMBL = "ENSG00000104299"  # INTS9


@pytest.mark.parametrize(
    ("label", "gene"),
    [
        ("INTS9", "INTS9"),
        (ENSEMBL, "INTS9"),
        (f"{ENSEMBL}.15", "INTS9"),
        ("INTS9+ctrl", "INTS9"),
        ("non-targeting_INTS9", "INTS9"),
        ("INTS9+INTS9", "INTS9"),
        ("HLA-A", "HLA-A"),
        ("INTS9_sg1", "INTS9_sg1"),
        ("my gene 1", "my gene 1"),
    ],
)
def test_a_label_of_one_gene(label, gene):
    assert dict(gene_labels.perturbed([label], [], {}).genes) == {label: gene}


def test_controls_and_combinations_are_no_genes():
    labels = ["CTRL", "ctrl+ctrl", "safe", "A+B", "INTS9_RPL3", "INTS9|RPL3"]
    meaning = gene_labels.perturbed(labels, ["safe"], {})
    assert meaning.controls == {"CTRL", "ctrl+ctrl", "safe"}
    assert meaning.combinations == {"A+B", "INTS9_RPL3", "INTS9|RPL3"}
    assert not meaning.genes


def test_the_files_own_symbol_of_an_ensembl_id_wins():
    var = pd.DataFrame({"gene_name": ["MINE", "RPL3"]}, index=[ENSEMBL, "ENSG00000100316"])
    symbols = gene_labels.ensembl_symbols(var, None)
    assert symbols[ENSEMBL] == "MINE"
    assert dict(gene_labels.perturbed([ENSEMBL], [], symbols).genes) == {ENSEMBL: "MINE"}


def test_readouts_take_the_spelling_of_the_perturbation():
    var = pd.DataFrame(index=["AARS1", "RPL3"])
    assert gene_labels.readouts(var, None, ["AARS"], "f") == ["AARS", "RPL3"]


def test_ensembl_ids_get_symbols_from_the_gene_table_or_stay():
    var = pd.DataFrame(index=[ENSEMBL, "ENSG99999999999"])
    assert gene_labels.readouts(var, None, [], "f") == ["INTS9", "ENSG99999999999"]


def test_a_symbol_of_several_columns_is_kept_by_the_first_and_needs_ids():
    var = pd.DataFrame({"gene_name": ["TBCE", "TBCE"]}, index=["ENSG00000285053", "ENSG00000116957"])
    assert gene_labels.readouts(var, None, [], "f") == ["TBCE", "TBCE_ENSG00000116957"]
    with pytest.raises(InputError, match="'A' stands in several columns"):
        gene_labels.readouts(pd.DataFrame(index=["A", "A"]), None, [], "f")
