from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        ("m = " + "[" * 100_000, "cannot be read as TOML"),
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


@pytest.mark.parametrize(
    "address",
    [
        "http://h:99999999/v1",
        "http://h:port/v1",
        "http://h:0/v1",
        "http://[::1/v1",
        "http://[zz]/v1",
        "http://a..b/v1",
        "http://a b/v1",
        f"http://{'a' * 64}.org/v1",
        "http://-h/v1",
        "http:///v1",
        "h:80/v1",
        "",
    ],
)
def test_an_address_that_no_server_can_have_is_one_sentence(address):
    with pytest.raises(InputError, match="has to be an http or https address") as error:
        find_model("smollm2").at(address)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("address", ["http://[::1]:8000/v1", "https://bücher.example/v1", "http://my_host.local:1/v1"])
def test_other_addresses_are_taken_as_they_are(address):
    assert find_model("smollm2").at(address).base_url == address


def test_a_key_that_no_header_can_carry_is_refused_and_not_repeated(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "sk-hidden-\u00e9-1234567")
    with pytest.raises(InputError, match="GEMINI_API_KEY") as error:
        find_model("gemini-2-5-pro").key()
    assert "hidden" not in str(error.value)


def test_scrub_removes_keys_and_bearer_tokens():
    assert (
        scrub("key abc and Authorization: Bearer xyz'", ["abc", None]) == "key [key] and Authorization: Bearer [key]'"
    )


KEY = "sk-proj-0123456789abcdefghijklmnop"


@given(st.text(max_size=40), st.integers(0, len(KEY) - 8), st.integers(8, len(KEY)), st.text(max_size=40))
def test_no_part_of_a_key_of_eight_characters_is_left(before, start, length, after):
    clean = scrub(f"{before} {KEY[start : start + length]} {after}", [KEY])
    assert not any(KEY[i : i + 8] in clean for i in range(len(KEY) - 7))
    assert "[key]" in clean


@given(st.text(alphabet="ABCDEFGHI ,", max_size=200))
def test_a_text_without_any_part_of_a_key_stays_as_it_is(text):
    assert scrub(text, [KEY, None, ""]) == text
