"""`dream_video`: a film with one call."""

import os
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from keras_dream.pictures.limits import Limits, default_limits
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.settings import pop_keys
from keras_dream.recipe.video import VideoSettings
from keras_dream.video.run import VideoRun
from keras_dream.video.setup import Selection, Setup, choices
from keras_dream.video.sink import Encoding

StrPath = str | os.PathLike[str]


def dream_video(
    source: StrPath,
    out: StrPath,
    recipe: Recipe | str = "default",
    *,
    start: Fraction | float | str = 0,
    end: Fraction | float | str | None = None,
    every: int = 1,
    rate: Fraction | float | None = None,
    encoding: Encoding | None = None,
    sound: StrPath | None = None,
    files: Sequence[StrPath] = (),
    limits: Limits | None = None,
    notes: bool = True,
    workers: int | None = None,
    resume: bool = True,
    **settings: Any,
) -> VideoRun:
    """Dreams a video; what an earlier call has done of it is kept.

        kd.dream_video("sea.mp4", "dream.mp4", steps=10, carry=0.9).finish()

    A loop over its events that may end early wants `with kd.dream_video(...) as run`.

    Args:
        source: A video file, a folder of numbered pictures, a GIF or a WebP.
        out: The film; its suffix decides the format.
        recipe: A recipe or the name of a preset.
        start: Where it begins in the source: seconds, or text as in "0:12".
        end: Where it ends, likewise; None for the source's end.
        every: 2 for every second frame, and so on.
        rate: Frames a second of a folder of pictures; None for 25.
        encoding: How the film is saved, such as `kd.Encoding(quality=18)`.
        sound: A file whose sound the film has, in place of the source's own.
        files: As for `Dreamer`.
        limits: As for `Dreamer`.
        notes: Whether recipe and record are saved in the film.
        workers: How many processes dream: 1 is this one alone, None as many as the
            machine has room for. It does not change the pixels.
        resume: Whether to keep frames that are done; False dreams them again.
        **settings: As for `dream`, and those of a film, such as `carry`; `network` is
            one: a `Network`, a name or a model.

    Returns:
        An iterator of events, with `summary` and `close()`; `finish()` runs it to its
        end.

    Raises:
        InputError: If an argument is wrong, or the source cannot be read.
        DreamError: While it runs, if a frame cannot be dreamed; what is done is kept.
    """
    setup = Setup(
        os.fspath(source),
        selection=Selection.of(start, end, every, rate),
        files=tuple(os.fspath(path) for path in files),
        limits=limits or default_limits(),
        **_choices(recipe, settings),
    )
    how = {"encoding": encoding or Encoding(), "sound": sound, "workers": workers}
    return VideoRun(setup, out, resume=resume, notes=notes, **how)


def _choices(recipe: Recipe | str, settings: dict[str, Any]) -> dict[str, Any]:
    """Returns what keywords choose, as `choices`, with the settings of a film."""
    film = pop_keys(settings, VideoSettings.model_fields)
    chosen = choices(recipe, settings, more=[*VideoSettings.model_fields, "workers"])
    own: Recipe = chosen["recipe"]
    chosen["recipe"] = own.but(video=(own.video or VideoSettings()).but(**film))
    return chosen
