"""Weights: found, downloaded once with their hash, and read into Keras models."""

import contextlib
import hashlib
import http.client
import json
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from keras_dream.errors import WeightsError, shown
from keras_dream.files import check_file, sha256_file

TIMEOUT = 30  # seconds without a byte before a download is given up
CHUNK = 1 << 20
LARGEST_ARRAY = 1 << 31  # bytes; no published layer comes near it, a forged one may

Progress = Callable[[int, int | None], None]  # bytes so far, bytes in all if known


@dataclass(frozen=True)
class Source:
    """A published weights file.

    Attributes:
        file: Its name in the cache, and in Keras' own.
        md5: What its publisher states; the sha256 is kept when it is first seen.
        url: Where it is published; None where only a file given by hand serves.
        classifier: Whether it holds the dense classifier.
    """

    file: str
    md5: str
    url: str | None = None
    classifier: bool = False


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


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Opens an HDF5 file; whatever its damage makes h5py raise becomes one sentence."""
    import h5py

    check_file(path, "A weights file", error=WeightsError)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except WeightsError:
        raise
    except (AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
        raise _damaged(
            path, "which is no HDF5 file laid out as one, or is damaged"
        ) from None


def _damaged(path: Path, what: str) -> WeightsError:
    return WeightsError(
        "A weights file must be a whole Keras weights file for this network",
        received=f"{path.name}, {what}",
        attempt="fetch it again, or give another one with --weights FILE",
    )


def has_classifier(path: Path) -> bool:
    """Tells whether a legacy weights file holds a layer `predictions`.

    Raises:
        WeightsError: If the file cannot be read.
    """
    with _opened(path) as file:
        return "predictions" in _names(file.attrs["layer_names"])


def read_legacy(model: Any, path: Path) -> None:
    """Puts a legacy Keras weights file (`.h5`, weights only) into a model, in order.

    Nothing is run and nothing outside the file is read: links and external or virtual
    data sets are refused, as are files that hold a whole model.

    Raises:
        WeightsError: If the file is damaged or made for another network.
    """
    with _opened(path) as file:
        if "model_config" in file.attrs:
            raise _damaged(path, "a whole model")
        found = _layers(file, path)
    wanted = [layer for layer in model.layers if layer.weights]
    if len(found) != len(wanted):
        raise _damaged(path, f"{len(found)} layers where {len(wanted)} are needed")
    for layer, (name, arrays) in zip(wanted, found, strict=True):
        # The legacy order: what is trained first, then the moving statistics.
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        shapes = [tuple(v.shape) for v in variables]
        if shapes != [a.shape for a in arrays]:
            raise _damaged(path, f"shapes of the layer {name} that do not fit")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)


def _layers(file: Any, path: Path) -> list[tuple[str, list[np.ndarray]]]:
    """Returns the layers that have weights, in the file's order."""
    found: list[tuple[str, list[np.ndarray]]] = []
    for name in _names(file.attrs["layer_names"]):
        group = _followed(file, name, path)
        arrays = [
            _array(group, part, path) for part in _names(group.attrs["weight_names"])
        ]
        if arrays:
            found.append((name, arrays))
    return found


def _names(values: Any) -> list[str]:
    return [v.decode() if isinstance(v, bytes) else str(v) for v in values]


def _followed(group: Any, name: str, path: Path) -> Any:
    """Returns what a name leads to, if no link on the way leads anywhere else."""
    import h5py

    for part in filter(None, name.split("/")):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise _damaged(path, f"whose {name} is missing or a link")
        group = group[part]
    return group


def _array(group: Any, name: str, path: Path) -> np.ndarray:
    import h5py

    data = _followed(group, name, path)
    plain = isinstance(data, h5py.Dataset)
    # External and virtual data sets read other files of the host (CVE-2026-1669,
    # CVE-2026-12480); a forged shape allocates without bound (CVE-2026-12570).
    if not plain or data.external or data.is_virtual or data.nbytes > LARGEST_ARRAY:
        raise _damaged(path, f"whose {name} is no plain array")
    array = np.asarray(data[()], np.float32)
    if not np.isfinite(array).all():
        raise _damaged(path, f"whose {name} is not finite")
    return array
