"""Names in somebody's file: which gene a label of a perturbation means, and what the readout genes are called."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from kgpert_lib.errors import InputError
from kgpert_lib.graphs.symbols import gene_names, match, symbol_of
from kgpert_lib.screens.atlas import CONTROL_NAMES

ENSEMBL = re.compile(r"^(ENS[A-Z]*G\d{11})(?:\.\d+)?$")  # without its version
SYMBOL_COLUMNS = ("gene_symbol", "gene_symbols", "gene_name", "gene_names", "feature_name", "symbol", "gene_short_name")
ID_COLUMNS = ("ensembl_id", "ensembl", "gene_id", "gene_ids", "feature_id")
_JOINS = re.compile(r"[+_,;|&/\s]+")  # what stands between the genes of a combination


@dataclass(frozen=True)
class Perturbed:
    """What labels mean: `genes` maps a label to its one gene; `controls` and `combinations` are the other labels."""

    genes: Mapping[str, str]
    controls: frozenset[str]
    combinations: frozenset[str]


def perturbed(labels: Iterable[str], controls: Collection[str], symbols: Mapping[str, str]) -> Perturbed:
    """The gene of each label: a symbol or an Ensembl id, alone or joined to a control as in ``INTS9+ctrl``.

    Two genes joined by ``+``, or two known genes joined by another sign (``INTS9_RPL3``), are a combination. A label
    that is none of these is a name of its own.

    Parameters
    ----------
    controls : labels of controls; those of `CONTROL_NAMES` are recognised in any case besides.
    symbols : symbol of each Ensembl id that the file itself names.
    """
    silent = {*(c.casefold() for c in controls), *CONTROL_NAMES}
    genes: dict[str, str] = {}
    control, combinations = set(), set()
    for label in sorted(set(labels)):
        parts = [part for part in _JOINS.split(label) if part and part.casefold() not in silent]
        distinct = {_gene(part, symbols) for part in parts}
        if label.casefold() in silent or not distinct:
            control.add(label)
        elif known(_gene(label, symbols)):
            genes[label] = _gene(label, symbols)
        elif len(distinct) > 1 and ("+" in label or sum(map(known, distinct)) > 1):
            combinations.add(label)
        else:
            genes[label] = distinct.pop() if len(distinct) == 1 else label
    return Perturbed(genes, frozenset(control), frozenset(combinations))


def known(name: str) -> bool:
    """Whether the gene table has this symbol or alias."""
    return bool(gene_names().candidates(name))


def ensembl_symbols(var: pd.DataFrame, column: str | None) -> dict[str, str]:
    """Symbol of each Ensembl id of the readout genes, where ``var`` has both."""
    names, ids = _names(var, column), _ids(var)
    return {i: name for i, name in zip(ids, names, strict=True) if i and name != i}


def readouts(var: pd.DataFrame, column: str | None, perturbations: Iterable[str], where: str) -> list[str]:
    """(m,) unique names of the readout genes, spelt as the perturbations are where they are the same gene.

    Names are the column `column` of ``var``, else its index, or where that holds Ensembl ids one of `SYMBOL_COLUMNS` or
    the symbols of the gene table. Of several readouts of one symbol the first keeps it, the others are called
    ``SYMBOL_ENSG...``; InputError where they have no Ensembl ids. `where` names the file in messages.
    """
    names, ids = _names(var, column), _ids(var)
    spelling = {other: name for name, other in match(names, perturbations).resolved.items()}
    names = [spelling.get(name, name) for name in names]
    seen: Counter[str] = Counter()
    for i, name in enumerate(names):
        seen[name] += 1
        if seen[name] > 1:
            if not ids[i]:
                raise InputError(
                    f"{where}: readout gene {name!r} stands in several columns of X; keep one, or give var Ensembl ids."
                )
            names[i] = f"{name}_{ids[i]}"
    return names


def _names(var: pd.DataFrame, column: str | None) -> list[str]:
    index = [str(name).strip() for name in var.index]
    if column is None and sum(bool(ENSEMBL.match(name)) for name in index) > len(index) / 2:
        column = next((c for c in SYMBOL_COLUMNS if c in var), None)
    if column is None:
        return [_gene(name, {}) for name in index]
    cells = ["" if pd.isna(cell) else str(cell).strip() for cell in var[column].tolist()]
    return [_gene(cell or name, {}) for cell, name in zip(cells, index, strict=True)]


def _ids(var: pd.DataFrame) -> Sequence[str]:
    """(m,) Ensembl ids without version from the index or one of `ID_COLUMNS`; empty where there is none."""
    for values in (var.index, *(var[c] for c in ID_COLUMNS if c in var)):
        texts = [str(value) for value in values.tolist()]
        ids = [m.group(1) if (m := ENSEMBL.match(text)) else "" for text in texts]
        if any(ids):
            return ids
    return [""] * len(var)


def _gene(name: str, symbols: Mapping[str, str]) -> str:
    """The symbol of an Ensembl id, by the file or by the gene table; another name as it is."""
    identifier = ENSEMBL.match(name)
    return symbols.get(identifier[1]) or symbol_of(identifier[1]) if identifier else name
