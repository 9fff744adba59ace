"""A film that nobody trusts is surveyed in a child before it is decoded here."""

import numpy as np
import pytest
from clips import hard_cut, write_clip

from keras_dream import isolation
from keras_dream.errors import InputError
from keras_dream.pictures.limits import Limits
from keras_dream.video import apart, child
from keras_dream.video.source import open_source


@pytest.fixture
def film(tmp_path):
    return write_clip(tmp_path / "a.mp4", hard_cut())


def test_the_child_sees_what_we_see(film, monkeypatch):
    calls = []
    call = isolation.call

    def counted(function, *args, **options):
        calls.append(function)
        return call(function, *args, **options)

    monkeypatch.setattr(isolation, "call", counted)
    source = open_source(film, every=2, limits=Limits(untrusted=True))
    clip = source.survey()
    assert calls == [f"keras_dream.video.child:{n}" for n in ("check", "survey")]
    assert clip == open_source(film, every=2).survey()
    assert [frame.number for frame in source.frames(2)] == [2, 3]


def test_a_film_that_takes_too_long_is_refused(film):
    with pytest.raises(InputError, match="must be read within 0"):
        open_source(film, limits=Limits(untrusted=True, max_decode_seconds=0.01))


FORGED = {
    "size": {"size": [0, 64]},
    "clock": {"time_base": "-1/25"},
    "division": {"time_base": "1/0"},
    "nothing": {"name": "a"},
    "no times": {"ticks": np.zeros((0, 2), np.int64)},
    "back": {"ticks": np.array([[0, 1], [0, 1]])},
    "cuts": {"cuts": np.array([0, 5])},
    "late": {"cuts": np.array([1])},
    "checks": {"checks": np.zeros(3, np.uint64)},
    "shape": {"ticks": np.zeros((2, 3), np.int64)},
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_answer_is_refused(film, monkeypatch, name):
    head, arrays = child.survey(
        str(film),
        selection={"start": "0", "end": "2/25", "every": "1"},
        limits="{}",
        cuts=False,
    )
    parts = dict(zip(("ticks", "checks", "cuts"), arrays, strict=True))
    changes = FORGED[name]
    head = {**head, **{k: v for k, v in changes.items() if k not in parts}}
    if name == "nothing":
        del head["rate"]
    parts |= {k: v for k, v in changes.items() if k in parts}
    answer = head, list(parts.values())
    monkeypatch.setattr(isolation, "call", lambda *args, **options: answer)
    with pytest.raises(InputError, match="of which a survey is impossible"):
        apart.survey(film, selection={}, limits=Limits(untrusted=True), cuts=False)
