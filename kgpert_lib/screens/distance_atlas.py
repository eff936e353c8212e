"""A screen that is known by distances only (`screens.distances`) as an atlas, for whatever scores deltas (ours).

The inner products G of the deltas have coordinates X with ``X X' = G``: eigenvectors of G times the roots of their
eigenvalues. The readouts of this atlas are these axes and their mirror images, X and -X over the root of 2: the inner
products are those of the screen, and as every row has a mean of 0, a Pearson delta is the cosine that appendix A2
scores. An axis is no gene: no readout is a perturbation's own, and nothing can be said about single genes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kgpert_lib.errors import InputError
from kgpert_lib.files import digest
from kgpert_lib.screens import distances
from kgpert_lib.screens.atlas import Atlas, CellLine
from kgpert_lib.screens.seed_option import parse_seed

NAME = "distances"
TEST = 1 / 3  # share of the genes


@dataclass(frozen=True)
class Options:
    """What may follow the name, as in ``distances:seed=1``: the seed of the split.

    The screen is Adamson 2016 (K562, CRISPRi), the only one with exact distances in one of the cell lines.
    """

    seed: int = 0

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Options:
        """Options from texts by name (`parse_seed`)."""
        return cls(parse_seed(NAME, texts) or 0)


def load(lines: Sequence[str] | None = None, download: bool = True, options: Options | None = None) -> Atlas:
    """The atlas of Adamson 2016 with its line K562; a third of the genes are for testing, by a digest of their names.

    `download` is what every source takes; the table is committed. InputError for a line that is not K562.
    """
    screen = distances.load("adamson2016")
    line = screen.cells.lower()
    if other := [name for name in lines or () if name != line]:
        raise InputError(f"The atlas {NAME} has no cell line {other[0]!r}; it has {line}.")
    seed = (options or Options()).seed
    gram = screen.averaging @ screen.gram(screen.controls[0]) @ screen.averaging.T
    values, vectors = np.linalg.eigh(gram)
    kept = values > distances.ROUNDING * values[-1]
    axes = vectors[:, kept] * np.sqrt(values[kept] / 2)
    genes = screen.perturbations
    order = sorted(range(len(genes)), key=lambda i: digest(f"{seed} {genes[i]}"))
    split = np.full(len(genes), "train", dtype="<U5")
    split[order[: round(TEST * len(genes))]] = "test"
    names = [f"axis {i}{sign}" for sign in ("", ", mirrored") for i in range(1, axes.shape[1] + 1)]
    cells = CellLine(line, genes, np.array(names), np.hstack([axes, -axes]).astype(np.float32), split)
    return Atlas(NAME, "real", {line: cells}, provenance={"seed": seed, "screen": screen.name})
