"""The text of parts and of chains of them."""

from typing import Literal

import pytest
from hypothesis import given, strategies as st

from keras_dream.errors import SettingError
from keras_dream.parts.part import MAX_CHAIN, Part, chain_text, read_chain, read_part


class Turn(Part):
    name: Literal["turn"] = "turn"
    degrees: float = 5.0
    file: str = ""


class Still(Part):
    name: Literal["still"] = "still"


KINDS = (Turn, Still)


def _read(text):
    return read_chain(text, KINDS, "moves")


@given(
    st.lists(
        st.builds(
            Turn,
            degrees=st.floats(-1e9, 1e9),
            file=st.text(st.characters(codec="utf-8"), max_size=12),
        )
        | st.just(Still()),
        max_size=5,
    )
)
def test_a_chain_is_read_back_from_its_text(parts):
    assert _read(chain_text(parts)) == tuple(parts)


def test_values_without_a_key_are_the_parameters_in_their_order():
    assert _read("turn(7, 'a, b(1)+c.png')") == (Turn(degrees=7, file="a, b(1)+c.png"),)
    assert _read(" still+turn( degrees = 1e-3 ) ") == (Still(), Turn(degrees=1e-3))


@pytest.mark.parametrize("nothing", ["", " ", "none", None, [], ()])
def test_no_parts_are_written_as_none(nothing):
    assert _read(nothing) == ()
    assert chain_text(()) == "none"


def test_a_list_may_hold_parts_texts_and_dictionaries():
    values = [Still(), "turn(3)", {"name": "turn", "degrees": 4}]
    assert _read(values) == (Still(), Turn(degrees=3), Turn(degrees=4))


@pytest.mark.parametrize(
    "broken",
    [
        "turn +",
        "+ turn",
        "turn turn",
        "turn(",
        "turn(1))",
        "turn(1, b, 3)",
        "turn(degrees=1, degrees=2)",
        "turn(1, degrees=2)",
        "'turn'",
        "spin",
        "turn(" * 3_000,
        "'" * 9_999,
        7,
        [7],
    ],
)
def test_what_breaks_the_grammar_is_refused(broken):
    with pytest.raises(SettingError, match="`moves` must be one of turn, still"):
        _read(broken)


def test_an_unknown_parameter_and_an_impossible_value_are_named():
    with pytest.raises(SettingError, match=r"received 'speed'; (?!.*name)"):
        _read("turn(speed=1)")
    with pytest.raises(SettingError, match="`degrees` must be"):
        _read("turn(degrees=much)")


def test_a_chain_has_a_longest_length():
    with pytest.raises(SettingError, match=f"at most {MAX_CHAIN} parts"):
        _read(" + ".join(["still"] * (MAX_CHAIN + 1)))


def test_a_single_part_is_no_chain():
    assert read_part("turn(2)", KINDS, "move") == Turn(degrees=2)
    with pytest.raises(SettingError, match="`move` must be one of"):
        read_part("turn + still", KINDS, "move")


def test_an_open_bracket_is_told():
    with pytest.raises(SettingError, match="close every bracket"):
        _read("turn(2")
    with pytest.raises(SettingError, match="put \\+ between two of them"):
        _read("still, turn(2)")
