"""Which graphs a result rests on: source, date and licence of every graph that a predictor or an affinity holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from kgpert_lib.graphs.affinity import SetTable
from kgpert_lib.graphs.graph import KnowledgeGraph


def provenance(*parts: object) -> dict[str, str]:
    """Provenance by name of every graph in `parts`, looking into lists and into the fields of dataclasses.

    So a predictor, its neighbourhoods and an `Affinity` need not say themselves which graphs they hold. An empty text
    stands where nothing is known of a graph's origin.
    """
    graphs: dict[str, str] = {}
    for part in parts:
        if isinstance(part, KnowledgeGraph | SetTable):
            graphs.setdefault(part.name, part.provenance)
        elif isinstance(part, (list, tuple)):
            graphs |= provenance(*part) | graphs
        elif is_dataclass(part):
            graphs |= provenance(*(getattr(part, field.name) for field in fields(part))) | graphs
    return graphs


def in_words(graphs: Mapping[str, str]) -> str:
    """One sentence on the graphs of `provenance`; those of unknown origin by their names."""
    if not graphs:
        return "Graphs: none."
    return f"Graphs: {'; '.join(origin or name for name, origin in graphs.items())}."


def records(graphs: Mapping[str, str]) -> list[dict[str, str]]:
    """The graphs of `provenance` for JSON: name and provenance of each."""
    return [{"name": name, "provenance": origin} for name, origin in graphs.items()]
