"""Where weights come from, and the folders in which they may be."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from keras_dream.errors import OutputError, short_repr

LARGEST = 2 << 30  # bytes; ConvNeXtXLarge's file, the largest published, has 1.4 GB

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all if known
BeforeDownload = Callable[[str, "Source", bool], None]
"""Called before a download with the network's name, the file and whether class scores
are wanted; it may raise."""


class Hashes(NamedTuple):
    """The hashes of a file, in hexadecimal."""

    sha256: str
    md5: str


class Mismatch(NamedTuple):
    """What a file is not that was published.

    Attributes:
        must: The published hash with its kind, or a size.
        received: The file's.
    """

    must: str
    received: str


@dataclass(frozen=True)
class Source:
    """A published weights file.

    Every published hash is checked before a file is used.

    Attributes:
        file: Its name in the cache, and in Keras' own.
        md5: The md5 that its publisher states, or None.
        url: Where it is published; None where only a file given by hand serves.
        classifier: Whether it holds the dense classifier.
        sha256: The sha256 that its publisher states, or None; better than md5.
        page: Where a person gets it, for a file without `url`, or None.
        size: Bytes, where they are stated anywhere.
    """

    file: str
    md5: str | None = None
    url: str | None = None
    classifier: bool = False
    sha256: str | None = None
    page: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.url is not None and not (self.md5 or self.sha256):
            raise ValueError(f"a download must have a published hash: {self.file}")

    def size_mismatch(self, size: int) -> Mismatch | None:
        """Returns why a file of a size need not be read; None where it must be."""
        if self.size not in (None, size):
            return Mismatch(f"the published size of {self.size:,} bytes", f"{size:,}")
        if size > LARGEST:
            return Mismatch(f"at most {LARGEST:,} bytes", f"{size:,}")
        return None

    def mismatch(self, hashes: Hashes) -> Mismatch | None:
        """Returns which published hash a file has not; None where it has all."""
        for kind in Hashes._fields:
            must, received = getattr(self, kind), getattr(hashes, kind)
            if must not in (None, received):
                return Mismatch(f"the published {kind} {must}", received)
        return None

    @property
    def publisher(self) -> str:
        """The host that publishes it; "a file of yours" where none is known."""
        where = self.url or self.page
        return (urlsplit(where).hostname or where) if where else "a file of yours"


def home() -> Path:
    """Returns the folder of cached weights: `KERAS_DREAM_HOME`, else the user's.

    A user without a home (in a container, a number without a name) has it among the
    temporary files, under the number.
    """
    import platformdirs

    if folder := os.environ.get("KERAS_DREAM_HOME"):
        return Path(folder)
    with contextlib.suppress(RuntimeError):  # of newer versions; older ones keep the ~
        own = platformdirs.user_cache_path("keras-dream")
        if own.is_absolute():
            return own
    return _temporary_home()


def _temporary_home() -> Path:
    """Returns a folder among the temporary files, if nobody else has made it."""
    folder = Path(tempfile.gettempdir()) / f"keras-dream-{os.getuid()}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700)
    with contextlib.suppress(FileNotFoundError):
        if folder.lstat().st_uid != os.getuid():  # a link is its maker's
            raise OutputError(
                "The weights cache must be the user's own folder",
                received=f"{short_repr(str(folder))}, which is another user's",
                hint="set KERAS_DREAM_HOME to a folder of yours",
            )
    return folder


def folders() -> list[Path]:
    """Returns where weights are looked for, in this order.

    `KERAS_DREAM_WEIGHTS` (a folder of the user's), our cache, and Keras' own. Only the
    second one is ever written to.
    """
    if keras_home := os.environ.get("KERAS_HOME"):
        keras = Path(keras_home)
    else:
        try:
            keras = Path.home() / ".keras"
        except RuntimeError:  # a user without a home
            keras = home() / ".keras"
    own = os.environ.get("KERAS_DREAM_WEIGHTS")
    return [*([Path(own)] if own else []), home(), keras / "models"]


def downloads_allowed(*, offline: bool = False) -> bool:
    """Tells whether anything may be downloaded.

    Args:
        offline: Whether the user forbids it; the environment's `KERAS_DREAM_OFFLINE`
            forbids it, too, unless it is empty, 0, false, no or off.
    """
    value = os.environ.get("KERAS_DREAM_OFFLINE", "").strip().casefold()
    return not offline and value in ("", "0", "false", "no", "off")


def fitting(sources: Sequence[Source], classifier: bool) -> list[Source]:
    """Returns the sources that serve, the smallest first.

    A file with the classifier serves where none is wanted, too.
    """
    chosen = [s for s in sources if s.classifier or not classifier]
    return sorted(chosen, key=lambda s: s.classifier)


def places(sources: Iterable[Source]) -> list[tuple[Source, Path]]:
    """Returns every file on this machine under a source's name, the best first."""
    return [
        (source, folder / source.file)
        for source in sources
        for folder in folders()
        # Not Path.is_file, which raises for a folder that may not be looked into.
        if os.path.isfile(folder / source.file)  # noqa: PTH113
    ]
