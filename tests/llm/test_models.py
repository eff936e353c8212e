from __future__ import annotations

import pytest

from kgpert_lib.errors import InputError
from kgpert_lib.llm.models import find_model, load_models, scrub


def test_every_built_in_model_is_complete():
    models = load_models()
    assert {"smollm2", "qwen3-4b", "gemini-2-5-pro", "claude-sonnet-4", "gpt-4-1"} <= set(models)
    for spec in models.values():
        assert spec.local == (spec.key_env is None)
        assert spec.local or (spec.price_in > 0 and spec.price_out > 0 and spec.base_url.startswith("https://"))
        assert spec.sampling.max_tokens < spec.context


def test_an_own_file_adds_and_replaces(tmp_path):
    own = tmp_path / "own.toml"
    own.write_text('[mine]\nbase_url = "http://gpu:8000/v1"\nmodel = "x"\ncontext = 100\n')
    models = load_models(own)
    assert models["mine"].context == 100
    assert "smollm2" in models


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[m]\nmodel = 'x'", "model 'm': base_url"),
        ("[m]\nbase_url = 'ftp://x'\nmodel = 'x'\ncontext = 1", "http or https"),
        ("[m]\nbase_url = 'http://h/v1'\nmodel = 'x'\ncontext = 0", "context"),
        ("[m]\nbase_url = 'http://h/v1'\nmodel = 'x'\ncontext = 9\nprize = 3", "prize"),
        (
            "[m]\nbase_url = 'http://h/v1'\nmodel = 'x'\ncontext = 9\nsampling = {temperature = -1}",
            "sampling.temperature",
        ),
        ("[m", "cannot be read as TOML"),
        ("m = 3", "model 'm'"),
    ],
)
def test_a_bad_file_is_one_sentence_with_file_model_and_field(tmp_path, text, said):
    (tmp_path / "own.toml").write_text(text)
    with pytest.raises(InputError, match=said) as error:
        load_models(tmp_path / "own.toml")
    assert "own.toml" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["http://u:sk-hidden-1@h/v1", "https://h/v1?key=sk-hidden-1"])
def test_a_key_in_an_address_is_refused_and_not_repeated(tmp_path, address):
    (tmp_path / "own.toml").write_text(f"[m]\nbase_url = '{address}'\nmodel = 'x'\ncontext = 9")
    with pytest.raises(InputError, match="environment variable") as error:
        load_models(tmp_path / "own.toml")
    assert "sk-hidden-1" not in str(error.value)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match=r"'gpt'.*qwen3-4b"):
        find_model("gpt")


def test_sampling_is_checked_when_it_changes():
    assert find_model("smollm2").with_sampling(temperature=0.5).sampling.temperature == 0.5
    with pytest.raises(InputError, match="max_tokens"):
        find_model("smollm2").with_sampling(max_tokens=0)


def test_scrub_removes_keys_and_bearer_tokens():
    assert (
        scrub("key abc and Authorization: Bearer xyz'", ["abc", None]) == "key [key] and Authorization: Bearer [key]'"
    )
