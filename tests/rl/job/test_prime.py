"""The job's files and the table of known keys against Prime-RL's own classes, where a checkout is at hand."""

import json
import subprocess

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job import config as job
from kgpert_lib.rl.job.check import EVALS_KEYS, KEYS
from kgpert_lib.rl.job.prime import find_checkout

COMBINATIONS = [
    ("rl",),
    ("rl", "h100x4"),
    ("rl", "one_gpu"),
    ("rl", "multi_node_slurm"),
    ("rl", "three_lines", "h100x4"),
    ("rl", "three_lines", "one_gpu"),
    ("rl", "three_lines", "multi_node_slurm"),
    ("evals",),
    ("vf_eval",),
]

# Prints the fields of the class that stands at each dotted key, all variants of a union together.
FIELDS = """
import importlib, json, sys, typing
from pydantic import BaseModel

def classes(annotation):
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return {annotation}
    return {c for part in typing.get_args(annotation) for c in classes(part)}

module, name = sys.argv[1].split(":")
root = getattr(importlib.import_module(module), name)
answer = {}
for key in json.loads(sys.argv[2]):
    here = {root}
    for part in filter(None, key.split(".")):
        here = {c for k in here if part in k.model_fields for c in classes(k.model_fields[part].annotation)}
    answer[key] = sorted({field for k in here for field in k.model_fields})
json.dump(answer, sys.stdout)
"""


def job_config(names):
    return job.read([job.job_folder() / f"{name}.toml" for name in names])


@pytest.fixture
def checkout(prime_rl):
    return find_checkout(prime_rl)


@pytest.mark.needs_prime_rl
@pytest.mark.parametrize("names", COMBINATIONS)
def test_prime_rl_takes_every_combination_of_the_files(checkout, names):
    config = job_config(names)
    assert checkout.refusals(config, job.kind(config)) == []


@pytest.mark.needs_prime_rl
@pytest.mark.parametrize(
    ("class_", "tables"), [("prime_rl.configs.rl:RLConfig", KEYS), ("prime_rl.configs.evals:EvalsConfig", EVALS_KEYS)]
)
def test_known_keys_are_those_of_the_classes(checkout, class_, tables):
    command = [str(checkout.python), "-c", FIELDS, class_, json.dumps(list(tables))]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=checkout.folder)
    assert {key: set(fields) for key, fields in json.loads(run.stdout).items()} == tables


@pytest.mark.needs_prime_rl
def test_what_prime_rl_refuses_is_a_line_at_its_key(checkout):
    config = job_config(["rl", "h100x4"])
    config["orchestrator"]["batch_sizes"] = 3
    [refusal] = checkout.refusals(config)
    assert refusal.key == "orchestrator.batch_sizes"


def test_a_folder_that_is_no_checkout_is_refused_and_none_is_no_error(tmp_path, monkeypatch):
    assert find_checkout() is None
    monkeypatch.setenv("KGPERT_PRIME_RL", str(tmp_path))
    with pytest.raises(InputError, match="is no checkout of Prime-RL"):
        find_checkout()
