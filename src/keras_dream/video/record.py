"""What happened in a film: the record that is saved with it.

It has no times and no absolute paths, so that films can be equal.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from keras_dream.engine.result import Record
from keras_dream.video.flicker import Flicker
from keras_dream.video.frames import Clip

_MOST_CUTS = 1_000  # a record stays under 64 KiB, as a picture's does
_MOST_NOTICES = 100


_KEPT = {
    *("versions", "processor", "network", "weights_sha256", "also", "run"),
    *("source", "source_sha256", "size"),
}
"""What a film's record has of a dream's."""


def film_record(
    dreamer: Record, clip: Clip, *, steps: int, notices: Sequence[str]
) -> dict[str, Any]:
    """Returns what happened in a film, as JSON types.

    Args:
        dreamer: The record of a dream before its first step: versions, networks, source
            and how it was computed.
        clip: The frames.
        steps: How many steps were made in all.
        notices: What a person should know.
    """
    return {
        **{name: value for name, value in dreamer.data().items() if name in _KEPT},
        "size": list(dreamer.size),
        "frames": len(clip.stamps),
        "seconds": str(clip.seconds),
        "rate": str(clip.rate),
        "steps": steps,
        "notices": list(notices[:_MOST_NOTICES]),
        "complete": True,
    }


def source_record(clip: Clip) -> dict[str, Any]:
    """Returns what the record of a dreamed video has of its source, as JSON types."""
    return {
        "source": clip.name,
        "source_sha256": clip.sha256,
        "size": list(clip.size),
        "constant_rate": len({s.duration for s in clip.stamps[:-1]}) < 2,
        "cuts": list(clip.cuts[:_MOST_CUTS]),
        "scenes": len(clip.cuts),
    }


def recorded_film(
    notes: Iterable[Iterable[tuple[Mapping[str, Any], float]]],
) -> tuple[int, Flicker, tuple[str, ...]]:
    """Returns the steps, the flicker and the notices of all frames.

    Args:
        notes: Of each frame those of the dreams that it is mixed of, with their shares.
            What was measured of these is mixed as they are.
    """
    steps, samples, notices = 0, list[list[float | None]](), dict[str, None]()
    for frame in notes:
        parts = list(frame)
        steps += sum(int(each["steps"]) for each, _ in parts)
        samples.append(_mixed([(each["sample"], share) for each, share in parts]))
        for each, _ in parts:
            notices.update(dict.fromkeys(map(str, each["notices"])))
    return steps, Flicker.of(samples), tuple(notices)


def _mixed(samples: list[tuple[list[float | None], float]]) -> list[float | None]:
    """Returns the mean of samples; of what one of them lacks, the other's."""
    if len(samples) == 1:
        return samples[0][0]
    mixed: list[float | None] = []
    for values in zip(*(sample for sample, _ in samples), strict=True):
        there = [
            (value, share)
            for value, (_, share) in zip(values, samples, strict=True)
            if value is not None
        ]
        whole = sum(share for _, share in there)
        mixed.append(sum(v * share for v, share in there) / whole if there else None)
    return mixed
