"""How much memory the pictures of a dream take: predicted, and by the system."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from keras_dream.engine.footprint import PIXEL, footprint
from keras_dream.engine.growth import octaves_of
from keras_dream.recipe.presets import preset

# The gradient is a stand-in of one picture. Writing 5 to clear_refs begins the peak of
# the resident memory anew: proc(5).
MEASURED = """
import ctypes, gc, json, sys
import numpy as np
import keras_dream as kd
from keras_dream.dreamer.ensemble import Ensemble

def gradient(self, recipe, strongest, **more):
    b = self._backend
    return lambda image, size, view, original: (
        b.sum(b.array(np.zeros(1))), b.subtract(image, 0.5))

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(l.split()[1]) * 1024 for l in lines if l.startswith("VmHWM"))

Ensemble.gradient = gradient
dreamer = kd.Dreamer(run=kd.RunSettings(backend="torch", device="cpu", threads=1))
libc = ctypes.CDLL(None)
libc.mallopt(-3, 1 << 18), libc.mallopt(-1, 1 << 18)  # what is free is given back
photo = np.random.default_rng(0).integers(0, 256, (450, 600, 3), np.uint8)
for settings in ({}, *json.loads(sys.argv[1])):
    gc.collect(), libc.malloc_trim(0)
    open("/proc/self/clear_refs", "w").write("5")
    before = peak()
    dreamer.dream(photo, "default", octaves=2, steps=3, **settings)
    print(json.dumps(peak() - before), flush=True)
"""

CASES = (
    {},
    {"filters": "laplacian"},
    {"optimizer": "adam"},
    {"canvas": "decorrelated"},
    {"canvas": "fourier"},
    {"start": "noise"},
)
MORE = 16_000_000  # bytes beside the pictures: bands of them, and the allocator's share


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux's peak")
def test_as_the_system_counts():
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, json.dumps(CASES)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    size = (450, 600)
    for case, line in zip(CASES, done.stdout.splitlines()[1:], strict=True):
        recipe = preset("default").but(octaves=2, **case)
        most = footprint(size, octaves_of(size, recipe)[-1], recipe).most
        assert 0.7 * most < int(line) < most + MORE, case


def test_memory_while_a_gradient_is_computed():
    """The photo and the image; before the last octave the photo at its size, too."""
    recipe = preset("default").but(octaves=2)
    small, large = octaves_of((280, 420), recipe)
    whole, part = (PIXEL * octave.size[0] * octave.size[1] for octave in (large, small))
    assert footprint((280, 420), large, recipe)[:2] == (2 * whole, 0)
    assert footprint((280, 420), small, recipe)[:2] == (whole + 2 * part, 0)
    adam = recipe.but(optimizer="adam")
    assert footprint((280, 420), large, adam)[:2] == (4 * whole, 2 * whole)
