"""`dream video IN -o OUT`: a film that is dreamed frame by frame without flicker."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.network_files import consent, recipe_settings
from keras_dream.cli.options import (
    FILES,
    FadeFlags,
    FilmFileFlags,
    FilmFlags,
    Out,
    Preset,
    Preview,
    RecipeFile,
    RecipeFlags,
    RunFlags,
    Switch,
    VideoFlags,
)
from keras_dream.cli.reporters import reporter_for
from keras_dream.cli.video_run import Request, run_video
from keras_dream.recipe.recipe import RunSettings
from keras_dream.recipe.video import VideoSettings

_TIME = "TIME"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ClipFlags:
    """What of the source is used, with which sound, and by how many processes."""

    start: Annotated[
        str | None,
        Parameter(
            name="--from",
            group=FILES,
            metavar=_TIME,
            help="begin there: 12.5s, 0:12.5, 1:02:03",
        ),
    ] = None
    end: Annotated[
        str | None,
        Parameter(name="--to", group=FILES, metavar=_TIME, help="end before it"),
    ] = None
    every: Annotated[
        int, Parameter(group=FILES, help="dream every second, third … frame only")
    ] = 1
    fps: Annotated[
        float | None,
        Parameter(
            group=FILES,
            help="frames a second of a folder of pictures [default: 25]",
        ),
    ] = None
    sound: Annotated[
        str | None,
        Parameter(
            group=FILES,
            metavar="FILE",
            help="a file whose sound the film has, in place of the source's own",
        ),
    ] = None
    no_sound: Annotated[Switch, Parameter(group=FILES, help="leave the sound out")] = (
        False
    )

    workers: Annotated[
        int | None,
        Parameter(
            group=FILES,
            metavar="NUMBER",
            help="how many processes dream, scene by scene or block by block; it does "
            "not change the pixels [default: as many as the machine has room for]",
        ),
    ] = None

    @property
    def options(self) -> dict[str, Any]:
        """Those that a request has under the same names."""
        names = ("start", "end", "every", "fps", "sound", "workers")
        return {name: getattr(self, name) for name in names}


_CLIP = ClipFlags()
_FILM = FilmFlags()
_FADE = FadeFlags()
_FILES = FilmFileFlags()


def video(
    source: Annotated[str, Parameter(name="IN", group=FILES)],
    /,
    *,
    out: Out = None,
    clip: ClipFlags = _CLIP,
    film: FilmFlags = _FILM,
    fade: FadeFlags = _FADE,
    files: FilmFileFlags = _FILES,
    preview: Preview = False,
    preset: Preset = "default",
    recipe: RecipeFile = None,
    video_of: VideoFlags = None,
    flags: RecipeFlags = None,
    run: RunFlags = None,
) -> int:
    """Dream a film, so that the dream moves with what is filmed and does not flicker.

    dream video clip.mp4

    Each frame begins with what the one before it dreamed, moved along the optical
    flow. Times and sound stay those of the source. The same command goes on after
    Ctrl-C or a crash: frames that are done are kept in a hidden folder beside the
    result. It needs the extra: `pip install 'keras-dream[video]'`.

    Args:
        source: a video file, a folder of numbered pictures, or an animated GIF or WebP
        out: a .mp4, .webm, .mov, .mkv, .gif or .webp file, or a folder of pictures
            [default: IN-dream.mp4, or as IN is]
        clip: what of it is used
        film: how the film is written
        fade: another recipe into which it fades
        files: what is read, kept and shown
        preview: dream only the first second, small
        preset: the recipe to start from, see `dream presets`
        recipe: a .json file, or a dreamed picture or film; goes over the preset
        video_of: every setting of a film
        flags: every setting of the recipe
        run: every run setting
    """
    from keras_dream.recipe.presets import preset as preset_of

    base, models = preset_of(preset), dict[str, str | Path]()
    over, own = recipe_settings(recipe, flags, models, trusted=files.trust_model)
    whole, settings = over.over(base), video_of or VideoSettings()
    whole = whole.but(video=settings.over(whole.video or VideoSettings()))
    request = Request(
        source=source,
        recipe=fade.put_on(whole, own, base),
        run=run or RunSettings(),
        out=out,
        encoding=film.encoding(sound=not clip.no_sound),
        models=models,
        beside=(recipe or "", fade.path),
        before_download=None if files.yes else consent([own.over(base)]),
        preview=preview,
        **clip.options,
        **files.options,
    )
    return run_video(request, reporter_for(quiet=files.quiet, json=files.json))
