import os

# Before anything imports keras: the suite runs on one backend, torch unless told.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pytest

from keras_dream.backend import Backend, load


@pytest.fixture(scope="session")
def backend() -> Backend:
    """The backend that this run of the suite is about."""
    return load(os.environ["KERAS_BACKEND"], threads=2)
