"""Penalties: terms about the image itself, to be subtracted, such as `- 5*tv`.

A penalty is called with the backend, the image as it stands (float32 in [0, 1], before
any random roll) and the original at the same size, and returns a scalar of the backend,
0 or more. All are means over the image's values, so that a weight means the same in
every octave; Lucid's and captum's are sums.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras_dream.parts.part import Array

if TYPE_CHECKING:
    from keras_dream.backend.protocol import Backend


@dataclass(frozen=True)
class Penalty:
    """A term about the image.

    Attributes:
        function: (backend, image, original) to a scalar.
        needs_original: Whether it measures a distance to the original.
    """

    function: Callable[["Backend", Array, Array | None], Array]
    needs_original: bool


def _total_variation(backend: "Backend", image: Array, _: Array | None) -> Array:
    """Returns the mean absolute difference of neighbours, down plus across.

    Source: Rudin, Osher and Fatemi, 1992; the anisotropic form, as in
    `tf.image.total_variation`, which Lucid's `total_variation` sums.
    """
    down = backend.subtract(
        backend.crop(image, (1, 0, 0, 0)), backend.crop(image, (0, 1, 0, 0))
    )
    across = backend.subtract(
        backend.crop(image, (0, 0, 1, 0)), backend.crop(image, (0, 0, 0, 1))
    )
    total = backend.add(
        backend.sum(backend.absolute(down)), backend.sum(backend.absolute(across))
    )
    return backend.divide(total, backend.count(image))


def _l1(backend: "Backend", image: Array, original: Array | None) -> Array:
    """Returns the mean absolute difference from the original.

    Source: Lucid's objective `L1`, with the original in the place of its constant.
    """
    return backend.mean(backend.absolute(backend.subtract(image, original)))


def _l2(backend: "Backend", image: Array, original: Array | None) -> Array:
    """Returns the mean square of the difference from the original.

    Source: Lucid's objective `L2` without its root, whose gradient does not vanish
    where the image is the original.
    """
    return backend.mean(backend.square(backend.subtract(image, original)))


def _blur(backend: "Backend", image: Array, _: Array | None) -> Array:
    """Returns half the mean square of the difference from the blurred image.

    The blurred image, means of 3 × 3, is held fixed: a step against the gradient
    moves the image towards it. Source: Lucid's `blur_input_each_step`, after Nguyen,
    Yosinski and Clune, 2015; its kernel also has the middle twice.
    """
    blurred = backend.stop_gradient(
        backend.average_pool(image, size=(3, 3), stride=(1, 1), padding=(1, 1, 1, 1))
    )
    squares = backend.square(backend.subtract(image, blurred))
    return backend.multiply(backend.mean(squares), 0.5)


PENALTIES: Mapping[str, Penalty] = {
    "tv": Penalty(_total_variation, needs_original=False),
    "l1": Penalty(_l1, needs_original=True),
    "l2": Penalty(_l2, needs_original=True),
    "blur": Penalty(_blur, needs_original=False),
}
"""Every penalty, by the word that an objective has for it."""
