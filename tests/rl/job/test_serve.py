"""A folder to serve: the weights of a step with the base model's other files, or one sentence on what is wrong."""

import sys
from types import SimpleNamespace

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.rl.job.serve import assemble, tensor_names
from tests.rl.job import runs


@pytest.fixture
def base(tmp_path):
    return runs.base_model(tmp_path / "base")


@pytest.fixture
def run(tmp_path, base):
    folder = tmp_path / "run"
    runs.resolved(folder, base)
    runs.broadcast(folder, 0)
    runs.broadcast(folder, 100)
    runs.broadcast(folder, 101, stable=False)
    return folder


def test_the_folder_has_the_steps_weights_and_the_bases_configuration(run, base, tmp_path):
    served = assemble(run, 100, tmp_path / "served")
    assert served.command == f"vllm serve {tmp_path / 'served'} --served-model-name kgpert --max-model-len 3072"
    assert served.notes == ()
    names = {path.name for path in (tmp_path / "served").iterdir()}
    weights = {path.name for path in (run / "broadcasts" / "step_100").iterdir()} - {"STABLE"}
    others = {path.name for path in base.iterdir() if path.suffix != ".safetensors"}
    assert names == weights | (others - {"README.md"})
    assert (tmp_path / "served" / "config.json").read_bytes() == (base / "config.json").read_bytes()
    assert tensor_names(tmp_path / "served") == set(runs.TENSORS)


def test_the_weights_stay_when_prime_rl_removes_its_own(run, tmp_path):
    assemble(run, 100, tmp_path / "served")
    for path in (run / "broadcasts" / "step_100").iterdir():
        path.unlink()
    assert tensor_names(tmp_path / "served") == set(runs.TENSORS)


@pytest.mark.parametrize(
    ("step", "what"),
    [(50, r"step 50 .* are not there; those of the steps 0, 100 are"), (101, r"step 101 .* not written to the end")],
)
def test_a_step_without_whole_weights_names_those_there_are(run, tmp_path, step, what):
    with pytest.raises(InputError, match=what):
        assemble(run, step, tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_a_run_that_kept_no_weights_says_what_would(tmp_path, base):
    runs.resolved(tmp_path / "run", base)
    with pytest.raises(InputError, match=r"no step has any; a run keeps them with \[weight_broadcast\]"):
        assemble(tmp_path / "run", 100, tmp_path / "served")


@pytest.mark.parametrize("names", [runs.TENSORS[:-1], [*runs.TENSORS, "model.other.weight"], ["a", "b"]])
def test_weights_of_another_model_are_refused(run, tmp_path, names):
    runs.broadcast(run, 200, names)
    with pytest.raises(InputError, match="The weights are not those of"):
        assemble(run, 200, tmp_path / "served")


def test_a_tied_output_layer_may_be_there_or_not_and_an_untied_one_has_to_be(run, tmp_path):
    runs.broadcast(run, 200, [*runs.TENSORS, "lm_head.weight"])
    assemble(run, 200, tmp_path / "served")
    untied = runs.base_model(tmp_path / "untied", [*runs.TENSORS, "lm_head.weight"], tied=False)
    with pytest.raises(InputError, match=r"lm_head\.weight is missing"):
        assemble(run, 100, tmp_path / "other", str(untied))


@pytest.mark.parametrize("damage", [lambda b: b[:-1], lambda b: b + b"x", lambda b: b[:6], lambda b: b"\xff" * 40])
def test_a_damaged_file_is_refused(run, tmp_path, damage):
    [file, _] = sorted((run / "broadcasts" / "step_100").glob("*.safetensors"))
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(InputError, match=file.name):
        assemble(run, 100, tmp_path / "served")
    assert not (tmp_path / "served").exists()


def test_a_missing_shard_is_refused(run, tmp_path):
    sorted((run / "broadcasts" / "step_100").glob("*.safetensors"))[0].unlink()
    with pytest.raises(InputError, match="are not those that its"):
        assemble(run, 100, tmp_path / "served")


def test_an_adapter_is_served_beside_the_base_with_room_for_its_rank(run, base, tmp_path):
    runs.adapter(run, 300, rank=20)
    served = assemble(run, 300, tmp_path / "adapter")
    assert {path.name for path in served.folder.iterdir()} == {"adapter_model.safetensors", "adapter_config.json"}
    assert served.command == (
        f"vllm serve {base} --enable-lora --max-lora-rank 32 --lora-modules kgpert={served.folder} --max-model-len 3072"
    )
    other = runs.base_model(tmp_path / "other", ["model.embed_tokens.weight", "model.norm.weight"])
    with pytest.raises(InputError, match=r"which .* lacks"):
        assemble(run, 300, tmp_path / "again", str(other))


def test_a_base_without_names_of_its_own_is_noted(run, base, tmp_path):
    for path in base.glob("model*"):
        path.unlink()
    assert "were not compared" in assemble(run, 100, tmp_path / "served").notes[0]


def test_a_place_that_is_taken_is_left_as_it_is(run, tmp_path):
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "mine").write_text("keep")
    with pytest.raises(InputError, match="is there already"):
        assemble(run, 100, tmp_path / "served")
    assert [path.name for path in (tmp_path / "served").iterdir()] == ["mine"]


def test_a_hub_name_is_looked_up_in_the_cache_first(run, base, tmp_path, monkeypatch):
    asked = []

    def snapshot(name, allow_patterns, local_files_only=False):
        asked.append((name, local_files_only))
        if not (local_files_only and name == "org/cached"):
            raise OSError("no such\nrepository")
        return str(base)

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(snapshot_download=snapshot))
    assert assemble(run, 100, tmp_path / "served", "org/cached").notes == ()
    assert asked == [("org/cached", True)]
    with pytest.raises(InputError, match=r"org/none .* cannot be had from the hub \(no such\)"):
        assemble(run, 100, tmp_path / "other", "org/none")


def test_a_base_that_cannot_be_had_and_a_run_that_names_none(run, tmp_path):
    with pytest.raises(InputError, match="holds no config"):
        assemble(run, 100, tmp_path / "served", str(run))
    (run / "configs" / "trainer.json").unlink()
    with pytest.raises(InputError, match="does not say which model"):
        assemble(run, 100, tmp_path / "served")
