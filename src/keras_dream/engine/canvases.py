"""Canvases: how parameters become an image."""

from typing import Protocol

from keras_dream.backend.protocol import Array


class Canvas(Protocol):
    """Turns parameters into an image, and an image's gradient into theirs."""

    def parameters(self, image: Array) -> Array:
        """Returns the parameters that make an image."""
        ...

    def image(self, parameters: Array) -> Array:
        """Returns the image that parameters make."""
        ...

    def pull(self, parameters: Array, gradient: Array) -> Array:
        """Returns the parameters' gradient for the image's."""
        ...


class Pixels:
    """The pixels themselves: what every published DeepDream moves."""

    def parameters(self, image: Array) -> Array:
        """Returns the image."""
        return image

    def image(self, parameters: Array) -> Array:
        """Returns the parameters."""
        return parameters

    def pull(self, parameters: Array, gradient: Array) -> Array:
        """Returns the gradient."""
        return gradient
