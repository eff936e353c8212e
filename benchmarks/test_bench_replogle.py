"""Loading Replogle's pseudobulk of K562 and RPE1, on stand-ins of full size, against reading the same arrays."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import h5py
import pytest
from anndata.io import read_elem

from benchmarks.ratios import check, peak_memory, ratio
from kgpert_lib.downloads.registry import Registry
from kgpert_lib.screens.replogle import FILES, LINES, Options, load
from kgpert_lib.screens.simulated.replogle_files import write_replogle

RULE = Options(split="rule")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The folder, in a process that sees it as its mirror; written by another, whose memory is measured too."""
    folder = tmp_path_factory.mktemp("replogle") / "files"
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        peak = alone.submit(write, folder).result()
    check("peak memory of writing three files of full size, GB", peak, at_most=2.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KGPERT_MIRROR", str(folder))
        yield folder


def write(folder):
    write_replogle(folder)
    return peak_memory()


def load_once(folder):
    load(registry=Registry.read(folder / "registry.toml"), download=False, options=RULE)
    return peak_memory()


def test_loading_two_lines_against_reading_their_arrays(files):
    registry = Registry.read(files / "registry.toml")
    paths = [files / registry[FILES[line]].group / FILES[line] for line in LINES]

    def arrays():
        for path in paths:
            with h5py.File(path) as file:
                yield file["X"][:], read_elem(file["obs"]), read_elem(file["var"])

    value = ratio(lambda: load(registry=registry, download=False, options=RULE), lambda: list(arrays()), repeats=9)
    check("K562 and RPE1 as an atlas / h5py and anndata reading X, obs and var", value, at_most=2.0)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as alone:
        peak = alone.submit(load_once, files).result()
    check("peak memory of a process that loads both, GB", peak, at_most=1.5)
