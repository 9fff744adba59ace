"""Events are frozen values, and one function makes JSON of any of them."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from keras_dream import events


def test_every_event_is_a_frozen_dataclass_of_its_own_kind() -> None:
    kinds = [event.kind for event in events.Event.__subclasses__()]
    assert len(set(kinds)) == len(kinds)
    assert {"download", "started", "notice", "saved", "cell", "error"} <= set(kinds)
    with pytest.raises(dataclasses.FrozenInstanceError):
        events.Notice("a").text = "b"  # pyright: ignore[reportAttributeAccessIssue]


def test_an_event_becomes_json() -> None:
    octaves = (events.OctaveSize(1, (20, 30), 3), events.OctaveSize(2, (40, 60), 5))
    started = events.Started("a.png", "b.png", "motif", (40, 60), octaves)
    assert json.loads(json.dumps(started.data())) == {
        "event": "started",
        "photo": "a.png",
        "path": "b.png",
        "network": "motif",
        "size": {"width": 60, "height": 40},
        "octaves": [
            {"octave": 1, "size": {"width": 30, "height": 20}, "steps": 3},
            {"octave": 2, "size": {"width": 60, "height": 40}, "steps": 5},
        ],
    }


def test_what_json_cannot_hold_is_left_out_or_null() -> None:
    @dataclasses.dataclass(frozen=True)
    class Odd(events.Event, kind="odd_one"):
        loss: float
        place: Path
        losses: dict[int, list[float]]
        _image: Callable[[], object]

    odd = Odd(math.nan, Path("a") / "b", {1: [1.5, math.inf]}, object)
    assert odd.data() == {
        "event": "odd_one",
        "loss": None,
        "place": str(Path("a") / "b"),
        "losses": {"1": [1.5, None]},
    }
