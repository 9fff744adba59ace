"""`dream explain`: what a network responds to in a photo, as a page and as JSON."""

import contextlib
import json as json_text
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.options import (
    OUTPUT,
    File,
    Out,
    Patterns,
    Photo,
    Quiet,
    RunFlags,
    Switch,
    Trust,
    split,
)
from keras_dream.cli.output import plain, table, write_stderr, write_stdout
from keras_dream.cli.reporters import reporter_for
from keras_dream.errors import PictureError, WeightsError
from keras_dream.events import Loading, Notice
from keras_dream.recipe.recipe import RunSettings

if TYPE_CHECKING:
    from keras_dream.explanations.explain import Explanation

JsonOrFile = Annotated[
    bool | str,
    Parameter(negative=(), show_default=False, group=OUTPUT, metavar="[FILE]"),
]


def explain(
    photo: Photo,
    /,
    *,
    network: Annotated[str, Parameter(metavar="NAME")] = "motif",
    layers: Patterns = (),
    top: int = 6,
    classes: Switch = False,
    out: Out = None,
    weights: File = None,
    trust_model: Trust = False,
    preprocessing: Annotated[str | None, Parameter(metavar="NAME")] = None,
    quiet: Quiet = False,
    json: JsonOrFile = False,
    run: RunFlags = None,
) -> int:
    """Show which layers and channels respond most to a photo, and where.

    A channel's score is how many standard deviations its response is above its
    mean on other pictures, so that channels of different layers can be
    compared. Without --layers the last layer of each block is shown.

    dream PHOTO --objective 'mixed4:strongest(8)' dreams the strongest channels.

    Args:
        photo: a picture, as for `dream PHOTO`
        network: a network's name, or a .keras file
        layers: parts of names, or patterns such as "mixed*", with commas between
        top: how many channels of each layer
        classes: also show classes whose classifier must be downloaded
        out: the page of heat maps, .png, .jpg, .webp or .tif [default: PHOTO-seen.png]
        weights: a weights file for the network
        trust_model: open a .keras file; only for files from authors you trust
        preprocessing: of a .keras file: tf, caffe, torch, 0-1 or 0-255
        quiet: print only the paths of the results
        json: print JSON, and save no page without --out; with FILE save the JSON there
        run: every run setting
    """
    _check(photo, weights)
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
    with contextlib.ExitStack() as names:
        paths = _outputs(names, photo, out, json)
        explanation = _explained(photo, asked, quiet=quiet or json is True)
        written = _write(explanation, *paths)
    if json is True:
        write_stdout(json_text.dumps(explanation.data(), indent=2))
    elif not quiet:
        write_stderr(_summary(explanation))
    for path in written:  # standard output has JSON or paths
        (write_stderr if json is True else write_stdout)(str(path))
    return 0


def _explained(photo: str, asked: dict[str, Any], *, quiet: bool) -> "Explanation":
    """Returns the explanation, and reports what happens."""
    from keras_dream.explanations.explain import explain as explanation_of

    with reporter_for(quiet=quiet, json=False) as reporter:
        reporter.report(Loading(asked["network"]))
        explanation = explanation_of(photo, **asked, progress=reporter.download)
        for notice in explanation.notices:
            reporter.report(Notice(notice))
    return explanation


def _check(photo: str, weights: str | None) -> None:
    """Checks whatever needs no loading."""
    from keras_dream.files import check_file

    check_file(photo, "A picture", error=PictureError)
    if weights is not None:
        check_file(weights, "A weights file", error=WeightsError)


def _outputs(
    names: contextlib.ExitStack, photo: str, out: str | None, json: bool | str
) -> tuple[Path | None, Path | None]:
    """Returns the paths of the page and of the JSON; None for what is not written.

    The page's name is kept for it as long as `names` is open.
    """
    from keras_dream.claims import claim
    from keras_dream.files import check_not_same, check_output, default_output
    from keras_dream.pictures.encoding import SUFFIXES

    page = data = None
    if out is not None or json is not True:
        chosen = default_output(photo, word="seen") if out is None else out
        page = check_output(chosen, SUFFIXES)
    if isinstance(json, str):
        data = check_output(json, (".json",))
    if page is not None:
        check_not_same(page, photo, what="A page", instead="its own photo")
        page = names.enter_context(claim(page, exact=out is not None)).path
    return page, data


def _write(
    explanation: "Explanation", page: Path | None, data: Path | None
) -> list[Path]:
    """Writes what was asked for; returns the paths."""
    from keras_dream.files import write_atomically

    if page is not None:
        explanation.save(page)
    if data is not None:
        text = json_text.dumps(explanation.data(), indent=2) + "\n"
        write_atomically(data, text.encode())
    return [path for path in (page, data) if path is not None]


def _summary(explanation: "Explanation") -> str:
    """Returns the strongest channels as a table, and the classes above it."""
    rows = [
        (
            plain(channel.title),
            f"{channel.score:+.1f}",
            f"{100 * channel.area:.0f} %",
            f"{channel.peak[1]}, {channel.peak[0]}",
        )
        for channel in explanation.strongest()
    ]
    text = table(("strongest", "score", "area", "peak at"), rows)
    if explanation.classes:
        named = (
            f"{plain(score.name)} {100 * score.probability:.0f} %"
            for score in explanation.classes
        )
        text = f"classes: {', '.join(named)}\n{text}"
    return text
