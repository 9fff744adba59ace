"""`dream film PHOTO -o OUT`: how a picture is dreamed, step by step."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.cli.network_files import consent, recipe_settings
from keras_dream.cli.options import (
    FILES,
    FilmFileFlags,
    FilmFlags,
    Out,
    Photo,
    Preset,
    RecipeFile,
    RecipeFlags,
    RunFlags,
)
from keras_dream.cli.picture_film_run import FilmRequest
from keras_dream.cli.reporters import reporter_for
from keras_dream.cli.video_run import run_video
from keras_dream.recipe.recipe import RunSettings

_FILM = FilmFlags()
_FILES = FilmFileFlags()


def film(
    photo: Photo,
    /,
    *,
    out: Out = None,
    fps: Annotated[float, Parameter(group=FILES)] = 12.0,
    hold: Annotated[float, Parameter(group=FILES)] = 1.0,
    written: FilmFlags = _FILM,
    sound: Annotated[str | None, Parameter(group=FILES, metavar="FILE")] = None,
    files: FilmFileFlags = _FILES,
    preset: Preset = "default",
    recipe: RecipeFile = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Film how a photo is dreamed: every step, octave by octave.

    dream film sky.jpg

    The first frame is the photo, and the last one the picture that `dream sky.jpg`
    makes. The same command goes on after Ctrl-C, a failure or a power cut. It needs
    PyAV and OpenCV, which `pip install 'keras-dream[video]'` installs.

    Args:
        photo: a photo, or a source without one, such as noise:640x480
        out: a .mp4, .webm, .mov, .mkv, .gif or .webp file, or a folder of pictures
            [default: PHOTO-dream.mp4]
        fps: how many steps are shown in a second
        hold: for how many seconds the first and the last frame stay, in addition
        written: how the film is written
        sound: a file whose sound the film has
        files: what is read, kept and shown
        preset: the recipe to start from, see `dream presets`
        recipe: a .json file, or a dreamed picture or film; goes over the preset
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    base, models = preset_of(preset), dict[str, str | Path]()
    over, own = recipe_settings(recipe, flags, models, trusted=files.trust_model)
    request = FilmRequest(
        source=photo,
        recipe=over.over(base),
        run=run or RunSettings(),
        out=out,
        rate=fps,
        hold=hold,
        encoding=written.encoding(),
        sound=sound,
        models=models,
        beside=(recipe or "",),
        before_download=None if files.yes else consent([own.over(base)]),
        **files.options,
    )
    return run_video(request, reporter_for(quiet=files.quiet, json=files.json))
