"""Weights: found where they may be, checked against their hash, else downloaded."""

from collections.abc import Sequence
from pathlib import Path

from keras_dream.errors import WeightsError
from keras_dream.files import check_file
from keras_dream.weights import cache as manifest
from keras_dream.weights.download import download
from keras_dream.weights.source import (
    BeforeDownload,
    Progress,
    Source,
    downloads_allowed,
    fitting,
    folders,
    home,
    places,
)
from keras_dream.weights.verify import LocalFile, Verdict, judge, sha256_of

__all__ = [
    "BeforeDownload",
    "LocalFile",
    "Progress",
    "Source",
    "find",
    "folders",
    "home",
    "known_sha256",
    "locate",
    "sha256_of",
]


def find(sources: Sequence[Source], classifier: bool = False) -> Path | None:
    """Returns the weights that are here already, or None; their hash is not checked.

    A file with the classifier serves where none is wanted, too.
    """
    return next((path for _, path in places(fitting(sources, classifier))), None)


def known_sha256(sources: Sequence[Source], classifier: bool = False) -> str | None:
    """Returns the hash that the file found first had when it was last looked at."""
    chosen = next((s for s, _ in places(fitting(sources, classifier))), None)
    known = manifest.read().get(chosen.file, {}) if chosen is not None else {}
    return known.get("sha256")


def locate(
    name: str,
    sources: Sequence[Source],
    classifier: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
    before_download: BeforeDownload | None = None,
) -> LocalFile:
    """Returns a network's weights file, downloading it where that is allowed.

    A file of a wrong hash is never used. In Keras' own folder it is passed over, where
    an interrupted download is common; elsewhere it is named, and in our cache it is set
    aside.

    Args:
        name: The network, for messages.
        sources: Its published files.
        classifier: Whether class scores will be asked for.
        offline: Never download; so does the environment's `KERAS_DREAM_OFFLINE`.
        progress: Told how the download goes.
        before_download: Asked before anything is downloaded; it may raise.

    Raises:
        WeightsError: If the weights are not here and may not be had, or are damaged.
        DownloadError, SaveError, OutputError: If a download fails.
    """
    wanted = fitting(sources, classifier)
    passed_over = ""
    for source, path in places(wanted):
        verdict, aside = _judged(path, source)
        if not verdict.received:
            return LocalFile(path, verdict.sha256)
        if path.parent != folders()[-1]:
            raise _wrong(path, verdict, aside)
        passed_over = (
            f", but for {path} with {verdict.received} instead of {verdict.must}"
        )
    chosen = next((source for source in wanted if source.url), None)
    if chosen is None or not downloads_allowed(offline):
        raise _missing(name, wanted, passed_over)
    if before_download is not None:
        before_download(name, chosen, classifier)
    return download(name, chosen, progress)


def _wrong(path: Path, verdict: Verdict, aside: Path | None) -> WeightsError:
    """Returns the sentence that names a file of a wrong hash."""
    return WeightsError(
        f"The weights file {path} must have {verdict.must}",
        received=verdict.received + (f", kept aside as {aside}" if aside else ""),
        hint="fetch or import it again"
        if aside
        else "move the file away and fetch it again",
    )


def _judged(path: Path, source: Source) -> tuple[Verdict, Path | None]:
    try:
        return judge(path, source)
    except OSError:
        check_file(path, "A weights file", error=WeightsError)
        raise


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
    can_dial = any(source.url for source in wanted)
    page = next((source.page for source in wanted if source.page), None)
    by_hand = "bring the file with `dream weights import FILE`"
    if page and not can_dial:
        by_hand = f"get it from {page}, then `dream weights import FILE`"
    return WeightsError(
        f"The weights of {name} must be on this machine"
        if can_dial
        else f"The weights of {name} must be given as a file",
        received=f"none called {names} in {where}{passed_over}",
        hint=f"go online once, or {by_hand}" if can_dial else by_hand,
    )
