"""Every reporter shows any event through one method."""

import dataclasses
import json
import types
import typing
from typing import Any

import pytest

from keras_dream import events
from keras_dream.cli.reporters.bar import Bar
from keras_dream.cli.reporters.base import Reporter
from keras_dream.cli.reporters.json import JsonLines
from keras_dream.cli.reporters.lines import Lines
from keras_dream.engine.loop import Step

VALUES = {int: 2, float: 0.5, str: "a", bool: True}


def _value(kind: Any) -> Any:
    """Returns a value of a field's type."""
    if isinstance(kind, types.UnionType):
        return _value(kind.__args__[0])
    if typing.get_origin(kind) is tuple:
        return tuple(_value(item) for item in kind.__args__ if item is not Ellipsis)
    return _event(kind) if dataclasses.is_dataclass(kind) else VALUES[kind]


def _event(kind: Any) -> Any:
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]
    return kind(**{name: _value(hints[name]) for name in names})


_NONE: Any = object
STEP = Step(2, 2, 2, 2, (2, 2), 0.5, 0.5, _NONE, _NONE, _NONE)
EVENTS = [
    STEP if kind is Step else _event(kind)
    for kind in events.Event.__subclasses__()
    if kind.__module__.startswith("keras_dream.")
]


@pytest.fixture(
    params=[Reporter, Lines, Bar, JsonLines], ids=lambda kind: kind.__name__
)
def reporter(request: pytest.FixtureRequest) -> Reporter:
    return request.param()


def test_any_event_can_be_shown(
    reporter: Reporter, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len(EVENTS) > 12
    with reporter:
        for event in EVENTS:
            reporter.report(event)
    out, err = capsys.readouterr()
    if isinstance(reporter, JsonLines):
        lines = [json.loads(line) for line in out.splitlines()]
        assert [line["event"] for line in lines] == [event.kind for event in EVENTS]
        assert err == ""
    else:
        assert out == "a\n" * 2  # what was fetched, and what was saved
        assert ("Notice: a" in err) is isinstance(reporter, Lines)


def test_quiet_json_shows_results_alone(capsys: pytest.CaptureFixture[str]) -> None:
    quiet = JsonLines(quiet=True)
    for event in EVENTS:
        quiet.report(event)
    lines = capsys.readouterr().out.splitlines()
    kinds = {json.loads(line)["event"] for line in lines}
    assert kinds == {"fetched", "saved", "item", "item_failed", "batch", "film"}


def test_what_comes_often_is_shown_seldom(capsys: pytest.CaptureFixture[str]) -> None:
    lines, as_json = Lines(clock=lambda: 0.0), JsonLines()
    for done in range(1, 101):
        lines.report(events.Download(done, 100))
        as_json.report(events.Download(done, 100))
    out, err = capsys.readouterr()
    assert len(err.splitlines()) == 1
    assert [json.loads(line)["bytes"] for line in out.splitlines()] == [1, 100]


PLANNED = events.FilmPlanned(
    frames=20,
    ready=4,
    scenes=2,
    blocks=2,
    size=(180, 320),
    duration=0.8,
    seconds=100.0,
    bytes=10**6,
    workers=1,
    folder=".a.mp4.video",
    path="a.mp4",
)


def _film(
    number: int, *, frames: int = 20, released: float | None = 0.25
) -> events.FrameDone:
    share = number / frames
    return events.FrameDone(number, frames, 2, released, 6.0, share, f"{number}.png")


def test_a_film_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    now = 0.0
    lines = Lines(clock=lambda: now)
    for frame in range(100):
        lines.report(events.FilmProgress("survey", frame / 100))
    lines.report(PLANNED)
    for number in range(5, 21):
        now += 6.0
        lines.report(_film(number))
    lines.report(events.FilmFinished("a.mp4", 20, 16, 4, True, 96.0, 0.002, 0.001))
    lines.report(events.Saved("a.mp4", complete=True))
    out, err = capsys.readouterr()
    assert out == "a.mp4\n"
    survey, planned, first, *some, done, flicker = err.splitlines()
    assert survey == "Looking through the source: 0%."
    assert "20 frames of 320 × 180 pixels in 2 scenes, 0.8 s; 4 of them" in planned
    assert first == (
        "5 of 20 frames done; 25% of frame 5 is new, 6.00 s a frame, about 1:32 left."
    )
    assert len(some) == 3  # one in twenty seconds
    assert done == (
        "Dreamed 16 frames in 2 scenes in 1:36, 6.00 s a frame; 4 were there before."
    )
    assert flicker == (
        "Flicker: 2 times the source's own (warping error 0.002 beside 0.001)."
    )


def test_one_frame_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    for ready, frames in ((1, 20), (19, 20), (0, 1)):
        Lines().report(dataclasses.replace(PLANNED, ready=ready, frames=frames))
    Lines().report(_film(2, released=None))
    Lines().report(events.FilmFinished("a.mp4", 2, 1, 1, True, 6.0, None, None))
    first, last, alone, still, done = capsys.readouterr().err.splitlines()
    assert "; 1 of them is dreamed already, the others take about" in first
    assert "; 19 of them are dreamed already, the last one takes about" in last
    assert "; it takes about" in alone
    assert "20 frames done" in still
    assert "new" not in still
    assert done.endswith("; 1 was there before.")


@pytest.mark.parametrize("columns", [60, 120])
def test_the_bar_of_a_film_fits(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    bar = Bar()
    for event in (PLANNED, _film(5), _film(6)):
        bar.report(event)
    bar._bar.console.print(bar._bar.get_renderable())
    shown = capsys.readouterr().err.splitlines()[-1]
    assert len(shown) <= columns
    assert shown.startswith("Frame 6/20")
    assert ("scene 1/2  25% new" in shown) is (columns == 120)
    assert "━━━" in shown
    assert "s a frame, about" in shown
