"""A loss with a slope that can be written down, in NumPy and on a backend.

A network's gradient is chaotic; this one is not, so that loops can be compared to
their last step. It depends on the place in the picture, and so on every size and shift.
"""

from functools import cache

import numpy as np

from keras_dream.engine import loop
from keras_dream.geometry import jitter_offsets


class StandIn:
    """loss(p) = base + rise · mean(v·p + w·p²/2) for an image p in [0, 1].

    Args:
        base: The loss of black.
        rise: How steep it is.
    """

    def __init__(self, base=1.0, rise=1.0):
        self._base, self._rise = base, rise

    @staticmethod
    @cache
    def patterns(shape):
        down, right, channel = np.indices((*shape, 3))
        v = np.sin(0.31 * down + 0.17 * right + channel)
        w = 1 + 0.5 * np.cos(0.13 * down - 0.23 * right + 2 * channel)
        return v.astype(np.float32), w.astype(np.float32)

    def slope(self, p):
        v, w = self.patterns(p.shape[:2])
        loss = self._base + self._rise * float((v * p + w * p * p / 2).mean())
        return loss, (self._rise * (v + w * p) / p.size).astype(np.float32)

    def in_units(self, scale, shift, order=(0, 1, 2)):
        """Returns the slope for an image x = scale · p + shift, channels by `order`."""
        back = np.argsort(order)

        def slope(x):
            p = ((x - shift) / scale)[..., back].astype(np.float32)
            loss, gradient = self.slope(p)
            return loss, gradient[..., order] / np.float32(scale)

        return slope

    def on(self, backend):
        """Returns it as the engine's gradient."""

        b = backend

        @cache
        def held(size):
            return [b.image(pattern) for pattern in self.patterns(size)]

        def gradient(image, size, *, view, original):
            v, w = held(size)
            down, right = view.constants or (0, 0)  # the chain is a roll or nothing
            image = b.roll(image, down, right)
            curved = b.multiply(b.square(image), b.multiply(w, 0.5))
            mean = b.mean(b.add(b.multiply(v, image), curved))
            loss = b.add(b.multiply(mean, self._rise), self._base)
            count = size[0] * size[1] * 3
            slope = b.multiply(b.add(v, b.multiply(w, image)), self._rise / count)
            return loss, b.roll(slope, -down, -right)

        return gradient


def dream(image, recipe, gradient, backend):
    """Runs the engine and returns (the image, its steps)."""
    size = image.shape[:2]
    octaves = loop.octaves_of(size, recipe)
    run = loop.run(
        image,
        octaves,
        recipe,
        gradient_of=lambda _: gradient,
        backend=backend,
        result=lambda image, losses, complete: image,
    )
    steps = list(run)
    return run.dream, steps


def rolls(recipe):
    """Returns the shifts of a recipe, all the randomness there is, octave by octave."""
    count = recipe.octaves + recipe.octaves_above
    return [
        jitter_offsets(recipe.seed, octave, recipe.steps, recipe.jitter).tolist()
        for octave in range(count)
    ]
