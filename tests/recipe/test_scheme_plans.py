"""The run settings `gradient`, `halo` and `memory` as text."""

import pytest

from keras_dream.errors import SettingError
from keras_dream.recipe.byte_sizes import bytes_of, size_text
from keras_dream.recipe.recipe import RunSettings
from keras_dream.recipe.scheme_plans import Entry, entries_text, read_entries
from keras_dream.recipe.schemes import Scheme


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2GB", 2 * 10**9),
        ("1500MB", 15 * 10**8),
        ("2GiB", 2**31),
        (" 1.5 gib ", 3 * 2**29),
        ("512m", 2**29),
        ("700 kB", 700_000),
        ("4097", 4097),
        (4096, 4096),
    ],
)
def test_sizes_of_memory(text, count):
    assert bytes_of(text, "memory") == count
    assert RunSettings(memory=text).memory == count


@pytest.mark.parametrize("text", ["", "GB", "2XB", "-2GB", "0", "nan", True, [2], 1e30])
def test_a_size_that_is_none(text):
    with pytest.raises(SettingError, match="`memory` must be a size") as caught:
        RunSettings(memory=text)
    assert caught.value.exit_code == 2


def test_sizes_in_words():
    assert list(map(size_text, (999_400_000, 999_600_000, 2.34e9))) == [
        "999 MB",
        "1.0 GB",
        "2.3 GB",
    ]


def test_schemes_by_octave():
    """What a record says of a dream: whole but for what is named."""
    entries = [
        Entry(4, 1, 1, Scheme.read("cells 2x2")),
        Entry(3, 1, 1, Scheme()),
        Entry(4, 2, 1, Scheme.read("stem a b 1x1 halo 4")),
        Entry(4, 1, 7, Scheme.read("cells 3x3")),
        Entry(4, 1, 9, Scheme.read("cells 3x3")),
    ]
    text = "4: cells 2x2; 4 from 7: cells 3x3; 4#2: stem a b 1x1 halo 4"
    assert entries_text(entries) == text
    assert entries_text(entries[1:2]) == "whole"
    assert RunSettings(gradient=f" {text}".replace(";", " ;  ")).gradient == text
    assert read_entries(text) == (entries[0], entries[3], entries[2])


@pytest.mark.parametrize(
    "text",
    ["", "tiles", "cells 0x2", "1: cells 0x2", "0: whole", "1: whole; 1: whole", "1:",
     ["whole"], "1: auto", "whole; whole", "2 from 0: whole"],
)  # fmt: skip
def test_a_gradient_that_is_none(text):
    with pytest.raises(SettingError, match="`gradient` must be auto, or one of"):
        RunSettings(gradient=text)


def test_halos():
    assert RunSettings(halo="24").halo == 24
    assert RunSettings(halo="fast").halo == "fast"
    with pytest.raises(SettingError, match="`halo` must be a whole number from 0"):
        RunSettings(halo="often")
