"""`dream mix`: a saved dream with other strengths and colours, without its network."""

from pathlib import Path
from typing import TYPE_CHECKING

from keras_dream.cli.dream_run import save_new
from keras_dream.cli.options import (
    File,
    Json,
    MixFlags,
    Named,
    Out,
    Strip,
    Yes,
)
from keras_dream.cli.reporters import reporter_for
from keras_dream.errors import OutputError, short_repr
from keras_dream.events import Saved

if TYPE_CHECKING:
    from keras_dream.engine.result import Dream


def mix(
    picture: str,
    /,
    *,
    out: Out = None,
    source: File = None,
    octaves: File = None,
    file: Named = (),
    strip: Strip = False,
    yes: Yes = False,
    json: Json = False,
    flags: MixFlags = None,
) -> int:
    """Mix a saved dream anew: strengths, colours, blend, in milliseconds.

    The picture must have been saved with --save-octaves. No network is loaded. The
    result has the recipe of the mix, so that `dream replay` makes it, too.

    Args:
        picture: a dream that was saved with --save-octaves
        out: the result, .png, .jpg, .webp, .tif or .exr [default: PICTURE-mix.png]
        source: the photo that was dreamed [default: by its name, beside PICTURE]
        octaves: what each octave added [default: PICTURE.octaves.npz, beside PICTURE]
        file: a file that the recipe names, such as a palette [default: beside PICTURE]
        strip: leave out the photo's camera, date and copyright; its place always is
        yes: replace the file that -o names
        json: print JSON on standard output, one event a line
        flags: settings of the mix; all others stay as they were
    """
    from keras_dream.claims import claim
    from keras_dream.files import check_not_same
    from keras_dream.mixing import Mixer

    path = _result(Path(picture), out, yes=yes)
    mixer = Mixer(picture, source=source, octaves=octaves, files=file)
    check_not_same(path, mixer.source, what="A result", instead="its own photo")
    names = () if flags is None else flags.model_fields_set
    with (
        claim(path, exact=out is not None) as claimed,
        reporter_for(quiet=not json, json=json) as reporter,
    ):
        dream = mixer.mix(**{name: getattr(flags, name) for name in names})
        stripped = strip or mixer.saved.record.stripped
        how = {"strip": stripped, "depth": _depth(dream, path)}
        replaces = out is not None and yes
        path = save_new(dream, claimed.path, **how, replaces=replaces)
        reporter.report(Saved(str(path), complete=dream.record.complete))
    return 0


def _depth(dream: "Dream", path: Path) -> str:
    """Returns the depth of the dream, where the format of its mix has it."""
    from keras_dream.pictures.encoding import depth_of

    depth = str(dream.record.run.get("depth", "auto"))
    try:
        depth_of(path.suffix, depth)
    except OutputError:
        return "auto"
    return depth


def _result(picture: Path, out: str | None, *, yes: bool) -> Path:
    """Returns the path of the result, which replaces nothing unasked."""
    from keras_dream.files import check_output, default_output
    from keras_dream.pictures.encoding import SUFFIXES

    if out is None:
        name = default_output(picture, suffix=picture.suffix, word="mix")
        return check_output(name, SUFFIXES)
    path = check_output(out, SUFFIXES)
    if path.exists() and (not yes or path.samefile(picture)):
        raise OutputError(
            "A mix must have a new name, or --yes to replace another picture",
            received=short_repr(out),
            hint="try another name",
        )
    return path
