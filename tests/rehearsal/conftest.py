"""Small models are trained here: `make test-rl` names this folder, and nothing else collects it.

pytest reads this file also where it collects nothing here; what trains is imported where it is used.
"""

from pathlib import Path

import pytest

from kgpert_lib.rl.rehearsal import plans
from kgpert_lib.screens.simulated import simulation


def pytest_ignore_collect(collection_path, config):
    named = any(Path(str(argument)).parts[:2] == ("tests", "rehearsal") for argument in config.args)
    return None if named else True


@pytest.fixture(scope="session", autouse=True)
def one_cache(tmp_path_factory):
    """One KGPERT_CACHE for all of these tests: unpacking the language model takes half a minute."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("KGPERT_CACHE", str(folder))
        yield folder


@pytest.fixture(autouse=True)
def cache(one_cache, monkeypatch):
    """The one cache in place of an empty one for each test."""
    monkeypatch.setenv("KGPERT_CACHE", str(one_cache))
    return one_cache


@pytest.fixture(scope="session")
def atlas(tmp_path_factory):
    """A tiny simulated atlas, saved with its graphs."""
    return simulation.write(tmp_path_factory.mktemp("screen") / "simulated", size="tiny") / "atlas"


@pytest.fixture(scope="session")
def tiny(atlas):
    """Gives the configuration of a short run on the tiny atlas, or on another; fields by name."""

    def config(name="tiny", policy="gene", folder=atlas, **fields):
        [planned] = plans.plan(str(folder), ["k562", "rpe1"], seeds=[0], steps=fields.pop("steps", 3), policy=policy)
        small = {"questions": 4, "rollouts": 4, "warm": {"most": 32, "epochs": 1, "batch": 16}}
        return planned.model_copy(update={"name": name, **small, **fields})

    return config


@pytest.fixture(scope="session")
def trained(tiny, tmp_path_factory):
    """A run of three steps that nothing interrupted."""
    from kgpert_lib.rl.rehearsal.run import rehearse

    return rehearse(tiny(), tmp_path_factory.mktemp("runs") / "tiny", save_every=2)
