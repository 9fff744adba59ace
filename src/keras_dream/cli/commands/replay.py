"""Saved dreams: what they are made of, and making them again."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from keras_dream.cli.commands.dream import (
    FILES,
    File,
    Job,
    Json,
    Out,
    Outcome,
    Quiet,
    RunFlags,
    Switch,
    Weights,
    Yes,
    carry_out,
)
from keras_dream.cli.options import Models, Trust, consent
from keras_dream.cli.output import plain, table, write_stdout
from keras_dream.cli.reporters.telling import Teller, teller
from keras_dream.errors import OutputError, SettingError, short_repr
from keras_dream.recipe.recipe import RunSettings

if TYPE_CHECKING:
    from keras_dream.engine.result import Record
    from keras_dream.replay import Saved


DIFFERENT = 3
"""The exit code of a quiet replay whose dream is not the saved one. Not 1, which means
that there is no dream; and only where nothing else tells, since a dream that is alike
is what another machine is expected to make."""


def show(picture: str, /, *, json: Switch = False) -> int:
    """Show the recipe and the record of a saved dream, or what a sheet is.

    Args:
        picture: a picture that keras-dream saved
        json: print all as one JSON object
    """
    from keras_dream.recipe.recipe import canonical_json
    from keras_dream.replay import read_saved
    from keras_dream.sheets.work import read_about

    about = read_about(picture)
    if about is not None:
        write_stdout(canonical_json(about) if json else _sheet_text(about))
        return 0
    saved = read_saved(picture)
    recipe, record = saved.recipe.model_dump(mode="json"), saved.record.data()
    if json:
        write_stdout(canonical_json({"recipe": recipe, "record": record}))
        return 0
    more: list[tuple[str, str]] = []
    rows: list[tuple[str, str]] = []
    for name, value in recipe.items():
        rows += more if name == "also" else [(name, _text(value))]
    write_stdout(table(("recipe", ""), rows))
    write_stdout("")
    write_stdout(table(("record", ""), list(_record_rows(saved.record))))
    return 0


def replay(
    picture: str,
    /,
    *,
    source: File = None,
    out: Out = None,
    weights: Weights = (),
    network: Models = (),
    trust_model: Annotated[Trust, Parameter(group=FILES)] = False,
    yes: Yes = False,
    quiet: Quiet = False,
    json: Json = False,
    run: RunFlags = None,
) -> int:
    """Make a saved dream again, and tell whether it is the same.

    The recorded run settings are applied. The same versions, processor,
    weights and run settings give the same file; others a dream alike. Told to
    be quiet, it tells by the exit code: 0 if the two are equal, 3 if not.

    Args:
        picture: a picture that keras-dream saved
        source: the photo it was made of; else looked for beside the picture
        out: where the result goes; else beside the picture
        weights: a weights file for the network; NETWORK=FILE for one of several
        network: the model file of a dream of your own model; else looked for beside
            the picture and in the cache
        trust_model: open that file, which builds whatever its author wrote into it
        yes: begin even what may take hours, or a download
        quiet: tell nothing but the path of the result; exit with 3 if it differs
        json: tell in JSON on standard output, one event a line
        run: run settings that go over the recorded ones
    """
    from keras_dream.replay import find_models, find_source, read_saved
    from keras_dream.zoo import user_models

    saved = read_saved(picture)
    models = find_models(
        saved, user_models.files_of(saved.recipe), network, trusted=trust_model
    )
    settings, notices = _run_settings(saved, run)
    told = teller(quiet=quiet, json=json)
    comparison = _Comparison(saved, notices)
    job = Job(
        photo=str(find_source(saved, source)),
        recipe=saved.recipe,
        run=settings,
        out=str(_result(saved, out)),
        weights=weights,
        models=models,
        before_download=None if yes else consent([]),
        trust_model=trust_model,
        yes=yes,
        most_steps=saved.steps_made,
        before=comparison.before,
    )
    outcome = carry_out(job, told)
    equal = comparison.after(outcome, told)
    return DIFFERENT if quiet and equal is False else outcome.exit_code


class _Comparison:
    """What a saved dream is compared in with the one that is made again."""

    def __init__(self, saved: "Saved", notices: tuple[str, ...]):
        self._saved = saved
        self._notices = notices
        self._different: tuple[str, ...] = ()

    def before(self, now: "Record") -> list[str]:
        """Returns what a person should know before the first step."""
        from keras_dream.replay import differences

        self._different = differences(self._saved.record, now)
        return [*self._notices, _expectation(self._different)]

    def after(self, outcome: Outcome, told: Teller) -> bool | None:
        """Tells whether the two are equal; returns None if nothing can be compared."""
        from keras_dream.replay import differences, is_equal

        if outcome.dream is None or outcome.stopped:
            return None
        equal = is_equal(outcome.dream, self._saved)
        for more in differences(self._saved.record, outcome.dream.record):
            if not equal and more not in self._different:
                told.notice(f"This time there were {more}.")
        told.compared(equal, expected=not self._different)
        return equal


def _result(saved: "Saved", out: str | None) -> Path:
    """Returns where a dream made again goes: not onto what it is compared with."""
    from keras_dream.files import default_output

    if out is None:
        return default_output(saved.path, saved.path.suffix)
    path = Path(out)
    if path.exists() and path.samefile(saved.path):
        raise OutputError(
            "A dream made again must not replace the saved one",
            received=short_repr(out),
            hint="try another name",
        )
    return path


def _run_settings(
    saved: "Saved", flags: RunSettings | None
) -> tuple[RunSettings, tuple[str, ...]]:
    """Returns the recorded run settings as far as this machine has them."""
    from keras_dream.backend import load as backends
    from keras_dream.replay import recorded_run

    recorded, notices = recorded_run(saved.record)
    settings = flags.over(recorded) if flags is not None else recorded
    try:
        backends.load(settings.backend, device=settings.device)
    except SettingError as error:
        here = flags or RunSettings()
        if here.model_fields_set & {"backend", "device"}:
            raise  # asked for by name, not by the record
        settings = settings.but(backend=None, device=None, threads=None)
        notices = (*notices, f"The recorded run settings are not here: {error}")
    return settings, notices


def _expectation(different: tuple[str, ...]) -> str:
    if different:
        return f"An equal picture cannot be expected: {', '.join(different)}."
    return (
        "An equal picture can be expected: versions, processor, weights and run "
        "settings are the recorded ones."
    )


def _sheet_text(about: "Mapping[str, Any]") -> str:
    """Returns a sheet's description as tables; a stranger may have written it."""
    ((kind, facts),) = about.items()
    recipe = facts.pop("recipe", None)
    cells = facts.pop("cells", None)
    facts["cells"] = len(cells) if isinstance(cells, list) else cells
    rows = [(plain(name), plain(_json(value))) for name, value in facts.items()]
    text = table((kind, ""), rows)
    if isinstance(recipe, dict):
        common = [(plain(name), plain(_json(value))) for name, value in recipe.items()]
        text += "\n\n" + table(("recipe", ""), common)
    return text


