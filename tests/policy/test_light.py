"""The built-in network dreams without Keras, which takes a second to import."""

import subprocess
import sys

PROGRAM = """
import sys
import numpy as np
import keras_dream as kd

dreamer = kd.Dreamer("motif", run=kd.RunSettings(backend="torch"))
photo = np.random.default_rng(0).random((96, 96, 3), dtype=np.float32)
dreamer.dream(photo, kd.Recipe(octaves=1, steps=1)).save(sys.argv[1])
print(*(name for name in ("keras", "tensorflow", "jax", "h5py") if name in sys.modules))
"""


def test_motif_needs_no_keras(tmp_path):
    out = tmp_path / "out.png"
    command = [sys.executable, "-c", PROGRAM, str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
    assert out.is_file()
