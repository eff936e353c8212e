"""Where derived files go, also for a user without a home."""

import os
import pwd

import pytest

from kgpert_lib import paths
from kgpert_lib.errors import InputError


def test_the_cache_is_where_the_user_puts_it(monkeypatch, tmp_path):
    monkeypatch.setenv("KGPERT_CACHE", str(tmp_path))
    assert paths.cache_dir() == tmp_path


def test_a_user_without_a_home_is_asked_for_a_folder(monkeypatch):
    def nobody(uid):
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    for name in ("KGPERT_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    with pytest.raises(InputError, match="set KGPERT_CACHE to"):
        paths.cache_dir()


def test_without_a_folder_of_ones_own_the_cache_is_in_the_home(monkeypatch, tmp_path):
    for name in ("KGPERT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.cache_dir().is_relative_to(os.environ["HOME"])
