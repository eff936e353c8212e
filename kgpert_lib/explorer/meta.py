"""What the explorer says once for all genes: screen, lines, predictors, graphs, licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kgpert_lib.graphs.catalogue import GRAPHS
from kgpert_lib.lines import LINES
from kgpert_lib.predictors.neighbours import (
    FAINT,
    AffinityNeighbourhood,
    GraphNeighbourhood,
    LearntNeighbourhood,
    NeighbourPredictor,
)
from kgpert_lib.screens.atlas import Atlas, CellLine

LICENCE_URLS = {
    "CC BY 4.0": "https://creativecommons.org/licenses/by/4.0/",
    "CC0": "https://creativecommons.org/publicdomain/zero/1.0/",
    "MIT": "https://opensource.org/license/mit",
}
SCREENS = {
    "perturbqa": {
        "title": "PerturbQA's calls",
        "url": "https://github.com/Genentech/PerturbQA",
        "licence": "CC BY 4.0 for the data by the repository's README, beside the Genentech Non-Commercial Software "
        "License 1.0 of the repository; no commercial use here",
        "attribution": "Wu et al. 2025 (PerturbQA, Genentech), from Replogle et al. 2022 and Nadig et al. 2025; read "
        "as deltas and averaged",
    },
    "replogle": {
        "title": "Replogle's expression",
        "url": "https://doi.org/10.25452/figshare.plus.20029387",
        "licence": "CC BY 4.0",
        "attribution": "Replogle et al. 2022; averaged",
    },
    "simulated": {
        "title": "the simulated atlas",
        "url": "",
        "licence": "made here, Apache License 2.0",
        "attribution": "kgpert",
    },
}


def title(atlas: Atlas) -> str:
    """How the explorer names the atlas."""
    return SCREENS.get(atlas.name, {}).get("title", atlas.name)


def line_meta(line: CellLine, mean_expected: Mapping[str, Any]) -> dict[str, Any]:
    """One line: name, title, numbers of perturbations and readout genes, expected score of a gene without neighbour."""
    return {
        "name": line.name,
        "title": LINES.get(line.name, line.name),
        "train": int((line.split == "train").sum()),
        "test": int((line.split == "test").sum()),
        "readouts": len(line.genes),
        "mean_expected": dict(mean_expected),
    }


def predictor_meta(name: str, model: NeighbourPredictor, prior: float) -> dict[str, Any]:
    """One predictor: its name, title, settings, and in sentences what it does for a gene."""
    near = model.neighbourhood
    limit, cut = getattr(near, "limit", None), getattr(near, "cut", None)
    if isinstance(near, GraphNeighbourhood):
        graphs = " and ".join(g.name for g in near.graphs)
        heading = f"Neighbours in {' or '.join(g.name for g in near.graphs)}, of equal weight"
        kept = "every neighbour" if limit is None else f"the {limit} strongest neighbours"
        when = "before" if cut == "before" else "after"
        first = [
            f"In each graph ({graphs}) {kept} of the gene are taken, {when} genes without a training row are dropped.",
            "Every neighbour in any of the graphs has the same share.",
        ]
    elif isinstance(near, (AffinityNeighbourhood, LearntNeighbourhood)):
        heading = "Neighbours by learnt affinity"
        first = [
            "Every table of knowledge adds to the affinity of two genes, by a weight learnt on training rows.",
            f"Training genes of an affinity from {FAINT:g} are neighbours, and their shares follow it.",
        ]
    else:
        heading, first = model.name, [f"Neighbours are chosen by {near.name}."]
    shrink = (
        "For each readout gene the neighbours that measured it are averaged, and the mean of all knock-downs counts as "
        f"{prior:g} further neighbour{'s' * (prior != 1)}."
        if prior
        else "For each readout gene the neighbours that measured it are averaged."
    )
    return {
        "name": name,
        "title": heading,
        "steps": [*first, shrink],
        "limit": limit,
        "cut": cut,
        "prior": prior,
    }


def graph_meta(provenance: Mapping[str, str]) -> list[dict[str, str]]:
    """Every graph behind the predictors: name, title, date and licence."""
    return [
        {"name": name, "title": source.title, "date": source.date, "licence": source.licence}
        if (source := GRAPHS.get(name)) is not None and origin.startswith(str(source))
        else {"name": name, "title": origin or name, "date": "", "licence": ""}
        for name, origin in provenance.items()
    ]


def licences(atlas: Atlas, graphs: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Licence, address and attribution of the screen and of each graph that has a licence."""
    screen = SCREENS.get(atlas.name, {})
    rows = [
        {
            "what": screen.get("title", atlas.name),
            "licence": screen.get("licence", str(atlas.provenance.get("licence", "unknown"))),
            "url": screen.get("url", ""),
            "attribution": screen.get("attribution", str(atlas.provenance.get("attribution", ""))),
        }
    ]
    return rows + [
        {
            "what": f"graph {graph['name']}",
            "licence": graph["licence"],
            "url": LICENCE_URLS.get(graph["licence"], ""),
            "attribution": f"{graph['title']}, {graph['date']}",
        }
        for graph in graphs
        if graph["licence"]
    ]
