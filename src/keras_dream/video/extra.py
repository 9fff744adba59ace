"""Whether films can be read: the libraries are there, and files are trusted."""

import importlib.util
from pathlib import Path

from keras_dream.errors import InputError, short_repr
from keras_dream.pictures.limits import Limits, default_limits

MODULES = ("av", "cv2", "scenedetect")
"""What the extra `video` installs, by the names of their imports."""

INSTALL = "install it with `pip install 'keras-dream[video]'`"


def require() -> None:
    """Checks that what films need is installed, before anything of it is imported.

    Raises:
        InputError: If something is missing.
    """
    missing = [name for name in MODULES if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(
            "The extra `video` must be installed for films",
            received=f"a Python without {' and '.join(missing)}",
            hint=INSTALL,
        )


def check_trusted(path: Path, limits: Limits | None = None) -> None:
    """Refuses a file that only a child may decode: FFmpeg runs in this process.

    Args:
        path: A film, or a file with sound.
        limits: Whether files are trusted; None for the `default_limits`.

    Raises:
        InputError: If they are not.
    """
    if (limits or default_limits()).untrusted:
        raise InputError(
            "a film must be one that is trusted, for this process decodes it",
            received=f"{short_repr(path.name)} and --untrusted",
            hint="leave --untrusted out, or use a folder of pictures",
        )
