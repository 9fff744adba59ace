"""The five published algorithms in NumPy, as an oracle of their loops.

Written from the publications (see `keras_dream.recipe.presets`) in their own
units: images in [-1, 1] or in grey levels less a mean. Each calls only `slope(x)`,
which returns the loss of an image (height, width, 3) and its gradient there.
"""

from dataclasses import dataclass, field

import numpy as np
from scipy import ndimage


@dataclass
class Trace:
    """What happened at every step, octave by octave."""

    octaves: list = field(default_factory=list)

    def enter(self, shape):
        self.octaves.append((tuple(shape), []))

    def step(self, x, loss, gradient, after):
        self.octaves[-1][1].append((x, loss, gradient, after))

    @property
    def steps(self):
        return [step for _, steps in self.octaves for step in steps]


def corner_aligned(image, shape):
    """scipy's zoom: the corners stay, everything between is linear."""
    factors = (shape[0] / image.shape[0], shape[1] / image.shape[1], 1)
    return ndimage.zoom(image, factors, order=1, mode="nearest")


def half_pixel(image, shape):
    """tf.image.resize, bilinear: centres of cells, no antialiasing."""
    for axis, count in enumerate(shape):
        length = image.shape[axis]
        place = (np.arange(count) + 0.5) * (length / count) - 0.5
        place = place.clip(0, length - 1)
        low = np.floor(place).astype(int)
        share = (place - low).reshape([-1 if a == axis else 1 for a in range(3)])
        high = np.minimum(low + 1, length - 1)
        image = image.take(low, axis) * (1 - share) + image.take(high, axis) * share
    return image.astype(np.float32)


def keras_example(image, slope, trace, *, steps, move, most, before, resize):
    """The loop of book1, kerasio and book2, images in [-1, 1]."""
    full = image.shape[:2]
    shapes = [tuple(int(side / 1.4**i) for side in full) for i in range(3)][::-1]
    x, shrunk = image, resize(image, shapes[0])
    for shape in shapes:
        x = resize(x, shape)
        trace.enter(shape)
        for _ in range(steps):
            loss, gradient = slope(x)
            if before and loss > most:
                break
            after = x + move(gradient)
            trace.step(x, loss, gradient, after)
            x = after
            if loss > most:
                break
        same = resize(image, shape)
        x = x + (same - resize(shrunk, shape))
        shrunk = same
    return x


def mean_abs(step, floor):
    return lambda g: np.float32(step) * g / np.maximum(np.abs(g).mean(), floor)


MOVES = {
    "book1": mean_abs(0.01, 1e-7),
    "kerasio": mean_abs(0.01, 1e-6),
    "book2": lambda g: np.float32(20) * g / np.sqrt(np.maximum((g * g).sum(), 1e-12)),
    "tftut": lambda g: np.float32(0.01) * g / (g.std() + 1e-8),
    "google2015": mean_abs(1.5, 0),
}
"""What each adds to its image for a gradient, in its own units."""


def book1(image, slope, trace, steps=20):
    return keras_example(
        image,
        slope,
        trace,
        steps=steps,
        move=MOVES["book1"],
        most=10.0,
        before=True,
        resize=corner_aligned,
    )


def kerasio(image, slope, trace, steps=20):
    return keras_example(
        image,
        slope,
        trace,
        steps=steps,
        move=MOVES["kerasio"],
        most=15.0,
        before=False,
        resize=half_pixel,
    )


def book2(image, slope, trace, steps=30):
    return keras_example(
        image,
        slope,
        trace,
        steps=steps,
        move=MOVES["book2"],
        most=15.0,
        before=False,
        resize=half_pixel,
    )


def tftut(image, slope, trace, steps=50):
    base, x = image.shape[:2], image
    for power in range(-2, 3):
        shape = tuple(int(side * 1.3**power) for side in base)
        x = half_pixel(x, shape)
        trace.enter(shape)
        for _ in range(steps):
            loss, gradient = slope(x)
            after = np.clip(x + MOVES["tftut"](gradient), -1, 1)
            trace.step(x, loss, gradient, after)
            x = after
    return half_pixel(x, base)


CAFFE_MEAN = np.array([103.939, 116.779, 123.68], np.float32)  # BGR


def google2015(image, slope, trace, rolls, steps=10):
    """Images in grey levels, BGR, less the mean; rolls[octave][step]: down, right."""
    bases = [image]
    for _ in range(3):
        bases.append(ndimage.zoom(bases[-1], (1 / 1.4, 1 / 1.4, 1), order=1))
    detail = np.zeros_like(bases[-1])
    for octave, base in enumerate(bases[::-1]):
        detail = corner_aligned(detail, base.shape[:2])
        x = base + detail
        trace.enter(base.shape[:2])
        for step in range(steps):
            down, right = rolls[octave][step]
            rolled = np.roll(x, (down, right), (0, 1))
            loss, gradient = slope(rolled)
            rolled = rolled + MOVES["google2015"](gradient)
            after = np.roll(rolled, (-down, -right), (0, 1))
            after = np.clip(after, -CAFFE_MEAN, 255 - CAFFE_MEAN)
            trace.step(x, loss, gradient, after)
            x = after
        detail = x - base
    return x
