"""Files that say that a process lives: held open and locked, and free when it dies.

The lock is `flock`, which the system gives back with the process, however it ends. So
another process can prove that a file is nobody's: it takes the lock. On Windows the
proof is that an open file cannot be removed. A file system without locks has no such
proof, and what lies there is left alone.
"""

import contextlib
import os
import stat
import sys
from pathlib import Path

_FLAGS = os.O_RDWR | getattr(os, "O_BINARY", 0)
# A link is not followed, and a pipe does not block.
_SAFE = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)


class Hold:
    """A file that this process holds, until it is released, removed or forgotten.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, descriptor: int):
        self.path = path
        self._descriptor: int | None = descriptor

    @property
    def descriptor(self) -> int:
        """The open file.

        Raises:
            ValueError: It is not held any more.
        """
        if self._descriptor is None:
            raise ValueError("the file is not held any more")
        return self._descriptor

    def release(self) -> None:
        """Closes the file; it stays where it is."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def remove(self) -> None:
        """Removes the file, wherever that is possible, and closes it."""
        if sys.platform == "win32":
            self.release()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        self.release()

    def __del__(self) -> None:
        with contextlib.suppress(OSError, AttributeError):
            self.release()


def create(path: Path, *, mode: int = 0o666) -> Hold | None:
    """Creates a file and holds it; returns None if there is one of that name.

    Args:
        path: The file.
        mode: Its permissions, of which the umask is taken away.

    Raises:
        OSError: The folder takes no file.
    """
    try:
        descriptor = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return None
    # Without locks it is held by its name alone.
    return _held(path, descriptor, accepted=(True, None))


def take(path: Path) -> Hold | None:
    """Holds a file that another process has left; None if it lives or none can tell.

    Only a regular file of this user's is taken.
    """
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            path.unlink()
            return create(path)
        descriptor = os.open(path, _FLAGS | _SAFE)
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
            return _held(path, descriptor, accepted=(True,))
        os.close(descriptor)
    return None


def _held(
    path: Path, descriptor: int, *, accepted: tuple[bool | None, ...]
) -> Hold | None:
    """Locks an open file; None if that fails, or the name is not its own any more."""
    hold = Hold(path, descriptor)
    if _lock(descriptor) in accepted:
        with contextlib.suppress(OSError):
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return hold
    hold.release()
    return None


if sys.platform == "win32":

    def _lock(descriptor: int) -> bool | None:
        """Returns None: an open file cannot be removed, which is proof enough."""
        return None

else:

    def _lock(descriptor: int) -> bool | None:
        """Locks an open file: whether it did; None where there are no locks."""
        import fcntl

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True
