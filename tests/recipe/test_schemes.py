"""The text form of gradients in tiles."""

import pytest
from hypothesis import given, strategies as st

from keras_dream.errors import SettingError
from keras_dream.recipe.schemes import Scheme

TILES = st.integers(1, 9999)
HALOS = st.none() | st.integers(0, 99_999)
NODES = st.from_regex(r"\A[!-~]([ -~]{0,20}[!-~])?\Z")


@given(
    st.builds(Scheme, st.just("whole"))
    | st.builds(Scheme, st.just("cells"), TILES, TILES, st.just(""), HALOS)
    | st.builds(Scheme, st.just("stem"), TILES, TILES, NODES, HALOS)
)
def test_a_scheme_is_read_from_its_text(scheme):
    assert Scheme.read(scheme.text) == scheme


def test_texts():
    assert Scheme.read("whole") == Scheme()
    assert Scheme.read("cells 2x3 halo 24") == Scheme("cells", 2, 3, halo=24)
    assert Scheme.read("stem block 1 2x2") == Scheme("stem", 2, 2, "block 1")


@pytest.mark.parametrize(
    "text",
    ["", "Whole", "whole halo 3", "cells", "cells 2", "cells 0x2", "cells 2x0",
     "cells 10000x1", "cells 2x2 halo", "cells 2x2 halo -1", "cells 2x2 ",
     "cells ٢x2", "stem 2x2", "stem  2x2", "stem a 2 x 2", "stem a\n 2x2"],
)  # fmt: skip
def test_other_texts_are_refused(text):
    with pytest.raises(SettingError, match=r"A gradient must be .*; try cells 2x2\."):
        Scheme.read(text)
