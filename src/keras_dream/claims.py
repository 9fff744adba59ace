"""Names of results, claimed before the work begins and kept until it is saved.

A claim on `sky-dream.png` is the hidden file `.sky-dream.png.claim`, held by a living
process. That of a dead one is taken over. Another run, at the same time, takes the next
name, and the name that is said at the start is the one that is saved.
"""

import contextlib
import hashlib
import os
import platform
import stat
from pathlib import Path
from typing import Self

from keras_dream.errors import OutputError, short_repr
from keras_dream.files import is_taken, numbered, remove_leftovers
from keras_dream.locks import Hold, create, take
from keras_dream.names import NAME_BYTES

_MOST_TEXT = 200  # characters of a claim: a process' number and its machine


class Claim:
    """A name that no other run takes; a context manager, which gives it back.

    Attributes:
        path: The result's path.
    """

    def __init__(self, path: Path, hold: Hold | None):
        self.path = path
        self._hold = hold

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def release(self) -> None:
        """Gives the name back."""
        if self._hold is not None:
            self._hold.remove()
            self._hold = None


def claim(path: str | os.PathLike[str], *, exact: bool = False) -> Claim:
    """Claims a name for a result, and removes what dead processes left in its folder.

    Args:
        path: The result's path, in a folder that takes files.
        exact: Claim this name, whether there is such a file or not. Otherwise
            `sky-dream-2.png` takes the place of a file that exists, and so on.

    Raises:
        OutputError: If the exact name is another process'.
    """
    path = Path(path)
    remove_leftovers(path.parent)
    _remove_forgotten(path.parent)
    if exact:
        hold = _hold(path)
        if hold is None:
            raise OutputError(
                "A result must have a name that no other run is about to save",
                received=f"{short_repr(str(path))}, which {_holder(path)} makes",
                hint="wait for it, or try another name",
            )
        return Claim(path, hold)
    names = numbered(path)
    while True:
        each = next(names)
        hold = None if is_taken(each) else _hold(each)
        if hold is not None and not is_taken(each):
            return Claim(each, hold)
        if hold is not None:
            hold.remove()  # saved and given back by another just before


def is_claimed(path: Path) -> bool:
    """Tells whether a living process has claimed a name."""
    hold = take(_file(path))
    if hold is not None:
        hold.remove()
    return os.path.lexists(_file(path))


def _remove_forgotten(folder: Path) -> None:
    """Removes the claims of dead processes on any name in a folder."""
    for file in folder.glob(".*.claim"):
        # Another's file may have such a name, and a new claim is empty for a moment.
        if _text(file) and (hold := take(file)) is not None:
            hold.remove()


def _hold(path: Path) -> Hold | None:
    """Returns the claim's file, held; None if another process holds it."""
    hold = create(_file(path)) or take(_file(path))
    if hold is not None:
        text = f"process {os.getpid()} on {platform.node() or 'this machine'}\n"
        with contextlib.suppress(OSError):  # a full disk may still hold an empty file
            os.truncate(hold.descriptor, 0)
            os.write(hold.descriptor, text.encode()[:_MOST_TEXT])
    return hold


def _holder(path: Path) -> str:
    """Returns who has a name, as the claim says."""
    return _text(_file(path)) or "another process"


def _text(file: Path) -> str:
    """Returns what stands in a claim's file; "" if it is none."""
    with contextlib.suppress(OSError, ValueError):
        if stat.S_ISREG(file.lstat().st_mode):  # a pipe would block
            with file.open(encoding="utf-8") as opened:
                text = opened.read(_MOST_TEXT).strip()
            if text.isprintable() and text.startswith("process "):
                return text
    return ""


def _file(path: Path) -> Path:
    """Returns the hidden file of a claim."""
    name = f".{path.name}.claim"
    if len(os.fsencode(name)) > NAME_BYTES:
        name = f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()}.claim"
    return path.with_name(name)
