"""`batch`: many pictures with one call."""

import dataclasses
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_dream.batches.inputs import Tasks, check_photo, is_folder
from keras_dream.batches.naming import DEFAULT, Template
from keras_dream.batches.plan import Planner, Wanted
from keras_dream.batches.run import BatchRun, told_apart
from keras_dream.batches.watch import Watch
from keras_dream.dreamer.dreamer import check_settings
from keras_dream.errors import NetworkError
from keras_dream.recipe.recipe import Recipe, RunSettings
from keras_dream.recipe.settings import pop_keys
from keras_dream.zoo.network import Network, as_networks

StrPath = str | os.PathLike[str]


def batch(
    photos: StrPath | Sequence[StrPath],
    out: StrPath,
    recipe: Recipe | str = "default",
    *,
    name: str = DEFAULT,
    files: Sequence[StrPath] = (),
    strip: bool = False,
    workers: int | None = None,
    resume: bool = True,
    retry_failed: bool = False,
    skip_existing: bool = False,
    replace: bool = False,
    watch: bool = False,
    **settings: Any,
) -> BatchRun:
    """Dreams many pictures into a folder; what an earlier call has done is kept.

        kd.batch("holiday", "dreams", steps=10).finish()

    A loop over its events that may end early wants `with kd.batch(...) as run`.

    Args:
        photos: A folder, a file, a pattern such as "holiday/*.jpg", a source without a
            photo, a manifest (.csv, .jsonl) with recipes, or a list of these.
        out: The folder of the results, which is created; a journal in it remembers.
        recipe: A recipe or the name of a preset.
        name: The template of the results' names, such as "{stem}-{seed}.jpg".
        files: As for `Dreamer`.
        strip: As for `Dream.save`.
        workers: How many processes dream: 1 is this one alone, None as many as the
            machine has room for. It does not change the pixels.
        resume: Whether to keep what is done; False dreams it again.
        retry_failed: Whether to try pictures again that failed in an earlier call.
        skip_existing: Whether to leave out pictures with results, whoever made them.
        replace: Whether to replace files that this batch did not write.
        watch: Whether to wait for photos, for the first one before this returns, and
            for more when all are done, until a `break` or Ctrl-C.
        **settings: As for `dream`; `network` is one: a `Network`, a name or a model.

    Returns:
        An iterator of events, with `summary` and `close()`; `finish()` runs it to its
        end. A picture that cannot be dreamed is an event, and ends nothing.

    Raises:
        InputError: If an argument is wrong, no photo of those named exists, or two
            results would have one name.
        JobsError: If another process runs a batch into the folder.
        DreamError: While it runs, for what every other picture would meet, too.
    """
    options = {"strip": strip, "workers": workers, "resume": resume}
    options |= {"retry_failed": retry_failed, "skip_existing": skip_existing}
    several = not isinstance(photos, str | os.PathLike)
    inputs = _texts(photos if several else [photos])
    template = Template(name)
    wanted = Wanted(inputs, Path(out), template=template, files=_texts(files))
    options["replace"] = replace
    return _run(wanted, recipe, settings, watch=watch, **options)


def _run(
    wanted: Wanted,
    recipe: Recipe | str,
    settings: dict[str, Any],
    *,
    watch: bool,
    **options: Any,
) -> BatchRun:
    run = RunSettings.of(pop_keys(settings, RunSettings.model_fields))
    networks = _networks(settings)
    check_settings(settings, more=[*RunSettings.model_fields, "workers"])
    wanted = dataclasses.replace(
        wanted,
        flags=Recipe().but(**settings),
        # A recipe has all its settings, of which no preset may set one.
        file=Recipe() if isinstance(recipe, str) else Recipe.of(dict(recipe)),
        preset=recipe if isinstance(recipe, str) else "default",
        models=[network.name for network in networks],
    )
    planner = Planner(wanted, watching=watch)
    more = Watch(planner) if watch else None
    planned = Tasks(tuple(more()), files=planner.files) if more else planner.plan()
    if not planned.tasks:  # nothing to dream: a name that was given and is none
        for text in wanted.inputs:
            if not is_folder(text):
                check_photo(text)
    return BatchRun(
        planned.tasks,
        wanted.folder,
        run=run,
        networks=networks,
        files=planned.files,
        refused=planned.refused,
        more=more,
        about=told_apart(wanted.inputs, wanted.folder, name=wanted.template.text),
        **options,
    )


def _texts(paths: Sequence[StrPath]) -> list[str]:
    return [os.fspath(path) for path in paths]


def _networks(settings: dict[str, Any]) -> tuple[Network, ...]:
    """Returns the network of the settings, which then have its name."""
    network = settings.get("network")
    networks = () if network is None else as_networks(network)
    if len(networks) > 1:
        raise NetworkError(
            "A batch must have one network, and others in its objective",
            received=", ".join(network.name for network in networks),
            hint="write objective='mixed4; 0.5*squeezenet: fire6'",
        )
    if networks:
        settings["network"] = networks[0].name
    return networks
