"""Readers of the Gene Ontology's own files, giving the same tables as the committed ones."""

from __future__ import annotations

import csv
import gzip
import zlib
from pathlib import Path

import pandas as pd

from kgpert_lib.errors import InputError

ASPECTS = {"P": "BP", "C": "CC", "F": "MF"}
RELATIONS = ("part_of", "regulates", "positively_regulates", "negatively_regulates")
GAF_COLUMNS = {2: "symbol", 3: "qualifier", 4: "go_id", 6: "evidence", 8: "aspect"}


def read_obo(path: str | Path) -> pd.DataFrame:
    """Edges (child, parent, relation) of ``go-basic.obo``: is_a, part_of and the three kinds of regulates.

    Obsolete terms are left out. Raises InputError when the file is missing or holds no term.
    """
    edges: list[tuple[str, str, str]] = []
    stanza: list[tuple[str, str, str]] = []
    term, live = "", False
    for line in [*_lines(path), "[End]"]:
        if line.startswith("["):
            edges += stanza if live else []
            stanza, term, live = [], "", line == "[Term]"
            continue
        tag, _, value = line.partition(": ")
        words = value.split()
        if tag == "id":
            term = value
        elif tag == "is_obsolete" and value == "true":
            live = False
        elif tag == "is_a":
            stanza.append((term, words[0], "is_a"))
        elif tag == "relationship" and words[0] in RELATIONS:
            stanza.append((term, words[1], words[0].replace("ly_", "ly ")))
    if not edges:
        raise InputError(f"{path} holds no GO term with a parent; it should be a go-basic.obo file.")
    return pd.DataFrame(edges, columns=["child", "parent", "relation"])


def read_gaf(path: str | Path) -> pd.DataFrame:
    """Direct annotations (symbol, go_id, ontology, evidence) of a GAF 2 file such as ``goa_human.gaf.gz``.

    Annotations qualified with NOT are left out. Raises InputError when the file is missing, damaged or empty.
    """
    try:
        table = pd.read_csv(
            path,
            sep="\t",
            comment="!",
            header=None,
            usecols=list(GAF_COLUMNS),
            dtype=str,
            keep_default_na=False,
            quoting=csv.QUOTE_NONE,
        ).rename(columns=GAF_COLUMNS)
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; 'kgpert fetch go' downloads GO's release.") from error
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(f"{path} is not a whole GAF file ({error}); fetch it again.") from error
    table["ontology"] = table["aspect"].map(ASPECTS)
    denied = table["qualifier"].str.split("|").map(lambda words: "NOT" in words)
    table = table[~denied & table["ontology"].notna() & (table["symbol"] != "")]
    if table.empty:
        raise InputError(f"{path} holds no annotation; it should be a GAF 2 file.")
    return table[["symbol", "go_id", "ontology", "evidence"]].drop_duplicates().reset_index(drop=True)


def _lines(path: str | Path) -> list[str]:
    raw = Path(path)
    try:
        data = raw.read_bytes()
        text = (gzip.decompress(data) if raw.suffix == ".gz" else data).decode("utf-8")
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}; 'kgpert fetch go' downloads GO's release.") from error
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path} cannot be read as an OBO file ({error}); fetch it again.") from error
    return text.splitlines()
