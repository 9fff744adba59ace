"""The manifest of our cache: which hashes its files had when they were found good.

It only saves work and tells damage early. Where it is missing, broken or cannot be
written, hashes are checked once more against what publishers state.

Beside a hash it keeps the file's stamp (`stamp`), as git's index does: a file whose
stamp has not changed is not read once more, since gigabytes take seconds at every
start. `dream weights verify` always reads.
"""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from keras_dream.errors import DreamError
from keras_dream.files import write_atomically
from keras_dream.weights.source import home

FILE = "manifest.json"
POLL = 0.2  # seconds between two looks at a lock that somebody else holds
PATIENCE = 5.0  # seconds for the manifest's own lock, which is held for milliseconds
SETTLED = 2.0  # seconds: the coarsest clock of a file system, FAT's


def read() -> dict[str, dict[str, str]]:
    """Returns what is known of files: {name: {"sha256": …, "md5": …, "stamp": …}}."""
    try:
        found = json.loads((home() / FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {
        name: entry
        for name, entry in found.items()
        if isinstance(entry, dict) and all(isinstance(v, str) for v in entry.values())
    }


def note(changes: Mapping[str, Mapping[str, str] | None]) -> None:
    """Puts entries into the manifest, atomically; None takes one out.

    A cache that cannot be written to goes without.
    """
    with contextlib.suppress(OSError, DreamError, TimeoutError):
        home().mkdir(parents=True, exist_ok=True)
        with locked(home() / FILE, patience=PATIENCE):
            entries = {**read(), **changes}
            kept = {name: dict(e) for name, e in entries.items() if e is not None}
            text = json.dumps(kept, indent=1, sort_keys=True)
            write_atomically(home() / FILE, text.encode())


def stamp(path: Path) -> str:
    """Returns what changes when a file is written to or replaced.

    Raises:
        OSError: If there is no such file.
    """
    status = path.stat()
    return f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"


def is_settled(path: Path) -> bool:
    """Tells whether a file was last written so long ago that its stamp can be trusted.

    Two writes within one tick of a file system's clock leave the same time.

    Raises:
        OSError: If there is no such file.
    """
    return time.time() - path.stat().st_mtime > SETTLED


@contextlib.contextmanager
def locked(
    target: Path,
    *,
    waiting: Callable[[], None] | None = None,
    patience: float | None = None,
) -> Iterator[None]:
    """Holds the lock on a file, which no other process or thread then has.

    Args:
        target: The file; the lock is a hidden file beside it.
        waiting: Called now and then while somebody else holds it.
        patience: Seconds to wait; None waits until the other one is done.

    Raises:
        TimeoutError: If the patience is at its end.
        OSError: If the folder takes no files.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f".{target.name}.lock"))
    left = patience
    while True:
        try:
            lock.acquire(timeout=POLL)
            break
        except Timeout:
            if left is not None:
                left -= POLL
                if left <= 0:
                    raise TimeoutError(f"the lock of {target.name} is held") from None
            if waiting is not None:
                waiting()
    try:
        yield
    finally:
        lock.release()
