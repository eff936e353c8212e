"""Predictors of the language-model chapter by name, beside those of `predictors.named`.

A name may go on with a model of `models.toml`, as in ``"langpert:qwen3-4b"``; without one it is SmolLM2. Answers
come from the record of this machine and the committed files; nothing is asked.
"""

from __future__ import annotations

from collections.abc import Callable

from kgpert_lib.llm.controls import FirstOffered, InsideGraphs, NamePrefix, RandomSets
from kgpert_lib.llm.question_data import QuestionData, question_data
from kgpert_lib.llm.record import Record, read_only_record
from kgpert_lib.predictors import named
from kgpert_lib.predictors.named import Options
from kgpert_lib.predictors.neighbours import NeighbourhoodSource, NeighbourPredictor
from kgpert_lib.predictors.predictions import Predictor
from kgpert_lib.screens.screen import Screen

MODEL = "smollm2"

SOURCES: dict[str, Callable[[QuestionData, str, Record, int], NeighbourhoodSource]] = {
    "langpert": lambda data, model, record, seed: data.sets("langpert", model, record),
    "langpert-inside": lambda data, model, record, seed: InsideGraphs(
        data.sets("langpert", model, record), data.screen.graphs
    ),
    "langpert-first": lambda data, model, record, seed: FirstOffered(data.sets("langpert", model, record)),
    "langpert-random": lambda data, model, record, seed: RandomSets(
        data.sets("langpert", model, record), "offered", seed
    ),
    "langpert-random-training": lambda data, model, record, seed: RandomSets(
        data.sets("langpert", model, record), "training", seed
    ),
    "name-prefix": lambda data, model, record, seed: NamePrefix(),
    "edits": lambda data, model, record, seed: data.sets("edits", model, record),
    "edits-random": lambda data, model, record, seed: RandomSets(
        data.sets("edits", model, record), "offered", seed, "KG + random"
    ),
    "edits-random-training": lambda data, model, record, seed: RandomSets(
        data.sets("edits", model, record), "training", seed, "KG + random"
    ),
    "union-name-prefix": lambda data, model, record, seed: NamePrefix(data.union),
}
"""What chooses the neighbours: by name, from the data of the questions, a model, a record and a seed."""


def build(name: str, screen: Screen, options: Options | None = None) -> Predictor:
    """A predictor by its name.

    Parameters
    ----------
    name : one of `predictors.named.PREDICTORS`, such as ``"union"``; graphs joined by ``+``, such as
        ``"string+mine.csv"``; or one of `SOURCES`, which reads recorded answers of a language model, alone or as
        ``name:model``.
    screen : gives the graphs, and the lines that a language model was asked about.
    options : limits of the neighbourhoods, prior and seed; None: the defaults of `Options`.

    Raises
    ------
    InputError
        For a name that is none of these, for a graph that is named twice, and for a model that `models.toml` lacks.

    Examples
    --------
    >>> from kgpert_lib import build, load_screen
    >>> screen = load_screen("simulated", ["k562"], size="tiny")
    >>> [build(name, screen).name for name in ("mean", "union", "complexes")]
    ['training mean', 'complexes+pathways', 'complexes']
    """
    source, _, model = name.partition(":")
    if source not in SOURCES:
        return named.build(name, screen, options)
    options = options or Options()
    data = question_data(screen, limit=options.limit, cut=options.cut, seed=options.seed)
    neighbourhood = SOURCES[source](data, model or MODEL, read_only_record(), options.seed)
    return NeighbourPredictor(neighbourhood, options.prior)
