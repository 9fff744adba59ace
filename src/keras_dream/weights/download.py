"""Fetches a weights file: resumed, bounded, locked, checked, and landed by rename.

What has come so far lies in `.NAME.part` beside where the file will be, with a note of
what it is a part of. It stays after every failure, so that the next run goes on.
"""

import contextlib
import os
import time
from pathlib import Path

from keras_dream.errors import (
    DownloadError,
    DreamError,
    OutputError,
    SaveError,
    short_repr,
)
from keras_dream.files import FULL
from keras_dream.weights import cache as manifest
from keras_dream.weights.source import Progress, Source, home
from keras_dream.weights.transfer import Part, Transfer, TransferError
from keras_dream.weights.verify import LocalFile, examine, hashes_of, keep, set_aside

ATTEMPTS = 5  # in a row, as long as each of them brings some bytes
PAUSE = 1.0  # seconds before the second attempt; longer before each later one


def download(name: str, source: Source, progress: Progress | None = None) -> LocalFile:
    """Fetches a published file into our cache, unless somebody just has.

    Args:
        name: The network, for messages.
        source: The file; it has a `url`.
        progress: Told bytes so far, and bytes in all where they are known; also while
            another process fetches the same file.

    Raises:
        DownloadError: If it cannot be had, or is not what was published.
        SaveError: If the disk is full.
        OutputError: If the cache takes no files.
    """
    target = home() / source.file
    part = Part(target)

    def waiting() -> None:
        if progress is not None:
            progress(part.size(), None)

    try:
        home().mkdir(parents=True, exist_ok=True)
        with manifest.locked(target, waiting=waiting):
            return _land(name, source, target, part, progress)
    except OSError as error:
        raise cache_error(name, error) from None


def cache_error(name: str, error: OSError) -> DreamError:
    """Returns the sentence for a cache that takes no file.

    Args:
        name: The network whose weights it should take.
        error: What the system said.
    """
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    if error.errno in FULL:
        return SaveError(
            f"The disk must have room for the weights of {name}",
            received=f"{reason!r} for {short_repr(str(home()))}",
            hint="free some space, or set KERAS_DREAM_HOME to a folder with room; "
            "the same command goes on from there",
        )
    return OutputError(
        "The weights cache must be a folder that takes files",
        received=f"{short_repr(str(home()))} ({reason})",
        hint="set KERAS_DREAM_HOME to another folder, or give a file with "
        "--weights FILE",
    )


def _land(
    name: str, source: Source, target: Path, part: Part, progress: Progress | None
) -> LocalFile:
    """Fetches and checks, under the lock; whoever had it before may have done so."""
    if target.is_file():
        verdict = examine(target, source)
        if not verdict.received:
            return LocalFile(target, verdict.sha256)
        set_aside(target, verdict.sha256)
    resumed = _fetch(name, source, part, progress)
    found = hashes_of(part.path)
    if resumed and not source.fits(*found):
        # The older bytes may be another version's, or a power cut's: once more, whole.
        part.drop()
        _fetch(name, source, part, progress)
        found = hashes_of(part.path)
    if not source.fits(*found):
        raise _wrong(name, source, part, found)
    part.path.replace(target)
    part.drop()
    return keep(target, source, found)


def _wrong(
    name: str, source: Source, part: Part, found: tuple[str, str]
) -> DownloadError:
    sha256, md5 = found
    is_sha = source.sha256 not in (None, sha256)
    kind, must, received = (
        ("sha256", source.sha256, sha256) if is_sha else ("md5", source.md5, md5)
    )
    aside = home() / f"{source.file}.bad-{sha256[:8]}"
    part.path.replace(aside)
    part.drop()
    return DownloadError(
        f"The weights of {name} must have the published {kind} {must}",
        received=f"a download with {received} from {source.url}, kept as {aside}",
        hint="try again later, or bring the file with `dream weights import FILE`",
    )


def _fetch(name: str, source: Source, part: Part, progress: Progress | None) -> bool:
    """Fetches all bytes, in as many attempts as bring something.

    Returns:
        Whether some of them were there before this run, or came in another attempt.
    """
    if part.validator(str(source.url)) is None:
        part.drop()  # of another address, or nobody knows of which
    resumed = part.size() > 0
    transfer = Transfer(str(source.url), part, progress)
    best = part.size()
    for attempt in range(ATTEMPTS):
        try:
            transfer.run()
        except TransferError as lost:
            if part.size() <= best or attempt + 1 == ATTEMPTS:
                raise _lost(name, source, part, lost) from None
            best, resumed = part.size(), True
            time.sleep(PAUSE * (attempt + 1))
        else:
            break
    with part.path.open("rb+") as file, contextlib.suppress(OSError):
        os.fsync(file.fileno())
    return resumed


def _lost(name: str, source: Source, part: Part, lost: TransferError) -> DownloadError:
    size = part.size()
    if not size:
        part.drop()
    kept = f"; {size / 1e6:.1f} MB are kept and the same command goes on from there"
    return DownloadError(
        f"The weights of {name} must be downloadable from {source.url}",
        received=short_repr(str(lost)),
        hint="check the connection, or bring the file with `dream weights import "
        "FILE`" + (kept if size else ""),
    )
