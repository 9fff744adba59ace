"""`dream flicker`: how much a film flickers, beside the source it was made of."""

import json as json_text
import math
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.options import Json, Quiet
from keras_dream.cli.output import table, write_stdout
from keras_dream.cli.reporters import reporter_for
from keras_dream.errors import InputError
from keras_dream.events import FilmProgress, Notice
from keras_dream.recipe.video import VideoSettings

if TYPE_CHECKING:
    from keras_dream.video.flicker import Flicker

_Time = Annotated[str | None, Parameter(metavar="TIME")]


def flicker(
    film: str,
    /,
    *,
    source: Annotated[str | None, Parameter(metavar="VIDEO")] = None,
    start: Annotated[str, Parameter(name="--from", metavar="TIME")] = "0",
    end: Annotated[_Time, Parameter(name="--to")] = None,
    every: int = 1,
    flow_size: int = VideoSettings().flow_size,
    quiet: Quiet = False,
    json: Json = False,
) -> int:
    """Measure how much a film flickers, beside the source it was made of.

    The warping error of Lai et al. 2018: the mean square by which a frame differs
    from the one before it, moved along the source's optical flow, where both show
    the same.

    Args:
        film: a dreamed film: a video, a GIF, a WebP or a folder of pictures
        source: what it was made of
        start: where the film begins in the source, such as 0:12
        end: where it ends
        every: 2 where the film has every second frame of the source, and so on
        flow_size: longest side in pixels at which the optical flow is computed
        quiet: print only the result
        json: print one JSON object, with every frame
    """
    from keras_dream.video.flicker import flicker as flicker_of

    if source is None:
        raise InputError(
            "A film must be measured beside what it was made of",
            received="no source",
            hint="add --source VIDEO",
        )
    with reporter_for(quiet=quiet or json, json=False) as reporter:
        measured = flicker_of(
            film,
            source=source,
            start=start,
            end=end,
            every=every,
            flow_size=flow_size,
            progress=lambda share: reporter.report(FilmProgress("measure", share)),
        )
        for notice in measured.notices:
            reporter.report(Notice(notice))
    if json:
        write_stdout(json_text.dumps(_data(measured)))
        return 0
    write_stdout(table(("", "warping error", ""), list(_rows(measured))))
    return 0


def _data(measured: "Flicker") -> dict[str, Any]:
    frames = [
        {"start": float(start), **one._asdict()}
        for start, one in zip(measured.starts, measured.samples, strict=True)
    ]
    return {**measured.data(), "notices": list(measured.notices), "frames": frames}


def _rows(measured: "Flicker") -> list[tuple[str, str, str]]:
    from keras_dream.recipe.times import time_text

    film, source, worst = measured.film, measured.source, measured.worst
    if film is None or source is None or worst is None:
        return [("film", "none", "no frame can be compared with the one before it")]
    error, at = measured.errors[worst] or 0.0, time_text(measured.starts[worst])
    times = film / source if source else math.inf
    times = f"{times:{',.0f' if times >= 100 else '.3g'}} times the source's own"
    frames = f"{measured.compared} of {len(measured.samples)} frames"
    return [
        ("film", f"{film:.3g}", times if source else ""),
        ("source", f"{source:.3g}", ""),
        ("worst", f"{error:.3g}", f"frame {worst} at {at}"),
        ("compared", "", f"{frames}, {measured.visible:.0%} of their pixels"),
        ("mean", "", f"drifts by at most {measured.mean_drift:.2%}"),
        ("contrast", "", f"drifts by at most {measured.contrast_drift:.2%}"),
    ]
