"""What a zoom needs of a dreamer, without a network: a dream that is a formula.

It amplifies whatever there is, as gradient ascent does, and so drifts: without a lock,
contrast grows, the mean rises, colours run away and large shapes drown in small ones.
"""

from types import SimpleNamespace

import numpy as np
from scipy import ndimage

from keras_dream.engine.growth import octaves_of
from keras_dream.engine.result import Record
from keras_dream.recipe.files import Files


def amplified(image):
    """Details a little stronger, the mean a little higher, reds stronger."""
    blurred = ndimage.gaussian_filter(image, (1.5, 1.5, 0), mode="reflect")
    dreamed = image + 0.15 * (image - blurred) + 0.004
    dreamed[..., 0] += 0.05 * (image[..., 0] - image[..., 1])
    return dreamed.clip(0, 1).astype(np.float32)


class StandIn:
    """A dreamer whose dream is a function of the image; it keeps what it was given.

    Attributes:
        starts: The images that dreams began with.
        recipes: Their recipes.
    """

    def __init__(self, dream=amplified):
        self.files = Files()
        self.starts, self.recipes = [], []
        self._dream = dream

    def complete(self, recipe):
        return recipe

    def octaves(self, size, recipe):
        return octaves_of(size, recipe), ()

    def check_keyframes(self, size, recipe):
        pass

    def seconds(self, size, recipe):
        return 1.0

    def record(self, picture, recipe):
        return Record(
            versions={"keras-dream": "0"},
            processor="a formula",
            network="none",
            weights_sha256="",
            source=picture.name,
            source_sha256=picture.sha256,
            size=picture.pixels.shape[:2],
            run={"backend": "numpy"},
            steps=0,
            losses={},
        )

    def steps(self, picture, recipe):
        self.starts.append(picture.pixels)
        self.recipes.append(recipe)
        image = self._dream(picture.pixels)
        return _Run(SimpleNamespace(image=image, record=SimpleNamespace(notices=())))


class _Run:
    plan = SimpleNamespace(take_notices=lambda: ())

    def __init__(self, dream):
        self.dream = dream

    def __iter__(self):
        yield SimpleNamespace(octaves=1, iterations=1)
