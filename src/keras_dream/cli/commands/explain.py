"""`dream explain`: what a network sees in a photo, as a page and as JSON."""

import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.commands.dream import (
    FILES,
    TELLING,
    File,
    Out,
    Quiet,
    RunFlags,
    Switch,
)
from keras_dream.cli.options import Trust
from keras_dream.cli.output import plain, table, write_stderr, write_stdout
from keras_dream.cli.reporters.telling import teller
from keras_dream.errors import OutputError, PictureError, WeightsError, short_repr
from keras_dream.recipe.recipe import RunSettings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keras_dream.explanations.explain import Explanation

Patterns = Annotated[
    tuple[str, ...], Parameter(negative=(), show_default=False, metavar="PATTERN")
]
JsonOrFile = Annotated[
    bool | str,
    Parameter(negative=(), show_default=False, group=TELLING, metavar="[FILE]"),
]


def explain(
    photo: Annotated[str, Parameter(group=FILES)],
    /,
    *,
    network: Annotated[str, Parameter(metavar="NAME")] = "motif",
    layers: Patterns = (),
    top: int = 6,
    classes: Switch = False,
    out: Out = None,
    weights: File = None,
    trust_model: Annotated[Trust, Parameter(group=FILES)] = False,
    preprocessing: Annotated[str | None, Parameter(metavar="NAME")] = None,
    quiet: Quiet = False,
    json: JsonOrFile = False,
    run: RunFlags = None,
) -> int:
    """Show which layers and channels respond most to a photo, and where.

    Scores are z-scores: standard deviations above a channel's mean on pictures
    of noise and discs, so that channels of different layers can be compared.
    Without --layers the ends of the network's blocks are shown. The strongest
    channels of a layer can be dreamed: dream PHOTO --objective 'mixed4:strongest(8)'.

    Args:
        photo: a picture, as for `dream PHOTO`
        network: the network that looks, by its name or as a .keras file
        layers: parts of layer names, or names with * and ?, with commas between
        top: how many channels of each layer
        classes: fetch a classifier that is published in a file of its own, too
        out: the page of heat maps, .png, .jpg, .webp or .tif; else PHOTO-seen.png
        weights: a weights file for the network
        trust_model: open a .keras file, which builds whatever its author wrote into it
        preprocessing: tf, caffe, torch, 0-1 or 0-255: what a model of your own expects
        quiet: tell nothing but the paths of what was written
        json: give JSON, and no page unless --out is given; with a name, to that file
        run: every run setting
    """
    _check(photo, weights)
    paths = _outputs(photo, out, json)
    asked = {
        "network": network,
        "layers": split(layers),
        "top": top,
        "classifier": classes,
        "weights": weights,
        "trust_model": trust_model,
        "preprocessing": preprocessing,
        "run": run or RunSettings(),
    }
    found = _explained(photo, asked, quiet=quiet or json is True)
    if not quiet and json is not True:
        write_stderr(_summary(found))
    if json is True:
        write_stdout(json_text.dumps(found.data(), indent=2))
    for path in _write(found, *paths):
        # JSON on standard output stays JSON alone.
        (write_stderr if json is True else write_stdout)(str(path))
    return 0


def _explained(photo: str, asked: dict[str, Any], *, quiet: bool) -> "Explanation":
    """Returns the explanation, telling how it goes."""
    from keras_dream.explanations.explain import explain as explanation_of

    told = teller(quiet=quiet, json=False)
    with told:
        told.loading(asked["network"])
        found = explanation_of(photo, **asked, progress=told.download)
        for notice in found.notices:
            told.notice(notice)
    return found


def split(patterns: "Sequence[str]") -> list[str]:
    """Returns patterns one by one, which may have been given with commas between."""
    every = [part.strip() for pattern in patterns for part in pattern.split(",")]
    return [part for part in every if part]


def _check(photo: str, weights: str | None) -> None:
    """Makes sure of what is cheap to look at."""
    from keras_dream.files import check_file

    check_file(photo, "A picture", error=PictureError)
    if weights is not None:
        check_file(weights, "A weights file", error=WeightsError)


def _outputs(
    photo: str, out: str | None, json: bool | str
) -> tuple[Path | None, Path | None]:
    """Returns where the page and the JSON go; None for what is not written."""
    from keras_dream.files import check_output, default_output
    from keras_dream.pictures.encoding import SUFFIXES

    page = data = None
    if out is not None or json is not True:
        chosen = default_output(photo, word="seen") if out is None else out
        page = check_output(chosen, SUFFIXES)
    if isinstance(json, str):
        data = check_output(json, (".json",))
    if page is not None and page.exists() and page.samefile(photo):
        raise OutputError(
            "A page must not replace its own photo",
            received=short_repr(str(page)),
            hint="try another name",
        )
    return page, data


def _write(found: "Explanation", page: Path | None, data: Path | None) -> list[Path]:
    """Writes what was asked for; returns the paths."""
    from keras_dream.files import write_atomically

    if page is not None:
        found.save(page)
    if data is not None:
        text = json_text.dumps(found.data(), indent=2) + "\n"
        write_atomically(data, text.encode())
    return [path for path in (page, data) if path is not None]


def _summary(found: "Explanation") -> str:
    """Returns the strongest channels as a table, and the classes above it."""
    rows = [
        (
            plain(channel.title),
            f"{channel.score:+.1f}",
            f"{100 * channel.area:.0f} %",
            f"{channel.peak[1]}, {channel.peak[0]}",
        )
        for channel in found.strongest()
    ]
    text = table(("strongest", "score", "area", "peak at"), rows)
    if found.classes:
        named = (
            f"{plain(score.name)} {100 * score.probability:.0f} %"
            for score in found.classes
        )
        text = f"classes: {', '.join(named)}\n{text}"
    return text
