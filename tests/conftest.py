import atexit
import importlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Before anything imports keras: the suite runs on one backend, by default torch.
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
if os.environ["KERAS_BACKEND"] == "jax":
    # Nearly all of jax's time here is compiling programs that run once: half of it
    # without LLVM's optimisation, which no test is about.
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

# What a test computes must not depend on the processor: limited so, oneDNN has no
# bfloat16 of its own, and the run setting `precision=auto` is float32 everywhere.
os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX512_CORE"

# Nothing of the suite goes into the user's own cache and list of jobs.
if "KERAS_DREAM_HOME" not in os.environ:
    os.environ["KERAS_DREAM_HOME"] = tempfile.mkdtemp(prefix="dream-tests-")
    atexit.register(shutil.rmtree, os.environ["KERAS_DREAM_HOME"], ignore_errors=True)

# A suite that a shell started in the background ignores Ctrl-C, and so would the
# programs that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

import hypothesis
import numpy as np
import pytest

from keras_dream import isolation
from keras_dream.backend.load import load
from keras_dream.backend.protocol import Backend
from keras_dream.graph import file
from keras_dream.graph.graph import Graph
from keras_dream.graph.ops import Node
from keras_dream.pictures.encoding import save_picture
from keras_dream.zoo import load as zoo_load

# A machine may be busy: no test is about a time below a second.
hypothesis.settings.register_profile("keras-dream", deadline=None)
hypothesis.settings.load_profile("keras-dream")

REPORT = pytest.StashKey[list[str]]()


def pytest_configure(config: pytest.Config) -> None:
    """Makes the list that `report_lines` hands out."""
    config.stash[REPORT] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what the other backends' suites have skipped, before the closing line."""
    lines = terminalreporter.config.stash[REPORT]
    if lines:
        terminalreporter.section("other backends")
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture
def report_lines(pytestconfig: pytest.Config) -> list[str]:
    """Lines for the end of the report; a passed test's output is not shown."""
    return pytestconfig.stash[REPORT]


@pytest.fixture(scope="session")
def backend() -> Backend:
    """The backend that this run of the suite is about."""
    return load(os.environ["KERAS_BACKEND"], threads=2)


@pytest.fixture(autouse=True)
def no_gpu_bfloat16(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes `precision=auto` float32 on a GPU, too, as above on a processor."""
    if not backend.device.startswith("cpu"):
        monkeypatch.setattr(type(backend), "fast_bfloat16", lambda _: False)


@pytest.fixture(scope="session")
def inception() -> Any:
    """Inception V3 with random weights that keep every layer's activations alive."""
    import keras
    from reference import randomise

    model = keras.applications.InceptionV3(weights=None, include_top=False)
    return randomise(model, seed=1)


@pytest.fixture(scope="session")
def tiny_network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of shipped networks whose `motif` is two small random convolutions."""
    random = np.random.default_rng(7)
    conv = {"stride": [1, 1], "padding": "same", "dilation": [1, 1], "groups": 1}
    pool = {"size": [2, 2], "stride": [2, 2], "padding": "valid"}
    graph = Graph(
        nodes=(
            Node("input", "input", (), {"channels": 3}),
            Node("near", "conv2d", ("input",), {**conv, "relu": True}),
            Node("pool", "max_pool", ("near",), pool),
            Node("far", "conv2d", ("pool",), {**conv, "padding": "valid"}),
        ),
        weights={
            "near/kernel": random.normal(size=(3, 3, 3, 4)).astype(np.float32),
            "far/kernel": random.normal(size=(3, 3, 4, 5)).astype(np.float32),
        },
        layers={"near": "near", "conv2d@0": "near", "pool": "pool", "far": "far"},
        objective="far",
    )
    folder = tmp_path_factory.mktemp("builtin")
    file.save(graph, folder / "motif.safetensors")
    return folder


@pytest.fixture
def motif(tiny_network: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Puts the tiny network in the place of the shipped one; returns its file."""
    monkeypatch.setattr(zoo_load, "BUILTIN", tiny_network)
    return tiny_network / "motif.safetensors"


@pytest.fixture
def photo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small photo, alone in a folder of its own, which is the current one."""
    folder = tmp_path / "photos"
    folder.mkdir()
    monkeypatch.chdir(folder)
    image = np.random.default_rng(3).random((40, 60, 3), np.float32)
    save_picture(folder / "photo.png", image)
    return Path("photo.png")


@pytest.fixture
def dream(
    motif: Path,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """Runs `dream` on the tiny network: (exit code, standard output, error)."""
    from keras_dream.cli import main
    from keras_dream.jobs import index

    monkeypatch.setattr(index, "home", lambda: tmp_path / "home")

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        output = capsys.readouterr()
        return code, output.out, output.err

    return run


@pytest.fixture
def in_this_process(monkeypatch):
    """Reads untrusted files here, without the half second that a child takes."""

    def call(function, path, arguments=None, **_):
        module, _, name = function.partition(":")
        head, arrays = getattr(importlib.import_module(module), name)(
            str(path), **(arguments or {})
        )
        return json.loads(json.dumps(head)), arrays

    monkeypatch.setattr(isolation, "call", call)
