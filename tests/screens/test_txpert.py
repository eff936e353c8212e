"""The published split is read, whatever the form of its lists, and nothing that its pickle asks for is run."""

import os
import pickle
import zipfile

import numpy as np
import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.screens.txpert import read_split

LISTS = {"train": ["A+ctrl", "ctrl", "B+ctrl"], "val": ["ctrl+C"], "test": ["D+ctrl", "HLA-A+ctrl"]}
GENES = {"A": "train", "B": "train", "C": "val", "D": "test", "HLA-A": "test"}


def archive(tmp_path, content, member="K562_single_cell_line/splits/train_test_split.pkl", protocol=4):
    path = tmp_path / "K562_single_cell_line.zip"
    with zipfile.ZipFile(path, "w") as files:
        files.writestr(member, content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return path


def each(kind):
    return {name: kind(conditions) for name, conditions in LISTS.items()}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "content",
    [
        LISTS,
        each(tuple),
        each(set),
        each(frozenset),
        each(np.array),
        each(lambda names: np.array(names, dtype=object)),
        each(lambda names: np.array(names).astype(">U12")),
        each(lambda names: [np.str_(name) for name in names]),
        {"K562": LISTS, "RPE1": {"train": ["Z+ctrl"]}},
    ],
)
def test_every_form_of_the_lists_is_read(tmp_path, content, protocol):
    assert read_split(archive(tmp_path, content, protocol=protocol), "k562") == GENES


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_validation_has_several_names(tmp_path, name):
    path = archive(tmp_path, {"train": ["A+ctrl"], name: ["C+ctrl"], "test": ["D+ctrl"]})
    assert read_split(path, "k562")["C"] == "val"


class Attack:
    """Asks the reader of its pickle to run a command."""

    def __init__(self, call, *arguments):
        self.call, self.arguments = call, arguments

    def __reduce__(self):
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("call", [os.system, eval, exec, np.load, getattr, __import__])
def test_a_pickle_that_asks_for_anything_else_is_refused_and_not_run(tmp_path, call, protocol):
    trace = tmp_path / "trace"
    command = f"touch {trace}" if call is os.system else f"open({str(trace)!r}, 'w')"
    path = archive(tmp_path, {"train": Attack(call, command)}, protocol=protocol)
    with pytest.raises(InputError, match=r"readable splits/train_test_split.pkl \(it asks for"):
        read_split(path, "k562")
    assert not trace.exists()


@pytest.mark.parametrize("code", [b"f8", b"V9", b"M8", b"i4"])
def test_arrays_of_other_types_are_refused(tmp_path, code):
    path = archive(tmp_path, pickle.dumps({"train": np.zeros(3, code.decode())}, 4))
    with pytest.raises(InputError, match="only text is read"):
        read_split(path, "k562")


def test_bytes_that_pretend_to_be_objects_are_no_pointers(tmp_path):
    data = pickle.dumps({"train": np.array(["A+ctrl"])}, 4).replace(b"\x8c\x02U6", b"\x8c\x02O8")
    with pytest.raises(InputError, match="array of objects"):
        read_split(archive(tmp_path, data), "k562")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (["A+ctrl"], "holds no lists of conditions by split"),
        ({}, "holds no lists of conditions by split"),
        ({"train": ["A+ctrl"], "extra": ["B+ctrl"]}, "has the part 'extra'; expected train, val and test"),
        ({"train": ["A+ctrl"], "test": ["A+ctrl"]}, "puts A into both train and test"),
        ({"train": ["A+B"]}, "holds the condition 'A\\+B'"),
        ({"train": [3]}, "holds 3 in the place of a condition"),
        ({"train": "A+ctrl"}, "holds no plain lists"),
        ({"RPE1": LISTS}, "has no cell line k562; it has RPE1"),
        (b"\x80\x04no pickle", "is not TxPert's archive"),
        (b"", "is not TxPert's archive"),
    ],
)
def test_another_content_is_one_sentence(tmp_path, content, message):
    with pytest.raises(InputError, match=message):
        read_split(archive(tmp_path, content), "k562")


def test_another_archive_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="is not TxPert's archive"):
        read_split(archive(tmp_path, LISTS, member="other.pkl"), "k562")
    path = tmp_path / "page.zip"
    path.write_text("<html>not here</html>")
    with pytest.raises(InputError, match="is not TxPert's archive"):
        read_split(path, "k562")
