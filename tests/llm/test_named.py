"""Predictors of the language-model chapter by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.llm.models import find_model
from kgpert_lib.llm.named import SOURCES, build
from kgpert_lib.llm.question_data import question_data
from kgpert_lib.llm.record import Answer, local_record, prompt_hash, request_key
from kgpert_lib.predictors.named import Options
from kgpert_lib.screens.screen import Screen
from tests import worlds


@pytest.fixture
def screen(tmp_path, monkeypatch) -> Screen:
    """A small screen with an answer of SmolLM2 about every test gene: the first two training genes."""
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path))
    screen = Screen(worlds.atlas(), (worlds.graph(),))
    spec, data = find_model("smollm2"), question_data(screen, limit=20)
    view = screen.view("k562")
    genes = [str(p) for p in view.target.perturbations[:2]]
    text = json.dumps({"genes": genes, "add": genes, "remove": []})
    with local_record() as record:
        for task in ("langpert", "edits"):
            for request in data.sets(task, "smollm2", record).requests(view, screen["k562"].names("test")):
                key, hashed = request_key(request, spec), prompt_hash(request.messages)
                record.add(Answer(key, request.question, hashed, "m", {}, 0, text, "stop", 1, 1, 0.0, 0.0))
    return screen


@pytest.mark.parametrize("name", SOURCES)
def test_every_name_predicts_from_the_recorded_answers_alone(screen, name, recwarn):
    view, genes = screen.view("k562"), screen["k562"].names("test")
    predictions = build(name, screen, Options(prior=0.0)).predict(view, genes)
    assert predictions.delta.shape == (len(genes), len(view.target.genes))
    assert not [w for w in recwarn if "no recorded answer" in str(w.message)]
    if name == "langpert":
        np.testing.assert_allclose(predictions.delta[0], view.target.delta[:2].mean(0), atol=1e-6)
    if name == "langpert-first":
        assert (predictions.n_neighbours == 2).all()


def test_genes_without_an_answer_are_counted_in_a_warning(screen):
    view, genes = screen.view("rpe1"), screen["rpe1"].names("test")
    with pytest.warns(UserWarning, match=f"about {len(genes)} of {len(genes)} genes in rpe1"):
        assert build("langpert", screen).predict(view, genes).fallback.all()


def test_a_model_is_named_after_a_colon_and_other_names_are_those_of_the_library(screen):
    assert build("edits:qwen3-4b", screen).name == "LLM + KG (qwen3-4b)"
    assert build("union", screen).name == "toy"
    with pytest.raises(InputError, match="No model is called 'nobody'"):
        build("langpert:nobody", screen).predict(screen.view("k562"), ["G0001"])
    with pytest.raises(InputError):
        build("poems", screen)
