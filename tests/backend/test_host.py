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


@pytest.mark.parametrize(
    ("flags", "limit", "native"),
    [
        ("fpu avx512f avx512_bf16", "", True),
        ("fpu amx_bf16 amx_tile", "", True),
        ("fpu avx512f avx512vl", "", False),
        ("fpu amx_bf16", "AVX512_CORE", False),
        ("fpu amx_bf16", "avx512_core_amx", True),
        (None, "", False),  # no Linux
    ],
)
def test_a_processor_has_bfloat16_by_its_flags_and_what_onednn_may_use(
    flags, limit, native, tmp_path, monkeypatch
):
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t: none\n")
    monkeypatch.setattr(host, "CPU_INFO", path)
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", limit)
    host.processor_flags.cache_clear()
    try:
        assert host.has_bfloat16() is native
    finally:
        host.processor_flags.cache_clear()
