"""What the child does of a survey that is made apart: see `video.apart`."""

from collections.abc import Mapping
from fractions import Fraction

import numpy as np

from keras_dream import isolation
from keras_dream.pictures.limits import Limits
from keras_dream.video.source import open_source


def check(path: str, *, limits: str) -> isolation.Result:
    """Opens a film in this process, which is the child."""
    open_source(path, limits=Limits.read(limits))
    return {}, []


def survey(
    path: str, *, selection: Mapping[str, str | None], limits: str, cuts: bool
) -> isolation.Result:
    """Surveys a film in this process, which is the child."""
    end = selection["end"]
    clip = open_source(
        path,
        start=Fraction(selection["start"] or 0),
        end=None if end is None else Fraction(end),
        every=int(selection["every"] or 1),
        limits=Limits.read(limits),
    ).survey(cuts=cuts)
    ticks = [
        [round(time / clip.time_base) for time in (stamp.start, stamp.duration)]
        for stamp in clip.stamps
    ]
    names = ("name", "sha256", "size", "bits", "has_alpha", "has_sound", "notices")
    times = ("time_base", "rate", "origin", "begin")
    head = {name: getattr(clip, name) for name in names}
    head |= {name: str(getattr(clip, name)) for name in times}
    arrays = [
        np.array(ticks, np.int64),
        np.array(clip.checks, np.uint64),
        np.array(clip.cuts, np.int64),
    ]
    return head, arrays
