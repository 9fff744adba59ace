"""`dream replay`: a saved dream is made again and compared with the saved one."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from keras_dream.cli.dream_run import Outcome, Request, run_dream
from keras_dream.cli.network_files import consent
from keras_dream.cli.options import (
    File,
    Json,
    Models,
    Named,
    Out,
    Quiet,
    RunFlags,
    Trust,
    Weights,
    Yes,
)
from keras_dream.cli.reporters import reporter_for
from keras_dream.cli.reporters.base import Reporter
from keras_dream.errors import PictureError, SettingError, short_repr
from keras_dream.events import Compared, Notice
from keras_dream.pictures import deepzoom
from keras_dream.recipe.recipe import RunSettings

if TYPE_CHECKING:
    from keras_dream.engine.result import Record
    from keras_dream.replay import Saved


DIFFERENT = 3
"""The exit code of a quiet replay whose dream is not the saved one. Not 1, which means
that there is no dream; and only with `--quiet`, because a dream that differs a little
is expected on another machine."""


def replay(
    picture: str,
    /,
    *,
    source: File = None,
    out: Out = None,
    weights: Weights = (),
    file: Named = (),
    network: Models = (),
    trust_model: Trust = False,
    yes: Yes = False,
    quiet: Quiet = False,
    json: Json = False,
    run: RunFlags = None,
) -> int:
    """Make a saved dream again and compare the two.

    The recorded run settings are used. With the same versions, processor and
    weights the new file equals the saved one; otherwise the two look alike.

    Args:
        picture: a picture that keras-dream saved
        source: the photo that was dreamed [default: by its name, beside PICTURE]
        out: the result [default: a new name beside PICTURE]
        weights: a weights file for the network; with several networks NETWORK=FILE
        file: a file that the recipe names, such as a guide [default: beside PICTURE]
        network: the .keras file that was used [default: beside PICTURE or in the cache]
        trust_model: open a .keras file; only for files from authors you trust
        yes: allow a dream that may take hours, and downloads
        quiet: print only the path of the result; the exit code is 3 if it differs
        json: print JSON on standard output, one event a line
        run: replaces recorded run settings
    """
    from keras_dream.replay import find_files, find_models, find_source, read_saved
    from keras_dream.zoo import user_models

    saved = read_saved(picture)
    _check_comparable(picture)
    names = user_models.files_of(saved.recipe)
    models = find_models(saved, names, files=network, trusted=trust_model)
    settings, notices = run_settings(saved, run)
    reporter = reporter_for(quiet=quiet, json=json)
    comparison = _Comparison(saved, notices)
    request = Request(
        photo=str(find_source(saved, photo=source)),
        recipe=saved.recipe,
        strip=saved.record.stripped,
        run=settings,
        out=None if out is None else str(_result(saved, out)),
        beside=saved.path,
        weights=weights,
        models=models,
        files=find_files(saved, named=file),
        before_download=None if yes else consent([]),
        trust_model=trust_model,
        yes=yes,
        most_steps=saved.steps_made,
        notices=comparison.before,
    )
    return comparison.exit_code(run_dream(request, reporter), reporter, quiet=quiet)


def _check_comparable(picture: str) -> None:
    from keras_dream.replay import film_record

    if film_record(picture) is not None:
        raise PictureError(
            "A dream that is made again must be one picture, to be compared",
            received=f"{short_repr(picture)}, a film",
            hint=f"dream its recipe: `dream video IN --recipe {shlex.quote(picture)}`",
        )
    if Path(picture).suffix.lower() in deepzoom.SUFFIXES:
        raise PictureError(
            "A dream that is made again must be one picture, to be compared",
            received=f"{short_repr(picture)}, a deep zoom",
            hint=f"dream its recipe: `dream PHOTO --recipe {shlex.quote(picture)}`",
        )


class _Comparison:
    """Compares a saved dream with the one that is made again."""

    def __init__(self, saved: "Saved", notices: tuple[str, ...]):
        self._saved = saved
        self._notices = notices
        self._different: tuple[str, ...] = ()

    def before(self, now: "Record") -> list[str]:
        """Returns the notices before the first step."""
        from keras_dream.replay import differences

        self._different = differences(self._saved.record, now)
        return [*self._notices, _expectation(self._different)]

    def exit_code(self, outcome: Outcome, reporter: Reporter, *, quiet: bool) -> int:
        """Reports whether the two are equal, unless it was stopped."""
        from keras_dream.replay import differences, is_equal

        if outcome.dream is None or outcome.stopped:
            return outcome.exit_code
        equal = is_equal(outcome.dream, self._saved)
        for more in differences(self._saved.record, outcome.dream.record):
            if not equal and more not in self._different:
                reporter.report(Notice(f"This run had {more}."))
        reporter.report(Compared(equal, expected=not self._different))
        return outcome.exit_code if equal or not quiet else DIFFERENT


def _result(saved: "Saved", out: str) -> Path:
    """Returns the path of the result, which does not replace the saved picture."""
    from keras_dream.files import check_not_same

    path = Path(out)
    check_not_same(path, saved.path, what="A dream made again", instead="the saved one")
    return path


def run_settings(
    saved: "Saved", flags: RunSettings | None
) -> tuple[RunSettings, tuple[str, ...]]:
    """Returns the recorded run settings that this machine can use, and notices."""
    from keras_dream.backend import load as backends
    from keras_dream.replay import recorded_run

    recorded, notices = recorded_run(saved.record.run)
    settings = flags.over(recorded) if flags is not None else recorded
    try:
        backends.load(settings.backend, device=settings.device)
    except SettingError as error:
        own = flags or RunSettings()
        if own.model_fields_set & {"backend", "device"}:
            raise  # the user's own options, not the recorded ones
        settings = settings.but(backend=None, device=None, threads=None)
        notices = (*notices, f"The recorded run settings cannot be used here: {error}")
    return settings, notices


def _expectation(different: tuple[str, ...]) -> str:
    if different:
        return f"An equal picture cannot be expected: {', '.join(different)}."
    return (
        "An equal picture can be expected: versions, processor, weights and run "
        "settings are the recorded ones."
    )
