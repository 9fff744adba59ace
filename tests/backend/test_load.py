"""Which backend is chosen, and the error where it is not installed."""

import sys

import pytest

from keras_dream.backend.load import choose, load
from keras_dream.backend.protocol import NAMES
from keras_dream.errors import SettingError


def test_the_backend_is_chosen_in_order(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert choose("tensorflow") == "tensorflow"
    assert choose(None) == "jax"
    monkeypatch.delenv("KERAS_BACKEND")
    monkeypatch.setitem(sys.modules, "keras", None)
    assert choose(None) == "torch"


def test_an_unknown_backend_gets_the_nearest_name():
    with pytest.raises(SettingError, match="'tensorflow', the nearest name"):
        choose("tensorflo")


@pytest.mark.parametrize("name", NAMES)
def test_a_library_that_is_not_installed_gets_a_sentence(monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, f"keras_dream.backend.{name}", raising=False)
    with pytest.raises(SettingError, match=rf"pip install 'keras-dream\[{name}\]'"):
        load(name)
