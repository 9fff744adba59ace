"""Chooses a backend and loads it."""

import importlib
import logging
import os
import sys

from keras_dream.backend.protocol import NAMES, Backend
from keras_dream.errors import SettingError, nearest

_log = logging.getLogger(__name__)


def choose(name: str | None) -> str:
    """Returns the name of the backend to use.

    The explicit setting wins, then `KERAS_BACKEND`, then that of a Keras which is
    already imported, so that a user's own model can be used, then torch.

    Args:
        name: "torch", "jax", "tensorflow", or None.

    Raises:
        SettingError: If the name is none of the three.
    """
    chosen = name or os.environ.get("KERAS_BACKEND") or _imported_keras() or "torch"
    if chosen not in NAMES:
        raise SettingError(
            "The backend must be torch, jax or tensorflow",
            received=repr(chosen),
            hint=nearest(chosen, NAMES),
        )
    return chosen


def _imported_keras() -> str | None:
    # A Keras that is still being imported has no backend yet.
    config = getattr(sys.modules.get("keras"), "config", None)
    return config.backend() if config is not None else None


def set_default_keras_backend(name: str) -> None:
    """Makes Keras use a backend if it is imported later and the user chose none.

    Args:
        name: One of `NAMES`.
    """
    if "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", name)


def load(
    name: str | None,
    *,
    device: str | None = None,
    precision: str = "float32",
    threads: int | None = None,
) -> Backend:
    """Imports a backend and prepares it on a device.

    Args:
        name: As for `choose`.
        device: Such as "cpu", "cuda", "mps"; None takes the fastest available.
        precision: "float32", "tf32" or "bfloat16".
        threads: Threads for one operation; None leaves the library's own choice.

    Raises:
        SettingError: If the backend is not installed or the device is not there.
    """
    chosen = choose(name)
    try:
        module = importlib.import_module(f"keras_dream.backend.{chosen}")
    except ModuleNotFoundError as error:
        if error.name not in NAMES:
            raise
        raise SettingError(
            "The backend's library must be installed",
            received=f"{chosen!r}, which is not",
            hint=f"run: pip install 'keras-dream[{chosen}]', or use torch",
        ) from None
    backend: Backend = module.make(device=device, precision=precision, threads=threads)
    _log.info(
        "Backend %s on %s, %s, %s threads",
        backend.name,
        backend.device,
        precision,
        backend.threads or "its own choice of",
    )
    return backend
