"""Whether the libraries of films are there, which the extra `video` installs."""

import importlib.util

from keras_dream.errors import InputError

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
