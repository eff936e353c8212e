"""What the docstrings promise: examples that run as they stand, and parameters that exist."""

import doctest
import importlib
import inspect
import re

import pytest

import kgpert_lib
from kgpert_lib.book.api import ROOMS, home, public_names

MODULES = [kgpert_lib, importlib.import_module("kgpert_lib.cards"), *(m for room in ROOMS for m in room.modules)]
EXPORTS = [name for name in kgpert_lib.__all__ if not name.startswith("_")]
NAMES = [f"{module.__name__}.{name}" for module in MODULES[1:] for name in public_names(module)]


def test_no_two_rooms_show_the_same_module():
    assert len(set(MODULES)) == len(MODULES)


EXAMPLES = [
    test
    for module in MODULES
    for test in doctest.DocTestFinder(exclude_empty=True).find(module, globs={})
    if test.examples
]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda test: test.name)
def test_examples_run_in_an_empty_session(example):
    report = []
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE)
    assert runner.run(example, out=report.append).failed == 0, "".join(report)


@pytest.mark.parametrize("name", EXPORTS)
def test_exported_names_have_an_example(name):
    assert home(name) in {test.name for test in EXAMPLES}


def described(section: str, text: str) -> set[str]:
    """Names that a section of a docstring gives a text of their own."""
    block = re.search(rf"^{section}\n-+\n(.*?)(?:\n\n\w[^\n]*\n-+\n|\Z)", text, re.DOTALL | re.MULTILINE)
    heads = re.findall(r"^([\w*][\w*, ]*) : ", block[1], re.MULTILINE) if block else []
    return {name.strip(" *") for head in heads for name in head.split(",")}


def object_of(name: str):
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


@pytest.mark.parametrize("name", NAMES)
def test_described_parameters_and_attributes_exist(name):
    value = object_of(name)
    text = inspect.getdoc(value) or ""
    parameters = described("Parameters", text)
    assert parameters <= set(inspect.signature(value).parameters) if parameters else True
    if attributes := described("Attributes", text):
        assert attributes <= {*dir(value), *getattr(value, "__annotations__", ()), *getattr(value, "model_fields", ())}


@pytest.mark.parametrize("name", [name for name in EXPORTS if inspect.isfunction(getattr(kgpert_lib, name))])
def test_exported_functions_say_something_of_every_parameter(name):
    value = getattr(kgpert_lib, name)
    missing = [p for p in inspect.signature(value).parameters if not re.search(rf"\b{p}\b", inspect.getdoc(value))]
    assert missing == []