def _json(value: object) -> str:
    from keras_dream.recipe.recipe import canonical_json

    return value if isinstance(value, str) else canonical_json(value)


def _record_rows(record: "Record") -> Iterator[tuple[str, str]]:
    yield "source", plain(record.source) or "a picture without a name"
    yield "source_sha256", plain(record.source_sha256)
    yield "size", f"{record.size[1]} × {record.size[0]} pixels"
    yield "network", plain(record.network)
    yield "weights_sha256", plain(record.weights_sha256)
    for network, sha256 in record.also.items():
        yield "also", f"{plain(network)}, weights {plain(sha256)}"
    for network, meant in record.strongest.items():
        for text, channels in meant.items():
            numbers = ", ".join(map(str, channels))
            yield plain(text), f"of {plain(network)} meant {numbers}"
    for name, value in (*record.run.items(), *record.versions.items()):
        yield plain(name), _text(value)
    yield "processor", plain(record.processor)
    for octave, losses in record.losses.items():
        if losses:
            yield (
                f"octave {plain(octave)}",
                f"loss {losses[0]:.4g} to {losses[-1]:.4g}, {len(losses)} kept",
            )
    for notice in record.notices:
        yield "notice", plain(notice)
    yield "complete", "yes" if record.complete else "no, it was stopped"


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else plain(str(value))
