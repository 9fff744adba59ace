"""Weights: found, downloaded once with their hash, and read into Keras models."""

import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_dream.errors import WeightsError, shown
from keras_dream.files import check_file, sha256_file

TIMEOUT = 30  # seconds without a byte before a download is given up
CHUNK = 1 << 20

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all if known


@dataclass(frozen=True)
class Source:
    """A published weights file.

    Every hash that is stated is checked, before a file is used for the first time.

    Attributes:
        file: Its name in the cache, and in Keras' own.
        md5: The md5 that its publisher states, or None.
        url: Where it is published; None where only a file given by hand serves.
        classifier: Whether it holds the dense classifier.
        sha256: The sha256 that its publisher states, or None; better than md5.
        page: Where a person gets it, for a file without `url`, or None.
    """

    file: str
    md5: str | None = None
    url: str | None = None
    classifier: bool = False
    sha256: str | None = None
    page: str | None = None

    def __post_init__(self) -> None:
        if self.url is not None and not (self.md5 or self.sha256):
            raise ValueError(f"a download must have a published hash: {self.file}")


def home() -> Path:
    """Returns the folder of cached weights: `KERAS_DREAM_HOME`, else the user's."""
    import platformdirs

    given = os.environ.get("KERAS_DREAM_HOME")
    return Path(given) if given else platformdirs.user_cache_path("keras-dream")


def folders() -> list[Path]:
    """Returns where weights are looked for, in this order.

    `KERAS_DREAM_WEIGHTS` (a folder of the user's), our cache, and Keras' own.
    """
    keras_home = os.environ.get("KERAS_HOME")
    keras = Path(keras_home) if keras_home else Path.home() / ".keras"
    given = os.environ.get("KERAS_DREAM_WEIGHTS")
    return [*([Path(given)] if given else []), home(), keras / "models"]


def find(sources: Sequence[Source], classifier: bool = False) -> Path | None:
    """Returns the weights that are here already, or None.

    A file with the classifier serves where none is wanted, too.
    """
    fitting = sorted(sources, key=lambda s: s.classifier)
    for source in (s for s in fitting if s.classifier or not classifier):
        for folder in folders():
            if (folder / source.file).is_file():
                return folder / source.file
    return None


def locate(
    name: str,
    sources: Sequence[Source],
    classifier: bool = False,
    offline: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Returns a network's weights file, downloading it where that is allowed.

    Args:
        name: The network, for messages.
        sources: Its published files.
        classifier: Whether class scores will be asked for.
        offline: Never download; so does the environment's `KERAS_DREAM_OFFLINE`.
        progress: Told how the download goes.

    Raises:
        WeightsError: If the weights are not here and cannot be had, or are damaged.
    """
    found = find(sources, classifier)
    if found is not None:
        source = next(s for s in sources if s.file == found.name)
        _verify(found, source)
        return found
    fitting = [s for s in sources if s.classifier == classifier and s.url]
    offline = offline or os.environ.get("KERAS_DREAM_OFFLINE", "0") not in ("", "0")
    if offline or not fitting:
        names = " or ".join(s.file for s in sources if s.classifier or not classifier)
        searched = ", ".join(str(folder) for folder in folders())
        raise WeightsError(
            f"The weights of {name} must be on this machine"
            if offline
            else f"The weights of {name} must be given as a file",
            received=f"none {f'called {names}' if names else 'with classes'} in "
            f"{searched}",
            attempt="go online once, or give the file with --weights FILE"
            if fitting
            else "give the file with --weights FILE",
        )
    return _download(name, fitting[0], progress)


def _verify(path: Path, source: Source) -> None:
    """Makes sure of a file's hash: once by the publisher's, then by our sha256."""
    sha256 = sha256_of(path)
    manifest = _manifest()
    if manifest.get(source.file) == sha256:
        return
    md5 = _md5(path)
    if md5 != source.md5:
        raise WeightsError(
            f"The weights file {path} must have the published md5 {source.md5}",
            received=md5,
            attempt="move the file away and fetch it again",
        )
    _remember(source.file, sha256)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _manifest() -> dict[str, str]:
    try:
        manifest = json.loads((home() / "sha256.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # no manifest yet, or a broken one: hashes are checked again
    return manifest if isinstance(manifest, dict) else {}


def _remember(name: str, sha256: str) -> None:
    from keras_dream.errors import DreamError
    from keras_dream.files import write_atomically

    try:
        home().mkdir(parents=True, exist_ok=True)
        text = json.dumps({**_manifest(), name: sha256}, indent=1, sort_keys=True)
        write_atomically(home() / "sha256.json", text.encode())
    except (OSError, DreamError):
        return  # a cache that cannot be written only costs another check


def _download(name: str, source: Source, progress: Progress | None) -> Path:
    target = home() / source.file
    part = target.with_name(f".{source.file}.{os.getpid()}.part")
    try:
        home().mkdir(parents=True, exist_ok=True)
        _fetch(str(source.url), part, progress)
        _verify_download(name, part, source)
        part.replace(target)
    except (
        urllib.error.URLError,
        ConnectionError,
        TimeoutError,
        http.client.HTTPException,
    ) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        raise WeightsError(
            f"The weights of {name} must be downloadable from {source.url}",
            received=shown(
                str(getattr(error, "reason", error) or type(error).__name__)
            ),
            attempt="check the connection, or give the file with --weights FILE",
        ) from None
    except OSError as error:
        raise WeightsError(
            f"The weights cache {home()} must be writable",
            received=error.strerror or str(error),
            attempt="set KERAS_DREAM_HOME to a folder with room, or use --weights FILE",
        ) from None
    finally:
        part.unlink(missing_ok=True)
    return target


def _fetch(url: str, path: Path, progress: Progress | None) -> None:
    with (
        urllib.request.urlopen(url, timeout=TIMEOUT) as answer,
        path.open("wb") as file,
    ):
        length = answer.headers.get("Content-Length")
        total = int(length) if length and length.isdecimal() else None
        done = 0
        while chunk := _read(answer):
            file.write(chunk)
            done += len(chunk)
            if progress is not None:
                progress(done, total)
        if total is not None and done != total:
            raise ConnectionError(f"it ended after {done} of {total} bytes")


def _read(answer: Any) -> bytes:
    try:
        return answer.read(CHUNK)
    # TLS' errors are OSErrors, too, and not those of the cache's disk.
    except (OSError, http.client.HTTPException) as error:
        raise ConnectionError(str(error) or type(error).__name__) from None


def _verify_download(name: str, path: Path, source: Source) -> None:
    md5 = _md5(path)
    if md5 == source.md5:
        _remember(source.file, sha256_of(path))
        return
    aside = home() / f"{source.file}.wrong-{md5[:8]}"
    path.replace(aside)
    raise WeightsError(
        f"The weights of {name} must have the md5 {source.md5}",
        received=f"a download with {md5}, kept as {aside}",
        attempt="try again later, or give the file with --weights FILE",
    )


def sha256_of(path: Path) -> str:
    """Returns the sha256 of a weights file.

    Raises:
        WeightsError: If there is no such file, or none that can be read.
    """
    return sha256_file(check_file(path, "A weights file", error=WeightsError))
