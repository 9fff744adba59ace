"""The user's own configuration of Keras decides on nothing of ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from keras_dream.backend import load
from keras_dream.zoo.network import Network

BROKEN = {
    "a number": '{"floatx": "float99"}',
    "another type": '{"floatx": ["float32"]}',
    "epsilon": '{"epsilon": 1}',
    "order": '{"image_data_format": "diagonal"}',
    "list": "[1]",
    "deep": '{"a": ' + "[" * 100_000,
    "nnx": '{"nnx_enabled": true}',
    "large": " " * (1 << 20) + "{}",
}
SOUND = {
    "no JSON": "{",
    "no text": "\udcff",
    "nothing": "{}",
    "others": '{"floatx": "float16", "image_data_format": "channels_first"}',
}


@pytest.mark.parametrize("kind", [*BROKEN, *SOUND])
def test_what_keras_cannot_be_imported_with_is_known(kind, tmp_path):
    text = {**BROKEN, **SOUND}[kind]
    (tmp_path / "keras.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert load._is_importable(tmp_path) == (kind in SOUND)


def test_files_of_other_kinds_are_not_opened(tmp_path):
    assert load._is_importable(tmp_path)
    (tmp_path / "keras.json").mkdir()
    assert not load._is_importable(tmp_path)
    (tmp_path / "keras.json").rmdir()
    if os.name == "posix":
        os.mkfifo(tmp_path / "keras.json")
        assert not load._is_importable(tmp_path)


PROGRAM = """
import os
from keras_dream.zoo.network import Network
print(len(Network("squeezenet").outline().layers), os.environ["KERAS_HOME"])
import keras
print(keras.config.floatx(), keras.config.image_data_format())
"""


def test_a_broken_configuration_is_no_traceback(tmp_path):
    (tmp_path / "keras.json").write_text(
        json.dumps({"floatx": "float99", "image_data_format": "channels_first"})
    )
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={
            **os.environ,
            "KERAS_HOME": str(tmp_path),
            "PYTHONPATH": str(Path(load.__file__).parents[2]),
        },
    )
    said = done.stdout.splitlines()
    assert said[0].split()[1] == str(tmp_path)
    assert said[1] == "float32 channels_last"
    assert [path.name for path in tmp_path.iterdir()] == ["keras.json"]


def test_networks_are_built_as_without_a_configuration():
    before = (keras.config.floatx(), keras.config.image_data_format())
    keras.config.set_floatx("float16")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_epsilon(1e-2)
    keras.config.set_dtype_policy("mixed_float16")
    try:
        keras.utils.set_random_seed(0)
        graph = Network("squeezenet").outline()
        assert keras.config.floatx() == "float16"
        assert keras.config.image_data_format() == "channels_first"
        assert keras.config.epsilon() == 1e-2
        assert keras.config.dtype_policy().name == "mixed_float16"
    finally:
        load._configure("float32", 1e-7, "channels_last")
        keras.config.set_dtype_policy("float32")
    assert (keras.config.floatx(), keras.config.image_data_format()) == before
    keras.utils.set_random_seed(0)
    expected = Network("squeezenet").outline()
    assert graph.nodes == expected.nodes
    assert all(np.array_equal(a, expected.weights[n]) for n, a in graph.weights.items())
