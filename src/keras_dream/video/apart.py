"""A survey in a process of its own, for films that nobody trusts.

FFmpeg decodes dozens of formats, in C. A stranger's film is decoded as a whole in a
child first, within limits of time and memory: what crashes it, or never ends, does so
there. A film that a child got through is then decoded here, by the same code.
"""

import itertools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream import isolation
from keras_dream.errors import InputError, short_repr
from keras_dream.pictures.limits import UNTRUSTED_HINT, Limits
from keras_dream.video.frames import Clip, Stamp

_BYTES_A_SECOND = 1_000_000
"""The time that a film may take grows with its file: this is one of 1080p in real
time."""

_LIBRARIES = 1 << 30
"""Bytes of address space that FFmpeg's, OpenCV's and their threads' own take."""


def survey(
    path: Path, *, selection: Mapping[str, str | None], limits: Limits, cuts: bool
) -> Clip:
    """Surveys a film in a child.

    Args:
        path: The file.
        selection: `start`, `end` and `every` of `open_source` as texts.
        limits: What it may have and take.
        cuts: As for `Source.survey`.

    Returns:
        What `Source.survey` returns.

    Raises:
        InputError: What `open_source` and `Source.survey` raise; or it took too long
            or too much memory, or crashed the child.
    """
    arguments = {"selection": dict(selection), "cuts": cuts}
    head, arrays = _answer("survey", path, arguments, limits)
    try:
        return _clip(head, arrays)
    except (ValueError, TypeError, LookupError, ArithmeticError) as failure:
        raise InputError(
            "a film must be whole",
            received=f"{short_repr(path.name)}, of which a survey is impossible",
            hint=UNTRUSTED_HINT,
        ) from failure


def check(path: Path, *, limits: Limits) -> None:
    """Opens a film in a child, up to its first frame; arguments as for `survey`.

    Raises:
        InputError: As for `survey`.
    """
    _answer("check", path, {}, limits)


def _answer(
    function: str, path: Path, arguments: dict[str, Any], limits: Limits
) -> tuple[dict[str, Any], list[Any]]:
    child = limits.child
    return isolation.call(
        f"keras_dream.video.child:{function}",
        path,
        {"limits": limits.model_dump_json(exclude={"untrusted"}), **arguments},
        limits=isolation.Limits(
            seconds=child.seconds + path.stat().st_size / _BYTES_A_SECOND,
            memory=child.memory + _LIBRARIES,
            answer=32 * limits.max_film_frames + (1 << 20),
        ),
        what="a film",
        error=InputError,
        hint=UNTRUSTED_HINT,
    )


def _clip(head: Mapping[str, Any], arrays: Sequence[np.ndarray]) -> Clip:
    """Returns the clip of an answer, which may be forged."""
    ticks, checks, cuts = (array.tolist() for array in arrays)
    height, width = (int(side) for side in head["size"])
    base = Fraction(head["time_base"])
    stamps = tuple(Stamp(start * base, time * base) for start, time in ticks)
    ordered = all(
        a.start < b.start and a.duration > 0 for a, b in itertools.pairwise(stamps)
    )
    is_cut = cuts[0] == 0 and cuts == sorted(set(cuts)) and cuts[-1] < len(stamps)
    if (
        not (ordered and is_cut and len(stamps) == len(checks))
        or stamps[0].start != 0
        or min(height, width, base, stamps[-1].duration) <= 0
    ):
        raise ValueError("an answer that is no clip")
    return Clip(
        name=str(head["name"]),
        sha256=str(head["sha256"]),
        size=(height, width),
        stamps=stamps,
        time_base=base,
        rate=Fraction(head["rate"]),
        cuts=tuple(cuts),
        bits=int(head["bits"]),
        has_alpha=bool(head["has_alpha"]),
        has_sound=bool(head["has_sound"]),
        notices=tuple(str(notice) for notice in head["notices"]),
        origin=Fraction(head["origin"]),
        begin=Fraction(head["begin"]),
        checks=tuple(checks),
    )
