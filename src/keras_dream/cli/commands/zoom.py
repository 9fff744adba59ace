"""`dream zoom PHOTO -o OUT`: the endless zoom into a dream of one picture."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from keras_dream.cli.network_files import consent, recipe_settings
from keras_dream.cli.options import (
    FILES,
    OUTPUT,
    CameraFlags,
    FadeFlags,
    FilmFlags,
    Json,
    Named,
    Out,
    Photo,
    Preset,
    Quiet,
    RecipeFile,
    RecipeFlags,
    RunFlags,
    Switch,
    Trust,
    Weights,
    Yes,
    ZoomFlags,
)
from keras_dream.cli.picture_film_run import ZoomRequest
from keras_dream.cli.reporters import reporter_for
from keras_dream.cli.video_run import run_video
from keras_dream.recipe.camera import CameraSettings
from keras_dream.recipe.recipe import RunSettings
from keras_dream.recipe.video import VideoSettings

_FILM = FilmFlags()
_FADE = FadeFlags()


def zoom(
    photo: Photo,
    /,
    *,
    out: Out = None,
    film: FilmFlags = _FILM,
    sound: Annotated[str | None, Parameter(group=FILES, metavar="FILE")] = None,
    fade: FadeFlags = _FADE,
    fresh: Annotated[Switch, Parameter(group=FILES)] = False,
    preview: Annotated[Switch, Parameter(group=OUTPUT)] = False,
    weights: Weights = (),
    file: Named = (),
    trust_model: Trust = False,
    notes: Annotated[bool, Parameter(group=FILES)] = True,
    yes: Yes = False,
    quiet: Quiet = False,
    json: Json = False,
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
    Ctrl-C, a failure or a power cut: the frames that are done are kept in a hidden
    folder beside the result until that is saved. It needs PyAV and OpenCV, which
    `pip install 'keras-dream[video]'` installs.

    Args:
        photo: a photo, or a source without one, such as noise:640x480
        out: a .mp4, .webm, .mov, .mkv, .gif or .webp file, or a folder of pictures
            [default: PHOTO-dream.mp4]
        film: how the film is written
        fade: another recipe into which it fades
        sound: a file whose sound the film has
        fresh: dream again what an earlier run has dreamed
        preview: dream only the first second, at a quarter of the size, into
            OUT-preview, and say how long the whole takes
        weights: a weights file for the network
        file: a file that the recipe names, such as a guide, if it is not beside it
        trust_model: open a .keras file; only for files from authors you trust
        notes: save the recipe and the record in the film's metadata
        yes: replace the result; allow films of hours, and downloads for --recipe alone
        quiet: print only the path of the result
        json: print JSON on standard output, one event a line
        preset: the recipe to start from, see `dream presets`
        recipe: a .json file, or a dreamed picture or film; goes over the preset
        camera: how the camera moves
        video_of: how many steps a frame has
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    base, models = preset_of(preset), dict[str, str | Path]()
    over, own = recipe_settings(recipe, flags, models, trusted=trust_model)
    whole = over.over(base)
    seen, below = whole.camera or CameraSettings(), whole.video or VideoSettings()
    whole = whole.but(
        camera=seen if camera is None else camera.over(seen),
        video=below if video_of is None else video_of.over(below),
    )
    request = ZoomRequest(
        source=photo,
        recipe=fade.put_on(whole, own, base),
        run=run or RunSettings(),
        out=out,
        encoding=film.encoding(),
        sound=sound,
        fresh=fresh,
        preview=preview,
        weights=weights,
        notes=notes,
        yes=yes,
        models=models,
        files=file,
        beside=(recipe or "", fade.path),
        before_download=None if yes else consent([own.over(base)]),
        trust_model=trust_model,
    )
    return run_video(request, reporter_for(quiet=quiet, json=json))
