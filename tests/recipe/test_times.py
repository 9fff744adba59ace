"""Times in a film as text."""

from fractions import Fraction

import pytest

from keras_dream.errors import SettingError
from keras_dream.recipe.times import seconds_of, time_text


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("12", 12),
        ("12.5s", Fraction(25, 2)),
        (" .25 s ", Fraction(1, 4)),
        ("0:12", 12),
        ("90:00", 5400),
        ("1:02:03.5", Fraction(7447, 2)),
        (7, 7),
        (0.1, Fraction(1, 10)),
        (1e-7, Fraction(1, 10**7)),
        (Fraction(1, 3), Fraction(1, 3)),
    ],
)
def test_a_time_is_exact(text, seconds):
    assert seconds_of(text, "--from") == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "1:60",
        "1:60:00",
        "1:2:3:4",
        "12m",
        "s",
        ".",
        "nan",
        "1e3",
        "٣",
        "1_0",
        *("9" * 400, 10**8, float("inf"), True, None, -0.5),
    ],
)
def test_what_is_no_time_is_refused_in_a_sentence(text):
    with pytest.raises(SettingError, match=r"`--to` must be a time in seconds.*; try"):
        seconds_of(text, "--to")


@pytest.mark.parametrize("text", ["0s", "12s", "12.5s", "0.001s", "7200s"])
def test_a_time_is_written_as_it_is_read(text):
    assert time_text(seconds_of(text, "t")) == text
