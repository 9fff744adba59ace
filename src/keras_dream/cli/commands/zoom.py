"""`dream zoom PHOTO -o OUT`: the endless zoom into a dream of one picture."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.cli.network_files import consent, recipe_settings
from keras_dream.cli.options import (
    FILES,
    CameraFlags,
    FadeFlags,
    FilmFileFlags,
    FilmFlags,
    Out,
    Photo,
    Preset,
    Preview,
    RecipeFile,
    RecipeFlags,
    RunFlags,
    ZoomFlags,
)
from keras_dream.cli.picture_film_run import ZoomRequest
from keras_dream.cli.reporters import reporter_for
from keras_dream.cli.video_run import run_video
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.video import VideoSettings

_FILM = FilmFlags()
_FILES = FilmFileFlags()
_FADE = FadeFlags()


def zoom(
    photo: Photo,
    /,
    *,
    out: Out = None,
    film: FilmFlags = _FILM,
    sound: Annotated[str | None, Parameter(group=FILES, metavar="FILE")] = None,
    fade: FadeFlags = _FADE,
    files: FilmFileFlags = _FILES,
    preview: Preview = False,
    preset: Preset = "default",
    recipe: RecipeFile = None,
    camera: CameraFlags = None,
    video_of: ZoomFlags = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Film an endless zoom into the dream of a photo.

    dream zoom sky.jpg --seconds 20 --rate 1.02 --centre 0.4,0.6 --rotate 0.2

    Each frame is dreamed from the last one, as a camera sees it that has come nearer;
    with --loop the last frame leads into the first. The same command goes on after
    Ctrl-C or a crash: frames that are done are kept in a hidden folder beside the
    result. It needs the extra: `pip install 'keras-dream[video]'`.

    Args:
        photo: a photo, or a source without one, such as noise:640x480
        out: a .mp4, .webm, .mov, .mkv, .gif or .webp file, or a folder of pictures
            [default: PHOTO-dream.mp4]
        film: how the film is written
        fade: another recipe into which it fades
        sound: a file whose sound the film has
        files: what is read, kept and shown
        preview: dream only the first second, small
        preset: the recipe to start from, see `dream presets`
        recipe: a .json file, or a dreamed picture or film; goes over the preset
        camera: how the camera moves
        video_of: how many steps a frame has
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    base, models = preset_of(preset), dict[str, str | Path]()
    over, own = recipe_settings(recipe, flags, models, trusted=files.trust_model)
    request = ZoomRequest(
        source=photo,
        recipe=fade.put_on(_recipe(over.over(base), camera, video_of), own, base),
        run=run or RunSettings(),
        out=out,
        encoding=film.encoding(),
        sound=sound,
        models=models,
        beside=(recipe or "", fade.path),
        before_download=None if files.yes else consent([own.over(base)]),
        preview=preview,
        **files.options,
    )
    return run_video(request, reporter_for(quiet=files.quiet, json=files.json))


def _recipe(
    recipe: Recipe, camera: CameraSettings | None, video: VideoSettings | None
) -> Recipe:
    """Returns a recipe with settings of a camera and of a film."""
    seen, steps = camera or CameraSettings(), video or VideoSettings()
    return recipe.but(
        camera=seen.over(recipe.camera or CameraSettings()),
        video=steps.over(recipe.video or VideoSettings()),
    )
