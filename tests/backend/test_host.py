"""The host's memory, and the names of devices."""

import pytest

from keras_dream.backend import host


def test_the_hosts_memory():
    sizes = host.memory()
    assert sizes["peak"] > 10_000_000
    assert sizes["free"] <= sizes["total"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [("cpu", ("cpu", 0)), ("GPU", ("cuda", 0)), ("cuda:3", ("cuda", 3))],
)
def test_devices_are_named_by_kind_and_number(name, parts):
    assert host.split_device(name) == parts


@pytest.mark.parametrize("name", ["cuda:x", "cuda:-1", "cuda:1:2", ":1"])
def test_a_device_number_must_be_a_number(name):
    with pytest.raises(ValueError, match=name):
        host.split_device(name)
