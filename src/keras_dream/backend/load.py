"""Chooses a backend and loads it."""

import contextlib
import importlib
import json
import logging
import os
import stat
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from keras_dream.backend.protocol import NAMES, Backend
from keras_dream.errors import SettingError, nearest

_log = logging.getLogger(__name__)

_LARGEST_CONFIGURATION = 1 << 20  # bytes; Keras writes a hundred


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


@contextlib.contextmanager
def keras_on(name: str) -> Iterator[None]:
    """Lets Keras build models as it does where its user has configured nothing.

    The user's own `keras.json` holds for the user's own code: what it says of numbers
    and of the order of axes is set aside meanwhile, and it may be broken.

    Args:
        name: The backend, as for `set_default_keras_backend`.
    """
    set_default_keras_backend(name)
    if "keras" not in sys.modules:
        with _readable_configuration():
            importlib.import_module("keras")
    from keras import config

    before = config.floatx(), config.epsilon(), config.image_data_format()
    policy = config.dtype_policy()
    try:
        _configure("float32", 1e-7, "channels_last")  # Keras' own defaults
        config.set_dtype_policy("float32")
        yield
    finally:
        _configure(*before)
        config.set_dtype_policy(policy)


def _configure(floatx: str, epsilon: float, image_data_format: str) -> None:
    from keras import config

    config.set_floatx(floatx)
    config.set_epsilon(epsilon)
    config.set_image_data_format(image_data_format)


@contextlib.contextmanager
def _readable_configuration() -> Iterator[None]:
    """Shows Keras an empty folder where importing it would fail on its configuration.

    Keras 3.15 looks for it in `KERAS_HOME`, else in `~/.keras`, and checks it at the
    import (`keras/src/backend/config.py`).
    """
    old = os.environ.get("KERAS_HOME")
    if _is_importable(Path(old) if old else Path.home() / ".keras"):
        yield
        return
    with tempfile.TemporaryDirectory() as empty:
        os.environ["KERAS_HOME"] = empty
        try:
            yield
        finally:
            os.environ.pop("KERAS_HOME")
            if old is not None:
                os.environ["KERAS_HOME"] = old


def _is_importable(folder: Path) -> bool:
    """Tells whether Keras can be imported with the configuration in a folder."""
    path = folder / "keras.json"
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_CONFIGURATION:
            return False
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return True
    except ValueError:  # Keras takes no notice of it, either
        return True
    except (OSError, RecursionError):
        return False
    return (
        isinstance(config, dict)
        and config.get("floatx", "float32") in ("float16", "float32", "float64")
        and isinstance(config.get("epsilon", 1e-7), float)
        and config.get("image_data_format", "channels_last")
        in ("channels_last", "channels_first")
        and not config.get("nnx_enabled")
    )


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
