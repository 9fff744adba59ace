"""Weights files: looked for, checked against their hashes, else downloaded."""

from collections.abc import Sequence
from pathlib import Path

from keras_dream.errors import WeightsError
from keras_dream.files import check_file
from keras_dream.weights import cache
from keras_dream.weights.download import download
from keras_dream.weights.source import (
    BeforeDownload,
    Mismatch,
    Progress,
    Source,
    downloads_allowed,
    fitting,
    folders,
    places,
)
from keras_dream.weights.verify import Check, LocalFile, check


def find(sources: Sequence[Source], *, classifier: bool = False) -> Path | None:
    """Returns the weights on this machine, or None; their hash is not checked.

    A file with the classifier serves where none is wanted, too.
    """
    return next((path for _, path in places(fitting(sources, classifier))), None)


def locate(
    name: str,
    sources: Sequence[Source],
    *,
    classifier: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
    before_download: BeforeDownload | None = None,
) -> LocalFile:
    """Returns a network's weights file, downloading it where that is allowed.

    A file of a wrong hash is never used. In Keras' own folder, where an interrupted
    download is common, it is passed over; elsewhere it is an error, and in our cache it
    is set aside.

    Args:
        name: The network, for messages.
        sources: Its published files.
        classifier: Whether class scores will be asked for.
        offline: Never download; so does the environment's `KERAS_DREAM_OFFLINE`.
        progress: Called with the bytes so far and in all of a download.
        before_download: Called before anything is downloaded; it may raise.

    Raises:
        WeightsError: If the weights are not here and may not be had, or are damaged.
        DownloadError, SaveError: If a download fails.
        OutputError: If our cache takes no files, or others can write to it.
    """
    cache.check_home()
    wanted = fitting(sources, classifier)
    passed_over = ""
    for source, path in places(wanted):
        result = _checked(path, source)
        wrong = result.mismatch
        if wrong is None:
            return LocalFile(path, result.sha256, source)
        if path.parent != folders()[-1]:
            raise _wrong(path, wrong, result.aside)
        passed_over = f", but for {path} with {wrong.received} instead of {wrong.must}"
    chosen = next((source for source in wanted if source.url), None)
    if chosen is None or not downloads_allowed(offline=offline):
        raise _missing(name, wanted, passed_over)
    if before_download is not None:
        before_download(name, chosen, classifier)
    return download(name, chosen, progress=progress)


def _checked(path: Path, source: Source) -> Check:
    try:
        return check(path, source)
    except OSError:
        check_file(path, "A weights file", error=WeightsError)
        raise


def _wrong(path: Path, wrong: Mismatch, aside: Path | None) -> WeightsError:
    """Returns the sentence on a file of a wrong hash."""
    return WeightsError(
        f"The weights file {path} must have {wrong.must}",
        received=wrong.received + (f", kept aside as {aside}" if aside else ""),
        hint="fetch or import it again"
        if aside
        else "move the file away and fetch it again",
    )


def _missing(name: str, wanted: Sequence[Source], passed_over: str) -> WeightsError:
    """Returns the sentence for weights that are not here and may not be fetched."""
    if not wanted:
        return WeightsError(
            f"The classes of {name} must come from a weights file of yours, since none "
            "that has them is published",
            received=f"none given{passed_over}",
            hint="give one with --weights FILE, or dream a layer instead",
        )
    names = " or ".join(source.file for source in wanted)
    where = ", ".join(map(str, folders()))
    can_download = any(source.url for source in wanted)
    page = next((source.page for source in wanted if source.page), None)
    by_hand = "bring the file with `dream weights import FILE`"
    if page and not can_download:
        by_hand = f"get it from {page}, then `dream weights import FILE`"
    return WeightsError(
        f"The weights of {name} must be on this machine"
        if can_download
        else f"The weights of {name} must be given as a file",
        received=f"none called {names} in {where}{passed_over}",
        hint=f"go online once, or {by_hand}" if can_download else by_hand,
    )
