"""Objectives in Python: a function for each kind of target, and one's own functions.

    import keras_dream as kd

    kd.dream("sky.jpg", objective=kd.layer("mixed4") + 0.3 * kd.channel("mixed3", 7))

Each returns an `Objective` of one term, which numbers multiply and other objectives are
added to. It is the same value as that of the text, and `str` gives the text.
"""

import hashlib
import inspect
import marshal
import os
import textwrap
from collections.abc import Callable
from typing import Any, overload

from keras_dream.errors import ObjectiveError, short_repr
from keras_dream.recipe.files import FileRef, as_file
from keras_dream.recipe.objectives import NetworkObjective, Objective, Term
from keras_dream.recipe.targets import (
    Caricature,
    Class,
    Custom,
    Direction,
    Guide,
    Layer,
    Neuron,
    Penalty,
    Target,
    check_name,
)

Path = str | os.PathLike[str] | FileRef


def layer(
    name: str, *, strongest: int | None = None, of: int | None = None
) -> Objective:
    """Returns the objective of a layer: all of its channels.

    Args:
        name: Such as "mixed4", or "conv2d@7" for a layer that Keras only numbered.
        strongest: Of its channels only so many, those that respond most to the photo.
        of: They are drawn by the recipe's seed among so many that respond most.
    """
    if strongest is not None and not 1 <= strongest < 100_000:
        raise ObjectiveError(
            "The number of strongest channels must be from 1 to 99999",
            received=short_repr(strongest),
            hint="leave it out for all channels",
        )
    return _objective(Layer.named(name, strongest=strongest, of=of))


def channel(layer: str, *channels: int) -> Objective:
    """Returns the objective of one channel of a layer, or of some.

    Args:
        layer: As for `layer`.
        *channels: Their numbers, from 0.

    Raises:
        ObjectiveError: If there is none, or one is no number from 0.
    """
    if not channels or not all(0 <= number < 1_000_000 for number in channels):
        raise ObjectiveError(
            "The channels of a layer must be numbers from 0",
            received=short_repr(channels),
            hint="try keras_dream.channel('mixed4', 11)",
        )
    return _objective(Layer.named(layer, channels=tuple(map(int, channels))))


def class_(name: str | int) -> Objective:
    """Returns the objective of a class: its score, averaged over all positions.

    Args:
        name: The class's name or its number.
    """
    return _objective(Class(str(name)))


def neuron(layer: str, channel: int, *, x: float = 0.5, y: float = 0.5) -> Objective:
    """Returns the objective of one cell of a channel.

    Args:
        layer: As for `layer`.
        channel: The channel's number.
        x: The cell's place across the feature map, from 0 (left) to 1 (right).
        y: The same from 0 (top) to 1 (bottom).

    Raises:
        ObjectiveError: If the channel or the place is impossible.
    """
    return _objective(Neuron(layer, channel, x, y))


def direction(layer: str, file: Path) -> Objective:
    """Returns the objective of a direction in the space of a layer's channels.

    Args:
        layer: As for `layer`.
        file: A `.npy` file of one number for each channel.
    """
    return _objective(Direction(layer, as_file(file)))


def caricature(layer: str) -> Objective:
    """Returns the objective of more of what a layer already responds to in the photo.

    Args:
        layer: As for `layer`.
    """
    return _objective(Caricature(layer))


def guide(file: Path, layer: str, *, gram: bool = False) -> Objective:
    """Returns the objective of what a layer responds to in another picture.

    Args:
        file: The other picture, of any size.
        layer: As for `layer`.
        gram: Whether to compare the layer's Gram matrices, and so textures; otherwise
            each cell is led to the cell of the guide that answers most to it.
    """
    return _objective(Guide(as_file(file), layer, "gram" if gram else "dot"))


@overload
def objective(layers: Callable[..., Any], /) -> Objective: ...
@overload
def objective(*layers: str) -> Callable[[Callable[..., Any]], Objective]: ...
def objective(*layers: Any) -> Any:
    """Makes an objective of a function of one's own; used as a decorator.

        @kd.objective("mixed4", "mixed3")
        def mine(mixed4, mixed3):
            return ops.mean(mixed4) - 0.1 * ops.mean(ops.square(mixed3))

        kd.dream("sky.jpg", objective=mine + 0.5 * kd.layer("mixed5"))

    The function takes the feature map of each layer, `(1, height, width, channels)` of
    the backend on which Keras runs, and returns a scalar; `keras.ops` has what it
    needs. Without layers, `@kd.objective()`, it takes the image, `(1, height, width,
    3)` in [0, 1]. Written as `@kd.objective`, the names of its parameters are those of
    the layers.

    A recipe has its name and the sha256 of its source, and not the function: such a
    dream is not made again from the picture alone.

    Args:
        *layers: The layers, as for `layer`.

    Returns:
        The objective, in the place of the function.

    Raises:
        ObjectiveError: If the function does not take one argument for each layer.
    """
    if len(layers) == 1 and callable(layers[0]):
        return _custom(layers[0], tuple(inspect.signature(layers[0]).parameters))

    def decorate(function: Callable[..., Any]) -> Objective:
        return _custom(function, layers)

    return decorate


def _objective(target: Target) -> Objective:
    return Objective((NetworkObjective(terms=(Term(1, target),)),))


def _custom(function: Callable[..., Any], layers: tuple[str, ...]) -> Objective:
    for layer in layers:
        check_name("A layer of an objective of your own", layer)
    name = getattr(function, "__name__", type(function).__name__)
    try:
        inspect.signature(function).bind(*(layers or ("image",)))
    except (TypeError, ValueError):  # not written in Python: it has no signature
        raise ObjectiveError(
            "An objective of your own must take an argument for each layer, or the "
            "image where there is none",
            received=f"{name} for {len(layers)} layers",
            hint="write @kd.objective('mixed4') above def mine(mixed4)",
        ) from None
    return _objective(Custom(name, _sha256(function), layers, function))


def _sha256(function: Callable[..., Any]) -> str:
    """Returns the sha256 of a function's source; "" if there is none."""
    try:
        source = textwrap.dedent(inspect.getsource(function)).encode()
    except (OSError, TypeError):
        # Typed into a console: its bytecode tells it from others of its name.
        code = getattr(function, "__code__", None)
        source = b"" if code is None else marshal.dumps(code)
    return hashlib.sha256(source).hexdigest() if source else ""


tv = _objective(Penalty("tv"))
"""Total variation, a penalty: subtract it."""

l1 = _objective(Penalty("l1"))
"""The mean absolute difference from the photo, a penalty: subtract it."""

l2 = _objective(Penalty("l2"))
"""The mean square of the difference from the photo, a penalty: subtract it."""

blur = _objective(Penalty("blur"))
"""The difference from the blurred image, a penalty: subtract it."""
