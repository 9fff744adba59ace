"""`dream_zoom` and `dream_film`: films from one picture with one call each."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_dream.pictures.limits import Limits, default_limits
from keras_dream.pictures.sources import is_source
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.recipe import Recipe
from keras_dream.recipe.settings import pop_keys
from keras_dream.recipe.video import ZOOM_SETTINGS, VideoSettings
from keras_dream.video.film import FPS, HOLD, FilmRun
from keras_dream.video.from_picture import PictureSetup
from keras_dream.video.setup import choices
from keras_dream.video.sink import DEFAULT, Encoding
from keras_dream.video.zoom import ZoomRun

if TYPE_CHECKING:
    from keras_dream.dreamer.dreamer import Photo

StrPath = str | os.PathLike[str]


def dream_zoom(
    photo: "Photo",
    out: StrPath,
    recipe: Recipe | str = "default",
    *,
    encoding: Encoding = DEFAULT,
    sound: StrPath | None = None,
    files: Sequence[StrPath] = (),
    limits: Limits | None = None,
    notes: bool = True,
    resume: bool = True,
    **settings: Any,
) -> ZoomRun:
    """Dreams the endless zoom into a picture; what an earlier call has done is kept.

        kd.dream_zoom("sky.jpg", "sky.mp4", seconds=20, rate=1.02, loop=True).finish()

    A loop over its events that may end early wants `with kd.dream_zoom(...) as run`.
    Each frame is dreamed from the last one, as a camera sees it that has come `rate`
    times nearer, with `later_steps` in each octave. A frame takes as long as any other.

    Args:
        photo: As for `Dreamer.steps`; its transparency is left out.
        out: The film; its suffix decides the format.
        recipe: A recipe or the name of a preset.
        encoding: How the film is saved, such as `kd.Encoding(quality=18)`.
        sound: A file whose sound the film has.
        files: As for `Dreamer`.
        limits: As for `Dreamer`.
        notes: Whether recipe and record are saved in the film.
        resume: Whether to keep frames that are done; False dreams them again.
        **settings: As for `dream`; those of the camera, such as `rate` and `seconds`;
            and of those of a film `first_steps`, `later_steps` and `lock`, which holds
            contrast and colours.

    Returns:
        An iterator of events, with `summary` and `close()`; `finish()` runs it to its
        end.

    Raises:
        InputError: If an argument is wrong, or the photo cannot be read.
        DreamError: While it runs, if a frame cannot be dreamed; what is done is kept.
    """
    camera = pop_keys(settings, CameraSettings.model_fields)
    video = pop_keys(settings, ZOOM_SETTINGS)
    more = [*CameraSettings.model_fields, *ZOOM_SETTINGS]
    chosen = choices(recipe, settings, more=more)
    own: Recipe = chosen["recipe"]
    chosen["recipe"] = own.but(
        camera=(own.camera or CameraSettings()).but(**camera),
        video=(own.video or VideoSettings()).but(**video),
    )
    setup = _setup(photo, chosen, files, limits)
    return ZoomRun(
        setup, out, encoding=encoding, sound=sound, resume=resume, notes=notes
    )


def dream_film(
    photo: "Photo",
    out: StrPath,
    recipe: Recipe | str = "default",
    *,
    fps: float = FPS,
    hold: float = HOLD,
    encoding: Encoding = DEFAULT,
    sound: StrPath | None = None,
    files: Sequence[StrPath] = (),
    limits: Limits | None = None,
    notes: bool = True,
    resume: bool = True,
    **settings: Any,
) -> FilmRun:
    """Films how a picture is dreamed: every step, octave by octave.

        kd.dream_film("sky.jpg", "sky-film.mp4", steps=10).finish()

    The first frame is the photo, and the last one the dream that `dream` makes.

    Args:
        photo: As for `Dreamer.steps`.
        out: The film; its suffix decides the format.
        recipe: A recipe or the name of a preset.
        fps: Frames a second: steps shown in a second.
        hold: Seconds for which the first and the last frame are shown in addition.
        encoding: As for `dream_zoom`.
        sound: As for `dream_zoom`.
        files: As for `Dreamer`.
        limits: As for `Dreamer`.
        notes: As for `dream_zoom`.
        resume: As for `dream_zoom`.
        **settings: As for `dream`.

    Returns:
        As for `dream_zoom`.

    Raises:
        InputError, DreamError: As for `dream_zoom`.
    """
    setup = _setup(photo, choices(recipe, settings), files, limits)
    return FilmRun(
        setup,
        out,
        fps=fps,
        hold=hold,
        encoding=encoding,
        sound=sound,
        resume=resume,
        notes=notes,
    )


def _setup(
    photo: "Photo",
    chosen: dict[str, Any],
    files: Sequence[StrPath],
    limits: Limits | None,
) -> PictureSetup:
    """Returns what a film is made from and by."""
    folders: list[str] = []
    if isinstance(photo, str | os.PathLike) and not is_source(os.fspath(photo)):
        folders = [str(Path(photo).parent)]
    return PictureSetup(
        source=photo,
        files=[os.fspath(path) for path in files],
        folders=folders,
        limits=limits or default_limits(),
        **chosen,
    )
