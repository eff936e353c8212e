"""A small explorer, written by hand after the description of its files: two lines, two predictors, eight genes."""

import json
import shutil
from pathlib import Path
from string import ascii_lowercase, digits

import kgpert_lib

STATIC = Path(kgpert_lib.__file__).parent / "explorer" / "static"
BUCKETS = 4
EVIL = "<script>document.title = 'broken'</script><img src=x onerror=\"document.title = 'broken'\">"
READOUTS = ["BTG1", "HBZ", "RPS2", "NPM1", "INTS8", "ODC1"]
NAMES = {
    "DDX27": "DEAD-box helicase 27",
    "INTS2": "integrator complex subunit 2",
    "INTS4": "integrator complex subunit 4",
    "INTS8": "integrator complex subunit 8",
    "INTS9": "integrator complex subunit 9",
    "LONE1": EVIL,
    "SSU72": "SSU72 homolog, RNA polymerase II CTD phosphatase",
    "TTTY5": "testis-specific transcript, Y-linked 5",
}
LISTED = sorted(NAMES.keys() - {"TTTY5"})
SPELLINGS = {
    **{symbol.lower(): [symbol] for symbol in NAMES},
    "rc74": ["INTS9"],
    "55756": ["INTS9"],
    "55656": ["INTS8"],
    "ensg00000104299": ["INTS9"],
    "int": ["INTS2", "INTS4"],
}
META = {
    "atlas": "PerturbQA's calls",
    "kind": "real",
    "unit": "call (−1, 0, +1)",
    "note": "",
    "measured": True,
    "licence": [
        {"what": "PerturbQA", "licence": "non-commercial", "url": "https://example.org/", "attribution": EVIL},
        {"what": "STRING", "licence": "CC BY 4.0", "url": "javascript:alert(1)", "attribution": ""},
    ],
    "lines": [
        {
            "name": name,
            "title": title,
            "train": 400,
            "test": 100,
            "readouts": len(READOUTS),
            "mean_expected": {"union": [0.4, 0.1, 0.7, 0.8], "string": None},
        }
        for name, title in (("k562", "K562"), ("rpe1", "RPE1"))
    ],
    "predictors": [
        {"name": "union", "title": "STRING or GO", "steps": [], "limit": 20, "cut": "before", "prior": 1},
        {"name": "string", "title": "STRING", "steps": [], "limit": 20, "cut": "before", "prior": 1},
    ],
    "graphs": [
        {"name": "string", "title": "STRING", "date": "2021-08", "licence": "CC BY 4.0"},
        {"name": "go", "title": "GO", "date": "2021-08", "licence": "CC BY 4.0"},
    ],
    "first": {"gene": "INTS9", "line": "k562", "predictor": "union"},
    "listed": len(LISTED),
    "buckets": BUCKETS,
    "version": kgpert_lib.__version__,
    "split": "strict",
}
INTS9 = {
    "status": "test",
    "neighbours": [
        ["INTS8", 0.25, {"0": 0.986, "1": 0.989}],
        ["INTS4", 0.25, {"0": 0.999}],
        ["DDX27", 0.25, {"1": None}],
        ["SSU72", 0.25, {"0": 0.956}],
    ],
    "count": 4,
    "edges": [[0, 1]],
    "up": [[0, 0.976, 0.048, 2, None], [1, 0.93, 0.21, 0, 1]],
    "down": [[3, -0.961, -0.118, 3, -1], [2, -0.874, -0.878, 3, None]],
    "expected": [0.79, 0.45, 0.97, 0.8],
    "score": [0.802, 0.526, 93],
}
INTS8 = INTS9 | {
    "status": "train",
    "neighbours": [["INTS4", 0.7, {"0": 0.9}], ["INTS9", 0.3, {"0": 0.8}]],
    "count": 2,
    "edges": [],
}
INTS2 = INTS9 | {"status": "none", "neighbours": [], "count": 314, "edges": [], "score": [None, None, 1]}


def bucket(symbol: str) -> str:
    return str(sum(symbol.encode()) % BUCKETS)


def write_explorer(folder: Path, **meta) -> Path:
    """Its page; `meta` replaces entries of the description of the data."""
    shutil.copytree(STATIC, folder, ignore=shutil.ignore_patterns("*.jinja"), dirs_exist_ok=True)
    page = folder / "index.html"
    page.write_text((STATIC / "page.html.jinja").read_text(encoding="utf-8"), encoding="utf-8")
    for key, value in _data(META | meta).items():
        path = folder / "data" / f"{key}.js"
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(value).replace("</", "<\\/")
        path.write_text(f"kgpertExplorer.add({json.dumps(key)}, {text});\n", encoding="utf-8")
    return page


def _data(meta: dict) -> dict:
    data: dict = {"meta": meta, "names": {"genes": LISTED}}
    data |= {f"search/{first}": {} for first in f"{ascii_lowercase}{digits}_"}
    for spelling, symbols in SPELLINGS.items():
        file = f"search/{f'ensg{spelling[-1]}' if spelling.startswith('ensg') else spelling[0]}"
        data.setdefault(file, {})[spelling] = symbols
    for key in range(BUCKETS):
        data[f"facts/{key}"] = {
            symbol: {
                "name": name,
                "entrez": 55756 if symbol == "INTS9" else None,
                "ensembl": "ENSG00000104299" if symbol == "INTS9" else None,
                "go": [["GO:0032039", "integrator complex", 2]] if symbol.startswith("INTS") else [],
            }
            for symbol, name in NAMES.items()
            if bucket(symbol) == str(key)
        }
    for line in ("k562", "rpe1"):
        data[f"readouts/{line}"] = {"genes": READOUTS, "mean": [0.9, 0.7, -0.5, -0.8, 0.1, None]}
        for predictor in ("union", "string"):
            for key in range(BUCKETS):
                data[f"{line}/{predictor}/{key}"] = {
                    symbol: record
                    for symbol, record in (("INTS9", INTS9), ("INTS8", INTS8), ("INTS2", INTS2))
                    if bucket(symbol) == str(key)
                }
    return data
